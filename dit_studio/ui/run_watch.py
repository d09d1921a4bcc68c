"""What the runs below the folder of runs do: looked at every second in another thread, while the window is open."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from dit_studio.device_names import named
from dit_studio.errors import StudioError
from dit_studio.event_base import Event
from dit_studio.events import Failure, JobState
from dit_studio.jobs.queue import WINDOW_LOCK, Queue, QueueEntry
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import title_of
from dit_studio.locks import try_lock
from dit_studio.places import runs_dir
from dit_studio.ui.one_job import OneJob

_LOOK_MS = 1000
_OTHERS_A_LOOK = 50  # of the runs that were not at work, which somebody may have resumed
_ENDS = (JobState.STOPPED, JobState.FINISHED, JobState.FAILED, JobState.INTERRUPTED)

MakeQueue = Callable[[Path], Queue]


class SeenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is at work, waits, or has just ended."""

    path: Path
    title: str
    status: Status
    devices: tuple[str, ...] = ()  # as its settings name them; those in use are the status's
    data: str = ""  # the name of its images' folder

    @property
    def run(self) -> str:
        return self.path.name


class WaitingRun(msgspec.Struct, frozen=True, kw_only=True):
    entry: QueueEntry
    run: SeenRun


class RunsSeen(Event, frozen=True, kw_only=True, tag="runs seen"):
    """One look at the folder of runs."""

    at_work: tuple[SeenRun, ...] = ()  # the newest first
    waiting: tuple[WaitingRun, ...] = ()  # in order of start
    ended: tuple[SeenRun, ...] = ()  # that were at work, or waited, at the look before
    is_kept: bool = True  # a process starts what waits
    problem: str = ""  # why the queue cannot be read

    @property
    def entries(self) -> list[QueueEntry]:
        return [waiting.entry for waiting in self.waiting]

    @property
    def can_start(self) -> bool:
        """Something waits that nobody holds."""
        return any(not entry.is_held for entry in self.entries)


class RunMemory:
    """What was seen before, by which an end is news; a look costs as much with a thousand runs as with ten."""

    def __init__(self, root: Path, queue: Queue) -> None:
        self.root, self.queue = root, queue
        self._names: set[str] | None = None
        self._states: dict[str, JobState] = {}  # of those that are at work or wait
        self._doubtful: set[str] = set()  # seen interrupted once; a process may just be taking over
        self._facts: dict[str, tuple[tuple[str, ...], str]] = {}
        self._turn = 0

    def look(self) -> RunsSeen:
        entries, problem = self._entries()
        looked_at = self._names_to_look_at(entries)
        seen = {name: self._see(name) for name in looked_at}
        ended = tuple(run for name, run in seen.items() if self._note(name, run.status.state))
        at_work = [run for run in seen.values() if run.status.state.is_active]
        return RunsSeen(
            at_work=tuple(sorted(at_work, key=lambda run: run.status.started, reverse=True)),
            waiting=tuple(WaitingRun(entry=entry, run=seen[entry.run]) for entry in entries),
            ended=ended,
            is_kept=not entries or self.queue.is_kept(),
            problem=problem,
        )

    def _entries(self) -> tuple[list[QueueEntry], str]:
        try:
            return self.queue.entries(), self.queue.problem
        except StudioError as error:
            return [], f"{error.message} {error.remedy}".strip()

    def _names_to_look_at(self, entries: list[QueueEntry]) -> set[str]:
        """Those that were at work or wait, new ones, and a few of the others in turn; the first time all."""
        known, self._names = self._names, _folders_below(self.root)
        new = self._names - (known or set())
        others = sorted(self._names - new)
        turn, self._turn = self._turn, self._turn + _OTHERS_A_LOOK
        if others:
            turn %= len(others)
        return {*self._states, *new, *(entry.run for entry in entries), *others[turn : turn + _OTHERS_A_LOOK]}

    def _see(self, name: str) -> SeenRun:
        folder = RunFolder(self.root / name)
        status = folder.observed_status()
        is_wanted = status.state.is_active or status.state is JobState.QUEUED or name in self._states
        devices, data = self._facts_of(folder) if is_wanted else ((), "")
        title = title_of(folder) if is_wanted else folder.name
        return SeenRun(path=folder.path, title=title, status=status, devices=devices, data=data)

    def _facts_of(self, folder: RunFolder) -> tuple[tuple[str, ...], str]:
        """Devices and data set, which its frozen settings say once and for all."""
        if folder.name not in self._facts:
            try:
                recipe = folder.recipe()
            except StudioError:
                return (), ""
            self._facts[folder.name] = named(recipe.train.device), Path(recipe.data.path).name
        return self._facts[folder.name]

    def _note(self, name: str, state: JobState) -> bool:
        """Remember the state; whether it is news that the run has ended."""
        before = self._states.get(name)
        if state.is_active or state is JobState.QUEUED:
            self._states[name] = state
            self._doubtful.discard(name)
            return False
        if state is JobState.INTERRUPTED and before is not None and name not in self._doubtful:
            self._doubtful.add(name)
            return False
        if state is JobState.IDLE and before is not None and before.is_active and (self.root / name).is_dir():
            return False  # its status could not be read
        self._states.pop(name, None)
        self._doubtful.discard(name)
        return before is not None and state in _ENDS


