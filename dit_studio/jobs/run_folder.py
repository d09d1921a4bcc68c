"""The run folder: everything a training job says, needs and leaves behind, as files that anyone may watch.

run.toml, environment.json, status.json, events.jsonl, log.txt and run.lock, and the folders checkpoints, previews,
evaluations and commands.
"""

import functools
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from dit_studio.config import Recipe, dump_recipe, load_recipe
from dit_studio.errors import RunError, StudioError
from dit_studio.events import (
    AnyEvent,
    Command,
    Event,
    Failure,
    JobState,
    Measured,
    Metrics,
    PreviewSaved,
    Started,
    StateChanged,
    Validation,
)
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.jobs import liveness
from dit_studio.jobs.event_log import EventReader, EventWriter, last_events
from dit_studio.jobs.restarts import is_torchrun
from dit_studio.jobs.run_names import shortened
from dit_studio.locks import is_locked, try_lock

_LOCK_TRIES, _LOCK_WAIT_SECONDS = 20, 0.025


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `status.json` holds; enough for a row of the list of runs."""

    state: JobState = JobState.IDLE
    step: int = 0
    steps: int = 0
    message: str = ""
    pid: int = 0
    host: str = ""
    heartbeat: float = 0.0  # wall clock, seconds since 1970
    started: float = 0.0
    seconds: float = 0.0  # of training so far
    loss: float | None = None
    validation_loss: float | None = None
    preview: str = ""  # the newest picture, relative to the run folder
    images_per_second: float | None = None
    devices: tuple[str, ...] = ()  # of this machine, that the run is at work on
    processes: int = 1  # on all machines
    metric: str = ""  # the newest figure's name, with its extractor and number
    metric_value: float | None = None
    launcher: int = 0  # pid of the torchrun that watches the process `pid`; 0: there is none

    @property
    def is_of_another_machine(self) -> bool:
        return self.host not in ("", socket.gethostname())

    @property
    def worker(self) -> str:
        """Who is at work, as the end of a sentence."""
        return f"process {self.pid} on {self.host}, at step {self.step:,}" if self.pid else "one that is just starting"


class RunFolder:
    """One run on disk. Any number may read; whoever holds `lock()` may write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> "RunFolder":
        """A new run. Raises: RunError if there is one already, or if the folder cannot be written."""
        folder = cls(path)
        if folder.is_run():
            raise RunError(f"{path} already holds a run.", remedy="Resume it, or choose another folder.")
        with naming_disk_errors(path):
            for name in ("checkpoints", "previews", "commands"):
                (path / name).mkdir(parents=True, exist_ok=True)
        write_atomically(path / "run.toml", dump_recipe(recipe).encode())
        folder.write_status(Status(steps=recipe.train.steps, started=time.time()))
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run. Raises: RunError if `path` is none."""
        folder = cls(path)
        if not folder.is_run():
            raise RunError(f"{path} is not a run: it has no run.toml.", remedy="Choose a folder that training wrote.")
        return folder

    def is_run(self) -> bool:
        return os.path.isfile(self.path / "run.toml")  # noqa: PTH113  Path.is_file raises where a disk is gone

    def is_reachable(self) -> bool:
        """Its files are there; a shared disk may be gone for a while."""
        try:
            with os.scandir(self.path) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    def recipe(self) -> Recipe:
        """Raises: ConfigError if `run.toml` was edited into something impossible."""
        return load_recipe(self.path / "run.toml")

    # --------------------------------------------------------------------------------------------- status

    def read_status(self) -> Status:
        """What was written last; if that is damaged or gone, what the newest events tell."""
        return self._written_status() or self._status_by_events()

    def _status_by_events(self) -> Status:
        status = _status_after(last_events(self))
        if status.steps:
            return status
        try:
            return msgspec.structs.replace(status, steps=self.recipe().train.steps)
        except (StudioError, OSError):
            return status

    def _written_status(self) -> Status | None:
        try:
            return msgspec.json.decode((self.path / "status.json").read_bytes(), type=Status)
        except (OSError, msgspec.DecodeError):
            return None

    def write_status(self, status: Status) -> None:
        write_atomically(self.path / "status.json", msgspec.json.encode(status))

    def observed_status(self) -> Status:
        """The status as it really is: a run whose process is gone is interrupted, whatever it wrote last."""
        status = self.read_status()
        if status.state.is_active and not self.is_alive(status):
            return msgspec.structs.replace(status, state=JobState.INTERRUPTED)
        return status

    def is_alive(self, status: Status | None = None) -> bool:
        """A process works on this run: it holds the lock, or its heartbeat changes on another machine."""
        if self.is_locked():
            return True
        status = status or self.read_status()
        is_starting = status.state is JobState.PREPARING and not status.pid
        if status.state.is_active and (status.is_of_another_machine or is_starting):
            return liveness.is_beating(self.path, status.heartbeat)
        return status.state.is_active and self.has_launcher(status)

    def has_launcher(self, status: Status | None = None) -> bool:
        """The torchrun of this run is alive on this machine: it may start the run's processes again."""
        status = status or self.read_status()
        return bool(status.launcher) and not status.is_of_another_machine and is_torchrun(status.launcher)

    def is_alive_elsewhere(self) -> bool:
        """A process works on this run on another machine. No guess: looks on for seconds, a minute at most."""
        return liveness.is_surely_beating(self.path, self._heartbeat_elsewhere)

    def _heartbeat_elsewhere(self) -> float | None:
        status = self.read_status()
        return status.heartbeat if status.state.is_active and status.is_of_another_machine else None

    def is_of_another_process(self) -> bool:
        """Another process than this one has taken the run, as far as can be read."""
        status = self._written_status()
        return status is not None and bool(status.pid) and (status.host, status.pid) != (
            socket.gethostname(), os.getpid(),
        )  # fmt: skip

    def mark_interrupted(self, failure: Failure) -> bool:
        """Write down that the run's process is gone; False if another process has taken the run meanwhile."""
        try:
            with self.lock():
                status = self.read_status()
                if status.state.is_active:
                    status = functools.reduce(advance, last_events(self), status)  # it is written every two seconds
                    with EventWriter(self) as writer:
                        writer.append(failure)
                        writer.append(StateChanged(state=JobState.INTERRUPTED, step=status.step))
                    self.write_status(
                        msgspec.structs.replace(status, state=JobState.INTERRUPTED, message=failure.message)
                    )
                return True
        except StudioError:
            return False

    # --------------------------------------------------------------------------------------------- lock

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer of this run; the system lets go of the lock when the process ends, however it ends.

        Raises: RunError if another process holds it, or is at work on another machine, which the lock may not reach.
        """
        with naming_disk_errors(self.path), (self.path / "run.lock").open("a+b") as file:
            if not _lock_soon(file) or self.is_alive_elsewhere():
                raise self.in_use(self.read_status())
            yield

    def in_use(self, status: Status) -> RunError:
        """What is said to whoever wants to write the run while another process does."""
        known = f": {status.worker}" if status.state.is_active else ""
        return RunError(f"{self.path} is in use by another process{known}.", remedy="Stop that one first, or watch it.")

    def is_locked(self) -> bool:
        return is_locked(self.path / "run.lock")

    # --------------------------------------------------------------------------------------------- commands

    def send(self, command: Command) -> None:
        """Ask the run for something; it obeys at its next step. Asking twice is asking once."""
        folder = self.path / "commands"
        opposite = {Command.PAUSE: Command.RESUME, Command.RESUME: Command.PAUSE}.get(command)
        with naming_disk_errors(folder):
            folder.mkdir(exist_ok=True)
            if opposite:
                (folder / opposite).unlink(missing_ok=True)
            (folder / command).touch()

    def take_command(self) -> Command | None:
        """The next command, removed from the folder; None if there is none."""
        try:
            with os.scandir(self.path / "commands") as found:  # one look, at every step
                waiting = {entry.name for entry in found}
        except OSError:
            return None
        for command in (Command.STOP, Command.SAVE, Command.PREVIEW, Command.PAUSE, Command.RESUME):
            if command in waiting:
                with suppress(OSError):
                    (self.path / "commands" / command).unlink()
                    return command
        return None

    def forget_commands(self) -> None:
        """Commands that a process which is gone never read mean nothing to the next."""
        while self.take_command():
            pass

    # --------------------------------------------------------------------------------------------- history

    def read_events(self) -> list[AnyEvent]:
        """Everything the run has said so far."""
        return list(EventReader(self).drain())

    def checkpoints(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*"), key=checkpoint_step)


def checkpoint_step(path: Path) -> int:
    """The step in a checkpoint's name."""
    digits = re.search(r"\d+", path.name)
    return int(digits.group()) if digits else -1


