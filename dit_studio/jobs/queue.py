"""The queue of runs below the folder of runs: `queue.json`, in the order in which they are to start.

A queued run is a run folder in the state "queued": its settings are frozen in its run.toml. Whatever else has become
of a run that is listed, it waits no longer, so that a run which is started by hand or deleted leaves the queue.
An entry stays in the file until its run has ended: a keeper that is started again knows what it has to watch.
"""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from dit_studio.config import Recipe
from dit_studio.device_names import named
from dit_studio.errors import RunError, StudioError
from dit_studio.events import JobState
from dit_studio.files import naming_disk_errors, remove_folder, write_atomically
from dit_studio.jobs.queue_order import QueueEntry, this_machine
from dit_studio.jobs.run_folder import RunFolder, Status, new_run_path
from dit_studio.locks import is_locked, try_lock

__all__ = ["LOG_FILE", "WINDOW_LOCK", "Queue", "QueueEntry"]

WINDOW_LOCK = ".window.lock"  # held, below the folder of runs, by a window that tells of the runs' ends itself
LOG_FILE = "queue.log"
_CHANGE_LIMIT_SECONDS, _CHANGE_WAIT_SECONDS = 10.0, 0.02
_MOVE_IT = "Give the folder another name: what waits is then found again."

_log = logging.getLogger(__name__)
_keepers: list[tuple[Path, "subprocess.Popen[bytes]"]] = []  # that we started; they outlive us


