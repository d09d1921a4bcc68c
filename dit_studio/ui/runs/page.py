"""The Runs page: every run below the folder of runs, and what can be done with it."""

import logging
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QFile, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QHideEvent, QImage, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QMessageBox,
    QSplitter,
    QStackedLayout,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from dit_studio.events import Event
from dit_studio.places import runs_dir
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.runs.compare import RUN_LIMIT, ComparePanel
from dit_studio.ui.runs.listing import THUMBNAIL_SIZE, ListRuns, RunRow, RunsListed
from dit_studio.ui.runs.table import (
    MODEL,
    PROGRESS,
    ROW_ROLE,
    STARTED,
    STATE,
    ProgressDelegate,
    RunsModel,
    RunsProxy,
    StateDelegate,
)
from dit_studio.ui.widgets.basics import ElidedLabel, EmptyState, Heading, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.message import MessageCard

_log = logging.getLogger(__name__)
_REFRESH_MS = 2000
_WIDTHS = (0, 120, 108, 68, 72, 100, 64, 108, 92)  # pixels, by column; the first takes what is left
_MIN_NAME_WIDTH = 144
_RESUME = "Go on training from the last checkpoint."


def ask_to_delete(page: QWidget, question: str) -> bool:
    box = QMessageBox(QMessageBox.Icon.Question, "Delete runs", question, parent=page)
    yes = box.addButton("Move to trash", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    box.exec()
    return box.clickedButton() is yes


def show_folder(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class RunsPage(QWidget):
    """Lists, opens, compares and deletes runs. `confirm` and `show` are there for tests to answer."""

    open_run = Signal(object)  # Path
    resume_run = Signal(object)  # Path
    sample_run = Signal(object)  # Path
    evaluate_run = Signal(object)  # Path
    train_asked = Signal()
    queue_asked = Signal()

    def __init__(
        self,
        *,
        confirm: Callable[[QWidget, str], bool] = ask_to_delete,
        show: Callable[[Path], None] = show_folder,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._confirm, self._show = confirm, show
        self._thumbnails: dict[Path, tuple[float, QImage]] = {}
        self._model = RunsModel()
        self._proxy = RunsProxy(self._model)
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._timer = QTimer(self, interval=_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._build()
        self._connect()
        self._update_buttons()

    def refresh(self) -> None:
        """List the runs again, in another thread."""
        if not self._job.is_running:
            self._job.run(ListRuns(runs_dir(), self._thumbnails))

    def selected(self) -> list[RunRow]:
        return [index.data(ROW_ROLE) for index in self.table.selectionModel().selectedRows()]

    def close_page(self) -> None:
        self._timer.stop()
        self._job.close()
        self._compare.close_job()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # --------------------------------------------------------------------------------------------- what is done

    def open_selected(self) -> None:
        if rows := self.selected():
            self.open_run.emit(rows[0].path)

    def resume_selected(self) -> None:
        if rows := self.selected():
            self.resume_run.emit(rows[0].path)

    def sample_selected(self) -> None:
        """Draw images from the run that is selected."""
        rows = self.selected()
        if len(rows) == 1:
            self.sample_run.emit(rows[0].path)

    def evaluate_selected(self) -> None:
        """Measure the run that is selected."""
        rows = self.selected()
        if len(rows) == 1:
            self.evaluate_run.emit(rows[0].path)

    def show_selected(self) -> None:
        if rows := self.selected():
            self._show(rows[0].path)

    def delete_selected(self) -> None:
        """Ask, then move the runs to the trash; one that is at work stays."""
        rows = self.selected()
        at_work = [row.path.name for row in rows if row.summary.folder.is_alive()]
        if at_work:
            self._message.show_notice(f"{at_work[0]} is at work. Stop it first.", level="warning")
        elif rows and self._confirm(self, _question(rows)):
            failed = [row.path.name for row in rows if not _move_to_trash(row.path)]
            if failed:
                text = f"{', '.join(failed)} could not be moved to the trash. Delete the folder by hand."
                self._message.show_notice(text, level="error")
            self.refresh()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, RunsListed):
                self._model.show_rows(event.rows)
                self.table.fit_model()
        self._stack.setCurrentIndex(1 if self._model.rowCount() else 0)
        self._update_buttons()

    def _on_filter(self, text: str) -> None:
        self._proxy.show_only(text)
        self._update_buttons()

    def _update_buttons(self) -> None:
        rows = self.selected()
        self.open.setEnabled(len(rows) == 1)
        self.folder.setEnabled(len(rows) == 1)
        self.sample.setEnabled(len(rows) == 1)
        self.evaluate.setEnabled(len(rows) == 1)
        why_not = rows[0].why_not_resume if len(rows) == 1 else "select one run."
        self.resume.setEnabled(not why_not)
        self.resume.setToolTip(f"{_RESUME}\nOff: {why_not}" if why_not else _RESUME)
        self.delete.setEnabled(bool(rows))
        self._compare.setVisible(len(rows) > 1)
        self._hint.setText(_selection_text(len(rows), self._proxy.rowCount(), self._model.rowCount()))
        if len(rows) > 1:
            self._compare.show_runs(rows[:RUN_LIMIT])

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        self._message = MessageCard()
        self.filter = QLineEdit(placeholderText="Filter", clearButtonEnabled=True)
        self.filter.setMaximumWidth(280)
        self.filter.setAcceptDrops(False)  # what is dropped is for the window
        describe(self.filter, "Filter the runs", "Show the runs in which all these words occur, in any column.")
        self.queue = button("Queue", "Show what is at work and what waits, by device (Ctrl+J).", icon=icon("queue"))
        self.open = button("Open", "Show the run on the Train page (Enter).", kind="primary")
        self.resume = button("Resume", _RESUME, icon=icon("resume"))
        self.sample = button("Sample", "Draw images from the run's newest checkpoint.", icon=icon("sample"))
        self.evaluate = button(
            "Evaluate", "Measure the run's images, or a curve over its checkpoints.", icon=icon("evaluate")
        )
        self.folder = button("Show folder", "Open the run's folder in the file manager.", icon=icon("folder"))
        self.delete = button(
            "Delete", "Move the run to the trash (Delete).", kind="danger", icon=icon("trash", "error")
        )
        self._hint = ElidedLabel(role="caption")
        self.table = _make_table(self._proxy)
        self._compare = ComparePanel()
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.table)
        self._split.addWidget(self._compare)
        self._split.setSizes([300, 300])
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._split, 1)
        actions = FlowLayout()
        for press in (self.open, self.resume, self.sample, self.evaluate, self.folder, self.delete):
            actions.addWidget(press)
        column.addLayout(actions)
        column.addWidget(self._hint)
        self.empty = EmptyState(
            icon("runs", "muted"),
            "No runs yet",
            "A run appears here as soon as its training starts.",
            "Start on the Train page",
        )
        self._stack = QStackedLayout()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(full)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(row(Heading("Runs"), None, self.queue, self.filter))
        layout.addWidget(self._message)
        layout.addLayout(self._stack, 1)

    def _connect(self) -> None:
        self.empty.clicked.connect(self.train_asked)
        self.queue.clicked.connect(self.queue_asked)
        self.filter.textChanged.connect(self._on_filter)
        self.open.clicked.connect(self.open_selected)
        self.resume.clicked.connect(self.resume_selected)
        self.sample.clicked.connect(self.sample_selected)
        self.evaluate.clicked.connect(self.evaluate_selected)
        self.folder.clicked.connect(self.show_selected)
        self.delete.clicked.connect(self.delete_selected)
        self.table.doubleClicked.connect(self.open_selected)
        self.table.selectionModel().selectionChanged.connect(self._update_buttons)
        for key, slot in (
            (Qt.Key.Key_Return, self.open_selected),
            (Qt.Key.Key_Enter, self.open_selected),
            (Qt.Key.Key_Delete, self.delete_selected),
        ):
            QShortcut(QKeySequence(key), self.table, slot, context=Qt.ShortcutContext.WidgetShortcut)


class _Table(QTableView):
    """Gives the first column the room that the others leave."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    def fit(self) -> None:
        """Give the columns their widths at the font scale in use."""
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, _scaled(width))
        self.verticalHeader().setDefaultSectionSize(max(THUMBNAIL_SIZE + 8, 3 * theme.text_size(1)))
        self.fit_model()
        self._share_width()

    def fit_model(self) -> None:
        """Make room for a model that is more than its preset."""
        if (needed := self.sizeHintForColumn(MODEL)) > self.columnWidth(MODEL):
            self.setColumnWidth(MODEL, needed)
            self._share_width()

    def _share_width(self) -> None:
        others = sum(self.columnWidth(column) for column in range(1, len(_WIDTHS)))
        self.setColumnWidth(0, max(_scaled(_MIN_NAME_WIDTH), self.viewport().width() - others))


def _scaled(width: int) -> int:
    return width * theme.text_size(1) // theme.TEXT_SIZES[1]


def _make_table(proxy: RunsProxy) -> _Table:
    table = _Table()
    table.setModel(proxy)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setMouseTracking(True)
    table.setIconSize(QSize(THUMBNAIL_SIZE, THUMBNAIL_SIZE))
    table.setItemDelegateForColumn(STATE, StateDelegate(table))
    table.setItemDelegateForColumn(PROGRESS, ProgressDelegate(table))
    table.verticalHeader().hide()
    table.setSortingEnabled(True)
    table.sortByColumn(STARTED, Qt.SortOrder.DescendingOrder)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    table.fit()
    theme.theme_changed.connect(table.fit)
    describe(table, "Runs", "All runs: Enter opens one; select several to compare them.")
    return table


def _selection_text(selected: int, shown: int, known: int) -> str:
    if selected > RUN_LIMIT:
        return f"{selected} selected; the first {RUN_LIMIT} are compared"
    if selected > 1:
        return f"{selected} runs compared"
    return f"{shown} of {known} runs" if shown != known else "Select two or more to compare them"


def _question(rows: list[RunRow]) -> str:
    name = rows[0].path.name if len(rows) == 1 else f"{len(rows)} runs"
    return f"Move {name}, with checkpoints and previews, to the trash?"


def _move_to_trash(path: Path) -> bool:
    is_moved = bool(QFile.moveToTrash(str(path)))
    if not is_moved:
        _log.warning("%s was not moved to the trash", path)
    return is_moved
