"""The jobs of the model files: what they list, fetch from a server on this machine, and take in."""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dit_studio.engine.evaluation.extractors import open_extractor
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.model_files import job, single_files
from dit_studio.engine.model_files.folders import files_dir
from dit_studio.engine.model_files.job import add_file, download_file, list_files
from dit_studio.engine.model_files.licences import MIT
from dit_studio.engine.model_files.single_files import ModelFile
from dit_studio.errors import CheckpointError, DataError, DiskFullError
from dit_studio.events import Event, ModelFileInfo, ModelFiles, Progress
from tests.engine.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 4096  # 1 MB
FILE = ModelFile(
    "small.pth", "inception", "A small one", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), MIT, "http://nowhere"
)
SIGLIP = "google/siglip-base-patch16-224"


@pytest.fixture(autouse=True)
def _own_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(single_files, "FILES", (FILE,))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def _listed(events: Generator[Progress | ModelFiles, None, None]) -> dict[str, ModelFileInfo]:
    """The files that a job names at its end."""
    *steps, last = list[Event](events)
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(last, ModelFiles)
    return {info.name: info for info in last.files}


# ------------------------------------------------------------------------------------------------- listed


def test_everything_that_can_be_missing_is_listed() -> None:
    files = _listed(list_files())
    assert [info.condition for info in files.values()] == ["missing"] * 10
    assert all(
        info.title and info.licence and info.size_bytes and info.url.startswith("http") for info in files.values()
    )
    assert (files["small.pth"].sha256, files[SIGLIP].sha256) == (FILE.sha256, "")
    last = list(list_files())[-1]
    assert isinstance(last, ModelFiles)
    assert (last.folder, last.hub_folder) == (last.searched[0], last.searched[-1])
    assert [info.role for info in last.files] == ["model"] * 2 + ["vae"] * 2 + ["extractor"] * 6


def test_a_file_in_a_cache_is_listed_with_its_place(tmp_path: Path) -> None:
    place = tmp_path / "torch/hub/checkpoints/small.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert _listed(list_files())["small.pth"].path == str(place)
    place.write_bytes(CONTENT[:-1] + b"\0")
    assert _listed(list_files())["small.pth"].condition == "wrong hash"


# ------------------------------------------------------------------------------------------------- fetched


@pytest.fixture
def server() -> Iterator[FileServer]:
    files = FileServer(CONTENT)
    with serving(files.respond) as url:
        files.url = url
        yield files


def test_a_download_tells_its_rate_and_goes_on_after_it_was_cancelled(server: FileServer) -> None:
    server.cut_at = 700_000
    fetching = download_file("small.pth", base_url=server.url)
    assert isinstance(next(fetching), Progress)
    fetching.close()
    with pytest.raises(DataError, match="goes on where it stopped"):
        list(download_file("small.pth", base_url=server.url))
    assert _listed(list_files())["small.pth"].arrived_bytes == 700_000
    server.cut_at = None
    events = list(download_file("small.pth", base_url=server.url))
    steps = [event for event in events if isinstance(event, Progress) and event.unit == "bytes"]
    assert (steps[0].done, steps[0].rate, steps[-1].done) == (700_000, 0, len(CONTENT))
    assert steps[-1].rate > 0
    assert server.asked_ranges[-1] == "bytes=700000-"
    files = events[-1]
    assert isinstance(files, ModelFiles)
    (info,) = (info for info in files.files if info.name == "small.pth")
    assert (info.condition, info.arrived_bytes) == ("verified", 0)


def test_a_file_without_a_name_in_the_list_is_not_fetched() -> None:
    with pytest.raises(
        CheckpointError, match=r'no model file "passwd" in the list\. There are facebook/DiT-XL-2-256, facebook/'
    ):
        list(download_file("passwd"))


