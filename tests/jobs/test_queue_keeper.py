"""The queue's keeper: what it starts and writes down, with processes that are scripted and with real ones."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.config import Recipe, apply_settings, parse_recipe
from dit_studio.errors import RunError
from dit_studio.events import Failure, JobState, Metrics, StateChanged
from dit_studio.jobs import queue as queue_module
from dit_studio.jobs import queue_keeper
from dit_studio.jobs.queue import WINDOW_LOCK, Queue
from dit_studio.jobs.queue_keeper import QueueKeeper
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.locks import is_locked, locked
from dit_studio.places import runs_dir
from tests.jobs.conftest import TINY
from tests.pictures import write_pictures

LIMIT_SECONDS = 120


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


@pytest.fixture
def queue() -> Queue:
    return Queue(runs_dir())


def recipe(*settings: str) -> Recipe:
    return parse_recipe(apply_settings(TINY, list(settings)))


# ------------------------------------------------------------------------------------------------- scripted processes


class ScriptedProcess:
    """A process that works on its run until the test ends it."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9

    def end(self, state: JobState = JobState.FINISHED, *, code: int = 0) -> None:
        self._folder.write_status(msgspec.structs.replace(self._folder.read_status(), state=state))
        self.returncode = code


class Script:
    """Stands where training.start_worker would; keeps what was started and told."""

    def __init__(self) -> None:
        self.processes: dict[str, ScriptedProcess] = {}
        self.order: list[str] = []
        self.resumed: list[str] = []
        self.told: list[str] = []

    def start(self, folder: RunFolder, *, resume: bool) -> ScriptedProcess:
        assert folder.read_status().state is JobState.QUEUED
        self.order.append(folder.name)
        self.resumed += [folder.name] * resume
        folder.write_status(Status(state=JobState.RUNNING, steps=6, pid=1, host=socket.gethostname()))
        return self.processes.setdefault(folder.name, ScriptedProcess(folder))

    def tell(self, _: str, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def keeper(queue: Queue, script: Script) -> QueueKeeper:
    queue.root.mkdir(parents=True, exist_ok=True)
    return QueueKeeper(queue.root, start=script.start, tell=script.tell)  # type: ignore[arg-type]


def add(queue: Queue, *lines: str) -> list[str]:
    """Queued runs from lines such as "a: cuda:0 cuda:1"."""
    parts = [line.partition(": ") for line in lines]
    return [queue.add(recipe(), name, devices=tuple(devices.split())).name for name, _, devices in parts]


def test_one_run_at_a_time_on_a_device_and_devices_do_not_wait(
    queue: Queue, keeper: QueueKeeper, script: Script
) -> None:
    a, b, c, d = add(queue, "a: cuda:0", "b: cuda:0", "c: cuda:1", "d: cuda:0 cuda:1")
    for _ in range(3):
        keeper.look()
    assert script.order == [a, c]
    script.processes[c].end()
    keeper.look()
    assert script.order == [a, c]  # d waits for the other device, and the next of this one is behind it
    script.processes[a].end(JobState.FAILED, code=1)
    keeper.look()
    assert script.order == [a, c, b]
    script.processes[b].end()
    keeper.look()
    assert script.order == [a, c, b, d]
    script.processes[d].end()
    keeper.look()
    keeper.look()
    assert not keeper.has_work()
    assert queue.listed() == []


def test_a_process_holds_its_device_until_it_has_ended(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    keeper.look()
    set_state(queue, a, JobState.FINISHED)  # it has said its last word
    keeper.look()
    assert script.order == [a]
    script.processes[a].returncode = 0
    keeper.look()
    assert script.order == [a, b]


@pytest.mark.provokes_log
def test_a_process_that_does_not_end_is_ended(
    queue: Queue, keeper: QueueKeeper, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_keeper, "_END_LIMIT_SECONDS", 0.0)
    a, b = add(queue, "a: cpu", "b: cpu")
    keeper.look()
    set_state(queue, a, JobState.FINISHED)
    for _ in range(3):
        keeper.look()
    assert script.processes[a].returncode == -9
    assert script.order == [a, b]


def test_runs_started_by_hand_hold_their_devices(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cuda:1")
    by_hand = RunFolder.create(queue.root / "by hand", recipe("train.device=cpu"))
    with by_hand.lock():
        by_hand.write_status(Status(state=JobState.PREPARING, pid=1, host=socket.gethostname()))
        keeper.look()
        assert script.order == [b]
        by_hand.write_status(Status(state=JobState.RUNNING, pid=1, host=socket.gethostname(), devices=("cuda:1",)))
        keeper.look()
        assert script.order == [b, a]
        assert keeper.has_work()
    assert by_hand.read_status().state is JobState.RUNNING  # its death is told by whoever follows it


def test_auto_is_the_device_that_the_run_says(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: auto", "b: cpu")
    keeper.look()
    keeper.look()
    assert script.order == [a]
    status = queue.folder(a).read_status()
    queue.folder(a).write_status(msgspec.structs.replace(status, devices=("cuda:0",)))
    keeper.look()
    assert script.order == [a, b]


def test_runs_on_other_machines_hold_none(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    (a,) = add(queue, "a: cpu")
    elsewhere = RunFolder.create(queue.root / "elsewhere", recipe("train.device=cpu"))
    elsewhere.write_status(Status(state=JobState.RUNNING, pid=1, host="elsewhere", heartbeat=time.time()))
    keeper.look()
    assert script.order == [a]


def test_what_was_added_elsewhere_starts_there(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b, c = add(queue, "a: cpu", "b: cpu", "c: cpu")
    with queue.changing() as entries:
        hosts = {a: "another-machine", b: "", c: entries[2].host}
        entries[:] = [msgspec.structs.replace(entry, host=hosts[entry.run]) for entry in entries]
    assert hosts[c] == socket.gethostname().partition(".")[0]
    for run in (b, c):
        keeper.look()
        assert script.order[-1:] == [run]
        script.processes[run].end()
    keeper.look()
    assert script.order == [b, c]
    assert not keeper.has_work()
    queue.keep_going()
    assert not queue.is_kept(), "nothing is to be started here"
    set_state(queue, a, JobState.FINISHED)  # it began and ended over there
    keeper.look()
    assert [entry.run for entry in queue.listed()] == [a], "whose end its own keeper tells"
    assert not any(a in told for told in script.told)


def test_a_run_whose_torchrun_starts_it_again_is_not_buried(
    queue: Queue, keeper: QueueKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_keeper, "_SILENCE_LIMIT_SECONDS", 0.0)
    (a,) = add(queue, "a: cpu")
    words = [sys.executable, "-c", "input()", "torch.distributed.run"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as launcher:
        dead = Status(state=JobState.RUNNING, pid=4_000_000, host=socket.gethostname(), launcher=launcher.pid)
        queue.folder(a).write_status(dead)
        for _ in range(3):
            keeper.look()
        assert state(queue, a) is JobState.RUNNING
        assert queue.folder(a).observed_status().state is JobState.RUNNING
        launcher.communicate(b"\n")
    assert queue.folder(a).observed_status().state is JobState.INTERRUPTED
    for _ in range(3):
        keeper.look()
    assert state(queue, a) is JobState.INTERRUPTED


def test_held_entries_are_passed_over(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    queue.hold(a, is_held=True)
    keeper.look()
    script.processes[b].end()
    keeper.look()
    assert script.order == [b]
    assert not keeper.has_work()
    queue.hold(a, is_held=False)
    keeper.look()
    assert script.order == [b, a]


def test_a_run_that_ended_early_is_resumed(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    folder = RunFolder.create(queue.root / "early", recipe())
    (folder.path / "checkpoints" / "step-0000003").mkdir()
    set_state(queue, "early", JobState.STOPPED)
    queue.add_again(folder, devices=("cpu",))
    keeper.look()
    assert script.resumed == ["early"]


def test_a_run_that_died_is_written_down_with_its_reason(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    keeper.look()
    script.processes[a].kill()
    keeper.look()
    assert queue.folder(a).read_status().state is JobState.INTERRUPTED
    (failure,) = [event for event in queue.folder(a).read_events() if isinstance(event, Failure)]
    assert "signal 9" in failure.message
    assert script.order == [a, b]
    assert "interrupted" in script.told[0]


@pytest.mark.provokes_log
@pytest.mark.parametrize("error", [RunError("run.toml is broken.", remedy="Mend it."), OSError("no more processes")])
def test_a_run_that_cannot_start_fails_with_a_sentence(queue: Queue, script: Script, error: Exception) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")

    def start(folder: RunFolder, *, resume: bool) -> ScriptedProcess:
        if folder.name == a:
            raise error
        return script.start(folder, resume=resume)

    keeper = QueueKeeper(queue.root, start=start, tell=script.tell)  # type: ignore[arg-type]
    for _ in range(3):
        keeper.look()
    status = queue.folder(a).read_status()
    assert status.state is JobState.FAILED
    assert str(error).split(".", maxsplit=1)[0] in status.message
    assert [type(event) for event in queue.folder(a).read_events()] == [Failure, StateChanged]
    assert script.order == [b]
    assert [entry.run for entry in queue.listed()] == [b]


def test_an_end_is_told_unless_a_window_does_it(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    with locked(queue.root / WINDOW_LOCK):
        keeper.look()
        script.processes[a].end()
        keeper.look()
        assert script.told == []
    script.processes[b].end()
    keeper.look()
    keeper.look()
    assert script.told == [f"{b} finished at step 0 of 6."]


@pytest.mark.provokes_log
def test_a_start_of_which_no_process_came_is_tried_once_more(
    queue: Queue, keeper: QueueKeeper, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper died between taking the entry and starting its process."""
    a, b = add(queue, "a: cpu", "b: cpu")
    set_state(queue, a, JobState.PREPARING)
    keeper.look()
    assert script.order == []  # its process may yet come, and holds the device
    monkeypatch.setattr(queue_keeper, "_START_LIMIT_SECONDS", 0.0)
    keeper.look()
    keeper.look()
    assert script.order == [a]
    del script.processes[a]
    set_state(queue, a, JobState.PREPARING)
    again = QueueKeeper(queue.root, start=script.start, tell=script.tell)  # type: ignore[arg-type]
    for _ in range(3):
        again.look()
    assert queue.folder(a).read_status().state is JobState.INTERRUPTED
    assert script.order == [a, b]


def test_an_earlier_keepers_runs_are_watched_and_written_down(
    queue: Queue, keeper: QueueKeeper, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    keeper.look()
    again = QueueKeeper(queue.root, start=script.start, tell=script.tell)  # type: ignore[arg-type]
    with queue.folder(a).lock():  # the run is alive
        again.look()
        assert again.has_work()
        assert script.order == [a]
    again.look()
    assert queue.folder(a).read_status().state is JobState.RUNNING
    monkeypatch.setattr(queue_keeper, "_SILENCE_LIMIT_SECONDS", 0.0)
    again.look()
    again.look()
    assert queue.folder(a).read_status().state is JobState.INTERRUPTED
    assert script.order == [a, b]


def test_a_queued_run_that_the_list_has_lost_starts_last(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    queue.file.unlink()
    (c,) = add(queue, "c: cpu")
    for run in (c, a, b):
        keeper.look()
        script.processes[run].end()
    assert script.order == [c, a, b]


def test_a_disk_that_is_gone_costs_nothing_but_a_round(queue: Queue, keeper: QueueKeeper, script: Script) -> None:
    a, b = add(queue, "a: cpu", "b: cpu")
    keeper.look()
    away = queue.root.rename(queue.root.with_name("away"))
    with pytest.raises(OSError, match="No such file"):
        keeper.look()
    assert not queue.root.exists()
    away.rename(queue.root)
    script.processes[a].end()
    keeper.look()
    assert script.order == [a, b]


def set_state(queue: Queue, run: str, state: JobState) -> None:
    queue.folder(run).write_status(Status(state=state, steps=6))


# ------------------------------------------------------------------------------------------------- real processes


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures ü")


@pytest.fixture
def started(queue: Queue) -> Iterator[Queue]:
    """A queue whose keeper and runs end with the test, and tell nothing on the desktop."""
    queue.root.mkdir(parents=True)
    with locked(queue.root / WINDOW_LOCK):
        yield queue
    for run in queue.root.glob("*/run.toml"):
        status = RunFolder(run.parent).read_status()
        if status.state.is_active and status.pid:
            os.kill(status.pid, signal.SIGKILL)
    if queue.is_kept():
        os.kill(keeper_of_ours(), signal.SIGTERM)
    wait_for(lambda: not queue.is_kept())


def keeper_of_ours() -> int:
    return queue_module._keepers[-1][1].pid


def state(queue: Queue, run: str) -> JobState:
    return queue.folder(run).read_status().state


def add_real(queue: Queue, data: Path, *settings: str) -> RunFolder:
    changed = recipe(f"data.path={data}", "train.preview_every=0", "train.device=cpu", *settings)
    return queue.add(changed, data.name, devices=("cpu",))


def test_a_failure_does_not_stop_those_behind_it(started: Queue, pictures: Path, tmp_path: Path) -> None:
    gone = write_pictures(tmp_path / "gone")
    first, second, third = (add_real(started, data) for data in (pictures, gone, pictures))
    gone.rename(tmp_path / "moved")  # after the run was queued
    started.keep_going()
    started.keep_going()
    wait_for(lambda: started.entries() == [])
    wait_for(lambda: not third.read_status().state.is_active)
    wait_for(lambda: not started.is_kept())
    assert [folder.read_status().state for folder in (first, second, third)] == ["finished", "failed", "finished"]
    assert "gone" in second.read_status().message
    assert not any(folder.is_locked() for folder in (first, second, third))
    assert started.listed() == []


def test_killed_in_mid_run_the_keeper_goes_on_where_it_was(started: Queue, pictures: Path) -> None:
    first = add_real(started, pictures, "train.steps=100000", "train.checkpoint_every=0")
    second = add_real(started, pictures)
    started.keep_going()
    wait_for(lambda: first.read_status().step)
    before = keeper_of_ours()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not started.is_kept())
    assert first.is_alive()
    started.keep_going()
    wait_for(lambda: is_locked(started.keeper_lock))
    assert keeper_of_ours() != before
    os.kill(first.read_status().pid, signal.SIGKILL)
    wait_for(lambda: second.read_status().state is JobState.FINISHED)
    assert first.read_status().state is JobState.INTERRUPTED
    for folder, state in ((first, JobState.INTERRUPTED), (second, JobState.FINISHED)):
        events = folder.read_events()
        assert [event.state for event in events if isinstance(event, StateChanged)] == ["preparing", "running", state]
        steps = [event.step for event in events if isinstance(event, Metrics)]
        assert steps == sorted(set(steps))  # no run was started twice


def test_told_to_end_the_keeper_leaves_the_runs_alive(started: Queue, pictures: Path) -> None:
    folder = add_real(started, pictures, "train.steps=100000", "train.checkpoint_every=0")
    started.keep_going()
    wait_for(lambda: folder.read_status().step)
    os.kill(keeper_of_ours(), signal.SIGTERM)
    wait_for(lambda: not started.is_kept())
    assert folder.is_alive()


def test_there_is_one_keeper_and_it_ends_with_nothing_to_do(started: Queue) -> None:
    command = [sys.executable, "-m", "dit_studio.jobs.queue_keeper", str(started.root)]
    keepers = [subprocess.Popen(command) for _ in range(2)]
    first = next(iter(wait_for(lambda: [keeper for keeper in keepers if keeper.poll() is not None])))
    assert first.returncode == 0
    assert started.is_kept()
    assert [keeper.wait(LIMIT_SECONDS) for keeper in keepers] == [0, 0]
    assert not started.is_kept()


def test_a_keeper_that_fails_is_said_with_where_to_look(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    add(queue, "a: cpu")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    queue.keep_going()

    def failure() -> str:
        try:
            queue.keep_going()
        except RunError as error:
            return str(error)
        return ""

    assert "queue.log says why" in wait_for(failure)
    wait_for(lambda: not queue.is_kept())
