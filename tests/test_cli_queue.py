"""`dit-studio queue`: the list, its changes, and a queue that is seen to its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.cli import main
from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.queue import WINDOW_LOCK, Queue
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import change_label
from dit_studio.locks import locked
from dit_studio.places import runs_dir
from tests.pictures import write_pictures

LIMIT_SECONDS = 120
RECIPE = """
[data]
image_size = 8
[model]
hidden_size = 32
depth = 2
num_heads = 4
patch_size = 4
[train]
steps = 4
batch_size = 8
checkpoint_every = 2
preview_every = 0
"""


@pytest.fixture
def queue() -> Iterator[Queue]:
    """A queue that tells nothing on the desktop."""
    runs_dir().mkdir(parents=True)
    with locked(runs_dir() / WINDOW_LOCK):
        yield Queue(runs_dir())


def add(queue: Queue, *names: str) -> list[str]:
    return [queue.add(parse_recipe({}), name, devices=("cpu",)).name for name in names]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "pictures ü")
    file = tmp_path / "recipe ü.toml"
    file.write_text(RECIPE)
    return file


Said = tuple[Any, str]


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Said:
    assert main(["queue", *words, "--json"]) == status
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.err


def names(answer: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in answer["entries"]]


def test_an_empty_queue_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    answer, text = said(capsys)
    assert answer == {"entries": [], "is_kept": False, "problem": ""}
    assert "Nothing waits" in text


def test_what_waits_is_listed_with_what_runs(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = add(queue, "a", "b", "c")
    queue.hold(c, is_held=True)
    folder = queue.folder(a)
    with folder.lock():
        folder.write_status(Status(state=JobState.RUNNING, step=1200, steps=2000, pid=1))
        answer, text = said(capsys, "list")
    assert names(answer) == [a, b, c]
    assert [entry["position"] for entry in answer["entries"]] == [0, 1, 2]
    assert [entry["is_held"] for entry in answer["entries"]] == [False, False, True]
    first, second, third, advice = text.splitlines()
    assert "running  step 1,200 of 2,000" in first
    assert second.split()[:4] == ["1", b, "cpu", "queued"]
    assert third.endswith("queued, held")
    assert "dit-studio queue run" in advice


def test_order_holding_and_removal(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = add(queue, "a", "b", "c")
    assert names(said(capsys, "up", c)[0]) == [a, c, b]
    assert names(said(capsys, "down", "a")[0]) == [c, a, b]  # a name without its time
    assert names(said(capsys, "up", "3")[0]) == [c, b, a]  # a place
    assert said(capsys, "hold", b)[0]["entries"][1]["is_held"]
    assert not said(capsys, "release", b)[0]["entries"][1]["is_held"]
    change_label(queue.folder(b), title="my ablation")
    assert names(said(capsys, "remove", "my ablation")[0]) == [c, a]
    assert queue.folder(b).read_status().state is JobState.IDLE


def test_a_wrong_name_is_said_with_what_is_there(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    assert "It is empty" in said(capsys, "hold", "digits", status=1)[0]["error"]
    digits, *others = add(queue, "digits", "land", "land")
    error = said(capsys, "remove", "digts", status=1)[0]["error"]
    assert f"Did you mean {digits}?" in error
    assert f"There are {digits}, " in said(capsys, "up", "qqq", status=1)[0]["error"]
    for run in others:
        change_label(queue.folder(run), title="land")
    error = said(capsys, "up", "land", status=1)[0]["error"]
    assert all(run in error for run in others)
    assert "9" in said(capsys, "up", "9", status=1)[0]["error"]


def test_a_recipe_is_checked_and_waits(recipe: Path, queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(recipe.parent / "pictures ü"))
    words = ("add", str(recipe), *data, "--set", "train.steps=7", "--device", "cpu", "--name", "Mine, of Ü")
    answer, text = said(capsys, *words)
    recipe.write_text(RECIPE.replace("steps = 4", "steps = 99"))  # too late for what is queued
    (entry,) = queue.entries()
    folder = queue.folder(entry.run)
    assert answer["run"] == str(folder.path)
    assert answer["position"] == 1
    assert "waits in place 1" in text
    assert entry.devices == ("cpu",)
    assert (folder.recipe().train.steps, folder.recipe().train.device) == (7, "cpu")
    assert folder.recipe().data.path == data[1]
    said(capsys, "hold", "Mine, of Ü")
    assert "takes a RECIPE.toml" in said(capsys, "add", status=2)[0]["error"]
    assert "nowhere" in said(capsys, "add", str(recipe), "--data", "/nowhere", status=1)[0]["error"]
    assert "train.steps" in said(capsys, "add", str(recipe), *data, "--set", "train.steps=0", status=2)[0]["error"]
    assert len(queue.entries()) == 1


def test_the_best_device_is_kept_by_its_name(recipe: Path, queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", str(recipe), "--data", str(recipe.parent / "pictures ü"))
    (entry,) = queue.entries()
    assert entry.devices != ("auto",)


def test_a_run_goes_on_when_its_turn_comes(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunFolder.create(queue.root / "early", parse_recipe({}))
    (folder.path / "checkpoints" / "step-0000003").mkdir()
    folder.write_status(Status(state=JobState.STOPPED, step=3, steps=6))
    said(capsys, "add", "--resume", str(folder.path))
    said(capsys, "add", "--resume", "early")  # twice is once
    (entry,) = queue.entries()
    assert entry.resume
    assert "step 3 of 6" in said(capsys)[1]
    assert "leave out the others" in said(capsys, "add", "--resume", "early", "--name", "x", status=2)[0]["error"]
    assert "is not a run" in said(capsys, "add", "--resume", "nothing", status=1)[0]["error"]


def test_the_queue_is_seen_to_its_end(
    recipe: Path, queue: Queue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = write_pictures(tmp_path / "gone")
    for data in (gone, tmp_path / "pictures ü"):
        said(capsys, "add", str(recipe), "--data", str(data), "--device", "cpu")
    gone.rename(tmp_path / "moved")
    answer, text = said(capsys, "run", "--wait", status=1)
    assert [run["state"] for run in answer["runs"]] == ["failed", "finished"]
    assert answer["failed"] == [answer["runs"][0]["name"]]
    assert "Ended: 2, of these failed: 1" in text
    wait_until_left(queue)


def test_interrupted_the_runs_go_on(recipe: Path, queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("add", str(recipe), "--data", str(recipe.parent / "pictures ü"), "--device", "cpu")
    said(capsys, *words, "--set", "train.steps=100000", "--set", "train.checkpoint_every=0")
    (entry,) = queue.entries()
    folder = queue.folder(entry.run)
    waiting = subprocess.Popen(
        [sys.executable, "-m", "dit_studio", "queue", "run", "--wait"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + LIMIT_SECONDS
    while not folder.read_status().step:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    waiting.send_signal(signal.SIGINT)
    _, text = waiting.communicate(timeout=LIMIT_SECONDS)
    assert waiting.returncode == 130
    assert "The runs go on" in text
    assert folder.is_alive()
    os.kill(folder.read_status().pid, signal.SIGKILL)
    wait_until_left(queue)
    assert folder.read_status().state is JobState.INTERRUPTED


def wait_until_left(queue: Queue) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while queue.is_kept():
        assert time.monotonic() < deadline, "the keeper did not end"
        time.sleep(0.05)


def test_what_waits_for_another_machine_is_shown_and_not_started(
    queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = add(queue, "a", "b")
    queue.hold(b, is_held=True)
    with queue.changing() as entries:
        entries[0] = msgspec.structs.replace(entries[0], host="node-7")
    answer, text = said(capsys, "list")
    assert [entry["host"] for entry in answer["entries"]] == ["node-7", ""]
    assert "queued, for node-7" in text
    assert text.count("node-7") == 1
    assert "starts there only" in text
    answer, text = said(capsys, "run", "--wait")
    assert (answer["runs"], answer["failed"]) == ([], [])
    assert "held: 1" in text
    assert queue.folder(a).read_status().state is JobState.QUEUED
