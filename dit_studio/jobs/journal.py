"""What the one process of a run writes while it works: events, and the status with its heartbeat."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from dit_studio.errors import RunError, StudioError, UnwritableError
from dit_studio.events import Event, Failure, JobState, Metrics, StateChanged
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.liveness import HEARTBEAT_SECONDS
from dit_studio.jobs.reserve import Reserve
from dit_studio.jobs.restarts import as_it_goes_on
from dit_studio.jobs.run_folder import RunFolder, advance
from dit_studio.jobs.worker import failure_of
from dit_studio.patience import PATIENCE_SECONDS

_log = logging.getLogger(__name__)


class Journal:
    """Written by whoever holds the run's lock. The heart beats also while a single step takes minutes.

    What a disk that is gone does not take is kept, and tried again with everything that is said and at every heartbeat.
    For the last words a full disk has a reserve. A failure after which torchrun starts anew is written as no end.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._events = folder, EventWriter(folder)
        self._reserve = Reserve(folder.path)
        self._has_failed = False  # and nothing else is to come from this process
        self._lock = threading.RLock()
        self._has_ended = threading.Event()
        self._failing_since: float | None = None  # our monotonic clock
        self._problem: StudioError | None = None  # for which nothing is written any more
        self._status = msgspec.structs.replace(
            folder.read_status(), pid=os.getpid(), host=socket.gethostname(), message="", launcher=_launcher()
        )
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def __enter__(self) -> "Journal":
        self._events.__enter__()
        self._reserve.make()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(StudioError):
            if self._status.state.is_active and not self._has_failed:  # the caller gave up in mid-run
                self._status = advance(self._status, StateChanged(state=JobState.INTERRUPTED))
                self._write(self._write_all)
            while self._failing_since is not None:  # the last words are waited for, too
                time.sleep(HEARTBEAT_SECONDS / 2)
                self._write(self._write_all)
        self._has_ended.set()
        self._thread.join()
        self._events.__exit__()
        self._reserve.release()

    def say(self, event: Event) -> None:
        """Write an event, and the status unless it is one of many.

        Raises: DiskFullError at once; UnwritableError when the disk has been gone for `PATIENCE_SECONDS`; RunError if
        another process took the run meanwhile.
        """
        if isinstance(event, Failure):
            self._reserve.release()
        with self._lock:
            event = self._as_written(event)
            is_one_of_many = isinstance(event, Metrics)
            self._write(lambda: self._events.append(event), *([] if is_one_of_many else [self._write_status]))

    def flush(self) -> None:
        """Write what waits to be written with more. Raises: as `say`."""
        self._write(self._events.flush)

    def check(self) -> None:
        """Raises: what `say` would raise, for those who wait and have nothing to say."""
        if self._problem is not None:
            raise self._problem

    def end(self, error: StudioError) -> None:
        """The run failed because something could not be written; say so if at least this can be."""
        self._reserve.release()
        with self._lock, suppress(StudioError):
            for event in (failure_of(error), StateChanged(state=JobState.FAILED, message=error.message)):
                written = self._as_written(event)
                if not isinstance(self._problem, _TakenError):
                    with suppress(StudioError):
                        self._events.append(written)
            if not isinstance(self._problem, _TakenError):
                self._write_status()

    def _as_written(self, event: Event) -> Event:
        """The event as the history has it; the status is as after it."""
        is_end = isinstance(event, StateChanged) and event.state is JobState.FAILED
        self._has_failed = self._has_failed or is_end
        written = as_it_goes_on(event)
        self._status = advance(self._status, written)
        return written

    def _write(self, *writings: Callable[[], None]) -> None:
        with self._lock:
            self.check()
            try:
                if self._failing_since is not None and self._folder.is_of_another_process():
                    raise _TakenError(
                        f"{self._folder.path} was taken by another process while its disk was gone.",
                        remedy="Watch that one.",
                    )
                for write in writings:
                    write()
                if self._failing_since is not None:
                    self._write_all()
            except UnwritableError as error:
                self._bear(error)
            except _TakenError as error:
                self._problem = error
                raise
            else:
                self._recover()

    def _bear(self, error: UnwritableError) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
            _log.info("%s It is tried again for %g s.", error.message, PATIENCE_SECONDS)
        if now - self._failing_since > PATIENCE_SECONDS:
            self._problem = UnwritableError(
                f"{self._folder.path} could not be written for {PATIENCE_SECONDS:g} s: {error.message}",
                remedy="See that its disk is there, then resume.",
            )
            raise self._problem

    def _recover(self) -> None:
        if self._failing_since is not None:
            _log.info("%s can be written again", self._folder.path)
            self._failing_since = None

    def _keep_beating(self) -> None:
        while not self._has_ended.wait(HEARTBEAT_SECONDS):
            try:
                self._write(self._write_all)
            except StudioError as error:
                _log.warning("no heartbeat: %s", error)
                if self._problem is not None:
                    return

    def _write_all(self) -> None:
        self._events.flush()
        self._write_status()

    def _write_status(self) -> None:
        self._status = msgspec.structs.replace(self._status, heartbeat=time.time())
        self._folder.write_status(self._status)


class _TakenError(RunError):
    """Another process took the run."""


def _launcher() -> int:
    """The pid of the torchrun that started this process; 0 without one."""
    return os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else 0
