"""Cards of one kind under a title."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import Title, WholeText


class CardGroup(QWidget):
    """Hidden as long as it has no card."""

    def __init__(self, title: str, note: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(title)
        self._list = QVBoxLayout(self)
        self._list.setContentsMargins(0, 8, 0, 0)
        self._list.setSpacing(8)
        self._list.addWidget(Title(title))
        self._list.addWidget(WholeText(note, role="muted"))
        self.hide()

    def add(self, card: QWidget) -> None:
        """Put a card below the others."""
        self._list.addWidget(card)
        self.show()
