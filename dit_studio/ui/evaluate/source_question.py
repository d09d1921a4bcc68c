"""What a path turns out to be, asked of the engine before anything is measured."""

from PySide6.QtCore import QObject, Signal

from dit_studio.events import Event, Failure, Progress, SourceDescribed
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.one_job import OneJob


class SourceQuestion(QObject):
    """One path at a time, the newest; `answered` carries its SourceDescribed, or the Failure."""

    progressed = Signal(object)  # Progress
    answered = Signal(object)

    def __init__(self, launcher: Launcher, role: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._launcher, self._role = launcher, role
        self._answer: Event | None = None
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)

    @property
    def is_asking(self) -> bool:
        return self._job.is_running

    def ask(self, path: str) -> None:
        self._answer = None
        self._job.run(self._launcher.call("describe_source", path=path, role=self._role))

    def withdraw(self) -> None:
        self._job.drop()

    def close(self) -> None:
        """End the job, and wait for its thread."""
        self._job.close()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                self.progressed.emit(event)
            elif isinstance(event, SourceDescribed | Failure):
                self._answer = event

    def _on_ended(self) -> None:
        self.answered.emit(self._answer or Failure(message="The engine said nothing of it.", remedy="Look again."))
