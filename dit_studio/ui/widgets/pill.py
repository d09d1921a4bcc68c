"""A state as a coloured word."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.ui import theme


class Pill(QWidget):
    """A dot and a word, in a colour of the palette."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._text, self._role = "", "muted"
        theme.theme_changed.connect(self.update)

    def show_text(self, text: str, role: str = "muted") -> None:
        """`role` is one of theme.Palette's."""
        self._text, self._role = text, role
        self.setAccessibleName(f"State: {text}")
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        return self._text

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._text) + 32, metrics.height() + 4)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colour = QColor(getattr(theme.current(), self._role))
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(colour)
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setBrush(colour)
        painter.drawEllipse(QRectF(10, box.center().y() - 3, 6, 6))
        painter.drawText(box.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text)
