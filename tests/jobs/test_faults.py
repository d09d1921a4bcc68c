"""A disk that is gone for a while, files that vanish or are torn in mid-run, and clocks that jump.

Nothing is lost, nothing hangs, and nobody says what is not so.
"""

import errno
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from dit_studio import patience
from dit_studio.engine.trainer import Trainer
from dit_studio.errors import RunError
from dit_studio.events import (
    CaughtUp,
    CheckpointSaved,
    Command,
    Event,
    Failure,
    JobState,
    Metrics,
    Notice,
    StateChanged,
)
from dit_studio.jobs import death, event_log, following, journal, training
from dit_studio.jobs.journal import Journal
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder, Status
from tests.jobs.conftest import MakeRun

LIMIT_SECONDS = 60
SHORT = ("train.preview_every=0", "train.validate_every=0", "train.checkpoint_every=2", "train.steps=8")


def losses(events: list[Event]) -> list[tuple[int, float | None]]:
    return [(event.step, event.loss) for event in events if isinstance(event, Metrics)]


def states(events: list[Event]) -> list[JobState]:
    return [event.state for event in events if isinstance(event, StateChanged)]


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


def run_here(
    folder: RunFolder, *, react: Callable[[Event], None] = lambda _: None, resume: bool = False
) -> list[Event]:
    seen = []
    for event in training.run(folder, resume=resume):
        seen.append(event)
        react(event)
    return seen


