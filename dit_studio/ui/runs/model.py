"""The runs as the table shows them: sorted and filtered here, because a thousand rows are too many for a proxy."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QIcon, QImage, QPixmap

from dit_studio.jobs.run_filter import matches
from dit_studio.ui.runs.columns import COLUMNS, PLACES, search_words
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.thumbnails import THUMBNAIL_SIZE, Thumbnails
from dit_studio.ui.train.amounts import count
from dit_studio.ui.train.model_words import changes_line
from dit_studio.ui.widgets.rows_model import neighbours

ROW_ROLE = Qt.ItemDataRole.UserRole
# as numbers, because a table asks for thousands, and a look at an enumeration of Qt's takes longer than an answer
_DISPLAY, _TOOLTIP = int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.ToolTipRole)
_DECORATION, _ALIGNMENT = int(Qt.ItemDataRole.DecorationRole), int(Qt.ItemDataRole.TextAlignmentRole)
_ANSWERED = frozenset((_DISPLAY, _TOOLTIP, _DECORATION, _ALIGNMENT, int(ROW_ROLE)))
_MOST_ICONS = 256
_Index = QModelIndex | QPersistentModelIndex
_NUMBER = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RunsModel(QAbstractTableModel):
    """Shows what fits the filter, in order. An update changes what is different alone, so that a selection stays."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RunRow] = []  # that are shown
        self.thumbnails: Thumbnails = {}
        self._icons: dict[int, QIcon] = {}  # by the number of the image; 0: none
        self._all: dict[Path, RunRow] = {}
        self._text, self._shows_archived = "", False
        self._column, self._is_descending = PLACES["started"], True

    @property
    def known(self) -> list[RunRow]:
        """All runs, shown or not."""
        return list(self._all.values())

    @property
    def archived_count(self) -> int:
        return sum(row.summary.label.is_archived for row in self._all.values())

    @property
    def shows_archived(self) -> bool:
        return self._shows_archived

    def show_rows(self, rows: Iterable[RunRow], *, is_all: bool) -> None:
        """Take in the runs; `is_all`: others are gone."""
        found = {row.path: row for row in rows}
        self._all = found if is_all else self._all | found
        self._arrange()

    def show_only(self, text: str, *, archived: bool) -> None:
        self._text, self._shows_archived = text, archived
        self._arrange()

    def note_thumbnails(self, paths: Iterable[Path]) -> None:
        """These pictures have been read."""
        changed = set(paths)
        for line, row in enumerate(self.rows):
            if row.preview in changed:
                self.dataChanged.emit(self.index(line, 0), self.index(line, 0), [Qt.ItemDataRole.DecorationRole])

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._column, self._is_descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()

    # --------------------------------------------------------------------------------------------- what Qt asks

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        if role == Qt.ItemDataRole.TextAlignmentRole and COLUMNS[section].is_number:
            return _NUMBER
        return COLUMNS[section].tooltip if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in _ANSWERED:
            return None
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == _DISPLAY:
            return column.text(row)
        if role == _ALIGNMENT:
            return _NUMBER if column.is_number else None
        if role == _DECORATION:
            return self._icon(row) if index.column() == 0 else None
        return _tooltip(row) if role == _TOOLTIP else row

    def _icon(self, row: RunRow) -> QIcon:
        """A table asks again at every painting."""
        image = self._thumbnail(row)
        key = image.cacheKey() if image is not None else 0
        if key not in self._icons:
            if len(self._icons) >= _MOST_ICONS:
                self._icons.clear()
            self._icons[key] = _icon(image)
        return self._icons[key]

    def _thumbnail(self, row: RunRow) -> QImage | None:
        known = self.thumbnails.get(row.preview) if row.preview else None
        return None if known is None or known[1].isNull() else known[1]

    # --------------------------------------------------------------------------------------------- what is shown

    def _arrange(self) -> None:
        """Make what is shown what should be, by as few changes as that takes."""
        wanted = self._wanted()
        if wanted == self.rows and all(map(_is, wanted, self.rows)):
            return
        self._remove_all_but({row.path for row in wanted})
        self._order_as(wanted)
        self._insert(wanted)
        changed = [line for line, (old, new) in enumerate(zip(self.rows, wanted, strict=True)) if old is not new]
        self.rows = wanted
        for first, last in neighbours(changed):
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))

    def _wanted(self) -> list[RunRow]:
        rows = [row for row in self._all.values() if self._shows_archived or not row.summary.label.is_archived]
        if self._text.strip():
            rows = [row for row in rows if matches(row.summary, self._text, more=search_words(row))]
        rows.sort(key=lambda row: (-row.summary.status.started, row.path.name))
        return _sorted(rows, COLUMNS[self._column].order, is_descending=self._is_descending)

    def _remove_all_but(self, paths: set[Path]) -> None:
        gone = [line for line, row in enumerate(self.rows) if row.path not in paths]
        for first, last in reversed(neighbours(gone)):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self.rows[first : last + 1]
            self.endRemoveRows()

    def _order_as(self, wanted: Sequence[RunRow]) -> None:
        place_of = {row.path: place for place, row in enumerate(wanted)}
        ordered = sorted(self.rows, key=lambda row: place_of[row.path])
        if all(map(_is, ordered, self.rows)):
            return
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        line_of = {row.path: line for line, row in enumerate(ordered)}
        after = [self.index(line_of[self.rows[index.row()].path], index.column()) for index in before]
        self.rows = ordered
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _insert(self, wanted: Sequence[RunRow]) -> None:
        there = {row.path for row in self.rows}
        for first, last in neighbours([line for line, row in enumerate(wanted) if row.path not in there]):
            self.beginInsertRows(QModelIndex(), first, last)
            self.rows[first:first] = wanted[first : last + 1]
            self.endInsertRows()


def _is(one: RunRow, other: RunRow) -> bool:
    return one is other


def _sorted(rows: Sequence[RunRow], order: Callable[[RunRow], Any], *, is_descending: bool) -> list[RunRow]:
    """By value; those without one come last, either way."""
    keys = [(order(row), row) for row in rows]
    known = [(key, row) for key, row in keys if key is not None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [row for _, row in known] + [row for key, row in keys if key is None]


def _icon(image: QImage | None) -> QIcon:
    """Not tinted where the row is selected; an empty square without an image, so that the names line up."""
    result, pixmap = QIcon(), QPixmap(THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    if image is None:
        pixmap.fill(Qt.GlobalColor.transparent)
    else:
        pixmap = QPixmap.fromImage(image)
    result.addPixmap(pixmap, QIcon.Mode.Normal)
    result.addPixmap(pixmap, QIcon.Mode.Selected)
    return result


def _tooltip(row: RunRow) -> str:
    summary = row.summary
    status = summary.status
    devices = ", ".join(status.devices)
    lines = [
        str(row.path),
        f"Step {count(status.step)} of {count(status.steps)}." if status.steps else "",
        summary.label.note,
        changes_line(summary.recipe.model) if summary.recipe else "",
        f"{status.metric}: the newest figure" if status.metric else "",
        f"On {devices}" + (f", {status.processes} processes" if status.processes > 1 else "") if devices else "",
        "Archived." if summary.label.is_archived else "",
        status.message,
        summary.problem,
    ]
    return "\n".join(line for line in lines if line)
