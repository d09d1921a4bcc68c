"""The history on the right of the Sample page: what was drawn before, to be found, opened, restored or deleted."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.jobs.entry_folders import Deletion
from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.history_list import HistoryList
from dit_studio.ui.sample.history_model import HistoryRow, arrange
from dit_studio.ui.sample.history_search import HELP, Query, parse
from dit_studio.ui.sample.history_thumbnails import Thumbnails
from dit_studio.ui.train.amounts import counted, memory
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import Caption, EmptyState, WholeText, button, describe, row
from dit_studio.ui.widgets.undo_bar import UndoBar

_T = TypeVar("_T")
_LIST, _EMPTY, _NO_MATCH = range(3)


class HistoryPanel(QWidget):
    """Search box, list, and a bar that undoes the last deletion."""

    opened = Signal(str)  # an entry, by name
    sweep_opened = Signal(str)  # an entry that is a sweep
    restore_asked = Signal(str)
    compare_asked = Signal(str, int)  # an entry, and which of its images
    export_asked = Signal(str)
    deleted = Signal(str)
    said = Signal(str, str)  # a sentence that has no place here, and its level

    def __init__(
        self,
        history: SampleHistory,
        parent: QWidget | None = None,
        *,
        confirm: Callable[[str, str], bool] | None = None,
        show_path: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._history = history
        self._confirm, self._show_path = confirm or Dialogs().confirm, show_path or Dialogs().show_path
        self._entries: list[HistoryEntry] = []
        self._query = Query()
        self._deletions: list[list[Deletion]] = []
        self._thumbnails = Thumbnails(self)
        self.search = QLineEdit(clearButtonEnabled=True, placeholderText="Search: dog, cfg>4, seed=7 …")
        self._star = button("★", "Show only entries with a favourite.")
        self._problem = WholeText(role="problem")
        self.list = HistoryList(self._thumbnails)
        self._pages = QStackedWidget()
        self._no_match = EmptyState(icon("sample", "muted"), "No match", "", "Show all")
        self._footer = Caption()
        self._undo_bar = UndoBar()
        self._build()
        self._connect()

    def refresh(self) -> None:
        """Look at the disk again; cheap when little has changed."""
        self._entries = self._history.entries()
        self._show()

    def mark_shown(self, name: str) -> None:
        """Mark the entry that is shown in the centre; "" for none."""
        self.list.mark_shown(name)

    def select(self, name: str) -> None:
        """Select an entry and bring it into sight."""
        index = self.list.rows.index_of(name)
        if index.isValid():
            self.list.select_only(index)

    def picked_image(self, name: str) -> int:
        """The image of an entry that the user picked in the list; the first one otherwise."""
        return self.list.paints.picked.get(name, 0)

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
        self.list.rows.show(arrange(self._entries, self._matches))
        shown, everything = len(self.list.rows.rows), len(self._entries)
        self._pages.setCurrentIndex(_LIST if shown else _NO_MATCH if everything else _EMPTY)
        self._no_match.set_text("No match", f"None of {counted(everything, 'entry', 'entries')} is like that.")
        self._show_footer(shown, everything)

    def _matches(self, item: HistoryEntry) -> bool:
        return self._query.matches(item) and (bool(item.favourites) or not self._star.isChecked())

    def _show_footer(self, shown: int, everything: int) -> None:
        parts = []
        if everything:
            of = f"{shown} of " if shown != everything else ""
            parts.append(of + counted(everything, "entry", "entries"))
        if unread := self._history.passed_over:
            parts.append(f"{counted(unread, 'folder')} could not be read")
        self._footer.setText(" · ".join(parts))
        self._footer.setToolTip(str(self._history.root))
        self._footer.setVisible(bool(parts))

    def _on_searched(self, text: str) -> None:
        self._query = parse(text)
        self._problem.setText(" ".join(self._query.problems))
        self._problem.setVisible(bool(self._query.problems))
        self._show()

    def _show_all(self) -> None:
        self._star.setChecked(False)
        self.search.clear()
        self.list.setFocus()

    # ------------------------------------------------------------------------------------------------- doing

    def _on_asked(self, what: str) -> None:
        row_, selected = self.list.current(), self.list.selected()
        if what == "delete":
            self._delete(selected)
        elif what == "trim":
            self._remove_trajectories(selected)
        elif what == "favourite" and row_:
            self._toggle_favourite(row_)
        elif row_:
            self._ask_page(what, row_)

    def _ask_page(self, what: str, row_: HistoryRow) -> None:
        is_sweep = row_.item.sweep is not None
        if what == "open":
            (self.sweep_opened if is_sweep else self.opened).emit(row_.name)
        elif what == "folder":
            self._show_path(row_.item.path)
        elif is_sweep:
            self.said.emit("Open the sweep: each of its cells has settings and a folder of its own.", "info")
        elif what == "restore":
            self.restore_asked.emit(row_.name)
        elif what == "compare":
            self.compare_asked.emit(row_.name, self.list.paints.picked_image(row_))
        else:
            self.export_asked.emit(row_.name)

    def _toggle_favourite(self, row_: HistoryRow) -> None:
        image = self.list.paints.picked_image(row_)
        self._try(partial(self._history.set_favourite, row_.name, image, on=image not in row_.item.favourites))
        self.refresh()

    def _delete(self, rows: list[HistoryRow]) -> None:
        place = self.list.currentIndex().row()
        deletions = [deletion for row_ in rows if (deletion := self._try(partial(self._history.delete, row_.name)))]
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
        if not self._deletions:
            self._undo_bar.show_text("")
            return
        names = {deletion.name for deletion in self._deletions[-1]}
        orphans = sum(item.parent in names for item in self._entries)
        text = f"Deleted {counted(len(names), 'entry', 'entries')}."
        if orphans:
            stay = "stays, without the past it shared" if orphans == 1 else "stay, without the past they shared"
            text += f" {counted(orphans, 'branch', 'branches')} of it {stay}."
        self._undo_bar.show_text(text)

    def _remove_trajectories(self, rows: list[HistoryRow]) -> None:
        names = [row_.name for row_ in rows if row_.item.has_trajectory]
        size = memory(sum(self._history.size_bytes(name) for name in names))
        what = counted(len(names), "trajectory", "trajectories")
        question = (
            f"Remove {what}, of {size} with the images? The images stay. The steps can no longer be seen or branched "
            "from, and branches lose the past that they share. This cannot be undone."
        )
        if not names or not self._confirm(question, "Remove"):
            return
        freed = sum(self._try(partial(self._history.remove_trajectory, name)) or 0 for name in names)
        self.refresh()
        self.said.emit(f"{memory(freed)} freed.", "info")

    def _try(self, action: Callable[[], _T]) -> _T | None:
        """Do it; why it failed is said."""
        try:
            return action()
        except StudioError as error:
            self.said.emit(str(error), "error")
            return None

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_searched)
        self._star.toggled.connect(self._show)
        self._no_match.clicked.connect(self._show_all)
        self.list.asked.connect(self._on_asked)
        self._undo_bar.asked.connect(self.undo)

    def _build(self) -> None:
        describe(self.search, "Search the history", HELP)
        self.search.setMinimumWidth(80)
        self._star.setCheckable(True)
        self._star.setAccessibleName("Favourites only")
        self._problem.hide()
        self._footer.hide()
        text = "Every generation is kept here with its settings, and can be opened, restored or compared."
        for page in (self.list, EmptyState(icon("sample", "muted"), "Nothing yet", text), self._no_match):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(row(self.search, self._star))
        for widget in (self._problem, self._pages, self._undo_bar, self._footer):
            layout.addWidget(widget, 1 if widget is self._pages else 0)
