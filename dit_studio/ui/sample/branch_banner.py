"""A banner that says where the next Generate goes on from."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import WholeText, button, row


class BranchBanner(QFrame):
    """Hidden while Generate starts from noise."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "message")
        self._text = WholeText()
        self.cancel = button("Cancel branch", "Let Generate start from noise again.")
        self.cancel.clicked.connect(self._on_cancelled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(self._text)
        layout.addLayout(row(self.cancel, None))
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_text(self, text: str) -> None:
        self._text.setText(text)
        self.setAccessibleName(text)
        self.show()

    def _on_cancelled(self) -> None:
        self.hide()
        self.cancelled.emit()
