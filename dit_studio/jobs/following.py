"""Following a run through its folder, whoever started it and wherever it is at work, until it ends or is found dead."""

import functools
import logging
import signal
import subprocess
import time
from collections.abc import Generator, Iterator

from dit_studio.errors import DiskFullError, UnwritableError
from dit_studio.events import CaughtUp, Event, Failure, JobState, Notice, StateChanged
from dit_studio.files import free_bytes
from dit_studio.jobs import liveness, rank_failures
from dit_studio.jobs.event_log import EventReader, last_events
from dit_studio.jobs.run_folder import RunFolder, Status, advance
from dit_studio.patience import PATIENCE_SECONDS

_log = logging.getLogger(__name__)
DISK_FULL_STATUS, UNWRITABLE_STATUS = 28, 74  # of a worker that could not write down why it ends
_Process = subprocess.Popen[bytes]
_POLL_SECONDS = 0.1
_START_LIMIT_SECONDS = 60.0
_END_LIMIT_SECONDS = 30.0
_UNREACHABLE_LIMIT_SECONDS = 600.0
_NO_CHECKPOINT = "No checkpoint had been saved yet: start again. Images that were prepared or encoded are kept."


def follow(folder: RunFolder, *, process: _Process | None = None) -> Iterator[Event | None]:
    """What a run has said so far, CaughtUp, and what it says until it ends; None whenever there is nothing new.

    A run whose process died is written down as interrupted, with the reason as far as it is known. While the folder
    cannot be reached the run counts as before, and a notice says so.
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
        if (gone or _has_ended(folder, status)) and not folder.is_reachable():
            continue
        if _has_ended(folder, status):
            yield from reader.drain()
            _await_end(process)
            return
        if gone:
            if (yield from _mark_death(folder, reader, _death(folder, process, status))):
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
    return status.state.is_active and folder.mark_interrupted(_death(folder, process, status))


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


def _death(folder: RunFolder, process: _Process | None, status: Status) -> Failure:
    """What can be said of a process that ended without a word."""
    status = functools.reduce(advance, last_events(folder), status)  # which is written every two seconds
    code = process.poll() if process is not None else None
    reason, kind = _reason(folder, code)
    last = folder.checkpoints()
    remedy = f"Resume goes on from {last[-1].name}." if last else _NO_CHECKPOINT
    details = _log_tail(folder)
    if failed := rank_failures.read(folder):
        reason = f"{reason} {rank_failures.sentence(failed)}"
        details = "\n\n".join([*(failure.details for failure in failed if failure.details), details])
    return Failure(message=reason, remedy=remedy, code=kind, details=details, step=status.step)


def _reason(folder: RunFolder, code: int | None) -> tuple[str, str]:
    """The sentence and its kind for the exit code of a process, None if that is not known."""
    if code == DISK_FULL_STATUS:
        free = free_bytes(folder.path) / 2**20
        return f"The run stopped because its disk is full: {free:.0f} MB are free.", DiskFullError.code
    if code == UNWRITABLE_STATUS:
        reason = f"The run stopped because its folder could not be written for {PATIENCE_SECONDS:g} s."
        return reason, UnwritableError.code
    if code is None or code == 0:
        return "The training process is gone: it was killed, or the machine went down.", "killed"
    if -code == getattr(signal, "SIGKILL", 9):
        return "The training process was killed (signal 9), often because the machine ran out of memory.", "killed"
    if code < 0:
        return f"The training process died from signal {-code} ({_name_of(-code)}).", "killed"
    return f"The training process ended with exit code {code} and said nothing.", "killed"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return "no name"


def _log_tail(folder: RunFolder, lines: int = 40) -> str:
    try:
        return "\n".join(folder.log_file.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