def test_no_room_is_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(job.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(DiskFullError, match=rf"{SIGLIP} needs 813 MB, and .* has 1 MB left\. Make room"):
        list(download_file(SIGLIP))
    path = tmp_path / "small.pth"
    path.write_bytes(CONTENT + b"\0" * 10**6)
    with pytest.raises(DiskFullError, match=r"small\.pth needs 2 MB"):
        list(add_file(str(path)))


# ------------------------------------------------------------------------------------------------- taken in


def test_a_dropped_file_is_copied_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "download (1)"
    path.write_bytes(CONTENT)
    info = _listed(add_file(str(path)))["small.pth"]
    assert (info.condition, info.path) == ("verified", str(files_dir() / "small.pth"))


def test_a_foreign_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"its 10 bytes are those of no file in the list\. Add one of small\.pth"):
        list(add_file(str(path)))
    with pytest.raises(CheckpointError, match="does not exist"):
        list(add_file(str(tmp_path / "nowhere")))
    with pytest.raises(
        CheckpointError, match=r"holds no model: there is neither config\.json nor model_index\.json in it"
    ):
        list(add_file(str(tmp_path)))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it, with one layer."""
    transformers = pytest.importorskip("transformers")
    small: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.SiglipConfig(
        vision_config={**small, "hidden_size": 768, "image_size": 224, "patch_size": 16},
        text_config={**small, "hidden_size": 8, "vocab_size": 99},
    )
    place = tmp_path_factory.mktemp("models") / "my siglip"
    transformers.SiglipModel(config).save_pretrained(place)
    return place


@pytest.mark.parametrize(("extractor", "name"), [("", ""), ("siglip", ""), ("", "model.safetensors")])
def test_a_folder_is_chosen_and_remembered(siglip: Path, extractor: str, name: str) -> None:
    info = _listed(add_file(str(siglip / name), SIGLIP if extractor else ""))[SIGLIP]
    assert (info.condition, info.path, info.is_chosen) == ("unverified", str(siglip), True)
    weights = weights_for("siglip")
    assert weights == ({"siglip": siglip}, False)
    assert open_extractor("siglip", device=torch.device("cpu"), files=weights.files).dim == 768
    assert _listed(add_file("", SIGLIP))[SIGLIP].condition == "missing"
    with pytest.raises(CheckpointError, match="siglip needs the model"):
        weights_for("siglip")


def test_a_chosen_folder_that_went_away_is_said(siglip: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(siglip, tmp_path / "copy")
    list(add_file(str(copy)))
    shutil.rmtree(copy)
    info = _listed(list_files())[SIGLIP]
    assert (info.condition, info.is_chosen) == ("missing", False)
    assert info.sentence == f"{copy}, which was chosen, is not there any more. {SIGLIP} is not on this machine."
    with pytest.raises(CheckpointError, match="siglip needs the model"):
        weights_for("siglip")


def _config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def _truncated(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _web_page(folder: Path) -> None:
    (folder / "config.json").write_text("<html>")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_config(model_type="llama"), 'a model of the kind "llama", which is not used here'),
        (_config(vision_config={"image_size": 384, "patch_size": 16, "hidden_size": 768}), "its image_size is 384"),
        (_truncated, "its weights are damaged or truncated"),
        (_without_weights, r"it holds neither model\.safetensors nor pytorch_model\.bin"),
        (_web_page, r"config\.json cannot be read as a configuration"),
    ],
)
def test_a_folder_of_something_else_is_refused_in_words(
    siglip: Path, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    copy = shutil.copytree(siglip, tmp_path / "copy")
    change(copy)
    with pytest.raises(CheckpointError, match=words):
        list(add_file(str(copy)))
    assert _listed(list_files())[SIGLIP].condition == "missing"


def test_a_model_for_another_extractor_is_not_taken_for_this_one(siglip: Path) -> None:
    with pytest.raises(CheckpointError, match="holds SigLIP base-p16-224, not CLIP ViT-B/32"):
        list(add_file(str(siglip), "openai/clip-vit-base-patch32"))


# ------------------------------------------------------------------------------------------------- no weights at all


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pth", b"", "it is empty"),
        ("a.pth", b"\n<!DOCTYPE html>", "it is a web page"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "the pointer of Git LFS"),
        ("a.pth", b"PK\3\4 and no more", "its archive is damaged or truncated"),
        ("a.pth", b"\x80\x04K\x01.", "its pickle is damaged, or asks for other things than tensors|something else"),
        ("a.pth", b"a picture of a cat", "it is no weights file"),
        ("a.safetensors", b"12345678901234567890", "it is no safetensors file, or it is truncated"),
    ],
)
def test_what_is_no_weights_file_is_said_in_our_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    weights = weights_for("inception", str(path))
    with pytest.raises(CheckpointError, match=words) as refused:
        open_extractor("inception", device=torch.device("cpu"), files=weights.files)
    assert "weights_only" not in str(refused.value)


def test_a_folder_is_no_weights_file_and_a_file_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as weights: it is a folder"):
        open_extractor("inception", device=torch.device("cpu"), files={"inception": tmp_path})
    path = tmp_path / "clip.safetensors"
    path.write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=r"is a file, not a model's folder\. Choose the folder it lies in"):
        open_extractor("clip-b32", device=torch.device("cpu"), files={"clip-b32": path})
