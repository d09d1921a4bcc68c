"""Pretrained models and VAEs: fetched from a stand-in for the hub, found without it, chosen from elsewhere."""

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from threading import Event

import pytest
import torch
from diffusers import AutoencoderKL, DiTTransformer2DModel

from dit_studio.engine.model_files import single_files
from dit_studio.engine.model_files.hub_models import MODELS, PIPELINE, arrived_bytes, hub_state
from dit_studio.engine.model_files.job import add_file, download_file, list_files
from dit_studio.engine.model_files.licences import CC_BY_NC, MIT
from dit_studio.engine.model_files.locating import find_row
from dit_studio.engine.model_files.single_files import ModelFile
from dit_studio.engine.pretrained import find_pretrained, find_vae, need_pretrained, need_vae
from dit_studio.errors import CheckpointError, DataError, StudioError
from dit_studio.events import ModelFileInfo, ModelFiles, Progress
from dit_studio.places import models_dir
from tests.engine.file_server import FileServer, serving
from tests.engine.hub_server import Hub
from tests.engine.tiny_pipelines import write_pipeline, write_vae

DIT, EMA, MSE = "facebook/DiT-XL-2-256", "stabilityai/sd-vae-ft-ema", "stabilityai/sd-vae-ft-mse"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
VAE_WEIGHTS = "vae/diffusion_pytorch_model.safetensors"
_PIPELINE_FILES = {
    "model_index.json", "scheduler/scheduler_config.json", "transformer/config.json", "vae/config.json", WEIGHTS,
    VAE_WEIGHTS,
}  # fmt: skip
Events = Generator[Progress | ModelFiles, None, None]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache of the hub, empty."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vae(tmp_path_factory.mktemp("vaes") / "tiny")


@pytest.fixture
def hub(pipeline: Path) -> Hub:
    return Hub.of_folder(DIT, pipeline)


def _fetch(hub: Hub) -> dict[str, ModelFileInfo]:
    with serving(hub.respond) as url:
        return _listed(download_file(hub.repo, accepts_licence=True, endpoint=url))


def _listed(events: Events) -> dict[str, ModelFileInfo]:
    """What a job names at its end."""
    *_, last = list(events)
    assert isinstance(last, ModelFiles)
    return {info.name: info for info in last.files}


# ------------------------------------------------------------------------------------------------- what there is


def test_sizes_are_those_of_diffusers_own_models() -> None:
    with torch.device("meta"):
        transformer = DiTTransformer2DModel(sample_size=32, out_channels=8)  # the rest is XL/2 without a word
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
    sizes = {model.repo: model.parameters for model in MODELS if model.role != "extractor"}
    of_vae = sum(weights.numel() for weights in vae.parameters())
    of_all = of_vae + sum(weights.numel() for weights in transformer.parameters())
    assert sizes == {DIT: of_all, "facebook/DiT-XL-2-512": of_all, EMA: of_vae, MSE: of_vae}
    assert {model.licence for model in MODELS if model.role == "model"} == {CC_BY_NC}
    assert {model.licence for model in MODELS if model.role == "vae"} == {MIT}


def test_looking_up_a_name_costs_neither_torch_nor_the_hub() -> None:
    code = (
        "import sys\nfrom dit_studio.engine.pretrained import find_pretrained, find_vae\n"
        f"assert find_pretrained({DIT!r}) is find_vae({EMA!r}) is None\n"
        "assert not {'torch', 'diffusers', 'huggingface_hub'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("need", "name", "sentence"),
    [
        (
            need_pretrained,
            DIT,
            rf"{DIT} is not on this machine\. Get it under Model files, or with: dit-studio download",
        ),
        (need_vae, EMA, rf"{EMA} is not on this machine\. Get it .* dit-studio download {EMA}"),
        (need_vae, "nobody/nothing", r"nobody/nothing is not on this machine\. Choose a file or folder that is here"),
        (need_pretrained, "no name", r"no name is not on this machine"),
    ],
)
def test_what_is_not_here_says_how_to_get_it(need: object, name: str, sentence: str) -> None:
    assert callable(need)
    with pytest.raises(CheckpointError, match=sentence):
        need(name)


