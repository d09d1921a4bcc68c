"""A list of classes to tick: a picture, a name and a number each; a thousand of them are no trouble."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QImage, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionButton,
    QStyleOptionViewItem,
    QWidget,
)

from dit_studio.class_names import other_names
from dit_studio.ui import theme

NUMBER, PICTURE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
_TILE, _GAP = 24, 8  # pixels at a font scale of 100 %
Index = QModelIndex | QPersistentModelIndex


class ClassModel(QAbstractListModel):
    """The classes of a model, and which of them are ticked."""

    ticked = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._pictures: NDArray[np.uint8] | None = None
        self._ticked: set[int] = set()

    def show_classes(self, names: tuple[str, ...], pictures: NDArray[np.uint8] | None) -> None:
        """Show these classes, none of them ticked. Shape of pictures: (classes, S, S, 3)."""
        self.beginResetModel()
        self._names, self._pictures, self._ticked = names, pictures, set()
        self.endResetModel()

    def ticked_classes(self) -> tuple[int, ...]:
        return tuple(sorted(self._ticked))

    def tick(self, labels: set[int], *, is_on: bool = True) -> None:
        """Tick these classes, or take their ticks away; the others stay as they are."""
        changed = self._ticked | labels if is_on else self._ticked - labels
        if changed != self._ticked:
            self._ticked = changed
            self.dataChanged.emit(self.index(0), self.index(len(self._names) - 1), [Qt.ItemDataRole.CheckStateRole])
            self.ticked.emit()

    def rowCount(self, _parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(self._names)

    def flags(self, _index: Index) -> Qt.ItemFlag:
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        label = index.row()
        is_on = label in self._ticked
        if role == Qt.ItemDataRole.DisplayRole:
            return self._names[label]
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{', '.join((self._names[label], *other_names(self._names[label])))} (class {label})"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self._names[label]}, class {label}, {'ticked' if is_on else 'not ticked'}"
        if role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if is_on else Qt.CheckState.Unchecked
        if role == NUMBER:
            return label
        return self._picture(label) if role == PICTURE else None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole:
            return False
        self.tick({index.row()}, is_on=Qt.CheckState(value) is Qt.CheckState.Checked)
        return True

    def _picture(self, label: int) -> QImage | None:
        if self._pictures is None or label >= len(self._pictures):
            return None
        pixels = np.ascontiguousarray(self._pictures[label])
        if not pixels.any():
            return None  # black: none was at hand
        height, width = pixels.shape[:2]
        return QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()


class ClassFilter(QSortFilterProxyModel):
    """The classes whose name, or another name for it, holds the words typed, or whose number is the one typed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words = ""

    def search(self, words: str) -> None:
        self.beginFilterChange()
        self._words = words.strip().casefold()
        self.endFilterChange()

    def filterAcceptsRow(self, source_row: int, _parent: Index) -> bool:
        name = str(self.sourceModel().index(source_row, 0).data())
        return self._words == str(source_row) or any(
            self._words in called.casefold() for called in (name, *other_names(name))
        )


class ClassDelegate(QStyledItemDelegate):
    """A box to tick, a picture, the name, and the number at the right."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(theme.scaled(120), row_height())

    def editorEvent(self, _event: QEvent, _model: object, _option: QStyleOptionViewItem, _index: Index) -> bool:
        return False  # the view ticks

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        painter.setClipRect(option.rect)
        self._paint_ground(painter, option)
        area = option.rect.adjusted(_GAP, 0, -_GAP, 0)
        mark, tile = theme.scaled(16), theme.scaled(_TILE)
        top = area.center().y() + 1
        self._paint_box(painter, option, QRect(area.left(), top - mark // 2, mark, mark), index)
        square = QRect(area.left() + mark + _GAP, top - tile // 2, tile, tile)
        _paint_tile(painter, square, index)
        self._paint_words(painter, area.adjusted(mark + tile + 2 * _GAP, 0, 0, 0), index)
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        state, palette = option.state, theme.current()
        if state & QStyle.StateFlag.State_HasFocus:
            painter.fillRect(option.rect, QColor(palette.selection))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(option.rect, QColor(palette.raised))

    def _paint_box(self, painter: QPainter, option: QStyleOptionViewItem, place: QRect, index: Index) -> None:
        """As the style sheet draws a check box."""
        is_on = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) is Qt.CheckState.Checked
        box = QStyleOptionButton()
        box.rect = place
        box.state = QStyle.StateFlag.State_Enabled
        box.state |= QStyle.StateFlag.State_On if is_on else QStyle.StateFlag.State_Off
        widget: QWidget = option.widget
        widget.style().drawPrimitive(QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck, box, painter, widget)

    def _paint_words(self, painter: QPainter, area: QRect, index: Index) -> None:
        palette, number = theme.current(), str(index.data(NUMBER))
        font = QFont(painter.font())
        font.setPixelSize(theme.text_size(0))
        text_font = QFont(font)
        text_font.setPixelSize(theme.text_size(1))
        painter.setFont(font)
        painter.setPen(QColor(palette.muted))
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, number)
        area = area.adjusted(0, 0, -painter.fontMetrics().horizontalAdvance(number) - _GAP, 0)
        painter.setFont(text_font)
        painter.setPen(QColor(palette.text))
        text = painter.fontMetrics().elidedText(str(index.data()), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, text)


def row_height() -> int:
    return theme.scaled(_TILE) + 6


def _paint_tile(painter: QPainter, square: QRect, index: Index) -> None:
    """The class's picture, or the first letter of its name."""
    image = index.data(PICTURE)
    if isinstance(image, QImage):
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, image.width() >= square.width())
        painter.drawImage(square, image)
        return
    palette = theme.current()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(palette.raised))
    painter.drawRoundedRect(square, 4, 4)
    painter.setPen(QColor(palette.muted))
    painter.drawText(square, Qt.AlignmentFlag.AlignCenter, str(index.data())[:1].upper())


class ClassView(QListView):
    """Space or a click ticks a class; letters and digits go to the search."""

    typed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setItemDelegate(ClassDelegate(self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.clicked.connect(_toggle)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            if self.currentIndex().isValid():
                _toggle(self.currentIndex())
        elif event.text().isprintable() and event.text():
            self.typed.emit(event.text())
        else:
            super().keyPressEvent(event)


def _toggle(index: QModelIndex) -> None:
    is_on = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) is Qt.CheckState.Checked
    value = Qt.CheckState.Unchecked if is_on else Qt.CheckState.Checked
    index.model().setData(index, value, Qt.ItemDataRole.CheckStateRole)
