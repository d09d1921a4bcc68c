"""The process that starts the queue's runs, a run at a time on a device: `python -m dit_studio.jobs.queue_keeper ROOT`.

There is one for a folder of runs. What it knows is on the disk: killed and started again, it goes on with the runs that
it finds. The runs outlive it. When there is nothing left to start or to watch, it ends.
"""

import argparse
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

from dit_studio.errors import RunError, StudioError
from dit_studio.events import Failure, JobState, StateChanged
from dit_studio.jobs import training
from dit_studio.jobs.active_runs import ActiveRuns
from dit_studio.jobs.desktop_notice import tell as tell_on_the_desktop
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.following import mark_if_dead
from dit_studio.jobs.queue import LOG_FILE, WINDOW_LOCK, Queue, devices_of
from dit_studio.jobs.queue_order import QueueEntry, due
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.worker import failure_of
from dit_studio.locks import is_locked, locked

_POLL_SECONDS = 1.0
_LINGER_SECONDS = 5.0  # with nothing to do, before the end
_SILENCE_LIMIT_SECONDS = 5.0  # of a run without a process; whoever started it knows more of its death, and comes first
_START_LIMIT_SECONDS = 45.0  # of a run that is to begin, until its process shows itself
_END_LIMIT_SECONDS = 30.0  # of a process, after its run's last word
_FAULT_LIMIT_SECONDS = 600.0  # of a disk that is gone
_LOG_BYTES = 1_000_000

_log = logging.getLogger(__name__)


Process = subprocess.Popen[bytes]
Start = Callable[..., Process]  # as training.start_worker
Tell = Callable[[str, str], object]


@dataclass
class _Started:
    process: Process
    devices: tuple[str, ...]
    last_word_at: float = 0.0  # by the monotonic clock; 0: the run goes on


