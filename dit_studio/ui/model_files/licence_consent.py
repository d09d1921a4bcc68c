"""The terms of a licence, to be agreed to before a download begins."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from dit_studio.events import ModelFileInfo
from dit_studio.ui.widgets.basics import WholeText, button, describe
from dit_studio.ui.widgets.flow import FlowLayout


class LicenceConsent(QFrame):
    """Hidden until it asks; Escape is "Not now"."""

    agreed = Signal()
    refused = Signal()
    licence_asked = Signal()

    def __init__(self, info: ModelFileInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "card")
        describe(self, f"Licence of {info.title}")
        self.agree = button("Agree and download", f"Accept {info.licence} and fetch {info.title}.", kind="primary")
        self.refuse = button("Not now", "Fetch nothing.")
        self.read = button("Read the licence", f"Show {info.licence_url} in the browser.")
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addWidget(WholeText(f"{info.title} is under {info.licence}. {info.terms}"))
        buttons = FlowLayout()
        for widget in (self.agree, self.refuse, self.read):
            buttons.addWidget(widget)
        layout.addLayout(buttons)
        self.agree.clicked.connect(self.agreed)
        self.refuse.clicked.connect(self.refused)
        self.read.clicked.connect(self.licence_asked)
        self.hide()

    def ask(self) -> None:
        """Show the terms. The keyboard is at "Not now", so that a key pressed twice agrees to nothing."""
        self.show()
        self.refuse.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.refused.emit()
        else:
            super().keyPressEvent(event)
