"""An evolution sheet in small, as it will be exported, and how large it becomes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from dit_studio.trajectory import labelled_columns
from dit_studio.ui import theme
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import to_image
from dit_studio.ui.widgets.basics import describe

MOST_ROWS = 24
_INK, _MUTED = "#1A1E26", "#5A5A5A"
_WIDEST_NAME = 120  # pixels
_FONT_TO_CELL, _FONTS, _LINE = 0.16, (7, 26), 1.3  # of the file: the letters' size, and a line of them
_MEASURED = 100  # pixels: the size at which the file's letters are measured here


class RowName(NamedTuple):
    """What stands beside a row."""

    kind: str
    seed: str

    @property
    def line(self) -> str:
        return f"{self.kind} · {self.seed}"


def paper_size(rows: int, columns: int, cell: int, names: Sequence[RowName] = ()) -> tuple[int, int]:
    """Width and height of the file in pixels; without names it has no labels."""
    gap, margin = max(1, round(cell / 32)), max(4, round(cell / 8))
    left = top = margin
    if names:
        size = min(max(cell * _FONT_TO_CELL, _FONTS[0]), _FONTS[1])
        left += math.ceil(_names_width(names, cell, size) + size * 0.7)
        top += math.ceil(size * (_LINE + 0.4))
    return left + columns * (cell + gap) - gap + margin, top + rows * (cell + gap) - gap + margin


def _names_width(names: Sequence[RowName], cell: int, size: float) -> float:
    metrics = _letters()
    widest_kind = max(cell * 1.8, size * 8)
    kinds = [min(metrics.horizontalAdvance(name.kind) * size / _MEASURED, widest_kind) for name in names]
    seeds = [metrics.horizontalAdvance(name.seed) * size / _MEASURED for name in names]
    if cell >= 2 * size * _LINE:
        return max(*kinds, *seeds)
    dot = metrics.horizontalAdvance(" · ") * size / _MEASURED
    return max(kind + dot + seed for kind, seed in zip(kinds, seeds, strict=True))


def _letters() -> QFontMetricsF:
    font = QFont("DejaVu Sans")
    font.setPixelSize(_MEASURED)
    return QFontMetricsF(font)


class SheetPlaces(NamedTuple):
    """Where everything is in the preview: `side` is that of a picture with its gap."""

    paper: QRectF
    left: float  # of the pictures on the paper
    top: float
    side: float

    def cell(self, row: int, column: int) -> QRectF:
        x, y = self.paper.left() + self.left + column * self.side, self.paper.top() + self.top + row * self.side
        return QRectF(x, y, self.side - 1, self.side - 1)


class SheetPreview(QWidget):
    """The sheet in small, drawn from what the window has."""

    def __init__(self, film: Film, names: Sequence[RowName]) -> None:
        super().__init__()
        self._film, self._names = film, names
        self._images: Sequence[int] = ()
        self._steps: Sequence[int] = ()
        self._plane = ""
        self._has_labels = True
        self.setMinimumSize(QSize(320, 240))
        describe(self, "Preview of the sheet", "As it will be exported, in small.")

    def show_sheet(self, images: Sequence[int], steps: Sequence[int], plane: str, *, has_labels: bool) -> None:
        self._images, self._steps, self._plane = images[:MOST_ROWS], steps, plane
        self._has_labels = has_labels
        self.update()

    def places(self) -> SheetPlaces:
        """Where everything is at the size that the preview has."""
        top = QFontMetrics(_font()).height() + 8 if self._has_labels else 8.0
        down = (self.height() - top - 8) / max(len(self._images), 1)
        left, across = self._across(is_low=down < self._two_lines)
        if across < self._two_lines <= down:  # narrow cells are low ones
            left, across = self._across(is_low=True)
        side = max(min(across, down), 2)
        width, height = left + side * len(self._steps) + 8, top + side * len(self._images) + 8
        paper = QRectF((self.width() - width) / 2, max((self.height() - height) / 2, 0), width, height)
        return SheetPlaces(paper, left, top, side)

    def _across(self, *, is_low: bool) -> tuple[float, float]:
        """Where the pictures begin, and the room of each."""
        left = self._names_width(is_low=is_low) + 12 if self._has_labels else 8.0
        return left, (self.width() - left - 8) / max(len(self._steps), 1)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, places = QPainter(self), self.places()
        painter.setFont(_font())
        painter.fillRect(places.paper, QColor("#FFFFFF"))  # in either theme
        for row, image in enumerate(self._images):
            for column, step in enumerate(self._steps):
                self._paint_cell(painter, places.cell(row, column), image, step)
            if self._has_labels:
                self._paint_name(painter, places, row, self._names[image])
        if self._has_labels:
            self._paint_heads(painter, places)

    @property
    def _two_lines(self) -> int:
        return 2 * QFontMetrics(_font()).height()

    def _names_width(self, *, is_low: bool) -> float:
        metrics = QFontMetrics(_font())
        names = [self._names[image] for image in self._images]
        kinds = [min(metrics.horizontalAdvance(name.kind), _WIDEST_NAME) for name in names]
        seeds = [metrics.horizontalAdvance(name.seed) for name in names]
        if not is_low:
            return max([*kinds, *seeds], default=0)
        dot = metrics.horizontalAdvance(" · ")
        return max((kind + dot + seed for kind, seed in zip(kinds, seeds, strict=True)), default=0)

    # ------------------------------------------------------------------------------------------------- painting

    def _paint_cell(self, painter: QPainter, target: QRectF, image: int, step: int) -> None:
        is_final = step > len(self._film.points)
        pixels = self._film.final(image) if is_final else self._film.picture(self._plane, image, step)
        if pixels is None:
            painter.fillRect(target, QColor("#D8DDE6"))
            return
        picture = to_image(pixels)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, picture.width() > target.width())
        painter.drawImage(target, picture)

    def _paint_name(self, painter: QPainter, places: SheetPlaces, row: int, name: RowName) -> None:
        """In two lines as in the file, in one where rows are low, beside some where they are lower."""
        metrics = painter.fontMetrics()
        kind = metrics.elidedText(name.kind, Qt.TextElideMode.ElideMiddle, _WIDEST_NAME)
        end = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        top = places.cell(row, 0).center().y() - metrics.height() / 2
        place = QRectF(places.paper.left() + 4, top, places.left - 8, metrics.height())
        painter.setPen(QColor(_INK))
        if places.side >= self._two_lines:
            half = metrics.height() / 2
            painter.drawText(place.translated(0, -half), end, kind)
            painter.setPen(QColor(_MUTED))
            painter.drawText(place.translated(0, half), end, name.seed)
        elif row % math.ceil(metrics.height() / places.side) == 0:
            painter.drawText(place, end, f"{kind} · {name.seed}")

    def _paint_heads(self, painter: QPainter, places: SheetPlaces) -> None:
        points = self._film.points
        heads = [f"{points[step - 1].t:.0f}" if step <= len(points) else "0" for step in self._steps]
        metrics = painter.fontMetrics()
        widest = max((metrics.horizontalAdvance(head) for head in heads), default=0) + 4
        every = max(-(-widest // max(int(places.side), 1)), 1)
        painter.setPen(QColor(_INK))
        for column in labelled_columns(len(heads), every):
            centre = places.cell(0, column).center().x()
            place = QRectF(centre - widest, places.paper.top() + 2, 2 * widest, metrics.height() + 2)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, heads[column])
        painter.drawText(places.paper.adjusted(4, 2, 0, 0), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, "t")


def _font() -> QFont:
    font = QFont()
    font.setPixelSize(theme.text_size(0))
    return font
