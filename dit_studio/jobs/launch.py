"""How a job is started: in a worker process, or in this one. Either way it is one object that yields events."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from dit_studio.device_names import AUTO
from dit_studio.events import AnyEvent, CaughtUp, Event
from dit_studio.jobs import table, training
from dit_studio.jobs.event_log import EventReader
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.worker import Worker, failure_of

_ENDS_AT_A_STEP = ("sample", "sweep", "draw_npz", "export", "evaluate_plan", "download_model_file", "report",
                   "convert_model", "save_statistics", "see_attention", "export_attention",
                   "find_batch_size", "find_learning_rate", "export_run", "import_run",
                   "export_tensorboard")  # fmt: skip
_left_running: list["subprocess.Popen[bytes]"] = []  # runs that nobody here follows any more; they outlive us


_ON_SEVERAL_DEVICES = ("sweep", "draw_npz", "evaluate_plan", "save_statistics")  # many images, no conversation


class Job(Protocol):
    """Something that yields events until it ends; None means "nothing new yet"."""

    def events(self) -> Iterator[Event | None]: ...

    def cancel(self) -> None:
        """Stop yielding soon; safe from any thread. What draws or writes ends at its next step, keeps what is finished
        and says so; asked a second time it ends at once."""


class Launcher:
    """Starts jobs for a window or a script; `close` ends the warm processes, and leaves training runs alive."""

    def __init__(self, *, in_process: bool = False, drawing_devices: str = AUTO) -> None:
        self.in_process = in_process
        self.drawing_devices = drawing_devices  # of what draws or measures many images; as in train.device
        self._scanner, self._planner, self._sampler, self._exporter = (Worker() for _ in range(4))
        self._evaluator, self._shower, self._fetcher = (Worker() for _ in range(3))
        self._finder = Worker(stays_warm=False)

    def call(self, job: str, **params: Any) -> Job:
        """A job of the table that answers a question."""
        if job in _ON_SEVERAL_DEVICES and self.drawing_devices != AUTO:
            params.setdefault("device", self.drawing_devices)
        return _Call(job, params, worker=None if self.in_process else self._worker_for(job))

    def _worker_for(self, job: str) -> Worker:
        if job in ("describe_sampling", "sample", "sweep", "draw_npz", "see_attention", "export_attention"):
            return self._sampler  # which keeps the model
        return {
            "scan_data": self._scanner, "export": self._exporter, "report": self._exporter,
            "convert_model": self._exporter, "export_run": self._exporter, "import_run": self._exporter,
            "export_tensorboard": self._exporter,
            "time_attention": self._evaluator, "time_family": self._evaluator,
            "evaluate_plan": self._evaluator, "save_statistics": self._evaluator, "pictures": self._shower,
            "reconstruct": self._shower,
            "find_batch_size": self._finder, "find_learning_rate": self._finder,
            "model_files": self._fetcher, "download_model_file": self._fetcher, "add_model_file": self._fetcher,
        }.get(job, self._planner)  # fmt: skip

    def train(self, folder: RunFolder, *, resume: bool = False) -> Job:
        """Start training and follow it. Cancelling stops following; the run goes on unless it is in this process."""
        if self.in_process:
            return _TrainingHere(folder, resume=resume)
        return _Following(folder, training.start_worker(folder, resume=resume))

    def follow(self, folder: RunFolder) -> Job:
        """Watch a run, from its first event, whoever started it."""
        return _Following(folder, None)

    def close(self) -> None:
        for worker in (
            self._scanner, self._planner, self._sampler, self._exporter, self._evaluator, self._shower, self._fetcher,
            self._finder,
        ):  # fmt: skip
            worker.kill()


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
            if self._cancelled.is_set() and not self._ends_at_a_step:
                return
            yield event

    def _events_here(self) -> Iterator[Event]:
        try:
            with contextlib.closing(table.call(self._job, self._params)) as events:
                for event in events:
                    yield event
                    if self._cancelled.is_set():
                        return
        except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
            yield failure_of(error)

    def cancel(self) -> None:
        if self._worker is None:
            self._cancelled.set()
        elif self._ends_at_a_step and not self._cancelled.is_set():
            self._worker.stop(self._cancelled)
        else:
            self._worker.cancel(self._cancelled)

    @property
    def _ends_at_a_step(self) -> bool:
        return self._job in _ENDS_AT_A_STEP


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
        yield from EventReader(self._folder).history()
        yield CaughtUp()
        for event in training.run(self._folder, resume=self._resume):
            yield event
            if self._cancelled.is_set():
                return

    def cancel(self) -> None:
        self._cancelled.set()
