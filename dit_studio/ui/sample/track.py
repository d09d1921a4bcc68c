"""The noise schedule as the body of a slider: where its steps lie, and how it is painted.

From left to right the image comes out of the noise. At every place the body is filled from below by the signal's share
of the variance, alpha² = 1 / (1 + exp(-log-SNR)); what is above it is noise, and looks like it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QLinearGradient, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from dit_studio.events import StepPoint
from dit_studio.ui import theme

Axis = Literal["t", "log-SNR"]
_LOG_SNR_LIMIT = 14.0  # beyond it all is noise, or none; schedules that end in infinity stop here
_TICK_SPACE = 3.0  # pixels; closer ticks are left out
_GRAIN = 64  # pixels, side of the tile of noise


@dataclass(frozen=True)
class Places:
    """Where the steps lie: `places` from 0 (noise) to 1 (image), one a step; `values` in the unit of the axis."""

    axis: Axis
    values: NDArray[np.float64]
    places: NDArray[np.float64]

    def nearest(self, place: float) -> int:
        """The step, from 1, that is nearest to a place."""
        return int(np.abs(self.places - place).argmin()) + 1


def places_of(points: Sequence[StepPoint], axis: Axis) -> Places:
    """The steps along an axis. Equal values, and a film of one step, are spread evenly."""
    if axis == "t":
        values = np.array([point.t for point in points], float)
    else:
        values = np.array([point.log_snr for point in points], float).clip(-_LOG_SNR_LIMIT, _LOG_SNR_LIMIT)
    span = values[-1] - values[0] if len(values) else 0.0
    places = (values - values[0]) / span if span else np.linspace(0, 1, len(values) + 2)[1:-1]
    return Places(axis, values, places)


def signal_share(log_snr: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signal's share of the variance, from 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-log_snr.clip(-60, 60))))


def point_text(point: StepPoint, step: int, steps: int) -> str:
    """ "step 17/50 · t = 640 · σ = 2.31"."""
    return f"step {step}/{steps} · t = {number_text(point.t)} · σ = {sigma_text(point.sigma)}"


def number_text(value: float) -> str:
    """A time or a log-SNR: whole numbers without a point, small ones with three digits."""
    text = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return text.replace("-", "−")


def sigma_text(sigma: float) -> str:
    return f"{sigma:.0f}" if sigma >= 100 else f"{sigma:.3g}"


# --------------------------------------------------------------------------------------------------- painting


def paint_track(painter: QPainter, box: QRectF, points: Sequence[StepPoint], places: Places, done: int) -> None:
    """The body with its ticks; the steps after `done` are not there yet, and are faint."""
    palette = theme.current()
    outline = QPainterPath()
    outline.addRoundedRect(box, 6, 6)
    painter.save()
    painter.setClipPath(outline)
    painter.fillRect(box, QColor(palette.field))
    painter.fillRect(box, QBrush(_grain(palette.name)))
    _paint_signal(painter, box, points, places)
    _paint_future(painter, box, places, done)
    painter.restore()
    _paint_ticks(painter, box, places, done)
    painter.setPen(QPen(QColor(palette.edge), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(outline)


def _paint_signal(painter: QPainter, box: QRectF, points: Sequence[StepPoint], places: Places) -> None:
    fine = np.linspace(0, 1, 96)
    log_snr = np.interp(fine, places.places, [point.log_snr for point in points])
    heights = box.bottom() - signal_share(log_snr) * box.height()
    xs = box.left() + fine * box.width()
    curve = [QPointF(x, y) for x, y in zip(xs.tolist(), heights.tolist(), strict=True)]
    fill = QLinearGradient(box.topLeft(), box.topRight())
    accent = QColor(theme.current().accent)
    for place, strength in ((0.0, 0.35), (1.0, 0.95)):
        accent.setAlphaF(strength)
        fill.setColorAt(place, accent)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.current().surface))
    body = QPolygonF([box.bottomLeft(), *curve, box.bottomRight()])
    painter.drawPolygon(body)
    painter.setBrush(fill)
    painter.drawPolygon(body)
    painter.setPen(QPen(QColor(theme.current().accent), 1.5))
    painter.drawPolyline(QPolygonF(curve))


def _paint_future(painter: QPainter, box: QRectF, places: Places, done: int) -> None:
    if done >= len(places.places):
        return
    start = places.places[done - 1] if done else 0.0
    veil = QColor(theme.current().surface)
    veil.setAlphaF(0.7)
    painter.fillRect(box.adjusted(start * box.width(), 0, 0, 0), veil)


def _paint_ticks(painter: QPainter, box: QRectF, places: Places, done: int) -> None:
    palette = theme.current()
    last_x = -math.inf
    for index, place in enumerate(places.places.tolist()):
        x = box.left() + place * box.width()
        if x - last_x < _TICK_SPACE:
            continue
        last_x = x
        colour = QColor(palette.muted if index < done else palette.line)
        painter.setPen(QPen(colour, 1))
        painter.drawLine(QPointF(x, box.bottom() + 1), QPointF(x, box.bottom() + 5))


@cache
def _grain(theme_name: str) -> QPixmap:
    """A tile of noise in the theme's grey."""
    colour = QColor(theme.DARK.muted if theme_name == "dark" else theme.LIGHT.muted)
    values = np.zeros((_GRAIN, _GRAIN, 4), np.uint8)
    values[..., 0], values[..., 1], values[..., 2] = colour.blue(), colour.green(), colour.red()
    values[..., 3] = np.random.default_rng(0).integers(0, 150, (_GRAIN, _GRAIN))
    image = QImage(values.data, _GRAIN, _GRAIN, QImage.Format.Format_ARGB32)
    return QPixmap.fromImage(image.copy())
