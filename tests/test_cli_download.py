"""`dit-studio download`, and published names in place of a path, against a stand-in for the hub."""

import io
import json
import shutil
from pathlib import Path

import pytest

from dit_studio.cli import main
from dit_studio.cli_download import model_place
from dit_studio.errors import CheckpointError
from dit_studio.places import models_dir
from tests.engine.file_server import serving
from tests.engine.hub_server import Hub
from tests.engine.tiny_pipelines import write_pipeline, write_vae

DIT, EMA = "facebook/DiT-XL-2-256", "stabilityai/sd-vae-ft-ema"


@pytest.fixture(autouse=True)
def _empty_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    answer: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_the_list_names_everything_with_size_state_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "--list"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines][:2] == [DIT, "facebook/DiT-XL-2-512"]
    assert lines[0].split(maxsplit=1)[1].split() == [
        "model", "3,334", "MB", "missing", "CC", "BY-NC", "4.0", "(non-commercial)",
    ]  # fmt: skip
    assert len(lines) == 13


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ([], 2, "download takes a NAME; --list lists them."),
        (
            ["nobody/nothing"],
            1,
            'There is nothing called "nobody/nothing" in the list. There are facebook/DiT-XL-2-256',
        ),
        ([DIT], 1, "Nothing was fetched: nobody agreed to the licence of facebook/DiT-XL-2-256. To agree, add --yes-l"),
        ([EMA], 1, "stabilityai/sd-vae-ft-ema could not be fetched: the hub cannot be reached ("),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], status: int, sentence: str
) -> None:
    assert main(["download", *words]) == status
    assert sentence in capsys.readouterr().err


def test_the_licence_is_shown_and_agreed_to_before_the_download(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pipeline: Path
) -> None:
    hub = Hub.of_folder(DIT, pipeline)
    with serving(hub.respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert main(["download", DIT]) == 1
        said = capsys.readouterr().err
        assert (
            "is under CC BY-NC 4.0 (non-commercial), https://creativecommons.org/licenses/by-nc/4.0/legalcode" in said
        )
        assert hub.asked == []
        assert main(["download", DIT, "--yes-licence", "--json"]) == 0
    file = _json(capsys)["file"]
    assert isinstance(file, dict)
    assert (file["name"], file["condition"]) == (DIT, "verified")
    assert (Path(file["path"]) / "transformer" / "config.json").is_file()
    assert main(["download", "DiT-XL-2-256"]) == 0  # which is here: neither hub nor licence is needed
    assert model_place(DIT) == model_place("DiT-XL-2-256") == file["path"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "status"), [("yes\n", 0), ("n\n", 1), ("", 1)])
def test_at_a_terminal_it_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pipeline: Path, typed: str, status: int
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(typed))
    with serving(Hub.of_folder(DIT, pipeline).respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert main(["download", DIT]) == status
    assert "Do you agree? Type yes to go on." in capsys.readouterr().err


def test_a_free_licence_is_shown_and_not_asked_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serving(Hub.of_folder(EMA, write_vae(tmp_path / "vae")).respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert main(["download", EMA]) == 0
    said = capsys.readouterr().err
    assert f"{EMA} is under MIT." in said
    assert f"{EMA} is here: " in said
    assert (Path(model_place(EMA)) / "config.json").is_file()
    assert model_place("sd-vae-ft-ema") == model_place(EMA)
    assert main(["inspect", EMA]) == 0


def test_a_published_name_stands_for_the_place_of_its_model(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"{DIT} is not on this machine\. Get it .*dit-studio download {DIT}"):
        model_place(DIT)
    assert model_place(str(tmp_path)) == str(tmp_path)
    assert model_place("runs/nowhere") == "runs/nowhere"  # a path that is not there is somebody else's to name
    place = shutil.copytree(pipeline, models_dir() / DIT)
    assert model_place(DIT) == str(place)


@pytest.mark.parametrize(
    "words",
    [
        ["sample", DIT, "--out", "out"],
        ["inspect", DIT],
        ["inspect", "DiT-XL-2-256"],
        ["convert", DIT, "model.safetensors", "--format", "studio"],
        ["evaluate", "--real", "images", "--fake", DIT],
        ["train", "recipe.toml", "--set", f"train.start_from={DIT}"],
    ],
)
def test_a_command_says_how_to_get_a_model_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text('[data]\npath = "images"\n')
    assert main(words) == 1
    assert f"{DIT} is not on this machine. Get it under Model files, or with: dit-studio download {DIT}" in (
        capsys.readouterr().err
    )
