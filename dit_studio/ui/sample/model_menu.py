"""What can be done with the model that is chosen, besides drawing from it."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from dit_studio.ui.widgets.basics import describe


class ModelMenu(QToolButton):
    """Off while there is no model."""

    known_asked = Signal()
    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("⋯")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setProperty("kind", "button")
        describe(self, "More about the model", "What is known of the model, and its export to a file.")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.known = menu.addAction("What is known of it…", self.known_asked.emit)
        self.known.setToolTip("What was read from its tensors, and the answers to what they do not tell.")
        self.export = menu.addAction("Export model…", self.export_asked.emit)
        self.export.setToolTip("Write it as a published file, a diffusers folder or a file of DiT Studio.")
        self.setMenu(menu)
        self.setEnabled(False)
