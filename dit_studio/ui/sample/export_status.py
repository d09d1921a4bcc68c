"""What exports do: the progress of the one that runs, which ones wait, where the files are, or why there are none."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, Notice, Progress, SettingsRefused, Written
from dit_studio.jobs.launch import Job
from dit_studio.npz_count import StoppedNpz, images_in
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.amounts import count, counted, memory
from dit_studio.ui.widgets.basics import BusyBar, Caption, WholeText, button
from dit_studio.ui.widgets.flow import FlowLayout

_NAMED = 2  # exports that wait and are named; of more the number is said


def _show_path(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


@dataclass(frozen=True)
class _Export:
    """A file that is to be written, and what begins it."""

    path: Path
    begin: Callable[[], Job]


class ExportStatus(QWidget):
    """Runs one export after another, and says of each what came of it. Hidden until the first."""

    def __init__(self, parent: QWidget | None = None, *, show_path: Callable[[Path], None] = _show_path) -> None:
        super().__init__(parent)
        self.show_path = show_path
        self._job = OneJob(self)
        self._now: _Export | None = None
        self._waiting: deque[_Export] = deque()
        self._result: tuple[str, str] = ("", "")
        self._left: StoppedNpz | None = None  # what an end before the last image leaves
        self._folder: Path | None = None  # of the file that was saved last
        self._busy, self._then = BusyBar(), Caption()
        self._cancel = button(
            "Cancel", "End the export in progress, and keep what is whole of it; what waits behind it goes on."
        )
        self._results = QVBoxLayout()
        self._open = button("Open folder", "Show the file in the system's file manager.")
        self._dismiss = button("Dismiss", "Hide this message.")
        self._build()
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.hide()

    @property
    def is_running(self) -> bool:
        return self._now is not None

    def text(self) -> str:
        """The sentences shown: a line for each export that has ended, and what was worth saying on the way."""
        return "\n".join(label.text() for label in self._lines())

    def will_write(self, path: Path) -> bool:
        """Whether an export that runs or waits is to become this file."""
        return any(path == export.path for export in (self._now, *self._waiting) if export is not None)

    def run(self, begin: Callable[[], Job], path: Path) -> None:
        """Have a file exported, after those that were asked for before. `begin` starts its job."""
        if not self.is_running:
            self._clear()
        self._waiting.append(_Export(path, begin))
        if not self.is_running:
            self._begin_next()
        self._show()

    def close_jobs(self) -> None:
        """End what runs, forget what waits, and wait for the end."""
        self._waiting.clear()
        self._now = None
        self._job.close()

    # ------------------------------------------------------------------------------------------------- one by one

    def _begin_next(self) -> None:
        self._now = export = self._waiting.popleft()
        name = export.path.name
        self._left = StoppedNpz(export.path)
        self._result = (f"{name} was not written: the export ended without saying why. Try again.", "error")
        self._busy.show_progress(f"Exporting {name} …")
        self._job.run(export.begin())

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
                self._say(event.message, event.level)

    def _named(self, sentence: str) -> str:
        """With the file's name before it, if it does not say which of several exports it is about."""
        name = self._now.path.name if self._now is not None else ""
        return sentence if name in sentence else f"{name} was not exported: {sentence}"

    def _on_written(self, event: Written) -> None:
        file = Path(event.file)
        self._folder = file.parent
        size = f" ({memory(event.size_bytes)})" if event.size_bytes else ""
        self._result = (f"Saved {file.name}{size}. {event.note}".strip(), "info")

    def _on_ended(self) -> None:
        text, level = self._with_what_is_left(*self._result)
        self._say(self._named(text) if level == "error" else text, level)
        self._now = None
        if self._waiting:
            self._begin_next()
        else:
            self._busy.finish()
        self._show()

    def _with_what_is_left(self, text: str, level: str) -> tuple[str, str]:
        """Of an NPZ that was not finished, the images that are kept: what is on the disk is what is said."""
        file = self._left.file() if self._left is not None else None
        if level == "info" or file is None or not (images := images_in(file)):
            return text, level
        self._folder = file.parent
        kept = f"{file.name} holds {count(images)} images."
        return (f"{text} {kept}" if level == "error" else f"Stopped: {kept}"), level

    def _on_cancel(self) -> None:
        """Ask it to end at its next step; pressed again, it ends at once."""
        if self._now is not None:
            self._result = (f"{self._now.path.name} was not exported: cancelled.", "warning")
            self._busy.show_progress("Cancelling …")
            self._job.stop()

    # ------------------------------------------------------------------------------------------------- showing

    def _say(self, text: str, level: str) -> None:
        line = WholeText(role="problem" if level == "error" else "")
        line.setTextFormat(Qt.TextFormat.PlainText)
        self._results.addWidget(line)
        line.setText(text)
        line.show()  # which a layout that is seen already would put off

    def _lines(self) -> list[WholeText]:
        items = (self._results.itemAt(place) for place in range(self._results.count()))
        return [line for item in items if item is not None and isinstance(line := item.widget(), WholeText)]

    def _clear(self) -> None:
        self._folder = None
        for line in self._lines():
            self._results.removeWidget(line)
            line.hide()
            line.deleteLater()

    def _show(self) -> None:
        self._then.setText(_then(self._waiting))
        self._then.setVisible(bool(self._waiting))
        self._busy.setVisible(self.is_running)
        self._cancel.setVisible(self.is_running)
        self._open.setVisible(self._folder is not None)
        self._dismiss.setVisible(not self.is_running)
        self.show()

    def _build(self) -> None:
        self._cancel.clicked.connect(self._on_cancel)
        self._open.clicked.connect(lambda: self.show_path(self._folder or Path()))
        self._dismiss.clicked.connect(self.hide)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._results.setSpacing(4)
        layout.addLayout(self._results)
        layout.addWidget(self._busy)
        layout.addWidget(self._then)
        buttons = FlowLayout()
        for widget in (self._cancel, self._open, self._dismiss):
            buttons.addWidget(widget)
        layout.addLayout(buttons)


def _then(waiting: Sequence[_Export]) -> str:
    """ "then a.png, b.gif"; of many only the first ones are named."""
    if not waiting:
        return ""
    names = [export.path.name for export in list(waiting)[:_NAMED]]
    if (more := len(waiting) - _NAMED) > 0:
        names.append(counted(more, "other"))
    return f"then {', '.join(names)}"
