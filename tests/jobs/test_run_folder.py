"""The run folder: what is written is whole, what is half-written is not seen, one writes and any number watch."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dit_studio.config import Recipe, parse_recipe
from dit_studio.errors import RunError
from dit_studio.events import Command, Failure, JobState, Metrics, Started, StateChanged
from dit_studio.jobs.event_log import EventReader, EventWriter
from dit_studio.jobs.run_folder import RunFolder, Status, advance, new_run_path
from dit_studio.jobs.run_list import list_runs


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "a run", parse_recipe({"train": {"steps": 7}, "data": {"path": "bilder ü"}}))


def metrics(step: int) -> Metrics:
    return Metrics(step=step, loss=1 / step, learning_rate=1e-4)


def test_a_new_run_holds_its_recipe_with_every_number(folder: RunFolder) -> None:
    recipe = RunFolder.open(folder.path).recipe()
    assert recipe.train.steps == 7
    assert recipe.data.path == "bilder ü"
    assert (recipe.model.hidden_size, recipe.model.depth, recipe.model.patch_size) == (128, 6, 2)
    assert folder.read_status().steps == 7


def test_a_run_is_never_overwritten_and_other_folders_are_named(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="already holds a run"):
        RunFolder.create(folder.path, Recipe())
    with pytest.raises(RunError, match=r"no run\.toml"):
        RunFolder.open(tmp_path)


def test_events_come_back_as_they_were_said_and_only_once(folder: RunFolder) -> None:
    reader = EventReader(folder)
    assert reader.poll() == []
    with EventWriter(folder) as writer:
        for step in range(1, 4):
            writer.append(metrics(step))
        writer.append(StateChanged(state=JobState.PAUSED, step=3))
        seen = reader.poll()
        assert [event.step for event in seen if isinstance(event, Metrics)] == [1, 2, 3]
        assert isinstance(seen[-1], StateChanged)
        assert seen[0].time == pytest.approx(time.time(), abs=60)
        assert reader.poll() == []


def test_a_half_written_last_line_waits_and_is_dropped_by_the_next_writer(folder: RunFolder) -> None:
    reader, file = EventReader(folder), folder.path / "events.jsonl"
    with EventWriter(folder) as writer:
        writer.append(StateChanged(state=JobState.RUNNING))
    with file.open("ab") as tail:
        tail.write(b'{"kind":"metrics","step":2,"lo')
    assert len(reader.poll()) == 1
    with EventWriter(folder) as writer:
        writer.append(StateChanged(state=JobState.STOPPED))
    assert [event.state for event in reader.poll() if isinstance(event, StateChanged)] == [JobState.STOPPED]
    assert reader.unreadable_lines == 0


def test_a_damaged_line_is_passed_over_and_counted(folder: RunFolder) -> None:
    (folder.path / "events.jsonl").write_bytes(b'{"kind":"?"}\nnot json\n{"kind":"resumed","step":4}\n')
    reader = EventReader(folder)
    assert [event.step for event in reader.poll()] == [4]  # type: ignore[union-attr]
    assert reader.unreadable_lines == 2


def test_nan_travels_as_none(folder: RunFolder) -> None:
    with EventWriter(folder) as writer:
        writer.append(Metrics(step=1, loss=None, learning_rate=1e-4, bands=(None, 0.5)))
        writer.append(StateChanged(state=JobState.FAILED))
    event = EventReader(folder).poll()[0]
    assert isinstance(event, Metrics)
    assert event.loss is None
    assert event.bands == (None, 0.5)


def test_commands_are_idempotent_and_the_last_of_pause_and_resume_counts(folder: RunFolder) -> None:
    assert folder.take_command() is None
    folder.send(Command.PAUSE)
    folder.send(Command.PAUSE)
    folder.send(Command.RESUME)
    assert folder.take_command() is Command.RESUME
    assert folder.take_command() is None
    folder.send(Command.SAVE)
    folder.send(Command.STOP)
    assert [folder.take_command() for _ in range(3)] == [Command.STOP, Command.SAVE, None]


HOLD = """
import sys, time, pathlib
from dit_studio.jobs.run_folder import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).lock():
    print("held", flush=True); sys.stdin.read()
