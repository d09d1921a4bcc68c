"""The graphics items of one line: raw values, the smoothed line, points."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from dit_studio.ui.train.curve import Floats
from dit_studio.ui.train.curves import RunHistory, XAxis
from dit_studio.ui.train.decimation import envelope, robust_range, sampled, visible
from dit_studio.ui.train.lines import Line

Ranges = list[tuple[float, float]]

_FAINT = 0.3  # opacity of raw values behind a smoothed line
_INTERVAL = 0.45  # opacity of the bars through points
_RAW_OUTLIERS = 0.05  # share of raw values at either end that may lie outside
_MOST_POINTS = 120  # more are shown as a line only


@dataclass(frozen=True, kw_only=True)
class Look:
    """How all plots of a run are seen."""

    axis: XAxis
    smoothing: float
    is_log: bool
    low: float  # range of the x axis, in its unit
    high: float


class LineItems:
    """Draws a Line in a view box, in about as many points as there are pixels."""

    def __init__(self, line: Line, box: pg.ViewBox) -> None:
        self._raw = pg.PlotCurveItem(pen=_raw_pen(line), antialias=False)
        self._smooth = pg.PlotCurveItem(pen=pg.mkPen(line.colour, width=2), antialias=False)
        self._points = pg.ScatterPlotItem(size=6, pen=None, brush=pg.mkBrush(line.colour), pxMode=True)
        self._intervals = pg.PlotCurveItem(pen=_interval_pen(line), antialias=False)
        self._box = box
        used = (line.is_raw, line.is_smooth, line.has_points, line.interval is not None)
        items = (self._raw, self._smooth, self._points, self._intervals)
        self._shown = [item for item, is_used in zip(items, used, strict=True) if is_used]
        for z, item in enumerate(self._shown, start=1):
            item.setZValue(z)
            box.addItem(item, ignoreBounds=True)

    def remove(self) -> None:
        for item in self._shown:
            self._box.removeItem(item)

    def draw(self, line: Line, history: RunHistory, look: Look, *, steps: tuple[float, float], width: int) -> Ranges:
        """Draw what lies between two steps on `width` pixels. Gives the least and greatest y worth showing."""
        curve = line.curve
        part = visible(curve.x, low=steps[0], high=steps[1])
        ranges = []
        if line.is_raw:
            x, y = envelope(curve, part, buckets=width)
            shown = _draw(self._raw, history.positions(x, look.axis), _axis_values(y, line, look))
            self._draw_points(line, history.positions(x, look.axis), shown)
            ranges.append(robust_range(shown, outliers=_RAW_OUTLIERS))
        if line.interval is not None:
            ranges.append(robust_range(self._draw_intervals(line, history, look, part), outliers=0.0))
        if line.is_smooth:
            x, y = sampled(curve.x, curve.smoothed(look.smoothing), part, buckets=width)
            shown = _draw(self._smooth, history.positions(x, look.axis), _axis_values(y, line, look))
            ranges.append(robust_range(shown))
        return [found for found in ranges if found]

    def _draw_intervals(self, line: Line, history: RunHistory, look: Look, part: slice) -> Floats:
        """An upright stroke from the low end to the high one of each point; gives both ends."""
        assert line.interval is not None
        if part.stop - part.start > _MOST_POINTS:
            self._intervals.clear()
            return np.empty(0)
        x = np.repeat(history.positions(line.curve.x[part], look.axis), 2)
        ends = _axis_values(np.stack([end.y[part] for end in line.interval], axis=1).ravel(), line, look)
        is_whole = np.repeat(np.isfinite(ends.reshape(-1, 2)).all(1), 2)
        self._intervals.setData(x[is_whole], ends[is_whole], connect="pairs")
        return ends[is_whole]

    def _draw_points(self, line: Line, x: Floats, y: Floats) -> None:
        if line.has_points and np.isfinite(y).sum() <= _MOST_POINTS:
            finite = np.isfinite(y)
            self._points.setData(x[finite], y[finite])
        elif line.has_points:
            self._points.clear()


def _draw(item: pg.PlotCurveItem, x: Floats, y: Floats) -> Floats:
    item.setData(x, y, connect="finite")
    return y


def _axis_values(y: Floats, line: Line, look: Look) -> Floats:
    """In the unit of the axis, and as powers of ten on a logarithmic one; NaN for what it cannot show."""
    if not look.is_log:
        return y * line.scale
    return np.log10(y * line.scale, where=y > 0, out=np.full(y.shape, np.nan))


def _interval_pen(line: Line) -> object:
    colour = QColor(line.colour)
    colour.setAlphaF(_INTERVAL)
    return pg.mkPen(colour, width=4)


def _raw_pen(line: Line) -> object:
    if line.is_dashed:
        return pg.mkPen(line.colour, width=2, style=Qt.PenStyle.DashLine)
    if not line.is_smooth:
        return pg.mkPen(line.colour, width=2)
    faint = QColor(line.colour)
    faint.setAlphaF(_FAINT)
    return pg.mkPen(faint)
