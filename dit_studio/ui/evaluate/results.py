"""The figures of the evaluation that is shown."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.ui import theme
from dit_studio.ui.evaluate.points_model import PointRow
from dit_studio.ui.evaluate.points_table import PointsTable
from dit_studio.ui.evaluate.result_card import ResultCard
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import EmptyState
from dit_studio.ui.widgets.scrolling import Scrolling

_TABLE_SHARE = (2, 3)  # of the height: the table, the card


class Results(QWidget):
    """A card for one point; for many a table above the card of the selected one."""

    point_selected = Signal(int)
    samples_asked = Signal(int)
    copying_asked = Signal(int)
    retry_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._table: PointsTable | None = None
        self._selected = -1
        self._card = ResultCard()
        self._scrolling = Scrolling(self._card)
        self._splitter = QSplitter(Qt.Orientation.Vertical, handleWidth=8)
        self._splitter.addWidget(self._scrolling)
        self._splitter.setChildrenCollapsible(False)
        self._pages = QStackedWidget()
        self._build()
        self._card.samples_asked.connect(lambda: self.samples_asked.emit(self._selected))
        self._card.copying_asked.connect(lambda: self.copying_asked.emit(self._selected))
        self._card.retry_asked.connect(self.retry_asked)
        theme.theme_changed.connect(self._restyle)

    def show_plan(self, plan: EvaluationPlan, folder: Path | None) -> None:
        """Show the points of an evaluation, none of them measured; `folder` will have their pictures."""
        self.clear()
        self._folder = folder
        self._table = PointsTable(plan)
        self._table.chosen.connect(self._on_chosen)
        self._table.samples_asked.connect(self.samples_asked)
        self._splitter.insertWidget(0, self._table)
        for place, share in enumerate(_TABLE_SHARE):
            self._splitter.setStretchFactor(place, share)
        self._table.setVisible(len(plan.points) > 1)
        self._pages.setCurrentIndex(1)
        self.select(0)

    def start(self, index: int) -> None:
        """A point is about to be measured."""
        self._change(index, progress=("Starting…", 0, None), message="", remedy="")

    def progress(self, index: int, text: str, done: int, total: int | None) -> None:
        """How far the point is that is measured."""
        self._change(index, progress=(text, done, total))

    def add(self, index: int, result: EvaluationResult, samples: str) -> None:
        """What came of a point; `samples` is where its images are."""
        self._change(index, result=result, samples=samples, progress=None, message="", remedy="")

    def fail(self, index: int, message: str, remedy: str) -> None:
        self._change(index, message=message, remedy=remedy, progress=None)

    def halt(self) -> None:
        """Nothing is measured any more: what was begun waits."""
        for row in self._rows():
            if row.progress is not None:
                self._change(row.point.index, progress=None)

    def clear(self) -> None:
        """Forget the evaluation."""
        if self._table is not None:
            self._table.hide()
            self._table.setParent(None)
            self._table.deleteLater()
        self._table, self._folder, self._selected = None, None, -1
        self._pages.setCurrentIndex(0)

    def select(self, index: int) -> None:
        """Show the card of a point."""
        if 0 <= index < len(self._rows()):
            self._selected = index
            if self._table is not None:
                self._table.select(index)
            self._show_card()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not (event.matches(QKeySequence.StandardKey.Copy) and self._card.copy()):
            super().keyPressEvent(event)

    def _rows(self) -> list[PointRow]:
        return self._table.points.rows if self._table is not None else []

    def _change(self, index: int, **changes: object) -> None:
        if self._table is None or index >= len(self._rows()):
            return
        self._table.points.change(index, **changes)
        if index == self._selected:
            self._show_card()

    def _show_card(self) -> None:
        row = self._rows()[self._selected]
        title = row.point.label
        if row.result is not None:
            picture = None if self._folder is None else self._folder / row.point.samples_file
            self._card.show_result(title, row.result, picture if picture is not None and picture.is_file() else None)
        elif row.progress is not None:
            self._card.show_progress(title, *row.progress)
        elif row.message:
            self._card.show_failed(title, row.message, row.remedy)
        else:
            self._card.show_waiting(title)

    def _on_chosen(self, index: int) -> None:
        if index != self._selected:
            self._selected = index
            self._show_card()
        self.point_selected.emit(index)

    def _restyle(self) -> None:
        if self._table is not None:
            self._show_card()

    def _build(self) -> None:
        empty = EmptyState(
            icon("evaluate", "muted"),
            "Nothing measured yet",
            "Choose a reference and what is measured, then press Evaluate. Earlier evaluations are in the history.",
        )
        self._pages.addWidget(empty)
        self._pages.addWidget(self._splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.addWidget(self._pages)
