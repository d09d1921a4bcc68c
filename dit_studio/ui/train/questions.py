"""Questions to the engine while a form is filled in: what a model costs, whether a run could start."""

from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from dit_studio.events import Event, Failure, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.one_job import OneJob


class Questions(QObject):
    """Asks one at a time, after a pause in typing; of several about the same job only the newest is answered."""

    answered = Signal(str, object)  # the job, its last event

    def __init__(self, launcher: Launcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self._timers: dict[str, QTimer] = {}
        self._waiting: dict[str, dict[str, Any]] = {}  # asked, and the pause is over
        self._newest: dict[str, dict[str, Any]] = {}
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._asked: tuple[str, dict[str, Any]] = ("", {})
        self._answer: Event | None = None

    def ask(self, job: str, *, delay_ms: int, **params: Any) -> None:
        """Ask in `delay_ms`, unless the same job is asked again before; whatever was asked of it earlier is void."""
        self.withdraw(job)
        self._newest[job] = params
        self._timer(job).start(delay_ms)

    def withdraw(self, job: str) -> None:
        """Nobody wants to know any more; an answer on its way is dropped."""
        self._newest.pop(job, None)
        self._waiting.pop(job, None)
        self._timer(job).stop()

    def close(self) -> None:
        """Give up all questions, and wait for the thread."""
        for job in list(self._timers):
            self.withdraw(job)
        self._job.close()

    def _timer(self, job: str) -> QTimer:
        if job not in self._timers:
            self._timers[job] = QTimer(self, singleShot=True)
            self._timers[job].timeout.connect(lambda: self._enqueue(job))
        return self._timers[job]

    def _enqueue(self, job: str) -> None:
        self._waiting[job] = self._newest[job]
        self._ask_next()

    def _ask_next(self) -> None:
        if self._job.is_running or not self._waiting:
            return
        job = next(iter(self._waiting))
        params = self._waiting.pop(job)
        self._asked, self._answer = (job, params), None
        self._job.run(self._launcher.call(job, **params))

    def _on_received(self, events: list[Event]) -> None:
        answers = [event for event in events if not isinstance(event, Progress)]
        self._answer = answers[-1] if answers else self._answer

    def _on_ended(self) -> None:
        job, params = self._asked
        if self._newest.get(job) is params:
            del self._newest[job]
            self.answered.emit(job, self._answer or Failure(message="The engine gave no answer.", remedy="Try again."))
        self._ask_next()
