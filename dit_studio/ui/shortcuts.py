"""The sheet of keyboard shortcuts."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import Heading, button

_EVERYWHERE = (
    ("Start training", "Ctrl+Return"),
    ("Pause, or go on", "Ctrl+P"),
    ("Stop and save", "Ctrl+."),
    ("Open the run that is selected", "Return"),
    ("Move the runs that are selected to the trash", "Delete"),
    ("Show all of a plot", "Home"),
    ("These shortcuts", "F1 or ?"),
    ("Next control, control before", "Tab, Shift+Tab"),
    ("Change a number by its second digit", "Up, Down"),
    ("Quit", "Ctrl+Q"),
)


class ShortcutSheet(QDialog):
    """What the keys do; Escape closes it."""

    def __init__(self, pages: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts")
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        for line, (what, keys) in enumerate([*pages, *_EVERYWHERE]):
            label = QLabel(keys)
            label.setProperty("role", "muted")
            grid.addWidget(QLabel(what), line, 0)
            grid.addWidget(label, line, 1, Qt.AlignmentFlag.AlignRight)
        close = button("Close", "Close this sheet (Escape).")
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addWidget(Heading("Keyboard shortcuts"))
        layout.addLayout(grid)
        layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)