class Queue:
    """What waits below `root`. Any process may change it; each change is whole, and asking twice is asking once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problem = ""  # what was wrong with queue.json when it was last read, a sentence

    @property
    def file(self) -> Path:
        return self.root / "queue.json"

    @property
    def keeper_lock(self) -> Path:
        """Held by the process that starts this machine's runs; others on a shared disk have their own."""
        return self.root / f".queue_keeper.{this_machine()}.lock"

    # --------------------------------------------------------------------------------------------- what is there

    def entries(self) -> list[QueueEntry]:
        """What waits, in order of start. Raises: RunError if queue.json cannot be read."""
        return [entry for entry in self.listed() if self.waits(entry)]

    def listed(self) -> list[QueueEntry]:
        """What waits and what was started, as far as the keeper has not seen its end."""
        try:
            return _decode(self._read())
        except msgspec.DecodeError:
            with self.changing() as entries:  # which mends it
                return list(entries)

    def folder(self, run: str) -> RunFolder:
        return RunFolder(self.root / run)

    def waits(self, entry: QueueEntry) -> bool:
        """Nobody has started the run, or deleted it."""
        return self.folder(entry.run).read_status().state is JobState.QUEUED

    # --------------------------------------------------------------------------------------------- changes

    def add(self, recipe: Recipe, name: str, *, devices: tuple[str, ...]) -> RunFolder:
        """A new run at the queue's end. Raises: RunError or DiskFullError."""
        folder = None
        try:
            with self.changing() as entries:
                folder = RunFolder.create(new_run_path(self.root, name), recipe)
                folder.write_status(msgspec.structs.replace(folder.read_status(), state=JobState.QUEUED))
                entries.append(_new_entry(folder, devices))
        except StudioError:
            if folder is not None:
                remove_folder(folder.path)
            raise
        return folder

    def add_again(self, folder: RunFolder, *, devices: tuple[str, ...]) -> None:
        """A run that ended early goes on when its turn comes. Raises: RunError if it cannot go on."""
        if folder.path.parent.resolve() != self.root.resolve():
            raise RunError(f"{folder.path} is not below {self.root}, whose queue this is.", remedy="Resume it at once.")
        with self.changing() as entries:
            status = folder.observed_status()
            if status.state is JobState.QUEUED:
                return
            _check_resumable(folder, status)
            with folder.lock():
                folder.write_status(msgspec.structs.replace(status, state=JobState.QUEUED))
            entries[:] = [entry for entry in entries if entry.run != folder.name]
            entries.append(_new_entry(folder, devices, before=status.state))

    def hold(self, run: str, *, is_held: bool) -> None:
        """Keep an entry from starting, or let it go."""
        with self.changing() as entries:
            entries[:] = [
                msgspec.structs.replace(entry, is_held=is_held) if entry.run == run else entry for entry in entries
            ]

    def move(self, run: str, *, by: int) -> None:
        """Further to the front (below 0) or to the end, among those that wait."""
        with self.changing() as entries:
            waiting = [entry for entry in entries if self.waits(entry)]
            place = next((place for place, entry in enumerate(waiting) if entry.run == run), None)
            if place is not None:
                waiting.insert(max(0, place + by), waiting.pop(place))
                entries[:] = [entry for entry in entries if entry not in waiting] + waiting

    def remove(self, run: str) -> None:
        """Take an entry out. A run that never began goes back to idle and keeps its folder and settings."""
        with self.changing() as entries:
            for entry in [entry for entry in entries if entry.run == run and self.waits(entry)]:
                folder = self.folder(run)
                folder.write_status(msgspec.structs.replace(folder.read_status(), state=entry.before))
                entries.remove(entry)

    def discard(self, run: str, move_away: Callable[[], bool]) -> bool:
        """Take a run's folder away, and then its entry; if that fails, nothing has changed. Nothing starts meanwhile.

        Raises: RunError if the run has begun.
        """
        with self.changing() as entries:
            if self.folder(run).read_status().state.is_active:
                raise RunError(f"{run} is at work.", remedy="Stop it first.")
            is_gone = move_away()
            if is_gone:
                entries[:] = [entry for entry in entries if entry.run != run]
        return is_gone

    @contextmanager
    def changing(self) -> Iterator[list[QueueEntry]]:
        """The list, to be changed in place and written at the end, while nobody else can. Raises: RunError."""
        with naming_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / ".queue.lock").open("a+b") as file:
                deadline = time.monotonic() + _CHANGE_LIMIT_SECONDS
                while not try_lock(file):
                    if time.monotonic() > deadline:
                        raise RunError(
                            f"The queue {self.file} is being changed by another process.", remedy="Try again."
                        )
                    time.sleep(_CHANGE_WAIT_SECONDS)
                entries = self._read_or_mend()
                before = list(entries)
                yield entries
                if entries != before:
                    self._write(entries)

    # --------------------------------------------------------------------------------------------- the keeper

    def keep_going(self) -> None:
        """See to it that a process of its own starts what waits for this machine, one run at a time on each device.

        It outlives us. Raises: RunError if the one that we started last failed.
        """
        self._part_with_ended_keepers()
        if self.is_kept():
            return
        self.adopt(self._queued_folders())
        if all(entry.is_held or not entry.is_for_this_machine for entry in self.listed()):
            return
        with naming_disk_errors(self.root), (self.root / LOG_FILE).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dit_studio.jobs.queue_keeper", str(self.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _keepers.append((self.root, process))

    def is_kept(self) -> bool:
        """That process is alive."""
        starting = any(root == self.root and process.poll() is None for root, process in _keepers)
        return starting or is_locked(self.keeper_lock)

    def adopt(self, runs: list[str]) -> None:
        """Queued runs that are not listed come to the queue's end."""
        if set(runs) <= {entry.run for entry in self.listed()}:
            return
        with self.changing() as entries:
            entries += self._lost_of(runs, entries)

    def _part_with_ended_keepers(self) -> None:
        ended = [(root, process) for root, process in _keepers if process.poll() is not None]
        _keepers[:] = [keeper for keeper in _keepers if keeper not in ended]
        for root, process in ended:
            if root == self.root and process.returncode > 0:
                message = f"The process that starts the queue's runs ended with exit code {process.returncode}."
                raise RunError(message, remedy=f"{self.root / LOG_FILE} says why.")

    # --------------------------------------------------------------------------------------------- the file

    def _read(self) -> bytes:
        with naming_disk_errors(self.file):
            try:
                return self.file.read_bytes()
            except FileNotFoundError:
                return b"[]"
            except OSError:
                if not self.file.is_dir():
                    raise
        raise RunError(f"{self.file} is a folder, and the queue is kept in a file of that name.", remedy=_MOVE_IT)

    def _write(self, entries: list[QueueEntry]) -> None:
        write_atomically(self.file, msgspec.json.format(msgspec.json.encode(entries)) + b"\n")

    def _read_or_mend(self) -> list[QueueEntry]:
        """The list; a file that is torn or was edited badly is put aside, and what waits is found again."""
        data = self._read()
        try:
            return _decode(data)
        except msgspec.DecodeError as error:
            aside = self.root / f"queue-damaged-{time.strftime('%Y%m%d-%H%M%S')}.json"
            write_atomically(aside, data)
            entries = _decode_what_is_whole(data)
            entries += self._lost_of(self._queued_folders(), entries)
            self._write(entries)
            self.problem = (
                f"{self.file} could not be read ({error}): it is kept as {aside.name}, "
                f"and {len(entries)} entries were found again."
            )
            _log.warning("%s", self.problem)
            return entries

    def _queued_folders(self) -> list[str]:
        """The runs below the root in the state "queued", the oldest first."""
        names = sorted(path.parent.name for path in self.root.glob("[!.]*/status.json"))
        return [name for name in names if self.folder(name).read_status().state is JobState.QUEUED]

    def _lost_of(self, runs: list[str], entries: list[QueueEntry]) -> list[QueueEntry]:
        listed = {entry.run for entry in entries}
        folders = [self.folder(run) for run in runs if run not in listed]
        return [_found_again(folder) for folder in folders if folder.read_status().state is JobState.QUEUED]


