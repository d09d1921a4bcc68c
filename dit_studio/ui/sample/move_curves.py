"""The curves over the slider: how long x_t is, how far x̂₀ still moves, and where the image commits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Floats

COMMITS_BELOW = 0.1  # of the way that x̂₀ goes in all
_LABEL = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip


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


def paint_curve(painter: QPainter, box: QRectF, places: NDArray[np.float64], curve: Curve) -> None:
    """A curve from zero to its greatest value, filled."""
    painter.setPen(QPen(QColor(theme.current().line), 1))
    painter.drawLine(box.bottomLeft(), box.bottomRight())
    known = np.isfinite(curve.values)
    if not known.any():
        return
    xs = box.left() + places[known] * box.width()
    ys = box.bottom() - _heights(curve)[known] * (box.height() - 2)
    line = [QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    colour = QColor(curve.colour)
    colour.setAlphaF(0.16)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(line[0].x(), box.bottom()), *line, QPointF(line[-1].x(), box.bottom())]))
    painter.setPen(QPen(QColor(curve.colour), 1.5))
    painter.drawPolyline(QPolygonF(line))


def paint_reading(
    painter: QPainter, box: QRectF, places: NDArray[np.float64], curve: Curve, *, label_right: float, step: int
) -> None:
    """The curve's name and its value at a step, left of it, and a dot on it."""
    height = _heights(curve)[step - 1]
    is_known = bool(np.isfinite(height))
    _paint_label(painter, box, curve.name, f"{curve.values[step - 1]:.3f}" if is_known else "–", label_right)
    if is_known:
        x = box.left() + places[step - 1] * box.width()
        painter.setPen(QPen(QColor(theme.current().surface), 1.5))
        painter.setBrush(QColor(curve.colour))
        painter.drawEllipse(QPointF(x, box.bottom() - height * (box.height() - 2)), 4, 4)


def _heights(curve: Curve) -> Floats:
    """The values as shares of the greatest."""
    known = curve.values[np.isfinite(curve.values)]
    greatest = float(known.max()) if known.size else 0.0
    return curve.values / np.float32(greatest or 1.0)


def _paint_label(painter: QPainter, box: QRectF, name: str, value: str, right: float) -> None:
    palette = theme.current()
    height = QFontMetricsF(painter.font()).height()
    if box.height() < 0.8 * height:
        return
    has_two_lines = box.height() >= 2 * height
    top = box.center().y() - height * (1 if has_two_lines else 0.5)
    painter.setPen(QColor(palette.muted))
    painter.drawText(QRectF(0, top, right, height), _LABEL, name)
    if has_two_lines:
        painter.setPen(QColor(palette.text))
        painter.drawText(QRectF(0, top + height, right, height), _LABEL, value)
