"""The only threads of the window: one runs one job and hands its events to the widgets as Qt signals."""

import time
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal

from dit_studio.events import Event, Failure, Progress
from dit_studio.jobs.launch import Job

_INTERVAL_SECONDS = 0.1


class JobThread(QThread):
    """Runs one job.

    `received` carries lists of events, in order, at most ten times a second: of several progress events of a stage
    the newest, of all others every one. `finished` (Qt's own) comes after the last of them.
    """

    received = Signal(list)

    def __init__(self, job: Job, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self._pending: list[Event] = []
        self._emitted_at = 0.0

    def cancel(self) -> None:
        """Ask the job to stop yielding. `wait()` afterwards returns soon."""
        self._job.cancel()

    def run(self) -> None:
        try:
            for event in self._job.events():
                if event is not None:
                    self._add(event)
                if event is None or time.monotonic() - self._emitted_at >= _INTERVAL_SECONDS:
                    self._emit()
        except Exception as error:  # noqa: BLE001  an exception here would vanish with the thread
            self._add(Failure(message=f"{type(error).__name__}: {error}", remedy="Try again."))
        self._emit()

    def _add(self, event: Event) -> None:
        if isinstance(event, Progress) and self._pending:
            newest: Any = self._pending[-1]
            if isinstance(newest, Progress) and newest.stage == event.stage:
                self._pending.pop()
        self._pending.append(event)

    def _emit(self) -> None:
        if self._pending:
            events, self._pending = self._pending, []
            self._emitted_at = time.monotonic()
            self.received.emit(events)