class QueueKeeper:
    """Looks at what waits and what runs below `root`, and does what is due."""

    def __init__(self, root: Path, *, start: Start = training.start_worker, tell: Tell = tell_on_the_desktop) -> None:
        self.queue = Queue(root)
        self._runs = ActiveRuns(root)
        self._start_worker, self._tell = start, tell
        self._started: dict[str, _Started] = {}
        self._silent_since: dict[str, float] = {}
        self._watched: set[str] = set()  # whose end is told

    def look(self) -> None:
        """One round. Raises: StudioError or OSError if the disk does not take it; the next round tries again."""
        statuses = self._runs.read()
        self.queue.adopt([run for run, status in statuses.items() if status.state is JobState.QUEUED])
        active = [run for run, status in statuses.items() if status.state.is_active]
        self._part_with_ended_processes()
        self._bury_the_dead(self._at_work(active))
        self._strike_the_ended()
        self._start_what_is_due(self._busy(self._at_work(active)))

    def has_work(self) -> bool:
        """Something is left to start or to watch."""
        return bool(self._started) or any(self._concerns_us(entry) for entry in self.queue.listed())

    def _concerns_us(self, entry: QueueEntry) -> bool:
        status = self.queue.folder(entry.run).read_status()
        is_waiting = status.state is JobState.QUEUED and not entry.is_held and entry.is_for_this_machine
        return is_waiting or _is_at_work_here(status)

    def _at_work(self, runs: list[str]) -> dict[str, Status]:
        """Those of the runs whose process is, or should be, at work on this machine now."""
        statuses = {run: self.queue.folder(run).read_status() for run in runs}
        return {run: status for run, status in statuses.items() if _is_at_work_here(status)}

    # --------------------------------------------------------------------------------------------- what ended

    def _part_with_ended_processes(self) -> None:
        """Those that died are written down with what only their parent knows; those that do not end are ended."""
        for run, started in list(self._started.items()):
            folder = self.queue.folder(run)
            if started.process.poll() is None:
                self._end_after_last_word(folder, started)
                continue
            mark_if_dead(folder, process=started.process)
            if folder.is_locked() or not folder.read_status().state.is_active:
                del self._started[run]

    def _end_after_last_word(self, folder: RunFolder, started: _Started) -> None:
        now = time.monotonic()
        if folder.read_status().state.is_active:
            started.last_word_at = 0.0
        elif not started.last_word_at:
            started.last_word_at = now
        elif now - started.last_word_at > _END_LIMIT_SECONDS:
            _log.warning("the process of %s does not end after its last word, and is killed", folder.name)
            started.process.kill()

    def _bury_the_dead(self, active: dict[str, Status]) -> None:
        """Runs of the queue whose process is gone, and was started by somebody who is gone, too."""
        listed = {entry.run: entry for entry in self.queue.listed()}
        self._note_silence(active)
        for run, status in active.items():
            if run in listed and self._is_dead(run, status):
                self._bury(listed[run], status)

    def _note_silence(self, active: dict[str, Status]) -> None:
        """Since when, by our own clock, a run that should be at work has had no process."""
        silent = [run for run in active if run not in self._started and not self._has_process(run, active[run])]
        self._silent_since = {run: self._silent_since.get(run, time.monotonic()) for run in silent}

    def _has_process(self, run: str, status: Status) -> bool:
        """It works, or a torchrun may be about to start it again."""
        folder = self.queue.folder(run)
        return folder.is_locked() or folder.has_launcher(status)

    def _is_dead(self, run: str, status: Status) -> bool:
        limit = _SILENCE_LIMIT_SECONDS if status.pid else _START_LIMIT_SECONDS
        return run in self._silent_since and time.monotonic() - self._silent_since[run] > limit

    def _bury(self, entry: QueueEntry, status: Status) -> None:
        """A start of which no process came is tried once more."""
        folder = self.queue.folder(entry.run)
        if status.pid or entry.tries:
            mark_if_dead(folder)
            return
        with self.queue.changing() as entries, folder.lock():
            _log.warning("%s was to start, and no process came: it is tried once more", entry.run)
            again = msgspec.structs.replace(entry, tries=entry.tries + 1)
            entries[:] = [again if listed.run == entry.run else listed for listed in entries]
            folder.write_status(msgspec.structs.replace(folder.read_status(), state=JobState.QUEUED))

    def _strike_the_ended(self) -> None:
        """Entries whose run ended, or was removed, leave the list; an end that we saw coming is told."""
        ours = [entry.run for entry in self.queue.listed() if entry.is_for_this_machine]
        statuses = {run: self.queue.folder(run).read_status() for run in ours}
        ended = {run for run, status in statuses.items() if self._has_ended(run, status)}
        self._watched |= {run for run, status in statuses.items() if status.state.is_active}
        if not ended:
            return
        with self.queue.changing() as entries:
            entries[:] = [entry for entry in entries if entry.run not in ended]
        for run in ended & self._watched:
            self._watched.discard(run)
            self._tell_end(run, statuses[run])

    def _has_ended(self, run: str, status: Status) -> bool:
        """A status that cannot be read just now says nothing."""
        is_unread = status == Status(steps=status.steps) and self.queue.folder(run).path.exists()
        return not (is_unread or status.state.is_active or status.state is JobState.QUEUED)

    def _tell_end(self, run: str, status: Status) -> None:
        text = f"{run} {status.state} at step {status.step:,} of {status.steps:,}. {status.message}".rstrip()
        _log.info("%s", text)
        if status.state is not JobState.IDLE and not is_locked(self.queue.root / WINDOW_LOCK):
            self._tell("DiT Studio", text)

    # --------------------------------------------------------------------------------------------- what begins

    def _busy(self, active: dict[str, Status]) -> set[str]:
        """The devices that runs on this machine are at work on, whoever started them, until their process ends."""
        asked_for = {entry.run: entry.devices for entry in self.queue.listed()}
        asked_for |= {run: started.devices for run, started in self._started.items()}
        ending = {run: self.queue.folder(run).read_status() for run in self._started}
        working = {run: status for run, status in active.items() if not self._is_dead(run, status)}
        return {
            device
            for run, status in (ending | working).items()
            for device in status.devices or asked_for.get(run) or devices_of(self.queue.folder(run))
        }

    def _start_what_is_due(self, busy: set[str]) -> None:
        if not due(self._startable(self.queue.listed()), busy):
            return
        with self.queue.changing() as entries:  # so that no other starter takes the same entry
            for entry in due(self._startable(entries), busy):
                if not self._start(entry):
                    entries[entries.index(entry)] = msgspec.structs.replace(entry, is_held=True)

    def _startable(self, entries: list[QueueEntry]) -> list[QueueEntry]:
        return [entry for entry in entries if entry.is_for_this_machine and self.queue.waits(entry)]

    def _start(self, entry: QueueEntry) -> bool:
        """False if the run cannot start and not even that can be written down."""
        folder = self.queue.folder(entry.run)
        self._watched.add(entry.run)
        try:
            process = self._start_worker(folder, resume=entry.resume)
        except (StudioError, OSError) as error:
            _log.error("%s cannot start: %s", entry.run, error)
            return _mark_failed(folder, failure_of(error))
        _log.info("%s starts on %s", entry.run, ", ".join(entry.devices))
        self._started[entry.run] = _Started(process, entry.devices)
        return True


