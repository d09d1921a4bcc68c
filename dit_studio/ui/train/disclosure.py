"""A line that unfolds."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import describe, set_property


class Disclosure(QWidget):
    """A button with a summary, and `content` that it shows and hides; folded at first."""

    def __init__(self, content: QWidget, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.content = content
        self._tooltip = tooltip
        self.button = QToolButton(arrowType=Qt.ArrowType.RightArrow)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.setIconSize(QSize(12, 12))
        set_property(self.button, "kind", "disclosure")
        self.button.toggled.connect(self._on_toggled)
        content.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(content)

    def set_summary(self, text: str) -> None:
        self.button.setText(text)
        describe(self.button, text, self._tooltip)

    def _on_toggled(self, is_open: bool) -> None:
        self.content.setVisible(is_open)
        self.button.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
