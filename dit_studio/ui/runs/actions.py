"""Everything that can be done with runs, as actions: the same in the menu, by keys and behind the buttons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from dit_studio.ui.icons import icon
from dit_studio.ui.runs.listing import RunRow


@dataclass(frozen=True)
class _Kind:
    text: str
    keys: str
    tooltip: str
    needs: str  # "one" run, or "some"


KINDS = {
    "open": _Kind("Open", "Return", "Show the run on the Train page.", "one"),
    "resume": _Kind("Resume", "Ctrl+R", "Go on training from the last checkpoint.", "one"),
    "sample": _Kind("Sample", "Ctrl+G", "Draw images from the run's newest checkpoint.", "one"),
    "evaluate": _Kind("Evaluate", "Ctrl+M", "Measure the run's images, or a curve over its checkpoints.", "one"),
    "rename": _Kind("Rename…", "F2", "Change the run's name and note; its folder stays.", "one"),
    "tags": _Kind("Tags…", "Ctrl+T", "Give the runs tags, or take some away.", "some"),
    "archive": _Kind("Archive", "Ctrl+Shift+A", "Put the runs away, or take them back out.", "some"),
    "export": _Kind("Export…", "Ctrl+E", "Write the run as one file, to keep or to import elsewhere.", "some"),
    "tensorboard": _Kind(
        "Export to TensorBoard…", "Ctrl+Shift+E", "Write the runs' histories as event files, a folder each.", "some"
    ),
    "folder": _Kind("Show folder", "Ctrl+D", "Open the run's folder in the file manager.", "one"),
    "delete": _Kind("Delete", "Del", "Move the runs to the trash.", "some"),
}
_ICONS = {"resume": "resume", "sample": "sample", "evaluate": "evaluate", "folder": "folder", "export": "export"}
_GROUPS = (
    ("open", "resume", "sample", "evaluate"),
    ("rename", "tags", "archive"),
    ("export", "tensorboard", "folder", "delete"),
)


class RunActions:
    """The actions by their keys; `table` takes their shortcuts while it, or something in it, has the focus."""

    def __init__(self, table: QWidget, do: Callable[[str], None]) -> None:
        self.by_key = {key: self._make(table, key, do) for key in KINDS}
        self.by_key["open"].setShortcuts([QKeySequence(Qt.Key.Key_Return), QKeySequence(Qt.Key.Key_Enter)])

    def __getitem__(self, key: str) -> QAction:
        return self.by_key[key]

    def update(self, rows: Sequence[RunRow]) -> None:
        """What is possible with these runs, and for resuming why not."""
        for key, kind in KINDS.items():
            self.by_key[key].setEnabled(len(rows) == 1 if kind.needs == "one" else bool(rows))
        why_not = rows[0].why_not_resume if len(rows) == 1 else "select one run."
        resume = self.by_key["resume"]
        resume.setEnabled(not why_not)
        tooltip = _tooltip(KINDS["resume"])
        resume.setToolTip(f"{tooltip}\nOff: {why_not}" if why_not else tooltip)
        self.by_key["archive"].setText("Unarchive" if are_archived(rows) else "Archive")

    def fill(self, menu: QMenu) -> None:
        for group in _GROUPS:
            for key in group:
                menu.addAction(self.by_key[key])
            menu.addSeparator()

    def _make(self, table: QWidget, key: str, do: Callable[[str], None]) -> QAction:
        kind = KINDS[key]
        action = QAction(kind.text, table)
        action.setToolTip(_tooltip(kind))
        action.setShortcut(QKeySequence(kind.keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda: do(key))
        if key in _ICONS:
            action.setIcon(icon(_ICONS[key]))
        table.addAction(action)
        return action


def are_archived(rows: Sequence[RunRow]) -> bool:
    """All of them are, so that the way on is out of the archive."""
    return bool(rows) and all(row.summary.label.is_archived for row in rows)


def _tooltip(kind: _Kind) -> str:
    return f"{kind.tooltip[:-1]} ({kind.keys})."