def at_step(step: int, action: Callable[[], object]) -> Callable[[Event], None]:
    def react(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == step:
            action()

    return react


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_WAITS", (0.05,) * 8)
    monkeypatch.setattr(journal, "HEARTBEAT_SECONDS", 0.05)


# ------------------------------------------------------------------------------------------------- the disk is gone


@pytest.mark.usefixtures("quick_waits")
def test_a_run_goes_on_when_its_disk_comes_back(make_run: MakeRun) -> None:
    whole = losses(run_here(make_run(*SHORT, name="whole")))
    folder = make_run(*SHORT)
    away = folder.path.with_name("away")

    def react(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 3:
            folder.path.rename(away)
        if isinstance(event, Notice) and not folder.is_reachable():
            assert "is tried again" in event.message
            away.rename(folder.path)

    events = run_here(folder, react=react)
    assert states(events) == [JobState.PREPARING, JobState.RUNNING, JobState.FINISHED]
    assert len(notices(events)) == 1
    assert losses(events) == whole
    assert losses(folder.read_events()) == whole, "each once, in order"
    assert [path.name for path in folder.checkpoints()] == [f"step-{step:07d}" for step in (2, 4, 6, 8)][-3:]
    assert folder.read_status().state is JobState.FINISHED


@pytest.mark.usefixtures("quick_waits")
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_events_that_a_disk_took_in_part_are_written_once(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder, refused, writing = make_run(*SHORT), [0], event_log._write_whole

    def broken(file: object, data: bytes) -> None:
        if refused[0] in range(3, 9):
            refused[0] += 1
            writing(file, data[: len(data) // 2])  # type: ignore[arg-type]
            monkeypatch.setattr(os, "ftruncate", broken_truncate)
            raise OSError(number, os.strerror(number))
        refused[0] += 1
        writing(file, data)  # type: ignore[arg-type]

    def broken_truncate(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(event_log, "_write_whole", broken)
    said = run_here(folder)
    reader = event_log.EventReader(folder)
    assert list(reader.drain()) == said
    assert reader.unreadable_lines == 0
    assert refused[0] > 9
    assert states(said)[-1] is JobState.FINISHED


@pytest.mark.provokes_log
@pytest.mark.usefixtures("quick_waits")
def test_a_disk_that_stays_away_ends_the_run_with_a_sentence(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.2)
    folder = make_run(*SHORT, "train.steps=20000", "train.checkpoint_every=0")
    away = folder.path.with_name("away")
    events = run_here(folder, react=at_step(3, lambda: folder.path.rename(away)))
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert "could not be written for 0.2 s" in failure.message
    assert "then resume" in failure.remedy
    assert states(events)[-1] is JobState.FAILED


@pytest.mark.provokes_log
@pytest.mark.usefixtures("quick_waits")
def test_a_checkpoint_that_cannot_be_saved_ends_the_run_after_the_last_try(make_run: MakeRun) -> None:
    folder = make_run(*SHORT)
    whole = dict(losses(run_here(make_run(*SHORT, name="whole"))))

    def refuse() -> None:
        (folder.path / "checkpoints").rename(folder.path / "elsewhere")
        (folder.path / "checkpoints").write_text("a file where a folder should be")

    events = run_here(folder, react=at_step(3, refuse))
    assert len([notice for notice in notices(events) if "tried again" in notice]) == 8
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "unwritable"
    assert states(events)[-1] is JobState.FAILED
    (folder.path / "checkpoints").unlink()
    (folder.path / "elsewhere").rename(folder.path / "checkpoints")
    again = run_here(folder, resume=True)
    assert states(again)[-1] is JobState.FINISHED
    assert dict(losses(again)) == {step: loss for step, loss in whole.items() if step > 2}


@pytest.mark.provokes_log
@pytest.mark.usefixtures("quick_waits")
def test_who_comes_back_to_a_run_that_another_has_taken_lets_it_be(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = make_run(*SHORT, "train.steps=1000", "train.checkpoint_every=0")
    away, limit = folder.path.with_name("away"), time.monotonic() + LIMIT_SECONDS

    def react(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 3:
            folder.path.rename(away)
            while (
                "cannot be written" not in caplog.text and time.monotonic() < limit
            ):  # until a heartbeat has met with it
                time.sleep(0.01)
        if isinstance(event, Metrics) and event.step == 4:
            status = RunFolder(away).read_status()
            RunFolder(away).write_status(msgspec.structs.replace(status, pid=4_000_000))
            away.rename(folder.path)

    events = run_here(folder, react=react)
    assert states(events)[-1] is JobState.FAILED
    assert any("taken by another process" in event.message for event in events if isinstance(event, Failure))
    assert folder.read_status().state is JobState.RUNNING, "which is the other's word"


def test_followers_wait_for_a_folder_that_vanished(make_run: MakeRun) -> None:
    folder = make_run()
    away = folder.path.with_name("away")
    with folder.lock(), Journal(folder) as writer:
        writer.say(StateChanged(state=JobState.RUNNING))
        watching = until_quiet(following.follow(folder))
        assert states(next(watching)) == [JobState.RUNNING]
        folder.path.rename(away)
        assert "cannot be reached" in notices(next(watching))[0]
        assert next(watching) == []
        away.rename(folder.path)
        assert "can be reached again" in notices(next(watching))[0]
        writer.say(StateChanged(state=JobState.FINISHED))
        assert states(next(watching)) == [JobState.FINISHED]


def test_followers_do_not_wait_for_ever(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_UNREACHABLE_LIMIT_SECONDS", 0.2)
    folder = make_run()
    with folder.lock(), Journal(folder) as writer:
        writer.say(StateChanged(state=JobState.RUNNING))
        watching = following.follow(folder)
        assert isinstance(next(watching), StateChanged)
        folder.path.rename(folder.path.with_name("away"))
        events = [event for event in watching if event is not None]
        folder.path.with_name("away").rename(folder.path)
        writer.say(StateChanged(state=JobState.FINISHED))
    assert [type(event) for event in events] == [CaughtUp, Notice, Failure, StateChanged]
    assert states(events) == [JobState.INTERRUPTED]


def until_quiet(events: Iterator[Event | None]) -> Iterator[list[Event]]:
    """What is said until nothing is new."""
    seen: list[Event] = []
    for event in events:
        if event is None:
            yield seen
            seen = []
        else:
            seen.append(event)
    yield seen


# ------------------------------------------------------------------------------------------------- the disk is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of four megabytes, where the system lets us have one."""
    place = tmp_path / "small disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.provokes_log
def test_a_disk_that_fills_during_a_save_and_is_freed_again(make_run: MakeRun, small_disk: Path) -> None:
    settings = (*SHORT, "train.keep_checkpoints=2")
    whole = dict(losses(run_here(make_run(*settings, name="whole"))))
    folder, ballast = make_run(*settings, name="small disk/run"), small_disk / "ballast"

    def fill() -> None:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(65_536)):
                pass

    def react(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.step == 4:
            fill()

    events = run_here(folder, react=react)
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "disk_full"
    assert states(events)[-1] is JobState.FAILED
    assert folder.checkpoints()[-1].name == "step-0000004"
    assert not folder.is_locked()
    written = folder.read_events()
    assert [event.message for event in written if isinstance(event, Failure)] == [failure.message]
    assert states(written)[-1] is JobState.FAILED
    status = folder.read_status()
    assert (status.state, status.message) == (JobState.FAILED, failure.message)
    ballast.unlink()
    again = run_here(folder, resume=True)
    assert states(again)[-1] is JobState.FINISHED
    assert dict(losses(again)) == {step: loss for step, loss in whole.items() if step > 4}


@pytest.mark.provokes_log
def test_a_disk_that_fills_under_two_processes_is_what_the_history_ends_with(
    make_run: MakeRun, small_disk: Path
) -> None:
    settings = (*SHORT, "train.steps=2000", "train.checkpoint_every=200", "train.device=cpu,cpu")
    folder, launcher = make_run(*settings, name="small disk/run"), Launcher()
    for event in launcher.train(folder).events():
        if isinstance(event, CheckpointSaved):
            with suppress(OSError), (small_disk / "ballast").open("ab", buffering=0) as file:
                while file.write(bytes(65_536)):
                    pass
    launcher.close()
    (failure,) = [event for event in folder.read_events() if isinstance(event, Failure)]
    assert failure.code == "disk_full"
    assert "There is no room" in failure.message
    assert states(folder.read_events())[-1] is JobState.FAILED
    assert folder.read_status().state is JobState.FAILED
    assert "exit code" not in folder.read_status().message


def test_without_a_word_the_disk_tells_why_all_processes_ended(make_run: MakeRun, small_disk: Path) -> None:
    folder = make_run(name="small disk/run")
    with suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with subprocess.Popen(["false"]) as ended:
        ended.wait()
    found = death.death(folder, ended, Status(state=JobState.RUNNING, launcher=ended.pid))
    assert found.code == "disk_full"
    assert "its disk is full" in found.message


def test_torchruns_log_tells_who_ended_first(make_run: MakeRun) -> None:
    folder = make_run()
    table = """x: INFO: preparing at step 0
Root Cause (first observed failure):
[0]:
  time      : 2026-01-02_03:04:05
  host      : node-{0}
  rank      : {0} (local_rank: 0)
  exitcode  : {1} (pid: 77)
"""
    with subprocess.Popen(["false"]) as ended:
        ended.wait()
    for log, sentence in {
        table.format(0, -9): "Training process 1 on node-0 was killed (signal 9)",
        table.format(0, 1) + table.format(3, -11): "Training process 4 on node-3 died from signal 11 (SIGSEGV).",
        table.format(0, 28): "The run stopped because its disk is full",
        table.format(1, 3): "Training process 2 on node-1 ended with exit code 3 and said nothing.",
        table.format(0, -9)
        + "x: INFO: preparing at step 7\n": "The launcher of the training processes ended with exit",
        "": "The launcher of the training processes ended with exit code 1",
    }.items():
        folder.log_file.write_text(log)
        found = death.death(folder, ended, Status(state=JobState.RUNNING, launcher=ended.pid))
        assert found.message.startswith(sentence), found.message


def test_what_was_said_before_a_checkpoint_is_on_the_disk_before_it(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, saving, seen = make_run(*SHORT), Trainer.save, []

    def save(self: Trainer) -> CheckpointSaved:
        seen.append((self.step, [step for step, _ in losses(folder.read_events())][-1]))
        return saving(self)

    def save_at_5(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 5:
            folder.send(Command.SAVE)

    monkeypatch.setattr(Trainer, "save", save)
    monkeypatch.setattr(event_log, "_FLUSH_SECONDS", 1e9)  # metrics never go to the disk by themselves
    run_here(folder, react=save_at_5)
    assert seen == [(step, step) for step in (2, 4, 5, 6, 8)]


# ------------------------------------------------------------------------------------------------- files in mid-run


def tear_status(folder: RunFolder) -> None:
    (folder.path / "status.json").write_bytes(b'{"state":"runn')


def remove_recipe(folder: RunFolder) -> None:
    (folder.path / "run.toml").unlink()


def remove_commands(folder: RunFolder) -> None:
    (folder.path / "commands").rmdir()


def put_unknown_commands(folder: RunFolder) -> None:
    (folder.path / "commands" / "dance").touch()
    (folder.path / "commands" / "stop").mkdir()  # not a command, but a folder


@pytest.mark.parametrize("fault", [tear_status, remove_recipe, remove_commands, put_unknown_commands])
def test_a_file_that_is_torn_or_gone_in_mid_run_ends_no_run(
    make_run: MakeRun, fault: Callable[[RunFolder], None]
) -> None:
    whole = losses(run_here(make_run(*SHORT, name="whole")))
    folder, watched = make_run(*SHORT), []

    def at_fault() -> None:
        watching = until_quiet(following.follow(folder))
        next(watching)
        fault(folder)
        watched.extend(next(watching))
        assert folder.observed_status().state.is_active

    events = run_here(folder, react=at_step(3, at_fault))
    assert not states(watched), "the watcher sees nothing of it"
    assert losses(events) == whole
    assert losses(folder.read_events()) == whole
    assert folder.read_status().state is JobState.FINISHED
    if fault is remove_recipe:
        with pytest.raises(RunError, match=r"has no run\.toml"):
            RunFolder.open(folder.path)


def test_events_that_are_removed_in_mid_run_begin_anew(make_run: MakeRun) -> None:
    folder = make_run(*SHORT)
    watched: list[Event] = []
    watching = until_quiet(following.follow(folder))

    def react(event: Event) -> None:
        watched.extend(next(watching))
        if isinstance(event, Metrics) and event.step == 3:
            (folder.path / "events.jsonl").unlink()

    events = run_here(folder, react=react)
    watched += [event for part in watching for event in part]
    assert [step for step, _ in losses(folder.read_events()) if step > 3] == [4, 5, 6, 7, 8]
    assert losses(watched)[-5:] == losses(events)[-5:]
    assert states(watched)[-1] is JobState.FINISHED


@pytest.mark.parametrize("jump", [+90_000.0, -90_000.0])
def test_a_clock_that_jumps_changes_nothing(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    whole = losses(run_here(make_run(*SHORT, name="whole")))
    folder, clock = make_run(*SHORT), time.time
    watching = until_quiet(following.follow(folder))
    watched: list[Event] = []

    def leap() -> None:
        watched.extend(next(watching))
        monkeypatch.setattr(time, "time", lambda: clock() + jump)
        watched.extend(next(watching))

    events = run_here(folder, react=at_step(3, leap))
    watched += [event for part in watching for event in part]
    assert losses(events) == whole
    assert [event for event in watched if not isinstance(event, CaughtUp)] == events
    folder.send(Command.STOP)
