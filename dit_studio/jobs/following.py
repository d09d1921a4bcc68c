"""Following a run through its folder, whoever started it and wherever it is at work, until it ends or is found dead."""

import logging
import subprocess
import time
from collections.abc import Generator, Iterator

from dit_studio.events import CaughtUp, Event, Failure, JobState, Notice, StateChanged
from dit_studio.jobs import liveness
from dit_studio.jobs.death import death
from dit_studio.jobs.event_log import EventReader
from dit_studio.jobs.run_folder import RunFolder, Status

_log = logging.getLogger(__name__)
_Process = subprocess.Popen[bytes]
_POLL_SECONDS = 0.1
_START_LIMIT_SECONDS = 60.0
_END_LIMIT_SECONDS = 30.0
_UNREACHABLE_LIMIT_SECONDS = 600.0


def follow(folder: RunFolder, *, process: _Process | None = None) -> Iterator[Event | None]:
    """What a run has said so far, CaughtUp, and what it says until it ends; None whenever there is nothing new.

    A run whose process died is written down as interrupted, with the reason as far as it is known; not while its
    torchrun is alive, which may start it again. While the folder cannot be reached the run counts as before, and a
    notice says so.
    """
    reader = EventReader(folder)
    if process is None and folder.observed_status().state is JobState.INTERRUPTED:
        folder.is_alive_elsewhere()  # what seemed to be dead by another machine's clock may live
    yield from reader.history()
    yield CaughtUp()
    deadline = time.monotonic() + _START_LIMIT_SECONDS
    while (yield from _until_reachable(folder)):
        gone = _is_gone(folder, process, deadline)  # looked at before the last read, so that nothing is missed
        yield from reader.drain()
        status = folder.read_status()
        has_ended = _has_ended(folder, status) and (process is not None or not folder.has_launcher(status))
        if (gone or has_ended) and not folder.is_reachable():
            continue
        if has_ended:
            yield from reader.drain()
            _await_end(process)
            return
        if gone:
            if (yield from _mark_death(folder, reader, death(folder, process, status))):
                return
            process = None if folder.is_alive() else process  # another one has taken the run
        yield None
        time.sleep(_POLL_SECONDS)


def mark_if_dead(folder: RunFolder, *, process: _Process | None = None) -> bool:
    """Write down, without following it, that a run's process is gone, with the reason as far as it is known.

    False if the run has ended well or lives: in another process, maybe.
    """
    if process is not None and process.poll() is None:
        return False
    status = folder.read_status()
    if process is None and folder.has_launcher(status):
        return False
    return status.state.is_active and folder.mark_interrupted(death(folder, process, status))


def _until_reachable(folder: RunFolder) -> Generator[Event | None, None, bool]:
    """Wait while the folder cannot be reached; False if that takes too long."""
    if folder.is_reachable():
        return True
    message = f"The run's folder cannot be reached: {folder.path}. It is looked for again and again."
    yield Notice(message=message, level="warning")
    deadline = time.monotonic() + _UNREACHABLE_LIMIT_SECONDS
    while not folder.is_reachable():
        if time.monotonic() > deadline:
            yield Failure(
                message=f"The run's folder could not be reached for {_UNREACHABLE_LIMIT_SECONDS / 60:g} minutes: "
                f"{folder.path}. The run may be at work all the same.",
                remedy="See that its disk is there, then open the run again.",
                code="unreachable",
            )
            yield StateChanged(state=JobState.INTERRUPTED)
            return False
        yield None
        time.sleep(_POLL_SECONDS)
    liveness.forget(folder.path)  # it could not be seen to live
    yield Notice(message="The run's folder can be reached again.")
    return True


def _has_ended(folder: RunFolder, status: Status) -> bool:
    """Nothing more is to come; a run that waits in the queue is still to begin."""
    if status.state is JobState.IDLE:
        return not folder.is_locked()
    return not status.state.is_active and status.state is not JobState.QUEUED


def _is_gone(folder: RunFolder, process: _Process | None, deadline: float) -> bool:
    if process is not None:
        return process.poll() is not None
    status = folder.read_status()
    return status.state.is_active and not folder.is_alive(status) and (bool(status.pid) or time.monotonic() > deadline)


def _mark_death(folder: RunFolder, reader: EventReader, failure: Failure) -> Generator[Event, None, bool]:
    """Say that the process is gone; False if another has taken the run."""
    if folder.mark_interrupted(failure):
        yield from reader.drain()
        return True
    if folder.is_alive() or not folder.is_reachable():
        return False
    yield failure  # it cannot be written down, so it is only said
    yield StateChanged(state=JobState.INTERRUPTED, step=failure.step)
    return True


def _await_end(process: _Process | None) -> None:
    """A process that has said its last word goes soon."""
    if process is None:
        return
    try:
        process.wait(_END_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("process %d does not end after its last word, and is killed", process.pid)
        process.kill()
        process.wait()
