"""The checkpoints of a run, and what can be done with one."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QPushButton,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from dit_studio.errors import StudioError
from dit_studio.events import CheckpointSaved, Validation
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.export_model_dialog import ExportModelDialog, ExportModelDialogs
from dit_studio.ui.train.amounts import count, memory
from dit_studio.ui.train.checkpoint_files import SavedCheckpoint, delete_checkpoint, saved_checkpoints
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import Caption, EmptyState, Title, button, describe, row

Confirm = Callable[[str, str], bool]  # a question, and what the button says that does it

_COLUMNS = ("Step", "Validation", "Size", "Saved")
_VALIDATION = _COLUMNS.index("Validation")
_TOOLTIPS = (
    "Optimiser steps done.",
    "Validation loss at that step; in grey, the newest one before it. Lower is better.",
    "Room on the disk.",
    "When it was saved.",
)


class CheckpointList(QWidget):
    """The newest first. Resume is for whoever listens; all else is done here."""

    resume_requested = Signal(Path)
    sample_requested = Signal(Path)
    evaluate_requested = Signal(Path)

    def __init__(
        self,
        launcher: Launcher,
        parent: QWidget | None = None,
        *,
        confirm: Confirm | None = None,
        export_dialogs: ExportModelDialogs | None = None,
        show_path: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__(parent)
        dialogs = Dialogs()
        self._confirm = confirm or dialogs.confirm
        self._show_path = show_path or dialogs.show_path
        self._launcher, self._export_dialogs = launcher, export_dialogs
        self._folder: Path | None = None
        self._shown: list[SavedCheckpoint] = []
        self._validations: dict[int, float] = {}
        self.export: ExportModelDialog | None = None
        self._table = QTableWidget(0, len(_COLUMNS))
        self._message = Caption()
        self._pages = QStackedWidget()
        self._resume = button("Resume from here", "Go on training from this checkpoint.")
        self._sample = button("Sample", "Draw images from this checkpoint on the Sample page.")
        self._evaluate = button("Evaluate", "Measure this checkpoint's images on the Evaluate page.")
        self._save = button("Export…", "Write it as a published file, a diffusers folder or a file of DiT Studio.")
        self._open = button("Open folder", "Show the checkpoint's files.")
        self._delete = button("Delete…", "Delete this checkpoint for ever.", kind="danger")
        self._refresh_timer = QTimer(self, singleShot=True, interval=0)
        self._build()
        self._connect()
        self.refresh()

    # ------------------------------------------------------------------------------------------------- the run

    def set_run(self, folder: Path | None) -> None:
        """Show another run; None: no run."""
        self._folder = folder
        self._validations.clear()
        self._say("")
        self.refresh()

    def add_checkpoint(self, _event: CheckpointSaved) -> None:
        """One more is on the disk, and older ones may have gone: look soon, once for many."""
        self._refresh_timer.start()

    def add_validation(self, event: Validation) -> None:
        """Tell the validation loss at a step."""
        if event.loss is not None:
            self._validations[event.step] = event.loss
            self._refresh_timer.start()

    def refresh(self) -> None:
        """Look at the disk again."""
        chosen = self._chosen()
        self._shown = saved_checkpoints(self._folder) if self._folder else []
        self._pages.setCurrentIndex(1 if self._shown else 0)
        self._table.setRowCount(len(self._shown))
        for index, checkpoint in enumerate(self._shown):
            self._fill(index, checkpoint)
        self.show_step(chosen.step if chosen else -1)
        self._update_buttons()

    def show_step(self, step: int) -> None:
        """Choose the checkpoint of a step; another step chooses none."""
        self._table.clearSelection()
        for index, checkpoint in enumerate(self._shown):
            if checkpoint.step == step:
                self._table.selectRow(index)
                self._table.scrollTo(self._table.model().index(index, 0))

    def _fill(self, index: int, checkpoint: SavedCheckpoint) -> None:
        measured = max((step for step in self._validations if step <= checkpoint.step), default=None)
        texts = (
            count(checkpoint.step),
            "–" if measured is None else f"{self._validations[measured]:#.4g}",
            memory(checkpoint.size_bytes),
            _time_text(checkpoint.time),
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(
                f"{checkpoint.path.name}, saved {datetime.fromtimestamp(checkpoint.time):%Y-%m-%d %H:%M:%S}"
            )
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if column == _VALIDATION and measured is not None and measured != checkpoint.step:
                _mark_older(item, measured)
            self._table.setItem(index, column, item)

    # ------------------------------------------------------------------------------------------------- actions

    def _chosen(self) -> SavedCheckpoint | None:
        rows = self._table.selectionModel().selectedRows()
        return self._shown[rows[0].row()] if rows and rows[0].row() < len(self._shown) else None

    def _update_buttons(self) -> None:
        for action in (self._resume, self._sample, self._evaluate, self._save, self._open, self._delete):
            action.setEnabled(self._chosen() is not None)

    def _resume_chosen(self) -> None:
        if chosen := self._chosen():
            self.resume_requested.emit(chosen.path)

    def _sample_chosen(self) -> None:
        if chosen := self._chosen():
            self.sample_requested.emit(chosen.path)

    def _evaluate_chosen(self) -> None:
        if chosen := self._chosen():
            self.evaluate_requested.emit(chosen.path)

    def _open_chosen(self) -> None:
        if chosen := self._chosen():
            self._show_path(chosen.path)

    def _delete_chosen(self) -> None:
        chosen = self._chosen()
        if chosen is None or self._folder is None:
            return
        if chosen is self._shown[0] and RunFolder(self._folder).is_locked():
            self._say("The run is at work and may need its newest checkpoint. Stop it first, or delete an older one.")
            return
        question = f"Delete the checkpoint of step {count(chosen.step)} ({memory(chosen.size_bytes)})?"
        if len(self._shown) == 1:
            question += " It is the only one: the run cannot be resumed without it."
        if not self._confirm(question, "Delete"):
            return
        try:
            delete_checkpoint(chosen.path)
            self._say(f"Deleted the checkpoint of step {count(chosen.step)}.")
        except StudioError as error:
            self._say(str(error))
        self.refresh()

    def _export_chosen(self) -> None:
        chosen = self._chosen()
        if chosen is None or self._folder is None:
            return
        name = f"{self._folder.name}-{chosen.path.name}"
        self.export = ExportModelDialog(
            self._launcher, str(chosen.path), "ema", name=name, parent=self, dialogs=self._export_dialogs
        )
        self.export.finished.connect(self._forget_export)
        self.export.open()

    def _forget_export(self) -> None:
        self.export = None

    def close_export(self) -> None:
        """Give up an export that is under way, and wait for its thread."""
        if self.export is not None:
            self.export.reject()

    def _say(self, text: str) -> None:
        self._message.setText(text)
        self._message.setVisible(bool(text))

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self._refresh_timer.timeout.connect(self.refresh)
        theme.theme_changed.connect(self.refresh)
        if app := QCoreApplication.instance():
            app.aboutToQuit.connect(self.close_export)
        self._table.itemSelectionChanged.connect(self._update_buttons)
        self._resume.clicked.connect(self._resume_chosen)
        self._sample.clicked.connect(self._sample_chosen)
        self._evaluate.clicked.connect(self._evaluate_chosen)
        self._save.clicked.connect(self._export_chosen)
        self._open.clicked.connect(self._open_chosen)
        self._delete.clicked.connect(self._delete_chosen)

    def _build(self) -> None:
        self._build_table()
        buttons = QGridLayout()
        buttons.setSpacing(8)
        actions: tuple[QPushButton, ...] = (
            self._resume, self._sample, self._evaluate, self._save, self._open, self._delete,
        )  # fmt: skip
        for index, action in enumerate(actions):
            is_last = index == len(actions) - 1
            buttons.addWidget(action, index // 2, index % 2, 1, 2 if is_last and index % 2 == 0 else 1)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._table, 1)
        layout.addLayout(buttons)
        text = "A run saves its whole state now and then, and when it is stopped. It can go on from each."
        self._pages.addWidget(EmptyState(icon("save", "muted"), "No checkpoints yet", text))
        self._pages.addWidget(content)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(4)
        page.addLayout(row(Title("Checkpoints"), None))
        page.addWidget(self._pages, 1)
        page.addWidget(self._message)
        self._message.hide()

    def _build_table(self) -> None:
        table = self._table
        for index, (name, text) in enumerate(zip(_COLUMNS, _TOOLTIPS, strict=True)):
            item = QTableWidgetItem(name)
            table.setHorizontalHeaderItem(index, item)
            item.setToolTip(text)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.setMinimumHeight(96)
        describe(table, "Checkpoints", "Checkpoints of the run, the newest first.")


def _mark_older(item: QTableWidgetItem, step: int) -> None:
    item.setForeground(QColor(theme.current().muted))
    item.setToolTip(f"Measured at step {count(step)}, the newest before this checkpoint.")


def _time_text(time: float) -> str:
    """The hour if it was today, else the day."""
    when = datetime.fromtimestamp(time)
    return f"{when:%H:%M}" if when.date() == datetime.now().date() else f"{when:%d %b}"
