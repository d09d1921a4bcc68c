"""What a run had to say in words: a line a notice, change of state, checkpoint and failure."""

import time
from pathlib import Path

from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from dit_studio.events import (
    CheckpointSaved,
    Event,
    Failure,
    Measured,
    Notice,
    Progress,
    Resumed,
    Started,
    StateChanged,
)
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.train import amounts
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.state_pill import STATE_TEXTS
from dit_studio.ui.widgets.basics import button, describe, row, set_property

_LINES = 5000


class RunLog(QWidget):
    """The lines, and buttons that open the run's folder and log.txt."""

    def __init__(self, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dialogs = dialogs
        self._folder: RunFolder | None = None
        self.warnings = 0
        self.view = QPlainTextEdit(readOnly=True)
        self.view.setMaximumBlockCount(_LINES)
        self.view.setTabChangesFocus(True)
        self.view.setPlaceholderText("What the run says in words appears here.")
        set_property(self.view, "kind", "log")
        describe(self.view, "Log of the run", "Notices, warnings, checkpoints and changes of state of this run.")
        self._file = button("Open log.txt", "Open the training process's own log file.")
        self._file.clicked.connect(lambda: self._show("log.txt"))
        self._place = button("Open the run's folder", "Open the folder with checkpoints, previews and settings.")
        self._place.clicked.connect(lambda: self._show(""))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.view, 1)
        layout.addLayout(row(self._file, self._place, None))
        self.show_run(None)

    def show_run(self, folder: RunFolder | None) -> None:
        self._folder, self.warnings = folder, 0
        self.view.clear()
        for widget in (self._file, self._place):
            widget.setEnabled(folder is not None)

    def add_events(self, events: list[Event]) -> None:
        lines = [f"{_clock(event)}{text}" for event in events if (text := line_of(event))]
        self.warnings += sum(isinstance(event, Notice) and event.level == "warning" for event in events)
        if lines:
            self.view.appendPlainText("\n".join(lines))

    def _show(self, name: str) -> None:
        if self._folder is not None:
            self._dialogs.show_path(self._folder.path / Path(name))


def line_of(event: Event) -> str:
    """The event in words; "" if it is one of the many that only the plots show."""
    match event:
        case Notice(message=message, level=level, step=step):
            return f"{_at(step)}{'warning: ' if level == 'warning' else ''}{message}"
        case StateChanged(state=state, step=step, message=message):
            return f"{_at(step)}{STATE_TEXTS[state].lower()}{': ' if message else ''}{message}"
        case CheckpointSaved(step=step, file=file, size_bytes=size):
            return f"{_at(step)}saved {file} ({amounts.memory(size)})"
        case Measured(step=step, name=name, value=value) if value is not None:
            floor = "" if event.floor is None else f" (floor {event.floor:.4g})"
            return f"{_at(step)}{name} {value:.4g}{floor}"
        case Started():
            return facts_line(event)
        case Resumed(step=step):
            return f"{_at(step)}went on from here"
        case Failure(message=message, remedy=remedy, step=step):
            return f"{_at(step)}failure: {message} {remedy}".rstrip()
        case Progress(stage=stage, done=done, total=total) if done == total:
            return f"{stage}: done"
    return ""


def facts_line(started: Started) -> str:
    """ "33.0 M parameters · cpu · bf16 · 1 707 images, 90 held out · 10 classes · batch 64"."""
    parts = [f"{amounts.short(started.parameters)} parameters", started.device, started.precision]
    held_out = f", {amounts.count(started.validation_images)} held out" if started.validation_images else ""
    parts.append(amounts.counted(started.images, "image") + held_out)
    if started.class_names:
        parts.append(amounts.counted(len(started.class_names), "class", "classes"))
    return " · ".join([*parts, f"batch {started.batch_size}"])


def _at(step: int) -> str:
    return f"step {amounts.count(step)}: " if step else ""


def _clock(event: Event) -> str:
    return time.strftime("%H:%M:%S  ", time.localtime(event.time)) if event.time else ""
