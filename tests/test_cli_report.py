"""`dit-studio report`, as typed."""

import json
from pathlib import Path

import pytest

from dit_studio import cli
from tests.ui.evaluation_results import record_of, sources_plan, sources_results, write_entry


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return write_entry(tmp_path, "entry", record_of(sources_plan()), sources_results())


@pytest.mark.parametrize("suffix", ["html", "csv", "json"])
def test_a_report_is_written(entry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    file = tmp_path / f"report.{suffix}"
    assert cli.main(["report", str(entry), "--out", str(file), "--json"]) == 0
    assert "FD-random-500" in file.read_text(encoding="utf-8-sig")
    said = capsys.readouterr()
    assert json.loads(said.out)["size_bytes"] == file.stat().st_size
    assert f"wrote {file}" in said.err


@pytest.mark.parametrize(
    ("folder", "out", "status", "sentence"),
    [
        ("gone", "r.html", 1, "is no evaluation"),
        ("entry", "r.pdf", 2, "has to end in .html, .csv or .json"),
    ],
)
def test_what_is_refused(
    entry: Path, capsys: pytest.CaptureFixture[str], folder: str, out: str, status: int, sentence: str
) -> None:
    where = entry.parent
    assert cli.main(["report", str(where / folder), "--out", str(where / out)]) == status
    assert sentence in capsys.readouterr().err


def test_without_a_folder_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--out", "r.html"]) == 2
    assert "FOLDER" in capsys.readouterr().err
