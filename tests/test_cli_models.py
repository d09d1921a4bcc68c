"""The command line and other programs' models: inspected, opened with --assume, sampled, converted."""

import json
from pathlib import Path

import pytest
import torch

from dit_studio import cli
from tests.engine.foreign_models import published_state, write_pipeline


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object], str]:
    """The exit status, the answer, and what was said."""
    status = cli.main([*words, "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]), said.err


def write_pixels(folder: Path, name: str = "DiT-pixels.pt") -> str:
    torch.save(published_state(channels=3, out=6, rows=4), folder / name)
    return str(folder / name)


def test_a_published_file_is_inspected_with_what_is_asked_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_pixels(tmp_path, "weights.pt")
    status, answer, said = run(capsys, "inspect", file)
    assert (status, answer["format"], "hidden_size" in answer) == (0, "published", False)
    assert "open: objective; likely epsilon. What does the model predict?" in said
    assert "Depth: 2 blocks" in said
    status, answer, _ = run(capsys, "inspect", file, "--assume", "objective=epsilon", "--assume", "num_heads=4")
    assert (status, answer["hidden_size"], answer["num_heads"]) == (0, 32, 4)


def test_a_diffusers_folder_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pipeline(tmp_path / "pipe", old=True)
    status, answer, said = run(capsys, "inspect", str(tmp_path / "pipe"))
    assert (status, answer["format"], answer["dialect"]) == (0, "diffusers", "diffusers")
    assert "asked:" not in said


def test_a_published_file_is_sampled_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_pixels(tmp_path, "weights.pt")
    words = ["sample", file, "--out", str(tmp_path / "out"), "--count", "2", "--steps", "2"]
    status, answer, said = run(capsys, *words)
    assert status == 1
    assert "Add --assume objective=epsilon, which is likely." in said
    assert not (tmp_path / "out").exists()
    status, answer, said = run(capsys, *words, "--assume", "objective=epsilon", "--assume", "num_heads=4")
    assert (status, answer["count"]) == (0, 2)
    assert "null_class = yes is assumed" in said
    assert "num_heads" not in said
    status, _, said = run(capsys, *words, "--overwrite", "--cfg", "3")
    assert status == 0, "it is remembered"
    assert "assumed" not in said
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_converting_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder, back = write_pixels(tmp_path), tmp_path / "folder", tmp_path / "back.pt"
    status, answer, said = run(capsys, "convert", file, str(folder), "--format", "diffusers")
    assert (status, answer["format"]) == (0, "diffusers")
    assert "the transformer alone is written" in said
    words = ("convert", str(folder), str(back), "--format", "facebook")
    status, answer, said = run(capsys, *words)
    assert (status, "Add --assume objective=epsilon" in said) == (1, True)
    status, answer, _ = run(capsys, *words, "--assume", "objective=epsilon")
    assert (status, answer["size_bytes"]) == (0, back.stat().st_size)
    one, other = (torch.load(path, weights_only=True) for path in (file, back))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["inspect", "{file}", "--assume", "num_heads"], 2, "it takes name=value"),
        (["inspect", "{file}", "--assume", "colour=red"], 1, "colour is not asked of this model"),
        (["sample", "{file}", "--out", "o", "--assume", "num_heads=7"], 1, "num_heads = 7 is not possible"),
        (["sample", "{folder}", "--out", "o", "--assume", "num_heads=7"], 2, "--assume is of models of other programs"),
        (["inspect", "{folder}", "--assume", "num_heads=7"], 2, "--assume is of models of other programs"),
        (["convert", "{file}", "o.bin", "--format", "facebook"], 1, "ends in .bin"),
        (["convert", "{file}", "o.pt", "--format", "keras"], 2, "keras"),
        (["convert", "{folder}", "o.pt", "--format", "facebook"], 1, "holds no model"),
        (["convert", "missing.pt", "o.pt", "--format", "facebook"], 1, "missing.pt"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    places = {"file": write_pixels(tmp_path), "folder": tmp_path / "folder"}
    try:
        found = cli.main([word.format(**places) for word in words])
    except SystemExit as end:
        found = end.code  # type: ignore[assignment]
    said = capsys.readouterr().err
    assert (found, sentence in said) == (status, True), said
