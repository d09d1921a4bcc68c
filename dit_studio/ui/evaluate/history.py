"""The history on the right of the Evaluate page: what was measured before, to be opened, compared or gone on with."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar, cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.jobs.entry_folders import Deletion
from dit_studio.jobs.evaluation_history import EvaluationEntry, EvaluationHistory, State
from dit_studio.ui.evaluate.history_delegate import EvaluationDelegate
from dit_studio.ui.evaluate.history_rows import EvaluationRow, matches
from dit_studio.ui.icons import icon
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import Caption, EmptyState, button, describe
from dit_studio.ui.widgets.entry_list import EntryList, MenuEntry
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.undo_bar import UndoBar

_T = TypeVar("_T")
_LIST, _EMPTY, _NO_MATCH = range(3)
_KEYS = {
    Qt.Key.Key_Return: "open",
    Qt.Key.Key_Enter: "open",
    Qt.Key.Key_Delete: "delete",
    Qt.Key.Key_Backspace: "delete",
    Qt.Key.Key_C: "compare",
    Qt.Key.Key_R: "settings",
    Qt.Key.Key_G: "go on",
    Qt.Key.Key_E: "export",
}
_BUTTONS = (  # what, its name, the picture in place of a name, and what it does
    ("compare", "Compare", "", "Put the figures beside those of other evaluations (C)."),
    ("go on", "Go on", "", "Measure the points that are missing (G)."),
    ("settings", "Use these settings", "settings", "Use its settings: put them into the form (R)."),
    ("export", "Export", "export", "Export its figures and its report to a file (E)."),
    ("delete", "Delete", "trash", "Delete the evaluation; it can be brought back (Delete)."),
)
_NOTHING = "Every evaluation is kept here with its protocol: open it, compare it, export it, or go on with it."


class EvaluationsPanel(QWidget):
    """Search box, list, what can be done with the rows that are picked, and a bar that undoes the last deletion."""

    opened = Signal(str)  # an entry, by name
    compare_asked = Signal(str)
    settings_asked = Signal(str)
    go_on_asked = Signal(str)
    export_asked = Signal(str)
    deleted = Signal(str)
    said = Signal(str, str)  # a sentence that has no place here, and its level

    def __init__(
        self,
        history: EvaluationHistory,
        parent: QWidget | None = None,
        *,
        show_path: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._history = history
        self._show_path = show_path or Dialogs().show_path
        self._rows: list[EvaluationRow] = []
        self._deletions: list[list[Deletion]] = []
        self.search = QLineEdit(clearButtonEnabled=True, placeholderText="Search: digits, fid, stopped …")
        self._paints = EvaluationDelegate()
        self.list = EntryList(self._paints, keys=_KEYS, menu_entries=self._menu_entries)
        self.buttons = {key: _button(name, picture, tooltip) for key, name, picture, tooltip in _BUTTONS}
        self.paused = ""  # the name of the entry that is held in this window
        self._pages = QStackedWidget()
        self._no_match = EmptyState(icon("evaluate", "muted"), "No match", "", "Show all")
        self._footer, self._undo_bar = Caption(), UndoBar()
        self._build()
        self._connect()

    def refresh(self) -> None:
        """Look at the disk again; cheap when little has changed."""
        self._rows = [EvaluationRow(entry, self._state_of(entry)) for entry in self._history.entries()]
        self._show()

    def _state_of(self, entry: EvaluationEntry) -> State | Literal["paused"]:
        """As the disk has it; one that is held in this window is paused."""
        state = self._history.state_of(entry)
        return "paused" if state == "stopped" and entry.name == self.paused else state

    def mark_shown(self, name: str) -> None:
        """Mark the entry that is shown in the centre; "" for none."""
        self._paints.shown = name
        self.list.viewport().update()
        self._select_shown()

    def select(self, name: str) -> None:
        """Select an entry and bring it into sight."""
        index = self.list.rows.index_of(name)
        if index.isValid():
            self.list.select_only(index)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
        else:
            super().keyPressEvent(event)

    # ------------------------------------------------------------------------------------------------- showing

    def _show(self) -> None:
        words = self.search.text()
        shown = [row for row in self._rows if matches(row, words)]
        self.list.rows.show(shown)
        self._pages.setCurrentIndex(_LIST if shown else _NO_MATCH if self._rows else _EMPTY)
        self._no_match.set_text("No match", f"None of {counted(len(self._rows), 'evaluation')} is like that.")
        self._show_footer(len(shown))
        self._select_shown()
        self._update_buttons()

    def _select_shown(self) -> None:
        """What the buttons are about, until the user selects something else."""
        if not self.list.selected_rows():
            self.select(self._paints.shown)

    def _show_footer(self, shown: int) -> None:
        parts = []
        if self._rows:
            of = f"{shown} of " if shown != len(self._rows) else ""
            parts.append(of + counted(len(self._rows), "evaluation"))
        if unread := self._history.passed_over:
            parts.append(f"{counted(unread, 'folder')} could not be read")
        self._footer.setText(" · ".join(parts))
        self._footer.setToolTip(str(self._history.root))
        self._footer.setVisible(bool(parts))

    def _update_buttons(self) -> None:
        selected = self._selected()
        for key, found in self.buttons.items():
            found.setEnabled(len(selected) == 1 or (bool(selected) and key in ("compare", "delete")))
            found.setVisible(bool(self._rows))
        self.buttons["go on"].setEnabled(len(selected) == 1 and selected[0].can_go_on)

    def _show_all(self) -> None:
        self.search.clear()
        self.list.setFocus()

    def _selected(self) -> list[EvaluationRow]:
        return cast(list[EvaluationRow], self.list.selected_rows())

    def _menu_entries(self) -> list[MenuEntry]:
        selected = self._selected()
        if len(selected) > 1:
            those = counted(len(selected), "evaluation")
            return [("compare", f"Compare {those}", "C"), ("delete", f"Delete {those}", "Delete")]
        go_on = [("go on", "Go on with the missing points", "G")] if selected[0].can_go_on else []
        return [
            ("open", "Open", "Return"),
            *go_on,
            ("settings", "Use these settings", "R"),
            ("compare", "Compare", "C"),
            ("", "", ""),
            ("export", "Export…", "E"),
            ("folder", "Open folder", ""),
            ("", "", ""),
            ("delete", "Delete", "Delete"),
        ]

    # ------------------------------------------------------------------------------------------------- doing

    def _on_pressed(self, what: str, _checked: bool = False) -> None:
        self._on_asked(what)

    def _on_asked(self, what: str) -> None:
        selected = self._selected()
        if what == "delete":
            self._delete(selected)
        elif what == "compare":
            for row in selected:
                self.compare_asked.emit(row.name)
        elif len(selected) == 1:
            self._ask_page(what, selected[0])

    def _ask_page(self, what: str, row: EvaluationRow) -> None:
        if what == "folder":
            self._show_path(row.item.path)
        elif what == "go on":
            if row.can_go_on:
                self.go_on_asked.emit(row.name)
        else:
            signals = {"open": self.opened, "settings": self.settings_asked, "export": self.export_asked}
            signals[what].emit(row.name)

    def _delete(self, rows: list[EvaluationRow]) -> None:
        place = self.list.currentIndex().row()
        deletions = [deletion for row in rows if (deletion := self._try(partial(self._history.delete, row.name)))]
        if not deletions:
            return
        self._deletions.append(deletions)
        self.refresh()
        self.list.select_only(self.list.rows.index(min(place, len(self.list.rows.rows) - 1)))
        self._show_undo_bar()
        for deletion in deletions:
            self.deleted.emit(deletion.name)

    def undo(self) -> None:
        """Bring back what was deleted last."""
        if not self._deletions:
            return
        deletions = self._deletions.pop()
        for deletion in deletions:
            self._try(partial(self._history.undo, deletion))
        self.refresh()
        self.select(deletions[0].name)
        self._show_undo_bar()

    def _show_undo_bar(self) -> None:
        last = self._deletions[-1] if self._deletions else []
        self._undo_bar.show_text(f"Deleted {counted(len(last), 'evaluation')}." if last else "")

    def _try(self, action: Callable[[], _T]) -> _T | None:
        """Do it; why it failed is said."""
        try:
            return action()
        except StudioError as error:
            self.said.emit(str(error), "error")
            return None

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.search.textChanged.connect(self._show)
        self._no_match.clicked.connect(self._show_all)
        self.list.asked.connect(self._on_asked)
        self.list.selectionModel().selectionChanged.connect(self._update_buttons)
        self._undo_bar.asked.connect(self.undo)
        for key, found in self.buttons.items():
            found.clicked.connect(partial(self._on_pressed, key))

    def _build(self) -> None:
        describe(
            self.search,
            "Search the evaluations",
            "Words of titles, paths, metrics, features or settings; also running, stopped, failed. All must be there.",
        )
        self.search.setMinimumWidth(80)
        describe(
            self.list,
            "Evaluations",
            "Return opens, C compares, R uses the settings again, G goes on, E exports, Delete deletes.",
        )
        self._footer.hide()
        for page in (self.list, EmptyState(icon("evaluate", "muted"), "Nothing yet", _NOTHING), self._no_match):
            self._pages.addWidget(page)
        actions = FlowLayout(space=4)
        for found in self.buttons.values():
            actions.addWidget(found)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.search)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._undo_bar)
        layout.addLayout(actions)
        layout.addWidget(self._footer)


def _button(name: str, picture: str, tooltip: str) -> QAbstractButton:
    if not picture:
        return button(name, tooltip)
    result = QToolButton()
    result.setIcon(icon(picture))
    result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    describe(result, name, tooltip)
    return result
