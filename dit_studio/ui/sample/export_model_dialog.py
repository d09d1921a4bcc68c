"""Giving a model back: in which format, what that cannot express, and where it goes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from dit_studio.events import (
    Event,
    Failure,
    Progress,
    Written,
)
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import ExportChecked
from dit_studio.ui import theme
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.sample.export_choices import combo
from dit_studio.ui.sample.export_path import file_at, is_there, save_path
from dit_studio.ui.train.amounts import count, memory
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import BusyBar, Caption, Title, WholeText, button, describe, row
from dit_studio.ui.widgets.scrolling import Scrolling

_WIDTH, _HEIGHT = 520, 520  # pixels, where the screen has them
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\s·]+')


@dataclass(frozen=True, kw_only=True)
class _Form:
    """A format as a person chooses it; `ending`: of its file, "" for a folder."""

    text: str
    format: str
    ending: str


_FORMS = (
    _Form(text="Published, .pt", format="facebook", ending=".pt"),
    _Form(text="Published, .safetensors", format="facebook", ending=".safetensors"),
    _Form(text="diffusers folder", format="diffusers", ending=""),
    _Form(text="DiT Studio, .safetensors", format="studio", ending=".safetensors"),
)
_WEIGHTS = (("EMA", "ema"), ("Raw", "raw"))


def _folder(start: str) -> str:
    title = "Choose where the folder is made"
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), title, start)


@dataclass(frozen=True, kw_only=True)
class ExportModelDialogs:
    """What is asked in windows of the system; a test passes functions that answer instead."""

    file: Callable[[str, str, str], str] = save_path  # title, suggested path, kinds of files -> "" for none
    folder: Callable[[str], str] = _folder  # where to begin -> "" for none
    show_path: Callable[[Path], None] = Dialogs().show_path


class ExportModelDialog(QDialog):
    """Says what a format loses before anything is written; then writes, and says where."""

    def __init__(
        self,
        launcher: Launcher,
        model: str,
        weights: str,
        *,
        name: str,
        parent: QWidget | None = None,
        dialogs: ExportModelDialogs | None = None,
    ) -> None:
        """`name` begins the name of the file, before that of the weights."""
        super().__init__(parent)
        self._launcher, self._model, self._dialogs = launcher, model, dialogs or ExportModelDialogs()
        self._name = _NOT_IN_NAMES.sub("-", name.replace(",", "")).strip("-") or "model"
        self._checking, self._writing = OneJob(self), OneJob(self)
        self._checked: ExportChecked | None = None
        self._written: Path | None = None
        self._place = Path.home()
        self._is_typed = False  # whether a person has said where it goes
        self.form = combo([(form.text, form) for form in _FORMS], "Format", "Who will read the file.")
        self.weights = combo(
            list(_WEIGHTS), "Weights", "EMA: averaged over training, usually better. Raw: as the optimiser left them."
        )
        self.weights.setCurrentIndex(max(self.weights.findData(weights), 0))
        self.path = QLineEdit()
        self._choose = button("Choose…", "Choose where it is written.")
        self._problems, self._notes = WholeText(role="problem"), WholeText(role="muted")
        self._there, self._size, self._result = WholeText(role="caption"), Caption(), WholeText()
        self._busy = BusyBar()
        self.export = button("Export", "Write the model.", kind="primary")
        self.cancel = button("Close", "")
        self.show_folder = button("Open folder", "Show the file in the system's file manager.")
        self._build()
        self._connect()
        self._on_form()

    @property
    def text(self) -> str:
        """What is said of the format, and of what came of the export."""
        labels = (self._problems, self._notes, self._there, self._size, self._result)
        return "\n".join(label.text() for label in labels if not label.isHidden() and label.text())

    @property
    def is_writing(self) -> bool:
        return self._writing.is_running

    def done(self, result: int) -> None:
        """However it is closed, nothing goes on behind it."""
        self.close_jobs()
        super().done(result)

    def close_jobs(self) -> None:
        self._checking.close()
        self._writing.close()

    # --------------------------------------------------------------------------------------------- what is possible

    def _form(self) -> _Form:
        form: _Form = self.form.currentData()
        return form

    def _on_form(self) -> None:
        self.path.setText(self._with_ending(self.path.text()) if self._is_typed else str(self._suggested()))
        self._check()

    def _with_ending(self, text: str) -> str:
        """What a person chose, with the ending of the format instead of another's."""
        endings = {form.ending for form in _FORMS if form.ending}
        path = Path(text)
        return str(path.with_suffix(self._form().ending)) if path.suffix in endings else text

    def _suggested(self) -> Path:
        form = self._form()
        kind = "-diffusers" if form.format == "diffusers" else ""
        return self._place / f"{self._name}-{self.weights.currentData()}{kind}{form.ending}"

    def _check(self) -> None:
        self._checked, self._written = None, None
        self._say(self._result, "")
        self._show_checked()
        params = {"model": self._model, "weights": self.weights.currentData(), "format": self._form().format}
        self._checking.run(self._launcher.call("check_export", **params))

    def _on_checked(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, ExportChecked):
                self._checked = event
            elif isinstance(event, Failure):
                self._checked = ExportChecked(
                    format=self._form().format, problems=(f"{event.message} {event.remedy}".strip(),)
                )
        self._show_checked()

    def _show_checked(self) -> None:
        checked = self._checked
        self._say(self._problems, _lines(checked.problems if checked else ()))
        self._say(self._notes, _lines(checked.notes if checked else ()))
        is_possible = checked is not None and not checked.problems
        self._size.setText(f"{memory(checked.size_bytes)} are written." if checked and is_possible else "")
        self._size.setVisible(bool(self._size.text()))
        self._show_readiness()

    # --------------------------------------------------------------------------------------------- where it goes

    def _on_choose(self) -> None:
        form = self._form()
        if form.ending:
            kinds = f"Models (*{form.ending})"
            chosen = self._dialogs.file("Export the model", self.path.text() or str(self._suggested()), kinds)
        else:
            chosen = self._dialogs.folder(str(self._place))
            chosen = str(Path(chosen) / self._suggested().name) if chosen else ""
        if chosen:
            self._place, self._is_typed = Path(chosen).parent, True
            self.path.setText(chosen)

    def _on_typed(self) -> None:
        self._is_typed = True

    def _target(self) -> Path | None:
        """With the ending of the format; None while no name is said."""
        return file_at(self.path.text().strip(), self._form().ending)

    def _about_target(self, target: Path | None, *, is_replaced: bool) -> str:
        if target is None:
            what = "file" if self._form().ending else "new folder"
            return f"The destination is the path of no {what}. Write the {what}'s name after its folder."
        return f"{target.name} is there already and is replaced." if is_replaced else ""

    def _show_readiness(self) -> None:
        target, is_possible = self._target(), self._checked is not None and not self._checked.problems
        is_file = target is not None and is_there(target) and target.is_file()
        is_replaced = is_file and bool(self._form().ending) and not self._written
        self._say(self._there, self._about_target(target, is_replaced=is_replaced))
        self.export.setText("Replace" if is_replaced else "Export")
        self.export.setEnabled(is_possible and target is not None and not self.is_writing and self._written is None)
        for editor in (self.form, self.weights, self.path, self._choose):
            editor.setEnabled(not self.is_writing)
        self.cancel.setText("Cancel" if self.is_writing else "Close")
        self.cancel.setToolTip("End the export; nothing is left of it." if self.is_writing else "Close this (Escape).")
        self.show_folder.setVisible(self._written is not None)

    # --------------------------------------------------------------------------------------------- writing

    def _write(self) -> None:
        target = self._target()
        assert target is not None
        self._written = None
        self._ending = f"{target.name} was not written: the export ended without saying why. Try again."
        self._busy.show_progress(f"Writing {target.name}")
        params = {"model": self._model, "weights": self.weights.currentData(), "format": self._form().format}
        self._writing.run(self._launcher.call("convert_model", **params, path=str(target)))
        self._say(self._result, "")
        self._show_readiness()

    def _on_written(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                of = f" {count(event.done)} of {count(event.total)} {event.unit}" if event.total else ""
                self._busy.show_progress(event.stage + of, event.done, event.total)
            elif isinstance(event, Written):
                self._written = Path(event.file)
                self._ending = f"Saved {self._written.name} ({memory(event.size_bytes)})."
            elif isinstance(event, Failure):
                self._ending = f"{event.message} {event.remedy}".strip()

    def _on_ended(self) -> None:
        self._busy.finish()
        self._say(self._result, self._ending)
        self._show_readiness()

    def _on_cancel(self) -> None:
        if not self.is_writing:
            self.reject()
            return
        self._ending = "Cancelled; nothing was written."
        self._busy.show_progress("Cancelling …")
        self._writing.stop()

    def _say(self, label: WholeText, text: str) -> None:
        label.setText(text)
        label.setVisible(bool(text))

    # --------------------------------------------------------------------------------------------- building

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        room = self.screen().availableSize()
        self.resize(min(theme.scaled(_WIDTH), room.width()), min(theme.scaled(_HEIGHT), round(0.9 * room.height())))

    def _connect(self) -> None:
        self.form.currentIndexChanged.connect(self._on_form)
        self.weights.currentIndexChanged.connect(self._on_form)
        self.path.textEdited.connect(self._on_typed)
        self.path.textChanged.connect(self._on_path)
        self._choose.clicked.connect(self._on_choose)
        self._checking.received.connect(self._on_checked)
        self._writing.received.connect(self._on_written)
        self._writing.ended.connect(self._on_ended)
        self.export.clicked.connect(self._write)
        self.cancel.clicked.connect(self._on_cancel)
        self.show_folder.clicked.connect(lambda: self._dialogs.show_path((self._written or Path()).parent))

    def _on_path(self) -> None:
        self._written = None
        self._show_readiness()

    def _build(self) -> None:
        self.setWindowTitle("Export a model")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        describe(self.path, "Destination", "The file, or the new folder, that is written.")
        self.path.setAcceptDrops(False)  # what is dropped is for the window
        form = QFormLayout()
        form.setSpacing(8)
        form.addRow("Format", self.form)
        form.addRow("Weights", self.weights)
        place = row(self.path, self._choose)
        place.setStretch(0, 1)
        form.addRow("Destination", place)
        said = QWidget()
        words = QVBoxLayout(said)
        words.setContentsMargins(0, 8, 8, 8)
        words.setSpacing(8)
        for label in (self._problems, self._notes, self._size, self._there):
            label.setTextFormat(Qt.TextFormat.PlainText)
            words.addWidget(label)
        words.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(8)
        layout.addWidget(Title("Export a model"))
        layout.addLayout(form)
        layout.addWidget(Scrolling(said), 1)
        layout.addWidget(self._busy)
        layout.addWidget(self._result)
        layout.addLayout(row(None, self.show_folder, self.cancel, self.export))
        describe(self.cancel, "Close", "Close this (Escape).")
        self.export.setDefault(True)


def _lines(sentences: Sequence[str]) -> str:
    return "\n".join(f"• {sentence}" for sentence in sentences) if len(sentences) > 1 else "".join(sentences)