"""


def test_one_process_writes_and_its_death_frees_the_run(folder: RunFolder) -> None:
    folder.write_status(Status(state=JobState.RUNNING, pid=1, step=5))
    assert folder.observed_status().state is JobState.INTERRUPTED
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert folder.is_locked()
        assert folder.observed_status().state is JobState.RUNNING
        with pytest.raises(RunError, match="in use by another process"), folder.lock():
            pass
        assert not folder.mark_interrupted(Failure(message="gone"))
        holder.kill()
    assert folder.mark_interrupted(Failure(message="gone"))
    assert folder.read_status().state is JobState.INTERRUPTED
    kinds = [type(event) for event in folder.read_events()]
    assert kinds == [Failure, StateChanged]


def test_a_run_that_was_killed_is_as_far_as_it_said(folder: RunFolder) -> None:
    with EventWriter(folder) as writer:
        for step in range(1, 9):
            writer.append(Metrics(step=step, loss=1 / step, learning_rate=1e-4))
    folder.write_status(Status(state=JobState.RUNNING, pid=1, step=5, steps=20))  # of two seconds ago
    assert folder.mark_interrupted(Failure(message="gone"))
    status = folder.read_status()
    assert (status.state, status.step, status.steps, status.loss) == (JobState.INTERRUPTED, 8, 20, 1 / 8)
    last = folder.read_events()[-1]
    assert isinstance(last, StateChanged)
    assert last.step == 8


def test_a_damaged_status_is_made_up_for_by_the_events(folder: RunFolder) -> None:
    with EventWriter(folder) as writer:
        for step in range(1, 4):
            writer.append(metrics(step))
    (folder.path / "status.json").write_bytes(b'{"state":"runn')
    status = folder.read_status()
    assert (status.state, status.step, status.loss) == (JobState.RUNNING, 3, 1 / 3)
    assert folder.observed_status().state is JobState.INTERRUPTED, "nobody is at work"
    with folder.lock():
        assert folder.observed_status().state is JobState.RUNNING
    with EventWriter(folder) as writer:
        writer.append(StateChanged(state=JobState.FINISHED, step=3))
    (folder.path / "status.json").unlink()
    assert folder.observed_status().state is JobState.FINISHED


def test_a_damaged_status_without_events_counts_as_idle(folder: RunFolder) -> None:
    (folder.path / "status.json").write_bytes(b"{")
    assert folder.read_status() == Status(steps=7)
    (folder.path / "run.toml").write_text("[train]\nsteps = -1\n")
    assert folder.read_status() == Status()


def test_a_run_that_goes_on_with_more_steps_counts_to_these(folder: RunFolder) -> None:
    before = Status(state=JobState.PREPARING, step=7, steps=7)
    started = Started(steps=100, parameters=1, device="cpu", precision="fp32", images=1, validation_images=0)
    assert advance(before, started).steps == 100
    with EventWriter(folder) as writer:
        writer.append(started)
        writer.append(metrics(60))
    (folder.path / "status.json").unlink()
    status = folder.read_status()
    assert (status.step, status.steps) == (60, 100)


def test_the_list_of_runs_is_newest_first_and_names_what_is_broken(tmp_path: Path) -> None:
    for number, name in enumerate(["old", "new", "broken"]):
        run = RunFolder.create(tmp_path / name, Recipe())
        run.write_status(Status(state=JobState.FINISHED, started=float(number)))
    (tmp_path / "broken" / "run.toml").write_text("[train]\nsteps = -1\n")
    (tmp_path / "not a run").mkdir()
    summaries = list_runs(tmp_path)
    assert [summary.folder.name for summary in summaries] == ["broken", "new", "old"]
    assert "train.steps = -1" in summaries[0].problem
    assert summaries[1].recipe is not None
    assert list_runs(tmp_path / "nowhere") == []


def test_new_runs_get_names_of_their_own(tmp_path: Path) -> None:
    first = new_run_path(tmp_path, "my: data/ü")
    first.mkdir()
    second = new_run_path(tmp_path, "my: data/ü")
    assert first.name.endswith("-my-data-ü")
    assert second != first
    assert second.parent == tmp_path
    for name in ("x" * 500, "ü" * 500, "queue.json", "-rf", "..", ".window.lock", "con", "a.-" * 60):
        path = new_run_path(tmp_path, name)
        path.mkdir()
        assert path.name[:8].isdecimal()
        assert path.name[-1] not in "-."


def test_another_file_of_events_is_read_from_its_beginning_however_long(folder: RunFolder) -> None:
    reader = EventReader(folder)
    with EventWriter(folder) as writer:
        for step in range(1, 4):
            writer.append(metrics(step))
    assert len(reader.poll()) == 3
    (folder.path / "events.jsonl").unlink()
    with EventWriter(folder) as writer:
        for step in range(4, 14):
            writer.append(metrics(step))
    assert [event.step for event in reader.poll() if isinstance(event, Metrics)] == list(range(4, 14))
    assert reader.unreadable_lines == 0
    assert reader.poll() == []