def _lock_soon(file: IO[bytes]) -> bool:
    """Lock the file; somebody who only looks whether it is locked holds it for microseconds."""
    for _ in range(_LOCK_TRIES):
        if try_lock(file):
            return True
        time.sleep(_LOCK_WAIT_SECONDS)
    return False


def _status_after(events: list[AnyEvent]) -> Status:
    """What events tell of a run, of which the first ones may be missing."""
    begun = Status(state=JobState.RUNNING if any(isinstance(event, Metrics) for event in events) else JobState.IDLE)
    return functools.reduce(advance, events, begun)


def advance(status: Status, event: Event) -> Status:
    """The status after an event."""
    match event:
        case StateChanged(state=state, step=step, message=message):
            changes: dict[str, object] = {"state": state, "message": message, "step": step or status.step}
        case Metrics():
            changes = {
                "step": event.step,
                "loss": event.loss,
                "seconds": event.seconds,
                "images_per_second": event.images_per_second,
            }
        case Validation(loss=loss):
            changes = {"validation_loss": loss}
        case Started():
            changes = {"devices": event.devices, "processes": event.processes, "steps": event.steps or status.steps}
        case Measured(name=name, value=value):
            changes = {"metric": name, "metric_value": value}
        case PreviewSaved(file=file):
            changes = {"preview": file}
        case Failure(message=message):
            changes = {"message": message}
        case _:
            return status
    return msgspec.structs.replace(status, **changes)


def new_run_path(root: Path, name: str) -> Path:
    """A folder below `root` that does not exist yet, named by the time and by `name`."""
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{shortened(safe).rstrip('-.') or 'run'}"
    path, count = root / stem, 1
    while path.exists():
        count += 1
        path = root / f"{stem}-{count}"
    return path
