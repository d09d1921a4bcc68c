"""The graphics items of one line of a plot, of a floor, and of a mark."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics

from dit_studio.ui import theme
from dit_studio.ui.evaluate.line_marks import UNLIKE, Mark
from dit_studio.ui.evaluate.plot_lines import Floor, PlotLine, PlotPoint

_SIZE = 9  # pixels at a font scale of 100 %, of a point
_RING = 17  # and of the ring around the selected one
_NAME = 110  # and of the longest name at a point
_BAND = 45  # opacity of a floor's band, of 255

Place = Callable[[float], float]  # from x to where it stands on the axis


@dataclass(frozen=True)
class PointText:
    """What is written beside a point; who draws it puts it where nothing else stands."""

    item: pg.TextItem
    point: PlotPoint

    @property
    def size(self) -> QSizeF:
        """In pixels."""
        return QSizeF(self.item.textItem.boundingRect().size())


@dataclass(frozen=True)
class LineItems:
    """What draws a line: `curve` has nan in its gaps, `points` those that compare, `hollow` those that do not."""

    curve: pg.PlotCurveItem
    points: pg.ScatterPlotItem
    hollow: pg.ScatterPlotItem
    bars: tuple[pg.ErrorBarItem, ...]
    marks: tuple[PointText, ...]  # at those that do not compare
    names: tuple[PointText, ...]

    @property
    def all(self) -> tuple[pg.GraphicsObject, ...]:
        texts = (text.item for text in (*self.marks, *self.names))
        return (*self.bars, self.curve, self.points, self.hollow, *texts)


def line_items(line: PlotLine, mark: Mark, place: Place, *, is_connected: bool, font: QFont) -> LineItems:
    """The items of a line, in the colours of the theme in use."""
    pen = pg.mkPen(mark.colour, width=2, style=mark.dash)
    curve = pg.PlotCurveItem(pen=pen, antialias=True)
    if is_connected:
        curve.setData(*_with_gaps(line, place), connect="finite")
    size = theme.scaled(_SIZE)
    alike = [point for point in line.points if not point.differs]
    unlike = [point for point in line.points if point.differs]
    edge = pg.mkPen(theme.current().ground)
    points = pg.ScatterPlotItem(size=size, symbol=mark.symbol, pen=edge, brush=pg.mkBrush(mark.colour))
    hollow = pg.ScatterPlotItem(size=size, symbol=mark.symbol, pen=pg.mkPen(mark.colour, width=2), brush=None)
    for item, found in ((points, alike), (hollow, unlike)):
        item.setData([place(point.x) for point in found], [point.y for point in found])
    marks = tuple(_beside(point, UNLIKE, place, font) for point in unlike)
    names = tuple(_beside(point, _cut(point.name, font), place, font) for point in line.points if point.name)
    return LineItems(curve, points, hollow, _error_bars(line, mark, place), marks, names)


def floor_items(floor: Floor) -> list[pg.GraphicsObject]:
    """A dashed line, or a band between two of them."""
    muted = theme.current().muted
    pen = pg.mkPen(muted, style=Qt.PenStyle.DashLine)
    items: list[pg.GraphicsObject] = []
    if floor.high > floor.low:
        fill = QColor(muted)
        fill.setAlpha(_BAND)
        band = (floor.low, floor.high)
        items.append(pg.LinearRegionItem(band, "horizontal", brush=fill, pen=pen, movable=False))
    else:
        items.append(pg.InfiniteLine(floor.low, angle=0, pen=pen))
    for item in items:
        item.setZValue(-2)
    return items


def floor_mark(point: PlotPoint, place: Place, font: QFont) -> tuple[pg.ScatterPlotItem, PointText]:
    """A cross where both axes have a floor, and its label."""
    muted = theme.current().muted
    cross = pg.ScatterPlotItem(
        [place(point.x)], [point.y], size=theme.scaled(_RING), symbol="x", pen=None, brush=pg.mkBrush(muted)
    )
    cross.setZValue(-1)
    return cross, PointText(_text(point.text, place(point.x), point.y, font, anchor=(1.0, 1.5), colour=muted), point)


def ring_item() -> pg.ScatterPlotItem:
    """Around the selected point."""
    pen = pg.mkPen(theme.current().text, width=2)
    ring = pg.ScatterPlotItem(size=theme.scaled(_RING), symbol="o", pen=pen, brush=None)
    ring.setZValue(5)
    return ring


def floor_label(floor: Floor, x: float, font: QFont) -> pg.TextItem:
    """What the floor is, above it, from its left end."""
    return _text(floor.text, x, floor.high, font, anchor=(0.0, 1.0), colour=theme.current().muted)


def reach() -> float:
    """Pixels from the middle of a point to its edge."""
    return theme.scaled(_SIZE) / 2


def _beside(point: PlotPoint, text: str, place: Place, font: QFont) -> PointText:
    return PointText(_text(text, place(point.x), point.y, font, anchor=(0.5, 1.2)), point)


def _cut(name: str, font: QFont) -> str:
    return QFontMetrics(font).elidedText(name, Qt.TextElideMode.ElideMiddle, theme.scaled(_NAME))


def _with_gaps(line: PlotLine, place: Place) -> tuple[list[float], list[float]]:
    """x and y along the line, with nan where there is no figure that compares."""
    xs, ys = [], []
    for number, point in enumerate(line.points):
        if number in line.breaks:
            xs.append(place(point.x))
            ys.append(math.nan)
        xs.append(place(point.x))
        ys.append(math.nan if point.differs else point.y)
    return xs, ys


def _error_bars(line: PlotLine, mark: Mark, place: Place) -> tuple[pg.ErrorBarItem, ...]:
    """The intervals of all points; of one without any, it has no length."""
    pen = pg.mkPen(mark.colour, width=1)
    x = np.array([place(point.x) for point in line.points])
    y = np.array([point.y for point in line.points])
    bars = []
    if any(point.y_range for point in line.points):
        low, high = np.array([point.y_range or (point.y, point.y) for point in line.points]).T
        bars.append(pg.ErrorBarItem(x=x, y=y, top=high - y, bottom=y - low, pen=pen))
    if any(point.x_range for point in line.points):
        low, high = np.array([point.x_range or (point.x, point.x) for point in line.points]).T
        bars.append(pg.ErrorBarItem(x=x, y=y, right=high - x, left=x - low, pen=pen))
    return tuple(bars)


def _text(text: str, x: float, y: float, font: QFont, *, anchor: tuple[float, float], colour: str = "") -> pg.TextItem:
    item = pg.TextItem(text, color=colour or theme.current().text, anchor=anchor)
    item.setFont(font)
    item.setPos(x, y)
    return item
