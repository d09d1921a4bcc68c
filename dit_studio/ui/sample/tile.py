"""One picture with a title, seen through a view that tiles share."""

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.pixels import Pixels, to_image
from dit_studio.ui.widgets.basics import describe

_ZOOMS = (1.0, 64.0)
_ZOOM_STEP = 1.25  # a notch of the wheel
_ABOUT_ZOOM = "\nWheel: zoom; drag: move; double click: all of it. The tiles move together."


class View(QObject):
    """How much of a picture is seen: `zoom` times larger than what fits, around `centre` (0 to 1 both ways)."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.zoom, self.centre = 1.0, QPointF(0.5, 0.5)

    def set_zoom(self, zoom: float, centre: QPointF) -> None:
        self.zoom = min(max(zoom, _ZOOMS[0]), _ZOOMS[1])
        self.centre = QPointF(min(max(centre.x(), 0), 1), min(max(centre.y(), 0), 1))
        self.changed.emit()

    def reset(self) -> None:
        self.set_zoom(1.0, QPointF(0.5, 0.5))


_OF_LATENTS = ("its latents, in likely colours; decoded at the last step", "latents")


class Tile(QWidget):
    """Pixels as large as fit, each a square of whole pixels of the screen as long as nothing is zoomed.

    Of the `subtitles` the first that fits beside the title is shown.
    """

    def __init__(self, view: View, title: str, subtitles: tuple[str, ...], about: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._view, self._title, self._subtitles, self._usual = view, title, subtitles, subtitles
        self._pixels: Pixels | None = None
        self._size = QSize(1, 1)
        self._grabbed: QPointF | None = None
        self._missing = ""
        describe(self, f"{title}: {subtitles[0]}", about + _ABOUT_ZOOM)
        view.changed.connect(self.update)
        theme.theme_changed.connect(self.update)

    @property
    def pixels(self) -> Pixels | None:
        return self._pixels

    def show_pixels(self, pixels: Pixels | None, size: QSize, *, missing: str = "") -> None:
        """Show a picture in the place of one of `size` pixels; None: `missing` says why there is none."""
        self._pixels, self._size, self._missing = pixels, size, missing
        is_of_latents = pixels is not None and pixels.shape[:2] != (size.height(), size.width())
        self._subtitles = _OF_LATENTS if is_of_latents else self._usual
        self.update()

    @property
    def subtitle(self) -> str:
        """What stands beside the title where there is room."""
        return self._subtitles[0]

    def title_height(self) -> int:
        return QFontMetrics(self.font()).height() + 6

    def title_width(self) -> int:
        """What the title takes, in small letters."""
        return QFontMetrics(self._bold(is_small=True)).horizontalAdvance(self._title) + 2

    @property
    def shown_title(self) -> str:
        """The title as far as there is room for it."""
        return self._fitted_title()[1]

    def _bold(self, *, is_small: bool) -> QFont:
        result = QFont(self.font())
        result.setWeight(QFont.Weight.DemiBold)
        if is_small:
            result.setPixelSize(theme.text_size(0))
        return result

    def _fitted_title(self) -> tuple[QFont, str]:
        """In small letters where the usual ones are too wide, and cut only where these are, too."""
        usual = self._bold(is_small=False)
        if QFontMetrics(usual).horizontalAdvance(self._title) <= self.width():
            return usual, self._title
        small = self._bold(is_small=True)
        return small, QFontMetrics(small).elidedText(self._title, Qt.TextElideMode.ElideRight, self.width())

    def area(self) -> QRect:
        """Where the picture may be."""
        return self.rect().adjusted(0, self.title_height(), 0, 0)

    def target(self) -> QRectF:
        """Where the whole picture lies, as far as it reaches outside the area, too."""
        area = QRectF(self.area())
        width, height = (side * self._fit() * self._view.zoom for side in (self._size.width(), self._size.height()))
        centre = self._view.centre
        x = area.center().x() - width * _held(centre.x(), area.width() / width)
        y = area.center().y() - height * _held(centre.y(), area.height() / height)
        ratio = self.devicePixelRatioF()
        return QRectF(round(x * ratio) / ratio, round(y * ratio) / ratio, width, height)

    def _fit(self) -> float:
        """How many of the window's pixels one of the picture's takes."""
        return fit(self._size, self.area().size(), self.devicePixelRatioF())

    # --------------------------------------------------------------------------------------------- the user

    def wheelEvent(self, event: QWheelEvent) -> None:
        target, position = self.target(), event.position()
        factor = _ZOOM_STEP ** (event.angleDelta().y() / 120)
        place = QPointF((position.x() - target.x()) / target.width(), (position.y() - target.y()) / target.height())
        zoom = min(max(self._view.zoom * factor, _ZOOMS[0]), _ZOOMS[1])
        share = self._view.zoom / zoom  # what is under the mouse stays there
        middle = QRectF(self.area()).center()
        seen = QPointF((middle.x() - target.x()) / target.width(), (middle.y() - target.y()) / target.height())
        self._view.set_zoom(zoom, place + (seen - place) * share)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._grabbed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grabbed is None:
            return
        moved, target = event.position() - self._grabbed, self.target()
        self._grabbed = event.position()
        shift = QPointF(moved.x() / target.width(), moved.y() / target.height())
        self._view.set_zoom(self._view.zoom, self._view.centre - shift)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        self._grabbed = None

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        self._view.reset()

    # --------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        palette, painter = theme.current(), QPainter(self)
        self._paint_title(painter)
        area, target = self.area(), self.target()
        if self._pixels is None:
            box = target.toRect().intersected(area)
            painter.fillRect(box, QColor(palette.raised))
            painter.setPen(QColor(palette.muted))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._missing)
            return
        painter.setClipRect(area)
        enlarged = target.width() * self.devicePixelRatioF() / self._pixels.shape[1]
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, enlarged < 2 and enlarged != 1)
        painter.drawImage(target, to_image(self._pixels))
        painter.setPen(QPen(QColor(palette.line), 1))
        painter.drawRect(target.intersected(QRectF(area)).adjusted(0.5, 0.5, -0.5, -0.5))

    def _paint_title(self, painter: QPainter) -> None:
        palette = theme.current()
        font, title = self._fitted_title()
        wide = QFontMetrics(font).horizontalAdvance(title)
        picture_left = max(round(self.target().left()), 0) if self._view.zoom == 1 else 0
        left = max(min(picture_left, self.width() - wide), 0)
        line = QRect(left, 0, self.width() - left, self.title_height() - 4)
        painter.setFont(font)
        painter.setPen(QColor(palette.text))
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, title)
        line.adjust(wide + 8, 0, 0, 0)
        small = QFont(self.font())
        small.setPixelSize(theme.text_size(0))
        painter.setFont(small)
        painter.setPen(QColor(palette.muted))
        fitting = (text for text in self._subtitles if painter.fontMetrics().horizontalAdvance(text) <= line.width())
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, next(fitting, ""))


def fit(picture: QSize, room: QSize, ratio: float) -> float:
    """How much larger a picture can be shown in a room: by a whole number of the screen's pixels if by two or more.
    `ratio`: of the screen's pixels to the window's."""
    pixels = min(room.width() / max(picture.width(), 1), room.height() / max(picture.height(), 1)) * ratio
    return max(int(pixels + 1e-6) if pixels >= 2 else pixels, 0.01) / ratio


def _held(centre: float, share: float) -> float:
    """A centre, held so that the picture covers the area; `share`: of the picture that fits into it."""
    return 0.5 if share >= 1 else min(max(centre, share / 2), 1 - share / 2)