# ------------------------------------------------------------------------------------------------- fetched


def test_a_licence_is_agreed_to_before_anything_is_fetched(hub: Hub, cache: Path) -> None:
    with serving(hub.respond) as url, pytest.raises(StudioError, match=r"CC BY-NC 4\.0 .* not for commercial purposes"):
        list(download_file(DIT, endpoint=url))
    assert hub.asked == []
    assert not cache.exists()
    infos = _listed(list_files())
    assert infos[DIT].terms.startswith("You may share and adapt it")
    assert infos[DIT].licence_url.startswith("https://creativecommons.org/licenses/by-nc/4.0")
    assert infos[EMA].terms == ""


def test_a_pipeline_is_fetched_without_duplicates(hub: Hub, pipeline: Path, tmp_path: Path) -> None:
    also = write_pipeline(tmp_path / "as bin", is_safe=False)
    others = {str(file.relative_to(also)): file.read_bytes() for file in also.rglob("*.bin")} | {"README.md": b"text"}
    hub.files = {**hub.files, **others}
    assert len(others) == 3
    info = _fetch(hub)[DIT]
    assert (info.condition, info.role, info.arrived_bytes) == ("verified", "model", 0)
    assert {name for name, _ in hub.asked} == _PIPELINE_FILES
    folder = find_pretrained(DIT)
    assert folder is not None
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == _PIPELINE_FILES
    assert all((folder / name).read_bytes() == (pipeline / name).read_bytes() for name in _PIPELINE_FILES)
    assert info.path == str(folder)
    assert find_pretrained("DiT-XL-2-256") == folder
    assert find_vae(DIT) == folder / "vae"
    asked = len(hub.asked)
    assert _fetch(hub)[DIT].condition == "verified"
    assert len(hub.asked) == asked  # it is there


def test_pickled_weights_are_fetched_where_there_are_no_others(tmp_path: Path) -> None:
    hub = Hub.of_folder(DIT, write_pipeline(tmp_path / "as bin", is_safe=False))
    assert _fetch(hub)[DIT].condition == "verified"
    folder = find_pretrained(DIT)
    assert folder is not None
    assert (folder / "transformer/diffusion_pytorch_model.bin").is_file()


def test_a_vae_is_fetched(vae: Path) -> None:
    info = _fetch(Hub.of_folder(MSE, vae))[MSE]
    assert (info.condition, info.role) == ("verified", "vae")
    assert find_vae(MSE) == find_vae("sd-vae-ft-mse") == Path(info.path)
    assert find_vae(EMA) is None
    assert find_pretrained(MSE) is None


def test_a_download_that_was_stopped_goes_on_with_what_arrived(hub: Hub) -> None:
    hub.held[VAE_WEIGHTS] = Event()
    model = next(model for model in MODELS if model.repo == DIT)
    with serving(hub.respond) as url:
        fetching = download_file(DIT, accepts_licence=True, endpoint=url)
        while arrived_bytes(model) < len(hub.files[WEIGHTS]):
            assert isinstance(next(fetching), Progress)
        fetching.close()
        hub.held.pop(VAE_WEIGHTS).set()
        info = _listed(list_files())[DIT]
        assert (info.condition, info.arrived_bytes) == ("truncated", len(hub.files[WEIGHTS]))
        assert info.sentence == f"{DIT} has arrived in part only."
        assert find_pretrained(DIT) is None
        with pytest.raises(CheckpointError, match="has arrived in part only"):
            need_pretrained(DIT)
        part = next(Path(info.folder).glob("*/blobs")) / f"{hub.etag(VAE_WEIGHTS)}.part.incomplete"
        part.write_bytes(hub.files[VAE_WEIGHTS][:1000])
        hub.asked.clear()
        assert _listed(download_file(DIT, accepts_licence=True, endpoint=url))[DIT].condition == "verified"
    assert [start for name, start in hub.asked if name == VAE_WEIGHTS] == ["1000"]
    assert WEIGHTS not in {name for name, _ in hub.asked}


