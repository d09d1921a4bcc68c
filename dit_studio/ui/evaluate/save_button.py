"""A button with a menu: what to save, and in which format."""

from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from dit_studio.ui.widgets.basics import describe

PATTERNS = {"csv": "Table (*.csv)", "png": "Picture (*.png)", "svg": "Drawing (*.svg)"}  # of a file dialog


class SaveButton(QPushButton):
    """Offers formats, each with a line that says what is in it; `chosen` carries its suffix."""

    chosen = Signal(str)

    def __init__(self, formats: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__("Save", parent)
        describe(self, "Save", "Save what is shown as a file.")
        self.setAutoDefault(False)
        menu = QMenu(self)
        for suffix, text in formats.items():
            menu.addAction(text).triggered.connect(partial(self._on_chosen, suffix))
        self.setMenu(menu)

    def _on_chosen(self, suffix: str, _checked: bool = False) -> None:
        self.chosen.emit(suffix)
