"""A picture as large as there is room for."""

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from dit_studio.ui import theme

_LEAST = 160  # pixels


class Picture(QWidget):
    """Keeps the shape of its image. Pixels that are enlarged stay squares, unless it is told to blur them."""

    def __init__(self, parent: QWidget | None = None, *, missing: str = "The picture cannot be read.") -> None:
        super().__init__(parent)
        self._image, self._is_smooth = QImage(), False
        self._default = self._missing = missing
        self.setMinimumSize(_LEAST, _LEAST)

    def show_image(self, image: QImage | None, name: str, *, missing: str = "") -> None:
        """Show an image; if there is none, why."""
        self._image = image if image is not None else QImage()
        self._missing = missing or self._default
        self.setAccessibleName(name)
        self.update()

    def set_smooth(self, is_smooth: bool) -> None:
        self._is_smooth = is_smooth
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._image.isNull():
            painter.setPen(QColor(theme.current().muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._missing)
            return
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(QPoint(), size)
        place.moveCenter(self.rect().center())
        is_smaller = size.width() * self.devicePixelRatio() < self._image.width()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._is_smooth or is_smaller)
        painter.drawImage(place, self._image)
