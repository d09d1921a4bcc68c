"""A panel with a title."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import Title, describe


class Card(QFrame):
    """A raised panel: a title row that takes buttons, and `body`, a layout to fill."""

    def __init__(self, title: str, *, parent: QWidget | None = None, collapsible: bool = False) -> None:
        super().__init__(parent)
        self.setProperty("panel", "card")
        self.setAccessibleName(title)
        self._title = Title(title)
        self._content = QWidget()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(8)
        self._row = QHBoxLayout()
        self._row.setSpacing(8)
        if collapsible:
            self._row.addWidget(self._fold_button(title))
        self._row.addWidget(self._title, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(self._row)
        layout.addWidget(self._content, 1)

    def add_action(self, widget: QWidget) -> None:
        """Put a button, or a note, at the right of the title row."""
        self._row.addWidget(widget)

    def set_title(self, title: str) -> None:
        self._title.setText(title)
        self.setAccessibleName(title)

    def set_collapsed(self, collapsed: bool) -> None:
        self._fold.setChecked(not collapsed)

    def _fold_button(self, title: str) -> QToolButton:
        self._fold = QToolButton(arrowType=Qt.ArrowType.DownArrow)
        self._fold.setCheckable(True)
        self._fold.setChecked(True)
        self._fold.setProperty("kind", "disclosure")
        describe(self._fold, f"Show {title}", f"Show or hide {title}.")
        self._fold.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._fold.toggled.connect(self._on_folded)
        return self._fold

    def _on_folded(self, is_open: bool) -> None:
        self._content.setVisible(is_open)
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
