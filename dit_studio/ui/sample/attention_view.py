"""The picked image with one patch marked, and beside it where each head looks from there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.heat import heat_over
from dit_studio.ui.sample.pixels import Pixels, to_image
from dit_studio.ui.sample.tile import fit
from dit_studio.ui.widgets.basics import describe

_GAP = 8  # pixels between cells
_PICTURE_SHARE = 0.42  # of the width, at most, for the image itself
_LEAST_PATCH, _LEAST_MAP = 12, 56  # pixels of a side: a patch of the image, and a map
_LINES_WITH_WORDS = 7  # of a height from which on there are words below the pictures
_STALE = 0.35  # opacity of maps of another patch, block or step than is asked for now
_ARROWS = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class _Cell:
    """A small picture: where it is, what it shows and what it is called."""

    title: str
    about: str
    pixels: Pixels


class AttentionView(QWidget):
    """Every cell can be clicked; arrow keys go from patch to patch.

    It is never so low that a patch cannot be hit: it scrolls in less room.
    """

    patch_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: Pixels | None = None
        self._grid, self._patch = 1, 0
        self._weights: Weights | None = None  # (heads, grid, grid)
        self._elsewhere: Sequence[float] = ()
        self._cells: list[_Cell] = []
        self._is_stale = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        about = "Click a patch to see where each head looks from it; the arrow keys go to the patches beside it."
        describe(self, "Patches of the image, and where the heads look", about)
        theme.theme_changed.connect(self._make_cells)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 60)

    def sizeHint(self) -> QSize:
        return QSize(560, 300)

    @property
    def patch(self) -> int:
        """From 0, rows first."""
        return self._patch

    @property
    def titles(self) -> list[str]:
        """Of the maps that are shown."""
        return [cell.title for cell in self._cells]

    def show_picture(self, pixels: Pixels | None, *, grid: int, patch: int) -> None:
        """The image that is looked at, its patches on a side, and the one that looks."""
        self._picture, self._grid, self._patch = pixels, grid, patch
        self._make_cells()

    def show_maps(self, weights: Weights | None, elsewhere: Sequence[float] = ()) -> None:
        """Where each head looks, (heads, grid, grid); None: not known yet."""
        self._weights, self._elsewhere, self._is_stale = weights, elsewhere, False
        self._make_cells()

    def set_stale(self) -> None:
        """The maps are those of something that was asked before."""
        self._is_stale = True
        self.update()

    def _make_cells(self) -> None:
        self._cells = []
        if self._picture is not None and self._weights is not None and self._weights.shape[-1] == self._grid:
            self._cells = list(_cells(self._picture, self._weights, self._elsewhere))
        row, column = divmod(self._patch, self._grid)
        said = [cell.about for cell in self._cells]
        self._limit_height()
        self.setAccessibleDescription(" ".join((f"The patch in row {row + 1}, column {column + 1}.", *said)))
        self.update()

    # --------------------------------------------------------------------------------------------- where they are

    def boxes(self) -> list[QRect]:
        """Of the image, its pixels even squares, and of every map, without the words below."""
        line = self._line_height()
        room = QSize(round(self.width() * (_PICTURE_SHARE if self._cells else 1)), self.height() - line)
        first = self._fitted(QRect(QPoint(0, 0), room))
        if not self._cells:
            return [first]
        left = first.right() + 1 + 2 * _GAP
        columns, side = self._division(self.width() - left, self.height())
        places = (divmod(number, columns) for number in range(len(self._cells)))
        cells = [QRect(left + column * (side + _GAP), row * (side + line + _GAP), side, side) for row, column in places]
        return [first, *cells]

    def _limit_height(self) -> None:
        line = self._words_height()
        side = min(self._grid * _LEAST_PATCH, round(self.width() * _PICTURE_SHARE))
        columns = max((self.width() - side - _GAP) // (_LEAST_MAP + _GAP), 1)
        rows = math.ceil(len(self._cells) / columns)
        self.setMinimumHeight(max(side + line, rows * (_LEAST_MAP + line + _GAP)))

    def _division(self, width: int, height: int) -> tuple[int, int]:
        """How many columns make the maps largest, and how large they then are."""
        line, best = self._line_height(), (1, 1)
        for columns in range(1, len(self._cells) + 1):
            rows = math.ceil(len(self._cells) / columns)
            side = min((width + _GAP) // columns - _GAP, (height + _GAP) // rows - _GAP - line)
            if side > best[1]:
                best = columns, side
        return best

    def _fitted(self, room: QRect) -> QRect:
        """The picture at the top left of a room."""
        height, width = self._picture.shape[:2] if self._picture is not None else (1, 1)
        times = fit(QSize(width, height), room.size(), self.devicePixelRatioF())
        return QRect(room.topLeft(), QSize(max(round(width * times), 1), max(round(height * times), 1)))

    def _line_height(self) -> int:
        """Of the words below each picture; 0 where there is no room for words."""
        line = self._words_height()
        return line if self.height() >= _LINES_WITH_WORDS * line else 0

    def _words_height(self) -> int:
        return QFontMetrics(self._small_font()).height() + 4

    def _small_font(self) -> QFont:
        result = QFont(self.font())
        result.setPixelSize(theme.text_size(0))
        return result

    def place_of(self, patch: int, cell: int = 0) -> QPoint:
        """The middle of a patch; of the image, or of a map."""
        box, (row, column) = self.boxes()[cell], divmod(patch, self._grid)
        share = (column + 0.5) / self._grid, (row + 0.5) / self._grid
        return box.topLeft() + QPoint(int(share[0] * box.width()), int(share[1] * box.height()))

    def _patch_at(self, place: QPointF) -> int | None:
        box = next((box for box in self.boxes() if box.contains(place.toPoint())), None)
        if box is None:
            return None
        row = int((place.y() - box.top()) * self._grid / box.height())
        column = int((place.x() - box.left()) * self._grid / box.width())
        return min(row, self._grid - 1) * self._grid + min(column, self._grid - 1)

    # --------------------------------------------------------------------------------------------- the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        patch = self._patch_at(event.position()) if event.button() == Qt.MouseButton.LeftButton else None
        if patch is not None and self._picture is not None:
            self.patch_chosen.emit(patch)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = _ARROWS.get(Qt.Key(event.key()))
        if step is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
            return
        row, column = (
            min(max(place + move, 0), self._grid - 1)
            for place, move in zip(divmod(self._patch, self._grid), step, strict=True)
        )
        if row * self._grid + column != self._patch:
            self.patch_chosen.emit(row * self._grid + column)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._limit_height()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = next((n for n, box in enumerate(self.boxes()) if box.contains(event.pos())), 0)
            text = self._cells[number - 1].about if number else self.toolTip()
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # --------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._picture is None:
            return
        painter = QPainter(self)
        painter.setFont(self._small_font())
        first, *others = self.boxes()
        self._paint_cell(painter, first, self._picture, f"Predicted image, {self._grid} × {self._grid} patches")
        painter.setOpacity(_STALE if self._is_stale else 1)
        for box, cell in zip(others, self._cells, strict=True):
            self._paint_cell(painter, box, cell.pixels, cell.title)

    def _paint_cell(self, painter: QPainter, box: QRect, pixels: Pixels, title: str) -> None:
        palette = theme.current()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, box.width() < pixels.shape[1])
        painter.drawImage(box, to_image(pixels))
        side = box.width() / self._grid, box.height() / self._grid
        row, column = divmod(self._patch, self._grid)
        mark = QRectF(box.left() + column * side[0], box.top() + row * side[1], *side)
        light = QColor(palette.accent if self.hasFocus() else "#FFFFFF")
        for colour, distance in ((light, 0.5), (QColor(0, 0, 0), 1.5)):  # around the patch, none of which is hidden
            painter.setPen(QPen(colour, 1))
            painter.drawRect(mark.adjusted(-distance, -distance, distance, distance))
        if not self._line_height():
            return
        painter.setPen(QColor(palette.muted))
        below = QRect(box.left(), box.bottom() + 3, max(box.width(), 1), self._line_height())
        if box.left() == 0 and self._cells:
            below.setWidth(box.width() + 2 * _GAP)
        if painter.fontMetrics().horizontalAdvance(title) > below.width():
            title = title.rpartition("Head ")[2]  # its number alone
        text = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, text)


def _cells(picture: Pixels, weights: Weights, elsewhere: Sequence[float]) -> list[_Cell]:
    mean = weights.mean(axis=0)
    about = f"The mean of {len(weights)} heads. {_most(mean)}"
    result = [_Cell("Mean", about, heat_over(picture, mean))]
    for number, head in enumerate(weights, start=1):
        share = elsewhere[number - 1] if number <= len(elsewhere) else 0.0
        left_out = f" {share:.0%} goes to tokens that are no patches, and is left out." if share > 0 else ""
        result.append(_Cell(f"Head {number}", f"Head {number}. {_most(head)}{left_out}", heat_over(picture, head)))
    return result


def _most(weights: Weights) -> str:
    row, column = divmod(int(weights.argmax()), weights.shape[1])
    even = f"an even share is {1 / weights.size:.1%}"
    return f"Most, {weights.max():.1%}, goes to row {row + 1}, column {column + 1}; {even}."