def test_a_download_ends_with_whoever_began_it(hub: Hub, cache: Path) -> None:
    hub.held[WEIGHTS] = Event()
    module, files = "dit_studio.engine.model_files.hub_fetch", json.dumps(PIPELINE)
    with serving(hub.respond) as url:
        command = [sys.executable, "-m", module, DIT, str(cache), url, files]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert int(process.stdout.readline()) > 0
            process.stdin.close()
            assert process.wait(60) == 1
        hub.held[WEIGHTS].set()
    assert not any(name == VAE_WEIGHTS for name, _ in hub.asked)


def test_damaged_weights_are_not_found_and_fetched_anew(hub: Hub) -> None:
    hub.damaged.add(VAE_WEIGHTS)
    with pytest.raises(CheckpointError, match=r"vae.diffusion_pytorch_model\.safetensors is damaged: its hash is"):
        _fetch(hub)
    assert find_pretrained(DIT) is None
    assert _listed(list_files())[DIT].condition == "wrong hash"
    with pytest.raises(CheckpointError, match="is damaged"):
        need_pretrained(DIT)
    hub.damaged.clear()
    hub.asked.clear()
    assert _fetch(hub)[DIT].condition == "verified"
    assert WEIGHTS not in {name for name, _ in hub.asked}  # which was right


def test_a_hub_that_fails_is_a_sentence(hub: Hub) -> None:
    hub.status = 401
    with pytest.raises(DataError, match=rf"{DIT} could not be fetched: the hub answers 401\. Check the connection"):
        _fetch(hub)
    with pytest.raises(
        DataError, match=r"could not be fetched: the hub cannot be reached \(.*\)\. Check the connection"
    ):
        list(download_file(EMA, endpoint="http://127.0.0.1:1"))


def test_a_model_without_weights_of_a_known_name_is_a_sentence(hub: Hub) -> None:
    hub.files = {name: body for name, body in hub.files.items() if name != WEIGHTS}
    with pytest.raises(DataError, match=r"it holds neither transformer/diffusion_pytorch_model\.safetensors nor "):
        _fetch(hub)


# ------------------------------------------------------------------------------------------------- from elsewhere


def test_what_lies_in_the_folder_of_models_is_found(pipeline: Path, vae: Path) -> None:
    place = shutil.copytree(pipeline, models_dir() / DIT)
    assert find_pretrained(DIT) == place
    shutil.copytree(vae, models_dir() / "sd-vae-ft-ema")
    assert find_vae(EMA) == models_dir() / "sd-vae-ft-ema"
    weights = place / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    assert find_pretrained(DIT) is None


def test_any_model_of_the_hubs_cache_is_found_by_its_name(cache: Path, vae: Path) -> None:
    place = cache / "models--somebody--own-vae"
    shutil.copytree(vae, place / "snapshots" / "1")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("1")
    assert find_vae("somebody/own-vae") == place / "snapshots" / "1"
    assert hub_state(find_row(EMA)._replace(repo="somebody/own-vae")).condition == "unverified"  # type: ignore[union-attr, arg-type]


