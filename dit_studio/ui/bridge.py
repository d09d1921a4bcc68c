"""The only threads of the window: one runs one job; a timer hands its events to the widgets as Qt signals."""

import threading

from PySide6.QtCore import QObject, QThread, QTimer, Signal

from dit_studio.events import Event, Failure, Progress
from dit_studio.jobs.launch import Job

_INTERVAL_MS = 100


class JobThread(QThread):
    """Runs one job.

    `received` carries lists of events, in order, at most once in `interval_ms`: of several progress events of a stage
    the newest, of all others every one. `ended` comes once, after the last of them.
    """

    received = Signal(list)
    ended = Signal()

    def __init__(self, job: Job, parent: QObject | None = None, *, interval_ms: int = _INTERVAL_MS) -> None:
        super().__init__(parent)
        self._job = job
        self._pending: list[Event] = []
        self._lock = threading.Lock()
        self._timer = QTimer(self, interval=interval_ms)
        self._timer.timeout.connect(self._hand_over)
        self.started.connect(self._timer.start)
        self.finished.connect(self._on_finished)

    def cancel(self) -> None:
        """Ask the job to stop yielding. `wait()` afterwards returns soon."""
        self._job.cancel()

    def run(self) -> None:
        try:
            for event in self._job.events():
                if event is not None:
                    self._add(event)
        except Exception as error:  # noqa: BLE001  an exception here would vanish with the thread
            self._add(Failure(message=f"{type(error).__name__}: {error}", remedy="Try again."))

    def _add(self, event: Event) -> None:
        with self._lock:
            newest = self._pending[-1] if self._pending else None
            if isinstance(event, Progress) and isinstance(newest, Progress) and newest.stage == event.stage:
                self._pending.pop()
            self._pending.append(event)

    def _hand_over(self) -> None:
        with self._lock:
            events, self._pending = self._pending, []
        if events:
            self.received.emit(events)

    def _on_finished(self) -> None:
        self._timer.stop()
        self._hand_over()
        self.ended.emit()
