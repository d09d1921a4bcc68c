"""The slider over a film: its track is the noise schedule, and the curves over it share its axis."""

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy, QToolTip, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.fork_mark import fork_colour, paint_fork
from dit_studio.ui.sample.move_curves import Curve, commit_step, paint_curve, paint_reading
from dit_studio.ui.sample.track import Axis, Places, number_text, paint_track, places_of, point_text
from dit_studio.ui.widgets.basics import describe

_NOTCH = 120  # of the wheel, in eighths of a degree
_TRACK, _AROUND = 28, 24  # pixels: the height of the track, and what is above and below it
_MARGIN = 10  # pixels right of the track, so that the handle has room at the end
_ABOUT_TRACK = (
    "The noise schedule, from noise (left) to image (right). Filled: the image's share of the variance.\n"
    "Each tick is a step of the solver, at its true place. Drag, or ← → (Shift: 5), Home, End."
)
_ABOUT_NORM = "‖xₜ‖ / √numbers: the length of the noisy image. Pure noise has 1."
_ABOUT_MOVES = (
    "Movement: how far the predicted image x̂₀ moved since the step before: root mean square; white minus black is 2."
)
_ABOUT_COMMIT = "Here the image commits: after step {step} less than 10 % of the way of x̂₀ is left."
_ABOUT_SHARED = "\nUp to step {step} this is the past of the image it was branched from."


