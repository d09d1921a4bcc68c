"""The cells of a sweep as a table: what each shows, and how it is painted."""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.sweep import SweepCell, SweepPlan
from dit_studio.ui import theme
from dit_studio.ui.sample.pixels import to_image

Index = QModelIndex | QPersistentModelIndex
SHOWN = Qt.ItemDataRole.UserRole  # a ShownCell
_SMALL = 384  # pixels; of a larger picture only a smaller one is kept here
_ROOT = QModelIndex()


class CellLook(StrEnum):
    WAITING = "waiting"
    RUNNING = "drawing"
    DRAWN = "drawn"
    FAILED = "failed"


@dataclass
class ShownCell:
    """A cell as far as it is."""

    cell: SweepCell
    look: CellLook = CellLook.WAITING
    text: str = ""  # how far it is, why it failed, or why there is no picture of it
    picture: QImage | None = None
    folder: Path | None = None

    @property
    def title(self) -> str:
        return " · ".join(self.cell.labels)


def side_by_side(images: NDArray[np.uint8]) -> QImage:
    """The images of a cell as one picture, nearly square. Shape: (B, H, W, 3 or 1)."""
    total, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(total))
    rows = math.ceil(total / columns)
    board = np.zeros((rows * columns, height, width, channels), np.uint8)
    board[:total] = images
    board = board.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return to_image(np.ascontiguousarray(board).reshape(rows * height, columns * width, channels)).copy()


def small(picture: QImage) -> QImage:
    if max(picture.width(), picture.height()) <= _SMALL:
        return picture
    mode = Qt.TransformationMode.SmoothTransformation
    return picture.scaled(_SMALL, _SMALL, Qt.AspectRatioMode.KeepAspectRatio, mode)


class CellTable(QAbstractTableModel):
    """One page of a sweep."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cells: list[ShownCell] = []
        self._plan: SweepPlan | None = None
        self._page = 0
        self._places: dict[tuple[int, int, int], ShownCell] = {}

    def show_plan(self, plan: SweepPlan) -> None:
        """All of its cells, waiting."""
        self.beginResetModel()
        self._plan, self._page = plan, 0
        self.cells = [ShownCell(cell=cell) for cell in plan.cells]
        self._places = {(shown.cell.page, shown.cell.row, shown.cell.column): shown for shown in self.cells}
        self.endResetModel()

    def show_page(self, page: int) -> None:
        if page != self._page:
            self.beginResetModel()
            self._page = page
            self.endResetModel()

    def tell(self, shown: ShownCell) -> None:
        """A cell has changed."""
        if shown.cell.page == self._page:
            index = self.index(shown.cell.row, shown.cell.column)
            self.dataChanged.emit(index, index)

    def rowCount(self, _parent: Index = _ROOT) -> int:
        return self._plan.rows if self._plan else 0

    def columnCount(self, _parent: Index = _ROOT) -> int:
        return self._plan.columns if self._plan else 0

    def headerData(self, section: int, side: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole) or self._plan is None:
            return None
        heads = self._plan.heads(0 if side == Qt.Orientation.Horizontal else 1)
        return heads[section] if section < len(heads) else ""

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        shown = self._places.get((self._page, index.row(), index.column()))
        if shown is None:
            return None
        if role == SHOWN:
            return shown
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            words = f"{shown.title}: {shown.look}"
            return f"{words}. {shown.text}" if shown.text else words
        return None


class CellPainter(QStyledItemDelegate):
    """The picture, or in words why there is none yet. `missing` asks for that of a drawn cell that comes into sight."""

    missing = Signal(object)  # ShownCell

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(48, 48)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        shown = index.data(SHOWN)
        if not isinstance(shown, ShownCell):
            return
        painter.save()
        area = option.rect.adjusted(3, 3, -3, -3)
        if shown.picture is not None and shown.look is CellLook.DRAWN:
            _paint_picture(painter, area, shown.picture)
        else:
            _paint_words(painter, area, shown)
            if shown.look is CellLook.DRAWN and not shown.text:
                self.missing.emit(shown)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(QPen(QColor(theme.current().accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(option.rect.adjusted(1, 1, -2, -2))
        painter.restore()


def _paint_picture(painter: QPainter, area: QRect, picture: QImage) -> None:
    size = picture.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
    place = QRect(area.topLeft(), size)
    place.moveCenter(area.center())
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, picture.width() > size.width())
    painter.drawImage(place, picture)


def _paint_words(painter: QPainter, area: QRect, shown: ShownCell) -> None:
    palette = theme.current()
    colours = {CellLook.WAITING: palette.edge, CellLook.RUNNING: palette.accent, CellLook.FAILED: palette.error}
    pen = QPen(QColor(colours.get(shown.look, palette.edge)))
    pen.setStyle(Qt.PenStyle.DotLine if shown.look is CellLook.WAITING else Qt.PenStyle.SolidLine)
    painter.setPen(pen)
    painter.setBrush(QColor(palette.surface))
    painter.drawRect(area.adjusted(0, 0, -1, -1))
    if shown.look is CellLook.WAITING or (shown.look is CellLook.DRAWN and not shown.text):
        return
    font = QFont(painter.font())
    font.setPixelSize(theme.text_size(0))
    painter.setFont(font)
    painter.setPen(QColor(palette.error if shown.look is CellLook.FAILED else palette.muted))
    text = f"Failed\n{shown.text}" if shown.look is CellLook.FAILED else (shown.text or "drawing")
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    painter.setClipRect(area)
    painter.drawText(area.adjusted(4, 4, -4, -4), flags, text)