def _folders_below(root: Path) -> set[str]:
    try:
        with os.scandir(root) as entries:
            return {entry.name for entry in entries if entry.is_dir()}
    except OSError:
        return set()


class _Look:
    """A job that looks once."""

    def __init__(self, memory: RunMemory) -> None:
        self._memory = memory

    def events(self) -> Iterator[Event | None]:
        yield self._memory.look()

    def cancel(self) -> None:
        """A look is over soon."""


class RunWatch(QObject):
    """Looks, and says what it saw: `seen` after each look, `ended` for each run that ended since the one before."""

    seen = Signal(object)  # RunsSeen
    ended = Signal(object)  # SeenRun

    def __init__(self, make_queue: MakeQueue = Queue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make_queue = make_queue
        self._memory = self._remember_anew()
        self._lock: IO[bytes] | None = None
        self.newest = RunsSeen()
        self._job = OneJob(self, interval_ms=50)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._is_asked_again = False  # while a look went on
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self.look)

    @property
    def queue(self) -> Queue:
        """That of the folder of runs in use."""
        return self._memory_of_place_in_use().queue

    def start(self) -> None:
        """Look from now on, and let other programs know that a window does."""
        self._timer.start()
        self.look()

    def look(self) -> None:
        """Look now; again, if a look goes on already, which may have missed what was just changed."""
        memory = self._memory_of_place_in_use()
        self._is_asked_again = self._job.is_running
        if not self._job.is_running:
            self._lock = self._lock or _hold(memory.root)
            self._job.run(_Look(memory))

    def close(self) -> None:
        """Look no more, and wait for the thread."""
        self._timer.stop()
        self._job.close()
        self._let_go()

    def _memory_of_place_in_use(self) -> RunMemory:
        if self._memory.root != runs_dir():
            self._memory = self._remember_anew()
            self._let_go()
        return self._memory

    def _remember_anew(self) -> RunMemory:
        root = runs_dir()
        return RunMemory(root, self._make_queue(root))

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _on_ended(self) -> None:
        if self._is_asked_again:
            self.look()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Failure):  # the disk is away: what was seen last stands
                event = msgspec.structs.replace(self.newest, ended=(), problem=event.message)
            assert isinstance(event, RunsSeen)
            self.newest = event
            self.seen.emit(event)
            for run in event.ended:
                self.ended.emit(run)


def _hold(root: Path) -> IO[bytes] | None:
    """Hold the window's lock; None if another window does, or if there is no folder of runs yet."""
    try:
        file = (root / WINDOW_LOCK).open("a+b")
    except OSError:
        return None
    if try_lock(file):
        return file
    file.close()
    return None
