"""What an export does: its progress with Cancel, then where the file is, or why there is none."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, Notice, Progress, SettingsRefused, Written
from dit_studio.jobs.launch import Job
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.amounts import count, memory
from dit_studio.ui.widgets.basics import BusyBar, WholeText, button, set_property
from dit_studio.ui.widgets.flow import FlowLayout


def _show_path(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class ExportStatus(QWidget):
    """Runs one export at a time. Hidden until the first."""

    said = Signal(str, str)  # a sentence and its level: "info", "warning" or "error"

    def __init__(self, parent: QWidget | None = None, *, show_path: Callable[[Path], None] = _show_path) -> None:
        super().__init__(parent)
        self.show_path = show_path
        self._job = OneJob(self)
        self._name = ""
        self._result: tuple[str, str] = ("", "")
        self._folder = Path()
        self._busy = BusyBar()
        self._cancel = button("Cancel", "End the export. Nothing half-written is left.")
        self._text = WholeText()
        self._open = button("Open folder", "Show the file in the system's file manager.")
        self._dismiss = button("Dismiss", "Hide this message.")
        self._build()
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.hide()

    @property
    def is_running(self) -> bool:
        return self._job.is_running

    def text(self) -> str:
        """The sentence shown."""
        return self._text.text()

    def run(self, job: Job, name: str) -> None:
        """Run an export, called by the name of its file, and say what came of it."""
        self._name = name
        self._result = (f"{name} was not written: the export ended without saying why. Try again.", "error")
        self._show_running(is_running=True)
        self._busy.show_progress(f"Exporting {name} …")
        self._job.run(job)

    def close_jobs(self) -> None:
        """End what runs, and wait for it."""
        self._job.close()

    def _on_received(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                of = f" of {count(event.total)}" if event.total else ""
                self._busy.show_progress(
                    f"{event.stage} {count(event.done)}{of} {event.unit}".strip(), event.done, event.total
                )
            elif isinstance(event, Written):
                self._on_written(event)
            elif isinstance(event, Failure):
                self._result = (f"{event.message} {event.remedy}".strip(), "error")
            elif isinstance(event, SettingsRefused):
                self._result = (" ".join(sentence for _, sentence in event.problems), "error")
            elif isinstance(event, Notice):
                self.said.emit(event.message, event.level)

    def _on_written(self, event: Written) -> None:
        file = Path(event.file)
        self._folder = file.parent
        size = f" ({memory(event.size_bytes)})" if event.size_bytes else ""
        self._result = (f"Saved {file.name}{size}. {event.note}".strip(), "info")

    def _on_ended(self) -> None:
        self._busy.finish()
        self._show_running(is_running=False)
        text, level = self._result
        self._text.setText(text)
        set_property(self._text, "role", "problem" if level == "error" else "")
        self._open.setVisible(level == "info")
        self.said.emit(text, level)

    def _on_cancel(self) -> None:
        """Ask it to end at its next step; pressed again, it ends at once."""
        self._result = (f"{self._name} was not exported: cancelled.", "warning")
        self._busy.show_progress("Cancelling …")
        self._job.stop()

    def _show_running(self, *, is_running: bool) -> None:
        for button_ in (self._open, self._dismiss):
            button_.setVisible(not is_running)
        self._cancel.setVisible(is_running)
        self._busy.setVisible(is_running)
        self._text.setVisible(not is_running)
        self.show()

    def _build(self) -> None:
        self._cancel.clicked.connect(self._on_cancel)
        self._open.clicked.connect(lambda: self.show_path(self._folder))
        self._dismiss.clicked.connect(self.hide)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._busy)
        layout.addWidget(self._text)
        buttons = FlowLayout()
        for widget in (self._cancel, self._open, self._dismiss):
            buttons.addWidget(widget)
        layout.addLayout(buttons)
