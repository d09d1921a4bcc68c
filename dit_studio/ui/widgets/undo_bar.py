"""A bar that says what was deleted last, and brings it back."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QWidget

from dit_studio.ui.widgets.basics import WholeText, button, row


class UndoBar(QFrame):
    """Hidden while there is nothing to undo."""

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = WholeText()
        undo = button("Undo", "Bring back what was deleted last (Ctrl+Z).")
        undo.clicked.connect(self.asked)
        layout = row(self._text, undo)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self.setProperty("panel", "message")
        self.hide()

    def show_text(self, text: str) -> None:
        """Say what was deleted; "" if there is nothing to bring back."""
        self._text.setText(text)
        self.setVisible(bool(text))
