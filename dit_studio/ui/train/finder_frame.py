"""How a finder's dialog is laid out: parts below one another that scroll where the screen is small, then buttons."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.widgets.basics import button
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.scrolling import Scrolling

_WIDTH, _HEIGHT = 560, 660  # pixels at a font scale of 100 %: text, table and plot without scrolling
_MOST_WIDTH = 960  # pixels
_MOST_OF_SCREEN = 0.9


def fill(dialog: QDialog, *parts: QWidget, buttons: Sequence[QPushButton]) -> None:
    """Put the parts into the dialog, and the buttons below them, the last of which closes it."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(0, 0, 8, 0)
    column.setSpacing(8)
    for part in parts:
        column.addWidget(part)
    column.setAlignment(Qt.AlignmentFlag.AlignTop)
    close = button("Close", "Close this window; what is at work here ends.")
    close.clicked.connect(dialog.close)
    below = FlowLayout()
    for one in (*buttons, close):
        below.addWidget(one)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(16, 16, 16, 16)
    layout.setSpacing(8)
    layout.addWidget(Scrolling(content), 1)
    layout.addLayout(below)
    dialog.resize(dialog.sizeHint())  # a dialog that is only shown takes two thirds of the screen at most


def usual_size(dialog: QDialog) -> QSize:
    """Of the dialog, before a person changes it."""
    wanted = QSize(min(theme.scaled(_WIDTH), _MOST_WIDTH), theme.scaled(_HEIGHT))
    return wanted.boundedTo(dialog.screen().availableSize() * _MOST_OF_SCREEN)
