"""What every finder has: Start and Cancel, how far it is, and why it cannot start or has failed."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.device_names import named
from dit_studio.events import Event, Failure, Notice, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.machine_events import BatchTried, RateTried
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.titles import with_titles
from dit_studio.ui.widgets.basics import BusyBar, Said, button, row
from dit_studio.ui.widgets.message import MessageCard

WhyNot = Callable[[], str]  # the sentence that says why it cannot start now; ""
Params = Callable[[], dict[str, Any]]


class FinderBar(QWidget):
    """Runs a finder with the settings as they are when Start is pressed; hands on what it finds."""

    started = Signal()
    received = Signal(list)
    ended = Signal()  # also where it was cancelled: what was found is kept

    def __init__(self, launcher: Launcher, job: str, *, why_not: WhyNot, params: Params) -> None:
        super().__init__()
        self._launcher, self._job_name, self._why_not, self._params = launcher, job, why_not, params
        self._is_cancelled = self._has_found = False
        self.devices: tuple[str, ...] = ()  # that it is at work on
        self._beside = ""  # the run that has begun meanwhile
        self._job = OneJob(self)
        self.start = button(
            "Start", "Try it with the settings as they are now.", kind="primary", icon=icon("play", "on_accent")
        )
        self.halt = button(
            "Cancel", "End after this step; what is found is kept. Pressed again: end at once.", icon=icon("stop")
        )
        self.said, self.message, self.busy = Said(), MessageCard(), BusyBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(row(self.start, self.halt, None))
        for part in (self.said, self.busy, self.message):
            layout.addWidget(part)
        self.start.clicked.connect(self._start)
        self.halt.clicked.connect(self._cancel)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.look()

    @property
    def is_running(self) -> bool:
        return self._job.is_running

    @property
    def was_cancelled(self) -> bool:
        return self._is_cancelled

    def look(self) -> None:
        """Say anew whether it can start."""
        why_not = "" if self.is_running else self._why_not()
        self.said.say(with_titles(why_not), is_problem=bool(why_not))
        self.start.setEnabled(not why_not and not self.is_running)
        self.halt.setEnabled(self.is_running)

    def end(self) -> None:
        """End at once, and hear no more of it."""
        self._job.stop()
        self._job.drop()
        self.busy.finish()
        self.look()

    def close_job(self) -> None:
        self.end()
        self._job.close()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.look()

    def _start(self) -> None:
        self.look()
        if not self.start.isEnabled():
            return
        self._is_cancelled = self._has_found = False
        self._beside = ""
        self.message.clear()
        self.started.emit()
        params = self._params()
        self.devices = named(params["recipe"]["train"]["device"])
        self._job.run(self._launcher.call(self._job_name, **params))
        self.busy.show_progress("Starting")
        self.look()
        self.halt.setFocus()

    def warn_of(self, run: str) -> None:
        """A run has begun on the same device."""
        if run != self._beside:
            self._beside = run
            words = f"{run} has begun beside this: what is measured from now on is wrong, and memory may run out."
            self.message.show_notice(words, level="warning")

    def _cancel(self) -> None:
        self._is_cancelled = True
        self.busy.show_progress("Ending after this step")
        self._job.stop()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Progress() if not self._is_cancelled:
                    self.busy.show_progress(event.stage, event.done, event.total)
                case Notice():
                    self.message.show_notice(event.message, level=event.level)
                case Failure() if not (self._is_cancelled and event.code == "killed"):
                    self.message.show_failure(event)
                case BatchTried() | RateTried():
                    self._has_found = True
        self.received.emit(events)

    def _on_ended(self) -> None:
        self.busy.finish()
        self.look()
        if self._is_cancelled and not self._has_found and self.message.isHidden():
            self.message.show_notice("Cancelled before anything was tried.")
        self.ended.emit()