def _as_published(folder: Path, side: int = 256) -> Path:
    """A tiny pipeline whose configuration says XL/2."""
    file = folder / "transformer" / "config.json"
    xl = {"num_layers": 28, "num_attention_heads": 16, "attention_head_dim": 72, "sample_size": side // 8}
    file.write_text(json.dumps(json.loads(file.read_text()) | xl))
    return folder


@pytest.mark.parametrize("name", ["", DIT])
@pytest.mark.parametrize("inside", ["", "model_index.json", "transformer/config.json", WEIGHTS])
def test_a_folder_is_chosen_and_forgotten(pipeline: Path, tmp_path: Path, name: str, inside: str) -> None:
    folder = _as_published(shutil.copytree(pipeline, tmp_path / "mine"))
    info = _listed(add_file(str(folder / inside), name))[DIT]
    assert (info.condition, info.path, info.is_chosen) == ("unverified", str(folder), True)
    assert find_pretrained(DIT) == folder
    assert _listed(add_file("", DIT))[DIT].condition == "missing"
    assert find_pretrained(DIT) is None
    assert folder.exists()


def test_a_folder_of_another_cache_is_chosen(pipeline: Path, tmp_path: Path) -> None:
    place = tmp_path / "other cache" / "models--facebook--DiT-XL-2-256"
    folder = _as_published(shutil.copytree(pipeline, place / "snapshots" / "1"))
    assert _listed(add_file(str(place)))[DIT].path == str(folder)


def test_a_chosen_folder_that_was_cut_short_since_is_not_used(pipeline: Path, tmp_path: Path) -> None:
    folder = _as_published(shutil.copytree(pipeline, tmp_path / "mine"))
    list(add_file(str(folder)))
    (folder / WEIGHTS).write_bytes(b"")
    info = _listed(list_files())[DIT]
    assert (info.condition, find_pretrained(DIT)) == ("truncated", None)
    assert "which was chosen, holds diffusion_pytorch_model.safetensors, which is cut short" in info.sentence
    shutil.rmtree(folder)
    info = _listed(list_files())[DIT]
    assert info.sentence == f"{folder}, which was chosen, is not there any more. {DIT} is not on this machine."


def test_the_512_model_is_told_from_the_256_one(pipeline: Path, tmp_path: Path) -> None:
    folder = _as_published(shutil.copytree(pipeline, tmp_path / "mine"), 512)
    assert _listed(add_file(str(folder)))["facebook/DiT-XL-2-512"].is_chosen
    with pytest.raises(CheckpointError, match=r"holds DiT-XL/2, 512 pixels, not DiT-XL/2, 256 pixels\. Choose"):
        list(add_file(str(folder), DIT))


def _without(name: str) -> object:
    return lambda folder: (folder / name).unlink()


def _cut(name: str) -> object:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


def _saying(text: str, name: str = "model_index.json") -> object:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _: None, r"is not DiT-XL/2, 256 pixels: num_layers is 2, not 28\. Any checkpoint can be opened"),
        (_without("vae/config.json"), r"holds no vae/config\.json\. Choose a folder that holds all of DiT-XL/2"),
        (_without(WEIGHTS), r"holds no transformer/diffusion_pytorch_model\.safetensors or "),
        (_cut(WEIGHTS), r"holds diffusion_pytorch_model\.safetensors, which is cut short: [0-9,]+ of [0-9,]+ bytes"),
        (_saying("{"), r"model_index\.json cannot be read as a configuration"),
        (_saying('{"_class_name": "StableDiffusionPipeline"}'), "holds a StableDiffusionPipeline, which is none of"),
    ],
)  # fmt: skip
def test_a_wrong_folder_is_a_sentence(pipeline: Path, tmp_path: Path, change: object, sentence: str) -> None:
    folder = shutil.copytree(pipeline, tmp_path / "mine")
    assert callable(change)
    change(folder)
    with pytest.raises(CheckpointError, match=sentence):
        list(add_file(str(folder), DIT))
    assert find_pretrained(DIT) is None


