"""`dit-studio find`: as a table and a sentence, as JSON, and what a signal leaves of it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dit_studio.cli import main
from dit_studio.config import Recipe
from dit_studio.engine import find_batch_size, find_learning_rate
from dit_studio.events import Event, JobState
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.machine_events import BatchTried, RateTried
from dit_studio.places import runs_dir
from tests.engine.digits import write_digits

_RECIPE = """
[data]
image_size = 8
color = "grey"
[model]
hidden_size = 16
depth = 1
num_heads = 2
patch_size = 4
[train]
batch_size = 8
device = "cpu"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "tiny.toml"
    file.write_text(_RECIPE)
    return str(file)


def _answer(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    said = capsys.readouterr()
    answer: dict[str, Any] = json.loads(said.out.splitlines()[-1])
    return answer, said.err


def test_a_batch_is_found(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_digits(tmp_path / "digits", first=0, count=9)
    assert main(["find", "batch", recipe, "--data", data, "--set", "data.validation_fraction=0", "--json"]) == 0
    answer, said = _answer(capsys)
    assert answer["batch_size"] == 9
    assert [one["batch_size"] for one in answer["tried"]] == [1, 2, 4, 8, 9]
    assert "batch      9: fits" in said
    assert "largest that fits: 9" in said


def test_a_rate_is_looked_for(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_digits(tmp_path / "digits", first=0, count=60)
    assert main(["find", "rate", recipe, "--data", data, "--json"]) == 0
    answer, said = _answer(capsys)
    assert 1e-4 < answer["learning_rate"] < answer["lowest"] < 1
    assert f"learning rate {answer['learning_rate']:g}, where the loss falls fastest" in said


def test_without_images_there_is_no_rate(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "rate", recipe]) == 1
    assert "There are no images to learn from." in capsys.readouterr().err


def _interrupted(*events: Event) -> Any:
    def job(_recipe: dict[str, Any]) -> Iterator[Event]:
        yield from events
        os.kill(os.getpid(), signal.SIGINT)
        yield events[-1]

    return job


def test_a_signal_keeps_what_was_found(
    recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = [BatchTried(batch_size=size, fits=True, images_per_second=5.0) for size in (1, 2, 4)]
    monkeypatch.setattr(find_batch_size, "find_batch_size", _interrupted(*tried))
    assert main(["find", "batch", recipe, "--json"]) == 130
    answer, _ = _answer(capsys)
    assert (answer["batch_size"], answer["fastest"]) == (4, 1)
    rates = [RateTried(step=1, learning_rate=1e-7, loss=1.0, smoothed=1.0)]
    monkeypatch.setattr(find_learning_rate, "find_learning_rate", _interrupted(*rates))
    assert main(["find", "rate", recipe, "--json"]) == 130
    assert _answer(capsys)[0]["learning_rate"] is None


def test_beside_a_run_nothing_is_tried(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(runs_dir() / "night", Recipe())
    folder.write_status(Status(state=JobState.RUNNING, devices=("cpu",)))
    with folder.lock():
        assert main(["find", "batch", recipe]) == 1
    assert "night is at work on this device." in capsys.readouterr().err
