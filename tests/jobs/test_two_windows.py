"""A run in a process of its own: windows come and go, and command it in any order, on this machine or another."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from pytestqt.qtbot import QtBot

from dit_studio import locks
from dit_studio.errors import RunError
from dit_studio.events import Command, JobState, Metrics
from dit_studio.jobs import end_now, run_folder, training
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.train.session import RunSession
from tests.jobs.conftest import MakeRun

LIMIT_MS = 60_000
ENDLESS = ("train.steps=1000000", "train.preview_every=0", "train.checkpoint_every=0", "train.validate_every=0")


@pytest.fixture
def open_window() -> Iterator[Callable[[], RunSession]]:
    opened: list[tuple[RunSession, Launcher]] = []

    def make() -> RunSession:
        launcher = Launcher()
        opened.append((RunSession(launcher), launcher))
        return opened[-1][0]

    yield make
    for session, launcher in opened:
        session.close()
        launcher.close()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on this process is on another machine, which locks do not reach."""

    def go() -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        monkeypatch.setattr(run_folder, "is_locked", lambda _: False)
        monkeypatch.setattr(run_folder, "try_lock", lambda _: True)

    return go


def in_state(session: RunSession, *states: JobState) -> Callable[[], bool]:
    return lambda: session.state in states


def test_a_window_on_another_machine_finds_the_run_alive_and_commands_it(
    make_run: MakeRun, qtbot: QtBot, open_window: Callable[[], RunSession], elsewhere: Callable[[], None]
) -> None:
    folder, first = make_run(*ENDLESS), open_window()
    process = training.start_worker(folder)
    first.attach(folder.path)
    qtbot.waitUntil(in_state(first, JobState.RUNNING), timeout=LIMIT_MS)
    first.close()
    elsewhere()
    second = open_window()
    steps: list[int] = []
    second.received.connect(lambda events: steps.extend(e.step for e in events if isinstance(e, Metrics)))
    second.attach(folder.path)
    assert second.state is JobState.RUNNING
    qtbot.waitUntil(lambda: len(steps) > 20, timeout=LIMIT_MS)
    assert steps[:20] == list(range(1, 21)), "its whole history"
    second.pause()
    qtbot.waitUntil(in_state(second, JobState.PAUSED), timeout=LIMIT_MS)
    assert not second.end_now()
    assert "at work on another machine" in second.why_not_end_now
    with pytest.raises(RunError, match=f"at work already: process {process.pid} on "):
        second.resume(folder.path)
    with pytest.raises(RunError, match=f"in use by another process: process {process.pid} on "), folder.lock():
        pass
    second.stop()
    assert second.state is JobState.STOPPING
    qtbot.waitUntil(in_state(second, JobState.STOPPED), timeout=LIMIT_MS)
    assert process.wait(60) == 0
    assert folder.checkpoints()


_WINDOW = """
import os, signal, sys, time
from pathlib import Path
from dit_studio.jobs import training
from dit_studio.jobs.run_folder import RunFolder
training.start_worker(RunFolder(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_outlives_the_window_that_started_it_and_was_killed(
    make_run: MakeRun, qtbot: QtBot, open_window: Callable[[], RunSession]
) -> None:
    folder = make_run(*ENDLESS)
    assert subprocess.run([sys.executable, "-c", _WINDOW, str(folder.path)]).returncode == -signal.SIGKILL
    session = open_window()
    session.attach(folder.path)
    qtbot.waitUntil(in_state(session, JobState.RUNNING), timeout=LIMIT_MS)
    assert folder.is_alive()
    session.stop()
    qtbot.waitUntil(in_state(session, JobState.STOPPED), timeout=LIMIT_MS)


def test_two_windows_press_everything_and_both_see_the_end(
    make_run: MakeRun, qtbot: QtBot, open_window: Callable[[], RunSession]
) -> None:
    folder, one, two = make_run(*ENDLESS), open_window(), open_window()
    process = training.start_worker(folder)
    for session in (one, two):
        session.attach(folder.path)
    qtbot.waitUntil(lambda: one.state is two.state is JobState.RUNNING, timeout=LIMIT_MS)
    one.pause()
    two.pause()
    qtbot.waitUntil(lambda: one.state is two.state is JobState.PAUSED, timeout=LIMIT_MS)
    two.save_now()
    one.resume_running()
    qtbot.waitUntil(lambda: one.state is two.state is JobState.RUNNING, timeout=LIMIT_MS)
    two.stop()
    one.resume_running()
    one.stop()
    two.pause()
    qtbot.waitUntil(lambda: one.state is two.state is JobState.STOPPED, timeout=LIMIT_MS)
    process.wait(60)
    folder.send(Command.STOP)  # came too late: it was meant for the run that has ended
    one.resume(folder.path)
    qtbot.waitUntil(in_state(one, JobState.RUNNING), timeout=LIMIT_MS)
    reached = folder.read_status().step
    qtbot.waitUntil(lambda: folder.read_status().step > reached, timeout=LIMIT_MS)
    assert one.end_now()
    qtbot.waitUntil(in_state(one, JobState.INTERRUPTED), timeout=LIMIT_MS)
    assert one.failure is not None
    assert "signal 9" in one.failure.message


def test_a_stop_that_meets_death_ends_as_interrupted(
    make_run: MakeRun, qtbot: QtBot, open_window: Callable[[], RunSession]
) -> None:
    folder, session = make_run(*ENDLESS), open_window()
    process = training.start_worker(folder)
    session.attach(folder.path)
    qtbot.waitUntil(in_state(session, JobState.RUNNING), timeout=LIMIT_MS)
    os.kill(process.pid, signal.SIGSTOP)  # it hears nothing
    session.stop()
    assert session.state is JobState.STOPPING
    assert session.end_now()
    qtbot.waitUntil(in_state(session, JobState.INTERRUPTED), timeout=LIMIT_MS)
    process.wait(60)


# ------------------------------------------------------------------------------------------------- several processes


def processes_of(folder: RunFolder) -> list[int]:
    """Whatever trains this run, as the system lists it."""
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if str(folder.path) in line]


def start_two(make_run: MakeRun) -> "tuple[RunFolder, subprocess.Popen[bytes]]":
    folder = make_run(*ENDLESS, "train.device=cpu,cpu")
    process = training.start_worker(folder)
    deadline = time.monotonic() + LIMIT_MS / 1000
    while folder.read_status().step < 2:
        assert time.monotonic() < deadline, folder.log_file.read_text()
        assert process.poll() is None, folder.log_file.read_text()
        time.sleep(0.05)
    return folder, process


def await_nobody(folder: RunFolder) -> None:
    deadline = time.monotonic() + LIMIT_MS / 1000
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def test_when_torchrun_is_killed_its_processes_save_and_end(make_run: MakeRun) -> None:
    folder, process = start_two(make_run)
    assert folder.read_status().launcher == process.pid
    process.kill()
    process.wait()
    events = [event for event in training.follow(folder, process=process) if event is not None]
    assert events
    await_nobody(folder)
    assert folder.read_status().state is JobState.STOPPED
    assert folder.checkpoints()


def test_ending_at_once_ends_every_process(make_run: MakeRun) -> None:
    folder, process = start_two(make_run)
    assert len(processes_of(folder)) == 3
    assert end_now.end_now(folder)
    for _ in training.follow(folder, process=process):
        pass
    await_nobody(folder)
    assert folder.read_status().state is JobState.INTERRUPTED
    assert not locks.is_locked(folder.path / "run.lock")