class Scrubber(QAbstractSlider):
    """Its value is the step, from 1. `sought` says what a user asked for by mouse or wheel."""

    sought = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._film: Film | None = None
        self._image = 0
        self._axis: Axis = "t"
        self._turned = 0
        self._shows_curves = True
        self._places: Places = places_of((), "t")
        self._body: QPixmap | None = None  # None: to be painted anew
        self.setOrientation(Qt.Orientation.Horizontal)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setRange(1, 1)
        describe(self, "Step of the trajectory", _ABOUT_TRACK)
        theme.theme_changed.connect(self._on_theme_changed)
        self.valueChanged.connect(self._say_where)

    # --------------------------------------------------------------------------------------------- what it shows

    @property
    def axis(self) -> Axis:
        return self._axis

    def set_axis(self, axis: Axis) -> None:
        """What the place along the track means: the time t, or the logarithm of signal over noise."""
        self._axis = axis
        self.refresh()

    @property
    def shows_curves(self) -> bool:
        return self._shows_curves

    def show_curves(self, *, shows: bool) -> None:
        """Show the curves over the track, or the track alone, which takes less room."""
        if shows != self._shows_curves:
            self._shows_curves, self._body = shows, None
            self.updateGeometry()
            self.update()

    @property
    def least_curves_height(self) -> int:
        """What the curves take at least."""
        return round(2 * self._label_height())

    def show_film(self, film: Film | None, image: int) -> None:
        self._film, self._image = film, image
        self.refresh()

    def refresh(self) -> None:
        """The film has grown."""
        points = self._film.points if self._film else ()
        self._places = places_of(points, self._axis)
        self.setRange(1, max(len(points), 1))
        self._body = None
        self._say_where()

    @property
    def text(self) -> str:
        """ "step 17/50 · t = 640 · σ = 2.31"; "" without steps."""
        if self._film is None or not self._film.points:
            return ""
        points = self._film.points
        return point_text(points[self.value() - 1], self.value(), len(points))

    @property
    def commits_at(self) -> int | None:
        """The step at which the image commits, once it is known."""
        return commit_step(self._film.moves(self._image)) if self._film else None

    def x_of(self, step: int) -> float:
        """Where a step lies, in pixels of the widget."""
        box = self._track_box()
        return float(box.left() + self._places.places[step - 1] * box.width())

    def _say_where(self) -> None:
        self.setAccessibleDescription(self.text)
        self.update()

    def _on_theme_changed(self) -> None:
        self.updateGeometry()
        self._body = None
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._body = None

    # --------------------------------------------------------------------------------------------- geometry

    def sizeHint(self) -> QSize:
        curves = 2 * (2 * self._label_height() + 2) if self._shows_curves else 0
        return QSize(360, round(curves + self._other_height()))

    def minimumSizeHint(self) -> QSize:
        return QSize(220, (self.least_curves_height if self._shows_curves else 0) + round(self._other_height()))

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        return font

    def _label_height(self) -> float:
        return QFontMetricsF(self._font()).height()

    def _lane_height(self) -> float:
        return max(self.height() - self._other_height(), 0) / 2 if self._shows_curves else 0

    def _other_height(self) -> float:
        """Of all but the lanes: the track, the labels of its axis, and what is between them."""
        return theme.scaled(_TRACK) + self._label_height() + _AROUND

    def _track_height(self) -> float:
        """Less than it should be where there is no room for the labels below it."""
        return min(theme.scaled(_TRACK), max(self.height() - self._label_height() - _AROUND, 8))

    def _gutter(self) -> float:
        return QFontMetricsF(self._font()).horizontalAdvance("movement") + 4

    def _lane_box(self, index: int) -> QRectF:
        height = self._lane_height()
        return QRectF(self._gutter(), 4 + index * (height + 4), self.width() - self._gutter() - _MARGIN, height)

    def _track_box(self) -> QRectF:
        lanes = self._lane_box(1)
        return QRectF(lanes.left(), lanes.bottom() + 6, lanes.width(), self._track_height())

    def _step_at(self, x: float) -> int:
        box = self._track_box()
        return self._places.nearest((x - box.left()) / max(box.width(), 1))

    # --------------------------------------------------------------------------------------------- the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._seek(self._step_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._seek(self._step_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.accept()
        self._turned += event.angleDelta().y() or event.angleDelta().x()
        notches = int(self._turned / _NOTCH)  # a touchpad sends many small parts of one
        if notches:
            self._turned -= notches * _NOTCH
            self._seek(self.value() - notches)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()  # the stage has keys for all of it

    def _seek(self, step: int) -> None:
        if self._film is not None and self._film.points:
            self.sought.emit(min(max(step, self.minimum()), self.maximum()))

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(event.pos()), self)
            return True
        return super().event(event)

    def text_at(self, position: QPoint) -> str:
        """What hovering over a place says."""
        commit = self.commits_at
        if commit is not None and abs(position.x() - self.x_of(commit)) < 5:
            return _ABOUT_COMMIT.format(step=commit)
        if position.y() < self._lane_box(1).top():
            return _ABOUT_NORM
        if position.y() < self._track_box().top():
            return _ABOUT_MOVES
        shared = self._film.shared_steps if self._film else 0
        return _ABOUT_TRACK + (_ABOUT_SHARED.format(step=shared) if shared else "")

    # --------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        film = self._film
        if film is None or not film.points:
            return
        if self._body is None:
            self._body = self._paint_body(film)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._body)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        painter.setPen(QPen(QColor(theme.current().text), 1))
        x = self.x_of(self.value())
        painter.drawLine(QPointF(x, 0), QPointF(x, self._track_box().top()))
        for index, curve in enumerate(self._curves(film)):
            box = self._lane_box(index)
            paint_reading(painter, box, self._places.places, curve, label_right=self._gutter(), step=self.value())
        self._paint_grip(painter, x)

    def _paint_body(self, film: Film) -> QPixmap:
        """All that is the same at every step."""
        ratio = self.devicePixelRatioF()
        body = QPixmap(self.size() * ratio)
        body.setDevicePixelRatio(ratio)
        body.fill(Qt.GlobalColor.transparent)
        painter = QPainter(body)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        self._paint_shared(painter, film)
        for index, curve in enumerate(self._curves(film)):
            paint_curve(painter, self._lane_box(index), self._places.places, curve)
        paint_track(painter, self._track_box(), film.points, self._places, film.steps_done(self._image))
        self._paint_axis(painter)
        self._paint_commit(painter)
        painter.end()
        return body

    def _curves(self, film: Film) -> tuple[Curve, ...]:
        if not self._shows_curves:
            return ()
        norms, moves = film.norms(self._image), film.moves(self._image)
        return Curve("‖xₜ‖", norms, theme.current().curves[0]), Curve("movement", moves, theme.current().curves[1])

    def _paint_axis(self, painter: QPainter) -> None:
        box, height = self._track_box(), self._label_height()
        line = QRectF(0, box.bottom() + 5, box.left() - 6, height)
        painter.setPen(QColor(theme.current().muted))
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, self._axis)
        metrics = QFontMetricsF(painter.font())
        for place, text in self._axis_labels():
            width = metrics.horizontalAdvance(text) + 2
            x = box.left() + place * box.width()
            left = min(max(x - width / 2, box.left() - 8), self.width() - width)
            painter.drawText(QRectF(left, line.top(), width, height), Qt.AlignmentFlag.AlignHCenter, text)

    def _axis_labels(self) -> list[tuple[float, str]]:
        """Places and values: the two ends, and round numbers well between them."""
        values, places = self._places.values, self._places.places
        ends = [(float(places[0]), number_text(values[0])), (float(places[-1]), number_text(values[-1]))]
        low, high = sorted((float(values[0]), float(values[-1])))
        if high <= low:
            return ends[:1]
        spacing = _round_spacing((high - low) / max(self.width() / theme.scaled(90), 2))
        between = np.arange(np.ceil(low / spacing) * spacing, high, spacing)
        spots = [
            ((float(value) - values[0]) / (values[-1] - values[0]), number_text(float(value))) for value in between
        ]
        margin = theme.scaled(44) / max(self._track_box().width(), 1)
        return [*ends, *((place, text) for place, text in spots if margin < place < 1 - margin)]

    def _paint_commit(self, painter: QPainter) -> None:
        commit = self.commits_at
        if commit is None:
            return
        x, colour = self.x_of(commit), QColor(theme.current().curves[1])
        painter.setPen(QPen(colour, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, self._lane_box(1).top()), QPointF(x, self._track_box().bottom()))
        if self._lane_height() < 0.8 * self._label_height():
            return
        text = "commits"
        width = QFontMetricsF(painter.font()).horizontalAdvance(text)
        lane = self._lane_box(1)
        left = x + 5 if x + 5 + width < lane.right() else x - 5 - width
        label = QRectF(left, lane.top(), width, self._label_height())
        ground = QColor(theme.current().ground)
        ground.setAlphaF(0.75)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        painter.drawRoundedRect(label.adjusted(-3, 0, 3, 0), 3, 3)
        painter.setPen(QColor(theme.current().text))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_shared(self, painter: QPainter, film: Film) -> None:
        if not film.shared_steps:
            return
        track = self._track_box()
        x = self.x_of(min(film.shared_steps + 1, len(film.points)))
        tint = QColor(fork_colour())
        tint.setAlphaF(0.14)
        painter.fillRect(QRectF(track.left(), 0, x - track.left(), track.bottom()), tint)
        painter.setPen(QPen(QColor(fork_colour()), 1.5))
        painter.drawLine(QPointF(x, 0), QPointF(x, track.bottom()))
        paint_fork(painter, QPointF(x, 8))

    def _paint_grip(self, painter: QPainter, x: float) -> None:
        palette, track = theme.current(), self._track_box()
        painter.setBrush(QColor(palette.text))
        painter.setPen(QPen(QColor(palette.accent if self.hasFocus() else palette.surface), 2))
        painter.drawRoundedRect(QRectF(x - 4, track.top() - 4, 8, track.height() + 8), 4, 4)


def _round_spacing(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20 … (and of 0.1, 0.2 …) that is not below `least`."""
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999))
