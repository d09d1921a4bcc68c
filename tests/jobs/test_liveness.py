"""Whether a run is alive on another machine: by what changes before our own clock, whatever the wall clocks say."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from dit_studio.config import Recipe
from dit_studio.errors import RunError
from dit_studio.events import Failure, JobState
from dit_studio.jobs import liveness
from dit_studio.jobs.run_folder import RunFolder, Status

THERE = Status(state=JobState.RUNNING, pid=77, host="elsewhere", step=12)


@dataclass
class Clocks:
    """Ours: one that only runs, and the wall's, which jumps."""

    monotonic: float = 1000.0
    wall: float = 1e9

    def sleep(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(time, "monotonic", lambda: clocks.monotonic)
    monkeypatch.setattr(time, "time", lambda: clocks.wall)
    monkeypatch.setattr(time, "sleep", clocks.sleep)
    return clocks


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", Recipe())


def beat(folder: RunFolder, heartbeat: float) -> None:
    folder.write_status(msgspec.structs.replace(THERE, heartbeat=heartbeat))


@pytest.mark.parametrize("skew", [0.0, -200.0, +7200.0])
def test_a_heartbeat_lives_until_it_has_stood_still_before_our_eyes(
    folder: RunFolder, clocks: Clocks, skew: float
) -> None:
    for _ in range(3):
        beat(folder, clocks.wall + skew)
        assert folder.observed_status().state is JobState.RUNNING
        clocks.sleep(liveness.STALE_SECONDS - 1)
    clocks.sleep(2)
    assert folder.observed_status().state is JobState.INTERRUPTED
    beat(folder, clocks.wall + skew)
    assert folder.observed_status().state is JobState.RUNNING, "it was only slow"


def test_our_wall_clock_may_jump_while_we_watch(folder: RunFolder, clocks: Clocks) -> None:
    beat(folder, clocks.wall)
    assert folder.is_alive()
    for jump in (+36_000.0, -72_000.0):
        clocks.wall += jump
        clocks.sleep(10)
        assert folder.is_alive(), "a jump is no age"
    clocks.sleep(liveness.STALE_SECONDS)
    assert not folder.is_alive()


def test_a_heartbeat_of_long_ago_counts_as_gone_until_it_changes(folder: RunFolder, clocks: Clocks) -> None:
    beat(folder, clocks.wall - 7200)
    assert folder.observed_status().state is JobState.INTERRUPTED
    beat(folder, clocks.wall - 7198)  # its clock is two hours behind
    assert folder.observed_status().state is JobState.RUNNING


def test_one_writer_also_where_locks_do_not_reach(folder: RunFolder, clocks: Clocks) -> None:
    beat(folder, clocks.wall - 7200)

    def sleep(seconds: float) -> None:
        clocks.sleep(seconds)
        beat(folder, clocks.wall - 7200)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        with pytest.raises(RunError, match="process 77 on elsewhere, at step 12"), folder.lock():
            pass
        assert not folder.mark_interrupted(Failure(message="gone"))


@pytest.mark.parametrize("age", [7200.0, 1.0])
def test_a_machine_that_is_gone_does_not_block(folder: RunFolder, clocks: Clocks, age: float) -> None:
    beat(folder, clocks.wall - age)
    began = clocks.monotonic
    with folder.lock():
        waited = clocks.monotonic - began
    limit = liveness.STALE_SECONDS if age == 1.0 else 3 * liveness.HEARTBEAT_SECONDS
    assert limit <= waited < limit + 1


def test_a_dead_process_of_this_machine_does_not_block(folder: RunFolder, clocks: Clocks) -> None:
    folder.write_status(msgspec.structs.replace(THERE, host=socket.gethostname(), heartbeat=clocks.wall))
    began = clocks.monotonic
    assert not folder.is_alive(), "the lock decides here"
    with folder.lock():
        assert clocks.monotonic == began
        assert folder.is_alive()


def test_a_run_that_is_being_started_is_alive_for_a_while(folder: RunFolder, clocks: Clocks) -> None:
    folder.write_status(Status(state=JobState.PREPARING, heartbeat=clocks.wall))
    assert folder.is_alive()
    clocks.wall += 36_000
    assert folder.is_alive()
    clocks.sleep(liveness.STALE_SECONDS + 1)
    assert folder.observed_status().state is JobState.INTERRUPTED