def _is_at_work_here(status: Status) -> bool:
    return status.state.is_active and not status.is_of_another_machine


def _mark_failed(folder: RunFolder, failure: Failure) -> bool:
    """Write down why a run could not start."""
    try:
        with folder.lock():
            with EventWriter(folder) as writer:
                writer.append(failure)
                writer.append(StateChanged(state=JobState.FAILED, message=failure.message))
            status = folder.read_status()
            folder.write_status(msgspec.structs.replace(status, state=JobState.FAILED, message=failure.message))
    except StudioError as error:
        _log.error("%s", error)
        return False
    return True


# ------------------------------------------------------------------------------------------------- the process


def keep(root: Path, ended: threading.Event) -> None:
    """Look at the queue until there is nothing left to do, or until `ended`; does nothing where another one does."""
    with ExitStack() as held:
        keeper = QueueKeeper(root)
        if not held.enter_context(locked(keeper.queue.keeper_lock)):
            return
        busy_at = well_at = time.monotonic()
        while not ended.wait(_POLL_SECONDS):
            now = time.monotonic()
            if not _look(keeper):
                if now - well_at > _FAULT_LIMIT_SECONDS:
                    return
                continue
            well_at = now
            if keeper.has_work():
                busy_at = now
            elif now - busy_at > _LINGER_SECONDS and _leave_if_idle(keeper, held):
                return


def _leave_if_idle(keeper: QueueKeeper, held: ExitStack) -> bool:
    """Let go of the lock while the queue cannot change: who adds a run afterwards finds no keeper, and starts one."""
    with suppress(StudioError), keeper.queue.changing():
        if not keeper.has_work():
            held.close()
            return True
    return False


def _look(keeper: QueueKeeper) -> bool:
    """Whether the disk took it."""
    try:
        keeper.look()
    except (StudioError, OSError) as error:
        _log.warning("%s", error)
        return False
    return True


def main() -> int:
    """Keep the queue, and say what happens in its log."""
    parser = argparse.ArgumentParser(prog="dit_studio.jobs.queue_keeper")
    parser.add_argument("root", type=Path)
    root = parser.parse_args().root
    if not root.is_dir():
        raise RunError(f"{root} is not a folder.", remedy="It takes a folder of runs.")
    log = RotatingFileHandler(root / LOG_FILE, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=[log])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    keep(root, ended)
    return 0


if __name__ == "__main__":
    sys.exit(main())