def test_a_vae_is_chosen_by_its_card_or_its_name(vae: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(vae, tmp_path / "mine")
    with pytest.raises(CheckpointError, match=r"holds another VAE: block_out_channels is \[8, 8\], not \[128, 256"):
        list(add_file(str(folder), EMA))
    config = folder / "config.json"
    published = json.loads(config.read_text()) | {"block_out_channels": [128, 256, 512, 512]}
    config.write_text(json.dumps(published))
    with pytest.raises(CheckpointError, match=r"holds one of Stable Diffusion VAE, ft-EMA and .*; only its name would"):
        list(add_file(str(folder)))
    assert _listed(add_file(str(folder), MSE))[MSE].is_chosen
    assert (find_vae(MSE), find_vae(EMA)) == (folder, None)
    config.write_text(json.dumps(published | {"_name_or_path": EMA}))
    assert _listed(add_file(str(folder)))[EMA].is_chosen


# ------------------------------------------------------------------------------------------------- a published .pt


@pytest.fixture
def published_pt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small file that stands for the published one of 2.7 GB."""
    path = tmp_path / "elsewhere" / "DiT-XL-2-256x256.pt"
    path.parent.mkdir()
    torch.save({"pos_embed": torch.arange(100_000.0)}, path)
    file = ModelFile(path.name, "", "DiT-XL/2", 400_000, "", CC_BY_NC, "http://nowhere", "model")
    monkeypatch.setattr(single_files, "FILES", (file,))
    return path


def test_a_published_file_is_fetched_whole_and_goes_on_where_it_stopped(published_pt: Path) -> None:
    server = FileServer(published_pt.read_bytes(), cut_at=300_000)
    with serving(server.respond) as url:
        with pytest.raises(StudioError, match="Agree to the licence first"):
            list(download_file(published_pt.name, base_url=url))
        with pytest.raises(DataError, match=r"The line broke: 300,000 of [0-9,]+ bytes .* goes on where it stopped"):
            list(download_file(published_pt.name, accepts_licence=True, base_url=url))
        assert find_pretrained(published_pt.name) is None
        server.cut_at = None
        info = _listed(download_file(published_pt.name, accepts_licence=True, base_url=url))[published_pt.name]
    assert server.asked_ranges == [None, "bytes=300000-"]
    assert info.sentence.endswith("is whole; its publisher gives no hash.")
    found = find_pretrained("DiT-XL-2-256x256.pt")
    assert found == models_dir() / published_pt.name == Path(info.path)
    assert found.read_bytes() == published_pt.read_bytes()


def test_a_published_file_with_a_wrong_checksum_inside_is_not_kept(published_pt: Path) -> None:
    content = bytearray(published_pt.read_bytes())
    content[200_000] ^= 1
    with serving(FileServer(bytes(content)).respond) as url, pytest.raises(CheckpointError, match="is damaged"):
        list(download_file(published_pt.name, accepts_licence=True, base_url=url))
    assert list(models_dir().iterdir()) == []


def test_a_page_in_place_of_the_file_is_refused(published_pt: Path) -> None:
    with (
        serving(FileServer(b"<html>").respond) as url,
        pytest.raises(CheckpointError, match="gives 6 bytes, and DiT-XL"),
    ):
        list(download_file(published_pt.name, accepts_licence=True, base_url=url))


def test_a_published_file_is_chosen_where_it_lies(published_pt: Path, tmp_path: Path) -> None:
    assert _listed(add_file(str(published_pt)))[published_pt.name].is_chosen
    assert find_pretrained(published_pt.name) == published_pt
    other = tmp_path / "other.pt"
    other.write_bytes(b"\0" * 12)
    with pytest.raises(CheckpointError, match=r"other\.pt has 12 bytes, and DiT-XL-2-256x256\.pt has about 400,000"):
        list(add_file(str(other), published_pt.name))
    other.write_bytes(published_pt.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="is cut short, or no file that torch wrote"):
        list(add_file(str(other), published_pt.name))
    renamed = published_pt.rename(tmp_path / "renamed.pt")
    assert _listed(add_file(str(renamed), "DiT-XL-2-256x256.pt"))["DiT-XL-2-256x256.pt"].path == str(renamed)
