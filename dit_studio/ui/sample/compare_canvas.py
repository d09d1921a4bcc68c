"""Two images under one zoom: swiped, side by side, or their difference."""

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.compare_measures import amplified_difference, fitted
from dit_studio.ui.sample.pixels import Pixels, to_image
from dit_studio.ui.widgets.basics import describe

SWIPE, BESIDE, DIFFERENCE = "swipe", "beside", "difference"
_ZOOMS = (1.0, 64.0)  # times the size that fits
_WHEEL_ZOOM = 1.25  # a notch
_GRIP, _GAP, _MARGIN = 12, 8, 8  # pixels: around the divider, between the two, around all
_SHARP_FROM = 2  # device pixels a pixel from which on each is shown as a square
_NUDGE = 0.02  # of the width, by Shift and an arrow


class CompareCanvas(QWidget):
    """Zoom is a factor of the size that fits; the centre of the view is a place in the image, (0.5, 0.5) at first."""

    zoomed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixels: tuple[Pixels | None, Pixels | None] = (None, None)
        self._images: list[QImage] = []
        self._mode, self._gain = SWIPE, 4
        self.zoom, self.centre, self.divider = 1.0, QPointF(0.5, 0.5), 0.5
        self._grabbed = ""  # "divider" or "image" while it is dragged
        self._last = QPointF()
        self.setMinimumSize(160, 120)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(
            self,
            "Compared images",
            "Wheel or + − zooms, drag moves, double click fits. Drag the line to swipe, or press Shift and ← →.",
        )
        theme.theme_changed.connect(self.update)

    def show_pixels(self, first: Pixels | None, second: Pixels | None) -> None:
        """Show two images; None where there is none at this step."""
        self._pixels = (first, second)
        self._prepare()

    def set_mode(self, mode: str) -> None:
        self._mode = mode
        self._prepare()

    def set_gain(self, gain: int) -> None:
        """How much a difference is brightened."""
        self._gain = gain
        self._prepare()

    def fit(self) -> None:
        """Show all of the images."""
        self.centre = QPointF(0.5, 0.5)
        self._set_zoom(1.0)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom about a place of the widget, which stays where it is; without one about the middle."""
        panel = self._panels()[0]
        place = at if at is not None else panel.center()
        panel = next((other for other in self._panels() if other.contains(place)), panel)
        before = self._image_place(panel, place)
        self._set_zoom(self.zoom * factor)
        after = self._image_place(panel, place)
        self._move_centre(self.centre + before - after)

    def _prepare(self) -> None:
        first, second = self._pixels
        self._images = []
        if first is not None and second is not None:
            first, second = fitted(first, second)
            shown = [first, second]
            if self._mode == DIFFERENCE:
                shown = [amplified_difference(first, second, self._gain)]
            self._images = [to_image(pixels).copy() for pixels in shown]
        self.update()

    # ------------------------------------------------------------------------------------------------- geometry

    def _panels(self) -> list[QRectF]:
        """Where images are shown: one place, or two side by side (one above the other in a narrow widget)."""
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if self._mode != BESIDE:
            return [room]
        if room.width() >= room.height():
            size = QSizeF((room.width() - _GAP) / 2, room.height())
            return [QRectF(room.topLeft(), size), QRectF(QPointF(room.center().x() + _GAP / 2, room.top()), size)]
        size = QSizeF(room.width(), (room.height() - _GAP) / 2)
        return [QRectF(room.topLeft(), size), QRectF(QPointF(room.left(), room.center().y() + _GAP / 2), size)]

    def _target(self, panel: QRectF) -> QRectF:
        """Where the whole image would be in a panel."""
        image = QSizeF(self._images[0].size()) if self._images else QSizeF(1, 1)
        size = image.scaled(panel.size(), Qt.AspectRatioMode.KeepAspectRatio) * self.zoom
        corner = panel.center() - QPointF(self.centre.x() * size.width(), self.centre.y() * size.height())
        return QRectF(corner, size)

    def _image_place(self, panel: QRectF, place: QPointF) -> QPointF:
        target = self._target(panel)
        return QPointF((place.x() - target.left()) / target.width(), (place.y() - target.top()) / target.height())

    def _set_zoom(self, zoom: float) -> None:
        self.zoom = min(max(zoom, _ZOOMS[0]), _ZOOMS[1])
        self._move_centre(self.centre)
        self.zoomed.emit(self.zoom)

    def _move_centre(self, centre: QPointF) -> None:
        half = 0.5 / self.zoom  # the view never leaves the image
        self.centre = QPointF(*(min(max(value, half), 1 - half) for value in (centre.x(), centre.y())))
        self.update()

    def _divider_x(self) -> float:
        visible = self._target(self._panels()[0]).intersected(self._panels()[0])
        return visible.left() + self.divider * visible.width()

    # ------------------------------------------------------------------------------------------------- the user

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom_by(_WHEEL_ZOOM ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._last = event.position()
        is_near = abs(event.position().x() - self._divider_x()) <= _GRIP
        self._grabbed = "divider" if self._mode == SWIPE and (is_near or self.zoom == _ZOOMS[0]) else "image"
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        if self._grabbed == "divider":
            visible = self._target(self._panels()[0]).intersected(self._panels()[0])
            self._move_divider((place.x() - visible.left()) / max(visible.width(), 1))
        elif self._grabbed == "image":
            target = self._target(self._panels()[0])
            moved = place - self._last
            self._move_centre(self.centre - QPointF(moved.x() / target.width(), moved.y() / target.height()))
        self._last = place
        self._show_cursor(place)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        self._grabbed = ""

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if is_shifted and key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._mode == SWIPE:
            self._move_divider(self.divider + (_NUDGE if key == Qt.Key.Key_Right else -_NUDGE))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(_WHEEL_ZOOM)
        elif key == Qt.Key.Key_Minus:
            self.zoom_by(1 / _WHEEL_ZOOM)
        elif key == Qt.Key.Key_0:
            self.fit()
        else:
            super().keyPressEvent(event)

    def _move_divider(self, place: float) -> None:
        self.divider = min(max(place, 0.0), 1.0)
        self.update()

    def _show_cursor(self, place: QPointF) -> None:
        is_near = self._mode == SWIPE and abs(place.x() - self._divider_x()) <= _GRIP
        moves = Qt.CursorShape.OpenHandCursor if self.zoom > _ZOOMS[0] else Qt.CursorShape.ArrowCursor
        self.setCursor(Qt.CursorShape.SplitHCursor if is_near else moves)

    # ------------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = theme.current()
        if not self._images:
            painter.setPen(QColor(palette.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._why_nothing())
            return
        for image, panel, name in zip(self._images, self._panels(), self._names(), strict=False):
            self._paint_image(painter, image, panel, panel)
            if name:
                self._paint_name(painter, name, self._target(panel).intersected(panel).topLeft())
        if self._mode == SWIPE:
            self._paint_swipe(painter, self._panels()[0])
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(palette.accent), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)

    def _names(self) -> tuple[str, ...]:
        return ("",) if self._mode == DIFFERENCE else ("A", "B")

    def _why_nothing(self) -> str:
        missing = [name for name, pixels in zip("AB", self._pixels, strict=True) if pixels is None]
        return f"{' and '.join(missing)} {'has' if len(missing) == 1 else 'have'} no picture at this step."

    def _paint_image(self, painter: QPainter, image: QImage, panel: QRectF, clip: QRectF) -> None:
        target = self._target(panel)
        a_pixel = target.width() / image.width() * self.devicePixelRatioF()
        painter.save()
        painter.setClipRect(clip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, a_pixel < _SHARP_FROM)
        painter.drawImage(target, image)
        painter.restore()

    def _paint_swipe(self, painter: QPainter, panel: QRectF) -> None:
        visible = self._target(panel).intersected(panel)
        x = self._divider_x()
        right = QRectF(QPointF(x, visible.top()), visible.bottomRight())
        self._paint_image(painter, self._images[1], panel, right)
        self._paint_name(painter, "B", visible.topRight(), is_right=True)
        painter.setPen(QPen(QColor("#000000"), 3))
        painter.drawLine(QPointF(x, visible.top()), QPointF(x, visible.bottom()))
        painter.setPen(QPen(QColor("#FFFFFF"), 1))
        painter.drawLine(QPointF(x, visible.top()), QPointF(x, visible.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor("#FFFFFF"))
        painter.setPen(QPen(QColor("#000000"), 1))
        painter.drawEllipse(QPointF(x, visible.center().y()), 6, 6)

    def _paint_name(self, painter: QPainter, name: str, corner: QPointF, *, is_right: bool = False) -> None:
        side = theme.scaled(20)
        ground = QRectF(corner.x() - side - 4 if is_right else corner.x() + 4, corner.y() + 4, side, side)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 170))
        painter.drawRoundedRect(ground, 4, 4)
        painter.setPen(QColor("#FFFFFF"))
        painter.drawText(ground, Qt.AlignmentFlag.AlignCenter, name)
