"""The sheet of keyboard shortcuts."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from dit_studio.ui.widgets.basics import Heading, Title, button, describe
from dit_studio.ui.widgets.scrolling import Scrolling

_EVERYWHERE = (
    ("Start training", "Ctrl+Return"),
    ("Add to the queue", "Ctrl+Shift+Return"),
    ("The queue", "Ctrl+J"),
    ("A run of the queue up, down; hold it", "Alt+↑, Alt+↓; H"),
    ("Pause, or go on", "Ctrl+P"),
    ("Stop and save", "Ctrl+."),
    ("Show all of a plot", "Home"),
    ("These shortcuts", "F1 or ?"),
    ("Next control, control before", "Tab, Shift+Tab"),
    ("Change a number by its second digit", "Up, Down"),
    ("Quit", "Ctrl+Q"),
)

_ON_THE_RUNS_PAGE = (
    ("Open, or move to the trash", "Return, Delete"),
    ("Resume, sample, evaluate", "Ctrl+R, Ctrl+G, Ctrl+M"),
    ("Name and note, tags", "F2, Ctrl+T"),
    ("Archive, or take back out", "Ctrl+Shift+A"),
    ("Export, import", "Ctrl+E, Ctrl+I"),
    ("Show the folder", "Ctrl+D"),
    ("Filter, read again", "Ctrl+F, F5"),
    ("Everything else", "Menu"),
)

_ON_THE_SAMPLE_PAGE = (
    ("Generate", "Ctrl+Return"),
    ("Step by step; by five", "← →; Shift+← →"),
    ("First step, last step", "Home, End"),
    ("Play, or pause", "Space"),
    ("Loop; slower, faster", "L; [ ]"),
    ("Another image of the grid", "1–9"),
    ("xₜ and x̂₀, or one of them", "D"),
    ("Grid and image, or one of them", "G"),
    ("What guidance adds, or not", "U"),
    ("Where the heads look, or not", "H"),
    ("The patch that looks", "← →, ↑ ↓ on it"),
    ("The slider's axis: t, or log-SNR", "A"),
    ("Give a star", "S"),
    ("Pin for comparison", "C"),
    ("Branch from this step", "B"),
)


_ON_THE_EVALUATE_PAGE = (
    ("Evaluate", "Ctrl+Return"),
    ("Pause", "Ctrl+P"),
    ("Stop", "Ctrl+."),
    ("Points of a plot", "← →, ↑ ↓"),
    ("Images of the point", "Return"),
    ("Copy the figures", "Ctrl+C"),
    ("History: compare, go on, export", "C, G, E"),
)

_MOST_OF_THE_SCREEN = 0.7


class ShortcutSheet(QDialog):
    """What the keys do; Escape closes it."""

    def __init__(self, pages: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts")
        columns = QHBoxLayout()
        columns.setSpacing(48)
        first_column = QVBoxLayout()
        first_column.setSpacing(16)
        first_column.addLayout(_column("Everywhere", [*pages, *_EVERYWHERE]))
        first_column.addLayout(_column("On the Runs page", _ON_THE_RUNS_PAGE))
        columns.addLayout(first_column)
        pages_column = QVBoxLayout()
        pages_column.setSpacing(16)
        pages_column.addLayout(_column("On the Sample page", _ON_THE_SAMPLE_PAGE))
        pages_column.addLayout(_column("On the Evaluate page", _ON_THE_EVALUATE_PAGE))
        columns.addLayout(pages_column)
        close = button("Close", "Close this sheet (Escape).")
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addWidget(Heading("Keyboard shortcuts"))
        layout.addWidget(self._scrolling(columns), 1)
        layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)

    def _scrolling(self, columns: QHBoxLayout) -> Scrolling:
        """All of it, as high as the screen lets it be; the arrow keys scroll."""
        content = QWidget()
        columns.setContentsMargins(0, 0, 8, 0)
        content.setLayout(columns)
        result = Scrolling(content)
        result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(result, "Keyboard shortcuts", "What the keys do; the arrow keys scroll.")
        room = self.screen().availableSize()
        height = content.sizeHint().height()
        result.setMinimumHeight(min(height, round(_MOST_OF_THE_SCREEN * room.height())))
        return result


def _column(title: str, shortcuts: Sequence[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(8)
    grid.addWidget(Title(title), 0, 0, 1, 2)
    for line, (what, keys) in enumerate(shortcuts, 1):
        label = QLabel(keys)
        label.setProperty("role", "muted")
        grid.addWidget(QLabel(what), line, 0)
        grid.addWidget(label, line, 1, Qt.AlignmentFlag.AlignRight)
    grid.setRowStretch(len(shortcuts) + 1, 1)
    return grid
