"""The dashed place that says where images may be dropped."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.widgets.basics import Muted, row

_HINT = "Drop a folder, zip or tar of images here, or anywhere on the window."


class DropArea(QWidget):
    """A hint and the buttons that open images; with images open, the buttons alone."""

    def __init__(self, buttons: list[QPushButton], parent: QWidget | None = None, *, hint: str = _HINT) -> None:
        super().__init__(parent)
        self._is_empty, self._is_aimed_at = True, False
        self._hint = Muted(hint)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = self._layout = QVBoxLayout(self)
        layout.setSpacing(16)
        layout.addWidget(self._hint)
        self._buttons = row(None, *buttons, None)
        layout.addLayout(self._buttons)
        theme.theme_changed.connect(self.update)
        self.show_empty(is_empty=True)

    def show_empty(self, *, is_empty: bool) -> None:
        """Invite a drop, or make room for what was dropped."""
        self._is_empty = is_empty
        self._hint.setVisible(is_empty)
        edge = 16 if is_empty else 0
        self._buttons.setStretch(0, 1 if is_empty else 0)
        self._layout.setContentsMargins(edge // 2, edge, edge // 2, edge)
        self.update()

    def show_aimed_at(self, *, is_aimed_at: bool) -> None:
        """Something hovers that may be dropped."""
        self._is_aimed_at = is_aimed_at
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not (self._is_empty or self._is_aimed_at):
            return
        palette = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = palette.accent if self._is_aimed_at else palette.edge
        painter.setPen(QPen(QColor(colour), 1.5, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
