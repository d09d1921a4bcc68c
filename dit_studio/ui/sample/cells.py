"""Where the cells of a grid of images lie."""

import math
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize

GAP = 6  # pixels between cells
_PADDING = 6  # pixels around all of them
_SIDES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)  # pixels, of pictures that are made smaller
_LEAST, _MOST = 32, 256  # pixels, of a cell's longer side
CAPTIONED_FROM = 84  # pixels; narrower cells have no caption


@dataclass(frozen=True)
class Cells:
    """A grid of equal cells, row by row from the left."""

    count: int
    columns: int
    picture: QSize  # of every cell
    caption: int  # pixels under each picture
    left: int  # of the first column

    @property
    def height(self) -> int:
        """Of all rows, in pixels."""
        rows = math.ceil(self.count / self.columns)
        return rows * self.row_height - GAP + 2 * _PADDING

    @property
    def row_height(self) -> int:
        return self.picture.height() + self.caption + GAP

    def picture_of(self, index: int) -> QRect:
        """Where a picture lies, from the top of all."""
        row, column = divmod(index, self.columns)
        x = self.left + column * (self.picture.width() + GAP)
        return QRect(QPoint(x, _PADDING + row * self.row_height), self.picture)

    def at(self, position: QPoint) -> int | None:
        """The cell at a place, counted from the top of all."""
        column = (position.x() - self.left) // (self.picture.width() + GAP)
        row = (position.y() - _PADDING) // self.row_height
        index = row * self.columns + column
        if not 0 <= column < self.columns or not 0 <= index < self.count:
            return None
        cell = self.picture_of(index).adjusted(0, 0, 0, self.caption)
        return index if cell.contains(position) else None

    def between(self, top: int, bottom: int) -> range:
        """The cells of the rows that reach into a stretch from `top` to `bottom`."""
        first = max((top - _PADDING) // self.row_height, 0)
        last = max((bottom - _PADDING) // self.row_height, 0)
        return range(min(first * self.columns, self.count), min((last + 1) * self.columns, self.count))


def plan_cells(count: int, room: QSize, pixels: QSize, *, caption: int, ratio: float) -> Cells:
    """The largest cells of which all fit, else the smallest. Enlarged pictures take a whole number of the screen's
    pixels for each of theirs; `ratio`: of the screen's pixels to the window's. `caption`: its height in pixels."""
    plans = [_plan(count, room.width(), side, caption) for side in _sides(pixels, ratio)]
    fitting = [plan for plan in plans if plan.height <= room.height() and plan.columns * 1.0 >= 1]
    return fitting[-1] if fitting else plans[0]


def _sides(pixels: QSize, ratio: float) -> list[QSize]:
    """Sizes for a picture, the smallest first."""
    longer = max(pixels.width(), pixels.height(), 1)
    whole = [times * longer / ratio for times in range(1, math.ceil(_MOST * ratio / longer) + 1)]
    smaller = [float(side) for side in _SIDES if side * ratio < longer]
    sides = [side for side in sorted({*whole, *smaller}) if _LEAST <= side <= _MOST] or [float(_MOST)]
    return [QSize(round(pixels.width() * side / longer), round(pixels.height() * side / longer)) for side in sides]


def _plan(count: int, width: int, picture: QSize, caption: int) -> Cells:
    columns = max((width - 2 * _PADDING + GAP) // (picture.width() + GAP), 1)
    columns = min(columns, max(count, 1))
    used = columns * (picture.width() + GAP) - GAP
    height = caption if picture.width() >= CAPTIONED_FROM else 0
    return Cells(count, columns, picture, height, max((width - used) // 2, 0))
