"""`dit-studio runs`: listing, naming, and runs as files."""

import json
from pathlib import Path
from typing import Any

import pytest

from dit_studio.cli import main
from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import Label, change_label, read_label
from dit_studio.places import runs_dir


@pytest.fixture(autouse=True)
def _runs() -> None:
    for number, (name, data, state) in enumerate(
        [
            ("digits-XXS", "digits", "finished"),
            ("20261120-101500-land", "landscapes", "failed"),
            ("other", "x", "queued"),
        ]
    ):
        folder = RunFolder.create(runs_dir() / name, parse_recipe({"data": {"path": f"/data/{data}"}}))
        folder.write_status(
            Status(state=JobState(state), step=10 * number, steps=100, started=100.0 + number, loss=0.123456,
                   metric="FID-random-256", metric_value=12.34567)
        )  # fmt: skip


def _said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[Any, str]:
    assert main(["runs", *words, "--json"]) == status
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.err


def _names(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return [run["name"] for run in _said(capsys, *words)[0]["runs"]]


def test_the_list_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    answer, lines = _said(capsys)
    assert [run["name"] for run in answer["runs"]] == ["other", "20261120-101500-land", "digits-XXS"]
    assert answer["runs"][1]["title"] == "land"
    assert (answer["runs"][1]["state"], answer["runs"][1]["step"], answer["runs"][1]["data"]) == (
        "failed", 10, "landscapes",
    )  # fmt: skip
    assert "FID-random-256 12.35" in lines
    assert "loss 0.1235" in lines
    assert _said(capsys, "list") == (answer, lines)


def test_the_filter_and_the_archive(capsys: pytest.CaptureFixture[str]) -> None:
    change_label(RunFolder(runs_dir() / "digits-XXS"), tags=("ablation",), title="Zwölf")
    assert _names(capsys, "--filter", "tag:abl") == ["digits-XXS"]
    assert _names(capsys, "list", "--filter", "data:LAND") == ["20261120-101500-land"]
    assert _names(capsys, "--filter", "state:failed zwölf") == []
    assert _names(capsys, "--filter", "ZWÖLF digits") == ["digits-XXS"]
    assert _names(capsys, "--filter", "name:ther") == ["other"]
    assert _names(capsys, "archive", "other", "digits-XXS") == ["other", "digits-XXS"]
    assert _names(capsys) == ["20261120-101500-land"]
    assert len(_names(capsys, "--archived")) == 3
    _said(capsys, "unarchive", "other")
    assert len(_names(capsys, "list")) == 2
    answer, said = _said(capsys, "--filter", "nowhere")
    assert answer == {"runs": []}
    assert "fits 'nowhere'" in said


def test_names_and_tags(capsys: pytest.CaptureFixture[str]) -> None:
    answer, _ = _said(capsys, "rename", "land", "Berge und  Seen")
    assert answer["runs"][0]["title"] == "Berge und Seen"
    _said(capsys, "tag", "Berge und Seen", "a,b", "c")
    _said(capsys, "untag", str(runs_dir() / "20261120-101500-land"), "b")
    folder = RunFolder(runs_dir() / "20261120-101500-land")
    assert read_label(folder) == Label(title="Berge und Seen", tags=("a", "c"))
    _said(capsys, "rename", "20261120-101500-land", "")
    assert read_label(folder).title == ""


def test_a_run_as_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "a.dit-run"
    answer, _ = _said(capsys, "export", "land", str(file), "--checkpoints", "none")
    assert answer["size_bytes"] == file.stat().st_size
    answer, _ = _said(capsys, "import", str(file))
    assert answer["run"] == str(runs_dir() / "20261120-101500-land-2")
    answer, _ = _said(capsys, "import", str(file), "--into", str(tmp_path / "b"))
    assert RunFolder(Path(answer["run"])).recipe() == RunFolder(runs_dir() / "20261120-101500-land").recipe()


def test_what_is_not_possible_gets_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "There is no run 'nowhere'" in _said(capsys, "rename", "nowhere", "a", status=1)[0]["error"]
    assert "holds no tag" in _said(capsys, "tag", "land", ",", status=2)[0]["error"]
    assert "121 letters; at most 120" in _said(capsys, "rename", "land", "a" * 121, status=1)[0]["error"]
    (tmp_path / "a.dit-run").write_bytes(b"PK")
    assert "no exported run" in _said(capsys, "import", str(tmp_path / "a.dit-run"), status=1)[0]["error"]
    change_label(RunFolder(runs_dir() / "other"), title="land")
    assert "2 runs are called 'land'" in _said(capsys, "tag", "land", "a", status=1)[0]["error"]
    assert "'no such thing'" in _said(capsys, "no such thing", status=2)[0]["error"]
    assert _said(capsys, "archive", "other", "nowhere", status=1)[0]["error"]
    assert not read_label(RunFolder(runs_dir() / "other")).is_archived
