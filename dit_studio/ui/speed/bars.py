"""Tables whose numbers carry a bar: figures of a machine, to compare at a glance and to copy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QEvent, QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QKeySequence, QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from dit_studio.ui import theme
from dit_studio.ui.widgets.basics import describe

SHARE = Qt.ItemDataRole.UserRole  # of the longest bar beside it, from 0 to 1; None: no bar
_Index = QModelIndex | QPersistentModelIndex
# Pixels at a font scale of 100 %.
_ROW = 30
_ROWS_LEAST = 6  # that are always shown, the heads among them
_BAR = 5  # the height of a bar below its number
_BAR_COLUMN = 128  # the least width of a column with bars


@dataclass(frozen=True, kw_only=True)
class Column:
    """`value` is what a bar shows, among the rows of the same `group`; without it there is no bar."""

    title: str
    tooltip: str
    text: Callable[[Any], str]
    value: Callable[[Any], float | None] | None = None


class BarModel(QAbstractTableModel):
    """Rows as they arrive; a row with the key of one that is there takes its place."""

    def __init__(
        self, columns: Sequence[Column], *, key: Callable[[Any], object], group: Callable[[Any], object]
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self._key, self._group = key, group
        self.rows: list[Any] = []

    def put(self, row: Any) -> None:
        """Show a row, among those of its group."""
        keys = [self._key(other) for other in self.rows]
        if self._key(row) in keys:
            self.rows[keys.index(self._key(row))] = row
            self._repaint()
            return
        members = [place for place, other in enumerate(self.rows) if self._group(other) == self._group(row)]
        place = members[-1] + 1 if members else len(self.rows)
        self.beginInsertRows(QModelIndex(), place, place)
        self.rows.insert(place, row)
        self.endInsertRows()
        self._repaint()

    def clear(self) -> None:
        self.beginResetModel()
        self.rows = []
        self.endResetModel()

    def lines(self) -> list[list[str]]:
        """Everything as text, the heads first."""
        heads = [column.title for column in self.columns]
        return [heads, *([column.text(row) for column in self.columns] for row in self.rows)]

    def share(self, row: Any, column: Column) -> float | None:
        """How long the bar of a cell is."""
        value = column.value(row) if column.value else None
        if column.value is None or value is None:
            return None
        beside = (column.value(other) for other in self.rows if self._group(other) == self._group(row))
        longest = max(other for other in beside if other is not None)
        return value / longest if longest > 0 else 0.0

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.ToolTipRole:
                return self.columns[section].tooltip
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, column = self.rows[index.row()], self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(row)
            case Qt.ItemDataRole.ToolTipRole:
                return column.text(row) or column.tooltip
            case Qt.ItemDataRole.TextAlignmentRole if column.value is not None:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            case Qt.ItemDataRole.BackgroundRole if self._is_shaded(row):
                return QColor(theme.current().raised)
            case int() if role == SHARE:
                return self.share(row, column)
        return None

    def _is_shaded(self, row: Any) -> bool:
        """Every other group is, so that one sees which bars belong together."""
        return list(dict.fromkeys(map(self._group, self.rows))).index(self._group(row)) % 2 == 1

    def _repaint(self) -> None:
        if self.rows:
            last = self.index(len(self.rows) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)


class BarTable(QTableView):
    """A table of a `BarModel`. Ctrl+C copies the selected rows, or all."""

    def __init__(self, model: BarModel, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars = model
        self.setModel(model)
        self.setItemDelegate(_BarDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setHighlightSections(False)
        describe(self, name, "↑ ↓: another row; Ctrl+C: copy the selected rows.")
        model.rowsInserted.connect(self.fit)
        model.modelReset.connect(self.fit)
        theme.theme_changed.connect(self.fit)
        self.fit()

    def fit(self) -> None:
        """Rows and columns as large as the text needs."""
        self.verticalHeader().setDefaultSectionSize(theme.scaled(_ROW))
        self.setMinimumHeight(theme.scaled(_ROWS_LEAST * _ROW))
        self.resizeColumnsToContents()
        for number, column in enumerate(self._bars.columns):
            if column.value is not None:
                self.setColumnWidth(number, max(self.columnWidth(number), theme.scaled(_BAR_COLUMN)))

    def copy(self) -> None:
        """Put the selected rows on the clipboard, with their heads; all rows where none is selected."""
        heads, *lines = self._bars.lines()
        chosen = sorted(index.row() for index in self.selectionModel().selectedRows()) or range(len(lines))
        text = "\n".join("\t".join(line) for line in [heads, *(lines[number] for number in chosen)])
        QGuiApplication.clipboard().setText(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and hasattr(self, "_bars"):  # the base class is styled first
            self.fit()


class _BarDelegate(QStyledItemDelegate):
    """A number, and below it a bar."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        if (ground := index.data(Qt.ItemDataRole.BackgroundRole)) is not None:  # which the style sheet passes over
            painter.fillRect(option.rect, ground)
        super().paint(painter, option, index)
        share = index.data(SHARE)
        if share is None:
            return
        height, margin = theme.scaled(_BAR), 4.0
        area = QRectF(option.rect).adjusted(margin, 0, -margin, 0)
        bar = QRectF(area.left(), area.bottom() - height, area.width() * float(share), height - 2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.current().accent))
        painter.drawRoundedRect(bar, 1.5, 1.5)
        painter.restore()
