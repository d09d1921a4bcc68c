"""The run that is shown: states, commands, history, resuming from an older checkpoint."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.config import Recipe
from dit_studio.errors import RunError
from dit_studio.events import CaughtUp, Command, Event, Failure, JobState, Metrics, StateChanged
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.places import runs_dir
from dit_studio.ui.train.session import RunSession, newer_checkpoints

RUNNING = StateChanged(state=JobState.RUNNING)
FINISHED = StateChanged(state=JobState.FINISHED, step=2)


def metrics(step: int) -> Metrics:
    return Metrics(step=step, loss=1.0 / step, learning_rate=1e-4, seconds=float(step))


def make_run(path: Path, *events: Event, state: JobState = JobState.STOPPED, checkpoints: tuple[int, ...] = ()) -> Path:
    folder = RunFolder.create(path, Recipe())
    with EventWriter(folder) as writer:
        for event in events:
            writer.append(event)
    folder.write_status(msgspec.structs.replace(folder.read_status(), state=state))
    for step in checkpoints:
        (path / "checkpoints" / f"step-{step:07d}").mkdir()
    return path


class Watch:
    """What a session says, in order."""

    def __init__(self, session: RunSession) -> None:
        self.states: list[JobState] = []
        self.events: list[Event] = []
        self.runs: list[RunFolder] = []
        session.state_changed.connect(self.states.append)
        session.received.connect(self._on_received)
        session.run_changed.connect(self.runs.append)

    def _on_received(self, events: list[Event]) -> None:
        self.events += [event for event in events if not isinstance(event, CaughtUp)]


def test_a_run_goes_from_start_to_finish(qtbot: QtBot) -> None:
    launcher = ScriptedLauncher(training=[[RUNNING, metrics(1), metrics(2), FINISHED]])
    session = RunSession(launcher)
    watch = Watch(session)
    folder = session.start(Recipe(), "my run")
    assert session.state is JobState.PREPARING
    qtbot.waitUntil(lambda: session.state is JobState.FINISHED)
    assert watch.runs == [folder]
    assert folder.path.parent == runs_dir()
    assert folder.name.endswith("-my-run")
    assert watch.states[0] is JobState.PREPARING
    assert watch.states[-1] is JobState.FINISHED
    assert [event.step for event in watch.events if isinstance(event, Metrics)] == [1, 2]
    assert launcher.trained == [(folder, False)]
    session.close()


def test_a_job_that_ends_without_a_word_is_interrupted(qtbot: QtBot) -> None:
    session = RunSession(ScriptedLauncher(training=[[RUNNING, metrics(1)]]))
    session.start(Recipe(), "run")
    qtbot.waitUntil(lambda: session.state is JobState.INTERRUPTED)
    session.close()


def test_a_failure_is_kept_until_the_run_goes_on(qtbot: QtBot, tmp_path: Path) -> None:
    failed = [RUNNING, Failure(message="No memory.", code="out_of_memory"), StateChanged(state=JobState.FAILED)]
    path = make_run(tmp_path / "run", *failed, state=JobState.FAILED, checkpoints=(1,))
    gate = threading.Event()
    history = RunFolder(path).read_events()
    launcher = ScriptedLauncher(training=[[*history, CaughtUp(), gate, RUNNING, metrics(1), FINISHED]])
    session = RunSession(launcher)
    session.attach(path)
    qtbot.waitUntil(lambda: session.failure is not None)
    assert session.state is JobState.FAILED
    watch = Watch(session)
    session.resume(path)
    qtbot.waitUntil(lambda: len(watch.events) == len(history))
    assert session.state is JobState.PREPARING, "what it said before it was resumed is history"
    gate.set()
    qtbot.waitUntil(lambda: session.state is JobState.FINISHED)
    assert session.failure is None
    assert JobState.FAILED not in watch.states
    assert launcher.trained[0][1], "it was told to resume"
    session.close()


def test_history_does_not_flicker(qtbot: QtBot, tmp_path: Path) -> None:
    old = [
        StateChanged(state=state, time=9e9) for state in (JobState.RUNNING, JobState.PAUSED)
    ]  # by a clock that jumped
    path = make_run(tmp_path / "run", state=JobState.STOPPED)
    RunFolder(path).write_status(Status(state=JobState.STOPPED, heartbeat=500.0))
    session = RunSession(ScriptedLauncher(following=[[*old, CaughtUp()]]))
    watch = Watch(session)
    with qtbot.waitSignal(session._job.ended):
        session.attach(path)
    assert watch.states == [JobState.STOPPED]
    assert watch.events == old
    session.close()


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("pause", Command.PAUSE),
        ("resume_running", Command.RESUME),
        ("save_now", Command.SAVE),
        ("preview_now", Command.PREVIEW),
        ("stop", Command.STOP),
    ],
)
def test_commands_reach_the_run_folder(qtbot: QtBot, action: str, command: Command) -> None:
    session = RunSession(ScriptedLauncher(training=[[RUNNING, threading.Event()]]))
    folder = session.start(Recipe(), "run")
    qtbot.waitUntil(lambda: session.state is JobState.RUNNING)
    getattr(session, action)()
    assert folder.take_command() is command
    assert folder.take_command() is None
    session.close()


def test_a_stop_that_the_starting_process_forgot_is_sent_again(qtbot: QtBot) -> None:
    gate = threading.Event()
    session = RunSession(
        ScriptedLauncher(training=[[gate, RUNNING, threading.Event(), StateChanged(state=JobState.STOPPED)]])
    )
    folder = session.start(Recipe(), "run")
    session.stop()
    assert session.state is JobState.STOPPING
    folder.forget_commands()  # as a process does when it starts
    gate.set()
    qtbot.waitUntil(lambda: folder.take_command() is Command.STOP)
    assert session.state is JobState.STOPPING
    session.close()


def test_nothing_is_sent_to_a_run_that_has_ended(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", FINISHED, state=JobState.FINISHED)
    session = RunSession(ScriptedLauncher())
    session.attach(path)
    session.pause()
    session.save_now()
    assert RunFolder(path).take_command() is None
    session.close()


def test_another_run_drops_the_first(qtbot: QtBot, tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", metrics(7))
    launcher = ScriptedLauncher(following=[[threading.Event(), metrics(1)], [metrics(7)]])
    session = RunSession(launcher)
    watch = Watch(session)
    session.attach(first)
    session.attach(second)
    qtbot.waitUntil(lambda: bool(watch.events))
    assert launcher.jobs[0].is_cancelled
    session.close()
    assert watch.events == [metrics(7)]


def test_resuming_from_an_older_checkpoint_sets_the_newer_aside(qtbot: QtBot, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", checkpoints=(100, 200, 1000))
    folder = RunFolder(path)
    launcher = ScriptedLauncher(training=[[FINISHED]])
    session = RunSession(launcher)
    oldest = folder.checkpoints()[0]
    assert [checkpoint.name for checkpoint in newer_checkpoints(folder, oldest)] == ["step-0000200", "step-0001000"]
    session.resume(path, checkpoint=oldest)
    assert [checkpoint.name for checkpoint in folder.checkpoints()] == ["step-0000100"]
    assert sorted(item.name for item in (path / "checkpoints" / "set-aside").iterdir()) == [
        "step-0000200",
        "step-0001000",
    ]
    qtbot.waitUntil(lambda: session.state is JobState.FINISHED)
    session.close()


def test_what_cannot_be_resumed_is_named(tmp_path: Path) -> None:
    session = RunSession(ScriptedLauncher())
    with pytest.raises(RunError, match="is not a run"):
        session.resume(tmp_path)
    path = make_run(tmp_path / "run")
    with pytest.raises(RunError, match="no checkpoint"):
        session.resume(path)
    (path / "checkpoints" / "step-0000001").mkdir()
    with RunFolder(path).lock(), pytest.raises(RunError, match="at work already"):
        session.resume(path)
    with pytest.raises(RunError, match="not a checkpoint of run"):
        session.resume(path, checkpoint=tmp_path / "step-0000002")
    assert session.state is JobState.IDLE


def test_a_run_inside_this_process_is_not_left(tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    session = RunSession(ScriptedLauncher(training=[[RUNNING, threading.Event()]], in_process=True))
    folder = session.start(Recipe(), "run")
    with pytest.raises(RunError, match="inside this window's process"):
        session.attach(other)
    session.attach(folder.path)  # it is shown already
    assert session.folder is folder
    session.close()


def test_ending_at_once_needs_a_process_of_this_machine() -> None:
    session = RunSession(ScriptedLauncher(training=[[RUNNING, threading.Event()]]))
    assert not session.end_now()
    folder = session.start(Recipe(), "run")
    assert not session.end_now(), "no process has taken the run yet"
    folder.write_status(Status(state=JobState.RUNNING, pid=os.getpid(), host="elsewhere"))
    assert not session.end_now(), "the number is one of another machine"
    session.close()


_HOLDER = """
import os, socket, sys, time
from pathlib import Path
from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder, Status
folder = RunFolder(Path(sys.argv[1]))
with folder.lock():
    folder.write_status(Status(state=JobState.RUNNING, pid=os.getpid(), host=socket.gethostname()))
    print("ready", flush=True)
    time.sleep(600)