def _new_entry(folder: RunFolder, devices: tuple[str, ...], *, before: JobState = JobState.IDLE) -> QueueEntry:
    resume = before is not JobState.IDLE
    return QueueEntry(
        run=folder.name, devices=devices, resume=resume, added=time.time(), before=before, host=this_machine()
    )


def _found_again(folder: RunFolder) -> QueueEntry:
    """The entry of a queued run that the list has lost; which machine it was for is not known."""
    before = JobState.STOPPED if folder.checkpoints() else JobState.IDLE
    return msgspec.structs.replace(_new_entry(folder, devices_of(folder), before=before), host="")


def devices_of(folder: RunFolder) -> tuple[str, ...]:
    """What a run's recipe asks for; "auto" if that cannot be read."""
    try:
        return named(folder.recipe().train.device)
    except StudioError:
        return named("auto")


def _check_resumable(folder: RunFolder, status: Status) -> None:
    if status.state.can_resume and not folder.checkpoints():
        raise RunError(f"{folder.name} has no checkpoint to go on from.", remedy="Add a new run of its settings.")
    if not status.state.can_resume and status.state is not JobState.IDLE:
        raise RunError(f"{folder.name} is {status.state}.", remedy="A run goes on that was stopped, failed or died.")


def _decode(data: bytes) -> list[QueueEntry]:
    """Raises: msgspec.DecodeError if an entry is not one, or names no folder below the root."""
    entries = msgspec.json.decode(data, type=list[QueueEntry])
    if wrong := next((entry.run for entry in entries if Path(entry.run).name != entry.run), None):
        raise msgspec.ValidationError(f"{wrong!r} is no folder's name")
    return entries


def _decode_what_is_whole(data: bytes) -> list[QueueEntry]:
    """The entries of a torn or edited file that are as they should be."""
    entries: dict[str, QueueEntry] = {}
    for part in re.findall(rb"\{[^{}]*\}", data):
        with suppress(msgspec.DecodeError):
            (entry,) = _decode(b"[" + part + b"]")
            entries.setdefault(entry.run, entry)
    return list(entries.values())
