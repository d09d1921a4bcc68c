"""The table of a plan's points."""

from PySide6.QtCore import QEvent, QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QKeySequence, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.ui import theme
from dit_studio.ui.evaluate.points_model import PointsModel, PointsOrder
from dit_studio.ui.evaluate.result_text import copy_results
from dit_studio.ui.widgets.basics import describe

# Pixels at a font scale of 100 %.
_STATE = 112  # the width of the column with the state, at first
_ROW = 30
_AROUND_HEAD = 34  # its padding, and the arrow of what is sorted by
_ROWS_LEAST = 3  # that are always shown


class PointsTable(QTableView):
    """A row for each point; the current one is the one whose card is shown."""

    chosen = Signal(int)  # by the user
    samples_asked = Signal(int)

    def __init__(self, plan: EvaluationPlan, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.points = PointsModel(plan)
        self._order = PointsOrder(self)
        self._order.setSourceModel(self.points)
        self._selected, self._is_following = -1, False
        self._fit_soon = QTimer(self, singleShot=True, interval=0)  # once for many results that come together
        self.setModel(self._order)
        self._build()
        self.points.dataChanged.connect(self._on_changed)
        self.points.modelReset.connect(self._on_reset)
        self.points.measured.connect(self._fit_soon.start)
        self._fit_soon.timeout.connect(self.fit_columns)
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)
        self.doubleClicked.connect(self._on_double_clicked)

    def select(self, index: int) -> None:
        """Make a point's row the current one."""
        self._selected, self._is_following = index, True
        place = self._order.mapFromSource(self.points.index(index, 0))
        self.setCurrentIndex(place)
        self.scrollTo(place)
        self._is_following = False

    def copy(self) -> None:
        """Put the selected rows on the clipboard, as text and as a table."""
        indices = [self._order.mapToSource(row).row() for row in self.selectionModel().selectedRows()]
        rows = [self.points.rows[index] for index in indices]
        copy_results([(row.point.label, row.result) for row in rows if row.result is not None])

    def fit_columns(self) -> None:
        self.verticalHeader().setDefaultSectionSize(theme.scaled(_ROW))
        for column in range(self.points.columnCount()):
            self.setColumnWidth(column, max(self.sizeHintForColumn(column), self._head_width(column)))
        bar, frame = self.horizontalScrollBar().sizeHint().height(), 2 * self.frameWidth()
        around = self.horizontalHeader().sizeHint().height() + bar + frame
        count, row = self.points.rowCount(), theme.scaled(_ROW)
        self.setMinimumHeight(around + min(count, _ROWS_LEAST) * row)
        self.setMaximumHeight(around + count * row)
        self.setColumnWidth(self._state_column, theme.scaled(_STATE))

    @property
    def _state_column(self) -> int:
        return len(self.points.heads) - 1

    def _head_width(self, column: int) -> int:
        """Qt itself measures a head of two lines as one."""
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        text = str(self.points.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))
        return QFontMetrics(font).size(0, text).width() + _AROUND_HEAD

    def _on_changed(self) -> None:
        """The states are of interest as long as they differ."""
        self.setColumnHidden(self._state_column, self.points.is_all_done)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and hasattr(self, "_fit_soon"):  # the base class is styled first
            self._fit_soon.start()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._on_double_clicked(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on the row that is current already shows its point, too."""
        super().mouseReleaseEvent(event)
        if (place := self.indexAt(event.position().toPoint())).isValid():
            self.chosen.emit(self._order.mapToSource(place).row())

    def _on_current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and not self._is_following:
            self._selected = self._order.mapToSource(current).row()
            self.chosen.emit(self._selected)

    def _on_double_clicked(self, place: QModelIndex) -> None:
        index = self._order.mapToSource(place).row()
        if self.points.rows[index].result is not None:
            self.samples_asked.emit(index)

    def _on_reset(self) -> None:
        if self._selected >= 0:
            self.select(self._selected)

    def _build(self) -> None:
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # in the order of measuring
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        keys = "↑ ↓: another point; Return: its samples; Ctrl+C: copy; a click on a column's head sorts by it."
        describe(self, "Points of the evaluation", keys)
        self.fit_columns()
