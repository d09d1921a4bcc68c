"""A training job: run here or in a worker process, and followed, in either case, through its run folder."""

import argparse
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from dit_studio.config import recipe_to_tables
from dit_studio.errors import DiskFullError, StudioError
from dit_studio.events import AnyEvent, Command, Event, Failure, JobState, Metrics, StateChanged
from dit_studio.files import free_bytes, remove_leftovers
from dit_studio.jobs import table
from dit_studio.jobs.event_log import EventReader, EventWriter
from dit_studio.jobs.run_folder import HEARTBEAT_SECONDS, RunFolder, Status, advance
from dit_studio.jobs.worker import failure_of

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_DISK_FULL_STATUS = 28  # of a worker that could not write down why it ends
_START_LIMIT_SECONDS = 60.0
_END_LIMIT_SECONDS = 30.0


def run(folder: RunFolder, *, resume: bool = False) -> Iterator[Event]:
    """Train in this process and thread; yields each event after it has been written to the run folder.

    Failures become events. Raises: RunError if another process works on the run.
    """
    with folder.lock(), EventWriter(folder) as writer, _Heart(folder) as heart:
        for place in (folder.path, folder.path / "checkpoints", folder.path / "previews"):
            remove_leftovers(place)
        folder.forget_commands()
        heart.beat(StateChanged(state=JobState.PREPARING))
        for event in _events_of(folder, resume=resume):
            event = _stamped(event)
            try:
                writer.append(event)
                heart.beat(event)
            except StudioError as error:  # the disk is full: say so to whoever listens, and end
                _log.error("%s", error)
                heart.end(error.message)
                yield failure_of(error)
                yield StateChanged(state=JobState.FAILED, message=error.message)
                return
            yield event


def _events_of(folder: RunFolder, *, resume: bool) -> Iterator[Event]:
    """The engine's events, and after a failure what it was."""
    yield StateChanged(state=JobState.PREPARING)
    try:
        train = table.resolve("train")
        yield from train(
            recipe=recipe_to_tables(folder.recipe()),
            folder=str(folder.path),
            next_command=_command_source(folder),
            resume=resume,
        )
    except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
        is_foreseen = isinstance(error, StudioError)
        _log.error("training failed: %s", error, exc_info=None if is_foreseen else error)
        failure = failure_of(error)
        yield failure
        yield StateChanged(state=JobState.FAILED, message=failure.message)


def _command_source(folder: RunFolder) -> Callable[[bool], Command | None]:
    """What the engine asks at each step: the next command; when told to wait, it waits for one."""

    def next_command(wait: bool) -> Command | None:
        command = folder.take_command()
        while wait and command is None:
            time.sleep(_POLL_SECONDS / 2)
            command = folder.take_command()
        return command

    return next_command


def _stamped(event: Event) -> Event:
    return event if event.time else msgspec.structs.replace(event, time=time.time())


class _Heart:
    """Keeps `status.json` fresh, also while a single step takes minutes."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._status = msgspec.structs.replace(
            folder.read_status(), pid=os.getpid(), host=socket.gethostname(), message="", heartbeat=time.time()
        )
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def __enter__(self) -> "_Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._status.state.is_active:  # the caller gave up in mid-run
            with suppress(StudioError):
                self.beat(StateChanged(state=JobState.INTERRUPTED))

    def end(self, message: str) -> None:
        """The run failed because something could not be written; say so if at least this can be."""
        with suppress(StudioError):
            self.beat(StateChanged(state=JobState.FAILED, message=message))

    def beat(self, event: Event) -> None:
        """Note the event; written at once unless it is one of many."""
        with self._lock:
            self._status = advance(self._status, event)
            if not isinstance(event, Metrics):
                self._write()

    def _keep_beating(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with self._lock:
                try:
                    self._write()
                except StudioError as error:
                    _log.warning("no heartbeat: %s", error)

    def _write(self) -> None:
        self._status = msgspec.structs.replace(self._status, heartbeat=time.time())
        self._folder.write_status(self._status)


# ------------------------------------------------------------------------------------------------- the worker process


def start_worker(folder: RunFolder, *, resume: bool = False) -> "subprocess.Popen[bytes]":
    """Start a process that trains and that outlives this one. It is heard through the run folder."""
    status = folder.read_status()
    folder.write_status(
        Status(state=JobState.PREPARING, step=status.step, steps=status.steps, heartbeat=time.time(),
               started=status.started, seconds=status.seconds, preview=status.preview)
    )  # fmt: skip
    command = [sys.executable, "-m", "dit_studio.jobs.training", str(folder.path)]
    with folder.log_file.open("ab") as log:
        return subprocess.Popen(
            [*command, "--resume"] if resume else command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def follow(folder: RunFolder, *, process: "subprocess.Popen[bytes] | None" = None) -> Iterator[AnyEvent | None]:
    """The events of a run, from its first, until it ends; None whenever there is nothing new.

    A run whose process died is written down as interrupted, with the reason as far as it is known.
    """
    reader, deadline = EventReader(folder), time.monotonic() + _START_LIMIT_SECONDS
    while True:
        gone = _is_gone(folder, process, deadline)  # looked at before the last read, so that nothing is missed
        yield from reader.drain()
        status = folder.read_status()
        if not status.state.is_active:
            yield from reader.drain()
            if process is not None:
                _await_end(process)
            return
        if gone:
            status = functools.reduce(advance, folder.read_events(), status)  # which is written every two seconds
            failure = _death(folder, process, status)
            if folder.mark_interrupted(failure):
                yield from reader.drain()
                return
            if not folder.is_locked():  # it cannot be written down, so it is only said
                yield failure
                yield StateChanged(state=JobState.INTERRUPTED, step=status.step)
                return
            process = None  # another process has taken the run
        yield None
        time.sleep(_POLL_SECONDS)


def _await_end(process: "subprocess.Popen[bytes]") -> None:
    """A process that has said its last word goes soon."""
    try:
        process.wait(_END_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("process %d does not end after its last word, and is killed", process.pid)
        process.kill()
        process.wait()


def _is_gone(folder: RunFolder, process: "subprocess.Popen[bytes] | None", deadline: float) -> bool:
    if process is not None:
        return process.poll() is not None
    status = folder.read_status()
    return status.state.is_active and not folder.is_alive(status) and (bool(status.pid) or time.monotonic() > deadline)


def mark_if_dead(folder: RunFolder, *, process: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Write down, without following it, that a run's process is gone, with the reason as far as it is known.

    False if the run has ended well or lives: in another process, maybe.
    """
    if process is not None and process.poll() is None:
        return False
    status = folder.read_status()
    return status.state.is_active and folder.mark_interrupted(_death(folder, process, status))


def _death(folder: RunFolder, process: "subprocess.Popen[bytes] | None", status: Status) -> Failure:
    """What can be said of a process that ended without a word."""
    code = process.poll() if process is not None else None
    if code is not None and -code == getattr(signal, "SIGKILL", 9):
        reason = "The training process was killed (signal 9), often because the machine ran out of memory."
    elif code is not None and code < 0:
        reason = f"The training process died from signal {-code} ({signal.Signals(-code).name})."
    elif code == _DISK_FULL_STATUS:
        reason = f"The run stopped because its disk is full: {free_bytes(folder.path) / 2**20:.0f} MB are free."
    elif code:
        reason = f"The training process ended with exit code {code} and said nothing."
    else:
        reason = "The training process is gone: it was killed, or the machine went down."
    last = folder.checkpoints()
    remedy = f"Resume goes on from {last[-1].name}." if last else _NO_CHECKPOINT
    kind = DiskFullError.code if code == _DISK_FULL_STATUS else "killed"
    return Failure(message=reason, remedy=remedy, code=kind, details=_log_tail(folder), step=status.step)


_NO_CHECKPOINT = "No checkpoint had been saved yet: start again. Images that were prepared or encoded are kept."


def _log_tail(folder: RunFolder, lines: int = 40) -> str:
    try:
        return "\n".join(folder.log_file.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def main() -> int:
    """The worker process: train, and say everything through the run folder."""
    parser = argparse.ArgumentParser(prog="dit_studio.jobs.training")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = RunFolder.open(arguments.folder)
    signal.signal(signal.SIGTERM, lambda *_: folder.send(Command.STOP))
    state, code = JobState.FAILED, ""
    for event in run(folder, resume=arguments.resume):
        if isinstance(event, Failure):
            code = event.code
        if isinstance(event, StateChanged):
            state = event.state
            _log.info("%s at step %d %s", state, event.step, event.message)
    if code == DiskFullError.code:
        return _DISK_FULL_STATUS
    return 1 if state is JobState.FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
