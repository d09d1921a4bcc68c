"""How a job is started: in a worker process, or in this one. Either way it is one object that yields events."""

import subprocess
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from dit_studio.events import AnyEvent, Event
from dit_studio.jobs import table, training
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.worker import Worker, failure_of

_left_running: list["subprocess.Popen[bytes]"] = []  # runs that nobody here follows any more; they outlive us


class Job(Protocol):
    """Something that yields events until it ends; None means "nothing new yet"."""

    def events(self) -> Iterator[Event | None]: ...

    def cancel(self) -> None:
        """Stop yielding soon; safe from any thread."""


class Launcher:
    """Starts jobs for a window or a script; `close` ends the warm processes, and leaves training runs alive."""

    def __init__(self, *, in_process: bool = False) -> None:
        self.in_process = in_process
        self._scanner, self._planner = Worker(), Worker()

    def call(self, job: str, **params: Any) -> Job:
        """A job of the table that answers a question."""
        if self.in_process:
            return _Call(job, params, worker=None)
        return _Call(job, params, worker=self._scanner if job == "scan_data" else self._planner)

    def train(self, folder: RunFolder, *, resume: bool = False) -> Job:
        """Start training and follow it. Cancelling stops following; the run goes on unless it is in this process."""
        if self.in_process:
            return _TrainingHere(folder, resume=resume)
        return _Following(folder, training.start_worker(folder, resume=resume))

    def follow(self, folder: RunFolder) -> Job:
        """Watch a run, from its first event, whoever started it."""
        return _Following(folder, None)

    def close(self) -> None:
        self._scanner.kill()
        self._planner.kill()


class _Call:
    def __init__(self, job: str, params: dict[str, Any], *, worker: Worker | None) -> None:
        self._job, self._params, self._worker = job, params, worker
        self._cancelled = threading.Event()

    def events(self) -> Iterator[AnyEvent | Event]:
        source = (
            self._worker.call(self._job, self._params, cancelled=self._cancelled)
            if self._worker
            else self._events_here()
        )
        for event in source:
            if self._cancelled.is_set():
                return
            yield event

    def _events_here(self) -> Iterator[Event]:
        try:
            yield from table.call(self._job, self._params)
        except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
            yield failure_of(error)

    def cancel(self) -> None:
        if self._worker:
            self._worker.cancel(self._cancelled)
        self._cancelled.set()


class _Following:
    def __init__(self, folder: RunFolder, process: "subprocess.Popen[bytes] | None") -> None:
        self._folder, self._process = folder, process
        self._cancelled = threading.Event()

    def events(self) -> Iterator[Event | None]:
        try:
            for event in training.follow(self._folder, process=self._process):
                if self._cancelled.is_set():
                    return
                yield event
        finally:
            if self._process is not None and self._process.poll() is None:
                _left_running.append(self._process)

    def cancel(self) -> None:
        self._cancelled.set()


class _TrainingHere:
    def __init__(self, folder: RunFolder, *, resume: bool) -> None:
        self._folder, self._resume = folder, resume
        self._cancelled = threading.Event()

    def events(self) -> Iterator[Event | None]:
        yield from self._folder.read_events()
        for event in training.run(self._folder, resume=self._resume):
            yield event
            if self._cancelled.is_set():
                return

    def cancel(self) -> None:
        self._cancelled.set()
