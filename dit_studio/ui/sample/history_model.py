"""The rows of the history: entries, the newest first, each branch below what it goes on from."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.ui.sample.history_words import amount_text, branch_text, state_text, time_in_words, title_of, tooltip_of
from dit_studio.ui.train.amounts import counted

ROW = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class HistoryRow:
    """An entry as a row: `depth` counts the branchings that are shown above it."""

    item: HistoryEntry
    depth: int
    title: str
    branch: str

    @property
    def name(self) -> str:
        return self.item.name


def arrange(entries: Sequence[HistoryEntry], matches: Callable[[HistoryEntry], bool]) -> list[HistoryRow]:
    """The rows of all entries that match. A tree of branches stands where its newest entry would."""
    by_name = {item.name: item for item in entries}
    shown = {item.name for item in entries if matches(item)}
    children: dict[str, list[HistoryEntry]] = {}
    for item in entries:  # the newest first, and so the children, too
        if item.name in shown:
            above = next((other.name for other in _ancestors(item, by_name) if other.name in shown), "")
            children.setdefault(above, []).append(item)
    newest: dict[str, float] = {}  # time of the newest entry of the tree below each
    for item in entries:
        for other in (item, *_ancestors(item, by_name)):
            newest.setdefault(other.name, item.time)
    roots = sorted(children.get("", []), key=lambda item: newest[item.name], reverse=True)
    return _rows(roots, children, by_name)


def _parent(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> HistoryEntry | None:
    """What an entry goes on from, if it is there and older: damaged folders may point to themselves."""
    parent = by_name.get(item.parent)
    return parent if parent is not None and (parent.time, parent.name) < (item.time, item.name) else None


def _ancestors(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> Iterator[HistoryEntry]:
    """The entries above one, the nearest first."""
    parent = _parent(item, by_name)
    while parent is not None:
        yield parent
        parent = _parent(parent, by_name)


def _rows(
    roots: list[HistoryEntry], children: dict[str, list[HistoryEntry]], by_name: dict[str, HistoryEntry]
) -> list[HistoryRow]:
    rows, waiting = [], [(item, 0) for item in reversed(roots)]
    while waiting:  # without recursion: a chain of branches may be long
        item, depth = waiting.pop()
        parent = by_name.get(item.parent)
        rows.append(_row(item, depth, parent, _shared_steps(parent, by_name) if parent else 0))
        waiting.extend((child, depth + 1) for child in reversed(children.get(item.name, [])))
    return rows


def _shared_steps(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> int:
    """How many steps of what it goes on from, and of what that goes on from, the slider shows before an entry's own."""
    steps = 0
    for other in _ancestors(item, by_name):
        branch = item.entry.record.branch
        if branch is None or not (item.has_trajectory and other.has_trajectory):
            break
        steps += branch.step - 1
        item = other
    return steps


@lru_cache(maxsize=20_000)
def _row(item: HistoryEntry, depth: int, parent: HistoryEntry | None, shared: int) -> HistoryRow:
    """Kept, as an entry stays the same object until it changes."""
    title = title_of(item, with_model=depth == 0)  # a branch has the model of what it goes on from
    return HistoryRow(item, depth, title, branch_text(item, parent, shared))


class HistoryModel(QAbstractListModel):
    """The rows as Qt asks for them. Showing others changes only what is different."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[HistoryRow] = []

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip_of(row.item, row.branch)
        return spoken(row) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def index_of(self, name: str) -> QModelIndex:
        for place, row in enumerate(self.rows):
            if row.name == name:
                return self.index(place)
        return QModelIndex()

    def show(self, rows: list[HistoryRow]) -> None:
        """Show these rows; selected ones that stay remain selected."""
        self._remove_all_but({row.name for row in rows})
        self._order_as(rows)
        self._insert(rows)
        for place, row in enumerate(rows):
            if self.rows[place] != row:
                self.rows[place] = row
                self.dataChanged.emit(self.index(place), self.index(place))

    def _remove_all_but(self, names: set[str]) -> None:
        for first, last in reversed(_runs([place for place, row in enumerate(self.rows) if row.name not in names])):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self.rows[first : last + 1]
            self.endRemoveRows()

    def _order_as(self, rows: list[HistoryRow]) -> None:
        place_of = {row.name: place for place, row in enumerate(rows)}
        ordered = sorted(self.rows, key=lambda row: place_of[row.name])
        if ordered == self.rows:
            return
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        new_place = {row.name: place for place, row in enumerate(ordered)}
        after = [self.index(new_place[self.rows[index.row()].name]) for index in before]
        self.rows = ordered
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _insert(self, rows: list[HistoryRow]) -> None:
        known = {row.name for row in self.rows}
        for first, last in _runs([place for place, row in enumerate(rows) if row.name not in known]):
            self.beginInsertRows(QModelIndex(), first, last)
            self.rows[first:first] = rows[first : last + 1]
            self.endInsertRows()


def spoken(row: HistoryRow) -> str:
    """A row as a screen reader says it."""
    item = row.item
    favourites = counted(len(item.favourites), "favourite") if item.favourites else ""
    when = time_in_words(item.time, time.time())
    return ", ".join(
        part for part in (row.title, row.branch, when, amount_text(item), state_text(item), favourites) if part
    )


def _runs(places: list[int]) -> list[tuple[int, int]]:
    """Neighbouring places put together: [1, 2, 5] -> [(1, 2), (5, 5)]."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs
