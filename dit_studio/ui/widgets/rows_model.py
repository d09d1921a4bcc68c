"""Rows with names, as Qt's lists ask for them."""

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

ROW = Qt.ItemDataRole.UserRole


class Row(Protocol):
    """What a list shows in a line or a few; equal rows are shown alike."""

    @property
    def name(self) -> str:
        """Its own in the list."""
        ...

    @property
    def title(self) -> str: ...

    def tooltip(self) -> str:
        """Everything that the row has no room for."""
        ...

    def spoken(self) -> str:
        """The row as a screen reader says it."""
        ...


class RowsModel(QAbstractListModel):
    """The rows as Qt asks for them. Showing others changes only what is different."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []

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
            return row.tooltip()
        return row.spoken() if role == Qt.ItemDataRole.AccessibleTextRole else None

    def index_of(self, name: str) -> QModelIndex:
        for place, row in enumerate(self.rows):
            if row.name == name:
                return self.index(place)
        return QModelIndex()

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; selected ones that stay remain selected."""
        self._remove_all_but({row.name for row in rows})
        self._order_as(rows)
        self._insert(rows)
        for place, row in enumerate(rows):
            if self.rows[place] != row:
                self.rows[place] = row
                self.dataChanged.emit(self.index(place), self.index(place))

    def _remove_all_but(self, names: set[str]) -> None:
        for first, last in reversed(
            neighbours([place for place, row in enumerate(self.rows) if row.name not in names])
        ):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self.rows[first : last + 1]
            self.endRemoveRows()

    def _order_as(self, rows: Sequence[Row]) -> None:
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

    def _insert(self, rows: Sequence[Row]) -> None:
        known = {row.name for row in self.rows}
        for first, last in neighbours([place for place, row in enumerate(rows) if row.name not in known]):
            self.beginInsertRows(QModelIndex(), first, last)
            self.rows[first:first] = rows[first : last + 1]
            self.endInsertRows()


def neighbours(places: list[int]) -> list[tuple[int, int]]:
    """Neighbouring places put together: [1, 2, 5] -> [(1, 2), (5, 5)]."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs
