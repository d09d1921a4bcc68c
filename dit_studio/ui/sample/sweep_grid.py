"""The cells of a sweep as they are drawn, with the settings at their heads."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTabBar, QTableView, QVBoxLayout, QWidget

from dit_studio.events import CellDrawn, CellFailed, CellStarted, Event, Progress, SampleFrame
from dit_studio.sweep import SweepPlan, SweepRecord
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.sweep_cells import (
    SHOWN,
    CellLook,
    CellPainter,
    CellTable,
    ShownCell,
    side_by_side,
    small,
)
from dit_studio.ui.sample.sweep_lens import SweepLens, settings_line
from dit_studio.ui.sample.sweep_pictures import CellPictures
from dit_studio.ui.train.amounts import count, duration
from dit_studio.ui.widgets.basics import ElidedLabel, button, describe
from dit_studio.ui.widgets.flow import FlowLayout

_SMALLEST, _READABLE, _LARGEST = 56, 112, 256  # pixels, side of a cell; below the second, rows scroll instead
_VIEW_HEIGHT = 200  # pixels at least; the whole tab scrolls rather than show less


class SweepGrid(QWidget):
    """`restore_asked` carries the chosen cell's SampleRequest, model and weights, `evaluate_asked` the Path of its
    folder."""

    restore_asked = Signal(object, str, str)
    evaluate_asked = Signal(object)
    evaluate_all_asked = Signal(object)

    def __init__(self, show_path: Callable[[Path], None] | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._show_path = show_path or _show_path
        self._folder: Path | None = None
        self._running: ShownCell | None = None
        self._seconds = 0.0
        self._table, self.view, self.pages = CellTable(self), _View(), QTabBar()
        self._painter, self._pictures = CellPainter(self.view), CellPictures(self)
        self._summary, self._settings = ElidedLabel(role="muted"), ElidedLabel(role="caption")
        self._lens: SweepLens | None = None
        self.open = button("Open folder", "Show the folder of the chosen cell's images.", icon=icon("folder"))
        self.use = button("Use these settings", "Put the settings of the chosen cell into the form on the left.")
        self.evaluate = button("Evaluate this cell…", "Measure the chosen cell's images against a data set.")
        self.evaluate_all = button("Evaluate all cells…", "Measure every cell: a curve over the sweep's settings.")
        self._build()
        self._connect()

    # --------------------------------------------------------------------------------------------- what it shows

    @property
    def summary(self) -> str:
        """ "7 of 12 cells drawn · 1 failed · 34 s"."""
        return self._summary.text()

    def show_plan(self, plan: SweepPlan, folder: Path | None = None) -> None:
        """A sweep that begins; without `folder` the events say where the cells are."""
        self._folder, self._running, self._seconds = folder, None, 0.0
        self._pictures.forget()
        self._table.show_plan(plan)
        while self.pages.count():
            self.pages.removeTab(0)
        for head in plan.heads(2) if plan.pages > 1 else ():
            self.pages.setTabToolTip(self.pages.addTab(head), f"The cells with {head}.")
        self.pages.setVisible(plan.pages > 1)
        self.view.verticalHeader().setVisible(len(plan.axes) > 1)
        self.view.fit()
        self._show_summary()
        self._show_chosen()

    def show_record(self, record: SweepRecord, folder: Path) -> None:
        """A sweep that was drawn before; its pictures are read as they come into sight."""
        self.show_plan(record.plan, folder)
        for shown, state in zip(self._table.cells, record.states, strict=True):
            if state.state == "drawn":
                shown.folder = folder / shown.cell.folder
                shown.look = CellLook.DRAWN
                self._seconds += state.seconds
            elif state.state == "failed":
                shown.look, shown.text = CellLook.FAILED, state.message
            self._table.tell(shown)
        self._show_summary()

    def add_events(self, events: Sequence[Event]) -> None:
        """What the job said of the sweep that is shown."""
        for event in events:
            self._add(event)
        self._show_summary()
        self._show_chosen()

    def end(self) -> None:
        """Nothing is drawn any more: a cell that was begun is none."""
        if self._running is not None:
            self._change(self._running, CellLook.WAITING, "")
            self._running = None
        self._show_summary()

    # --------------------------------------------------------------------------------------------- events

    def _add(self, event: Event) -> None:
        match event:
            case CellStarted(index=index) if index < len(self._table.cells):
                self._running = self._table.cells[index]
                self._change(self._running, CellLook.RUNNING, "")
            case SampleFrame(step=step) if self._running is not None:
                self._change(self._running, CellLook.RUNNING, f"{step} / {self._running.cell.request.steps}")
            case Progress() if self._running is not None:
                self._change(self._running, CellLook.RUNNING, _progress(event))
            case CellDrawn(index=index) if index < len(self._table.cells):
                self._take(self._table.cells[index], event)
            case CellFailed(index=index, message=message, remedy=remedy) if index < len(self._table.cells):
                self._change(self._table.cells[index], CellLook.FAILED, f"{message} {remedy}".strip())
                self._running = None

    def _take(self, shown: ShownCell, event: CellDrawn) -> None:
        shape = (event.images, event.height, event.width, event.channels)
        if len(event.data) == np.prod(shape) > 0:
            shown.picture = small(side_by_side(np.frombuffer(event.data, np.uint8).reshape(shape)))
        place = Path(event.folder)
        shown.folder = place if place.is_absolute() or self._folder is None else self._folder / place
        self._seconds += event.seconds
        self._change(shown, CellLook.DRAWN, "")
        self._running = None

    def _change(self, shown: ShownCell, look: CellLook, text: str) -> None:
        shown.look, shown.text = look, text
        self._table.tell(shown)

    # --------------------------------------------------------------------------------------------- the chosen cell

    def chosen(self) -> ShownCell | None:
        shown = self.view.currentIndex().data(SHOWN) if self.view.currentIndex().isValid() else None
        return shown if isinstance(shown, ShownCell) else None

    def _show_chosen(self) -> None:
        shown = self.chosen()
        self.use.setEnabled(shown is not None)
        is_drawn = shown is not None and shown.look is CellLook.DRAWN and shown.folder is not None
        self.open.setEnabled(is_drawn)
        self.evaluate.setEnabled(is_drawn)
        if shown is None:
            self._settings.setText("Choose a cell to see its settings; Enter or a click shows it large.")
        else:
            failure = f": {shown.text}" if shown.text and shown.look is not CellLook.RUNNING else ""
            self._settings.setText(f"{shown.title}{failure} · {settings_line(shown, leave_out=shown.cell.labels)}")
        if self._lens is not None and self._lens.isVisible() and shown is not None:
            self._lens.show_cell(shown)

    def _enlarge(self, index: QModelIndex) -> None:
        shown = index.data(SHOWN)
        if not isinstance(shown, ShownCell) or shown.look is CellLook.WAITING:
            return
        if self._lens is None:
            self._lens = SweepLens(self)
            self._lens.moved.connect(self._move)
        self._lens.show_cell(shown)
        self._lens.show()
        self._lens.raise_()
        self._lens.activateWindow()

    def _move(self, step: QPoint) -> None:
        now = self.view.currentIndex()
        index = self._table.index(now.row() + step.y(), now.column() + step.x())
        if index.isValid():
            self.view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _open_folder(self) -> None:
        if (shown := self.chosen()) and shown.folder is not None:
            self._show_path(shown.folder)

    def _restore(self) -> None:
        if shown := self.chosen():
            self.restore_asked.emit(shown.cell.request, shown.cell.model, shown.cell.weights)

    def _evaluate(self) -> None:
        if (shown := self.chosen()) and shown.folder is not None:
            self.evaluate_asked.emit(shown.folder)

    def _evaluate_all(self) -> None:
        if self._folder is not None:
            self.evaluate_all_asked.emit(self._folder)

    # --------------------------------------------------------------------------------------------- how

    def _show_summary(self) -> None:
        looks = [shown.look for shown in self._table.cells]
        if not looks:
            self._summary.setText("")
            return
        parts = [f"{count(looks.count(CellLook.DRAWN))} of {count(len(looks))} cells drawn"]
        if failed := looks.count(CellLook.FAILED):
            parts.append(f"{count(failed)} failed")
        if self._seconds:
            parts.append(duration(self._seconds))
        self._summary.setText(" · ".join(parts))

    def _on_page(self, page: int) -> None:
        if page >= 0:
            self._table.show_page(page)
            self.view.fit()
            self._show_chosen()

    def _connect(self) -> None:
        self.view.setModel(self._table)
        self.view.setItemDelegate(self._painter)
        self._painter.missing.connect(self._pictures.want)
        self._pictures.read.connect(self._table.tell)
        self.view.selectionModel().currentChanged.connect(self._show_chosen)
        self.view.clicked.connect(self._enlarge)
        self.view.activated.connect(self._enlarge)
        self.pages.currentChanged.connect(self._on_page)
        self.open.clicked.connect(self._open_folder)
        self.use.clicked.connect(self._restore)
        self.evaluate.clicked.connect(self._evaluate)
        self.evaluate_all.clicked.connect(self._evaluate_all)
        theme.theme_changed.connect(self.view.viewport().update)

    def _build(self) -> None:
        self.pages.setDrawBase(False)
        self.pages.setAccessibleName("Pages of the sweep")
        self.pages.setToolTip("The values of the third setting.")
        self.pages.hide()
        describe(self.view, "Cells of the sweep", "A cell each combination. Enter or a click shows it large.")
        buttons = FlowLayout()
        for press in (self.use, self.open, self.evaluate, self.evaluate_all):
            buttons.addWidget(press)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self._summary, self.pages):
            layout.addWidget(widget)
        self.view.setMinimumHeight(_VIEW_HEIGHT)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._settings)
        layout.addLayout(buttons)
        self._show_chosen()


def _show_path(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def _progress(event: Progress) -> str:
    return event.stage if event.total is None else f"{event.done} / {event.total} {event.unit}".strip()


class _View(QTableView):
    """Square cells, as large as fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setHighlightSections(False)
            header.setMinimumSectionSize(_SMALLEST)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignCenter)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Give every cell the size at which the columns fill the width, within limits."""
        model = self.model()
        columns, rows = (model.columnCount(), model.rowCount()) if model else (0, 0)
        if not columns:
            return
        width = self.viewport().width() // columns
        height = self.viewport().height() // rows
        side = min(max(width if height < _READABLE else min(width, height), _SMALLEST), _LARGEST)
        self.horizontalHeader().setDefaultSectionSize(side)
        self.verticalHeader().setDefaultSectionSize(side)