"""


def test_ending_at_once_kills_the_process_that_holds_the_run(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        session = RunSession(ScriptedLauncher(following=[[threading.Event()]]))
        session.attach(path)
        assert session.state is JobState.RUNNING
        assert session.end_now()
        assert holder.wait() == -signal.SIGKILL
        session.close()


def test_a_run_that_another_window_stopped_and_resumed_is_not_stopped_again(qtbot: QtBot, tmp_path: Path) -> None:
    path, gate = make_run(tmp_path / "run", RUNNING, state=JobState.RUNNING), threading.Event()
    news = [StateChanged(state=state) for state in (JobState.STOPPED, JobState.PREPARING, JobState.RUNNING)]
    session = RunSession(ScriptedLauncher(following=[[CaughtUp(), RUNNING, gate, *news, threading.Event()]]))
    session.attach(path)
    qtbot.waitUntil(lambda: session.state is JobState.RUNNING)
    session.stop()
    assert RunFolder(path).take_command() is Command.STOP
    gate.set()
    qtbot.waitUntil(lambda: session.state is JobState.RUNNING)
    assert RunFolder(path).take_command() is None
    session.close()


@pytest.mark.parametrize("end", [JobState.FINISHED, JobState.FAILED, JobState.INTERRUPTED])
def test_a_stop_that_came_too_late_ends_as_the_run_did(qtbot: QtBot, end: JobState) -> None:
    gate = threading.Event()
    session = RunSession(ScriptedLauncher(training=[[RUNNING, gate, StateChanged(state=end)]]))
    session.start(Recipe(), "run")
    qtbot.waitUntil(lambda: session.state is JobState.RUNNING)
    session.stop()
    assert session.state is JobState.STOPPING
    gate.set()
    qtbot.waitUntil(lambda: session.state is end)
    session.close()


def test_what_happened_while_a_window_attached_is_not_missed(qtbot: QtBot, tmp_path: Path) -> None:
    path, gate = make_run(tmp_path / "run", RUNNING, state=JobState.RUNNING), threading.Event()
    paused = StateChanged(state=JobState.PAUSED)
    session = RunSession(ScriptedLauncher(following=[[RUNNING, gate, paused, CaughtUp(), threading.Event()]]))
    folder = RunFolder(path)
    with folder.lock():
        session.attach(path)
        assert session.state is JobState.RUNNING
        folder.write_status(Status(state=JobState.PAUSED))
        gate.set()
        qtbot.waitUntil(lambda: session.state is JobState.PAUSED)
        session.close()


def test_a_run_whose_folder_vanishes_cannot_be_commanded_and_says_so(qtbot: QtBot) -> None:
    session = RunSession(ScriptedLauncher(training=[[RUNNING, threading.Event()]]))
    folder = session.start(Recipe(), "run")
    qtbot.waitUntil(lambda: session.state is JobState.RUNNING)
    folder.path.rename(folder.path.with_name("away"))
    with pytest.raises(RunError, match="cannot be written"):
        session.stop()
    assert session.state is JobState.RUNNING, "nothing was asked"
    session.close()
