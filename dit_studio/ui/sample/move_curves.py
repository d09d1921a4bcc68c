"""The curves over the slider: how long x_t is, how far x̂₀ still moves, and where the image commits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Floats

COMMITS_BELOW = 0.1  # of the way that x̂₀ goes in all


@dataclass(frozen=True)
class Curve:
    """A row of numbers, one a step; nan where there is none."""

    name: str
    values: Floats
    colour: str


def commit_step(moves: Floats) -> int | None:
    """The first step, from 1, after which less than COMMITS_BELOW of the way of x̂₀ is left. None if it is not known
    yet, or if x̂₀ never moved."""
    if not moves.size or bool(np.isnan(moves).any()):
        return None
    way = np.cumsum(moves, dtype=np.float64)
    if way[-1] <= 0:
        return None
    return int(np.argmax(way[-1] - way < COMMITS_BELOW * way[-1])) + 1


def paint_curve(
    painter: QPainter, box: QRectF, places: NDArray[np.float64], curve: Curve, *, label_right: float, step: int
) -> None:
    """A curve from zero to its greatest value, filled, with its name and its value at `step` left of it."""
    palette = theme.current()
    known = np.isfinite(curve.values)
    _paint_label(painter, box, curve, label_right, step)
    painter.setPen(QPen(QColor(palette.line), 1))
    painter.drawLine(box.bottomLeft(), box.bottomRight())
    if not known.any():
        return
    greatest = float(curve.values[known].max()) or 1.0
    xs = box.left() + places[known] * box.width()
    ys = box.bottom() - curve.values[known] / greatest * (box.height() - 2)
    line = [QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    colour = QColor(curve.colour)
    colour.setAlphaF(0.16)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(line[0].x(), box.bottom()), *line, QPointF(line[-1].x(), box.bottom())]))
    painter.setPen(QPen(QColor(curve.colour), 1.5))
    painter.drawPolyline(QPolygonF(line))
    if 1 <= step <= len(curve.values) and known[step - 1]:
        _paint_dot(painter, box, float(places[step - 1]), float(curve.values[step - 1]) / greatest, curve.colour)


def _paint_dot(painter: QPainter, box: QRectF, place: float, height: float, colour: str) -> None:
    centre = QPointF(box.left() + place * box.width(), box.bottom() - height * (box.height() - 2))
    painter.setPen(QPen(QColor(theme.current().surface), 1.5))
    painter.setBrush(QColor(colour))
    painter.drawEllipse(centre, 4, 4)


def _paint_label(painter: QPainter, box: QRectF, curve: Curve, right: float, step: int) -> None:
    palette = theme.current()
    height = QFontMetricsF(painter.font()).height()
    has_two_lines = box.height() >= 2 * height
    top = box.center().y() - height * (1 if has_two_lines else 0.5)
    is_known = 1 <= step <= len(curve.values) and bool(np.isfinite(curve.values[step - 1]))
    value = f"{curve.values[step - 1]:.3f}" if is_known else "–"
    align = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
    painter.setPen(QColor(palette.muted))
    painter.drawText(QRectF(0, top, right, height), align, curve.name)
    if has_two_lines:
        painter.setPen(QColor(palette.text))
        painter.drawText(QRectF(0, top + height, right, height), align, value)
