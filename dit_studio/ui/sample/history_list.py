"""The list of the history: keys, clicks on thumbnails and stars, and the menu of a row."""

from typing import cast

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QWidget

from dit_studio.ui.sample.history_delegate import HistoryDelegate
from dit_studio.ui.sample.history_model import HistoryRow
from dit_studio.ui.sample.history_thumbnails import Thumbnails
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.basics import describe
from dit_studio.ui.widgets.entry_list import EntryList, MenuEntry
from dit_studio.ui.widgets.rows_model import ROW

_KEYS = {
    Qt.Key.Key_Return: "open",
    Qt.Key.Key_Enter: "open",
    Qt.Key.Key_Delete: "delete",
    Qt.Key.Key_Backspace: "delete",
    Qt.Key.Key_F: "favourite",
    Qt.Key.Key_R: "restore",
    Qt.Key.Key_C: "compare",
}
_SIDEWAYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class HistoryList(EntryList):
    """`asked` says "open", "restore", "favourite", "compare", "export", "folder", "trim" or "delete"."""

    def __init__(self, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        self.paints = HistoryDelegate(thumbnails)
        super().__init__(self.paints, keys=_KEYS, menu_entries=self._entries, parent=parent)
        thumbnails.loaded.connect(self.viewport().update)
        describe(
            self,
            "History",
            "Return opens, ← → pick an image, F marks it as a favourite, C compares it, R restores the settings, "
            "Delete deletes.",
        )

    def current(self) -> HistoryRow | None:
        return cast(HistoryRow | None, self.current_row())

    def selected(self) -> list[HistoryRow]:
        """The rows that are selected, from the top."""
        return cast(list[HistoryRow], self.selected_rows())

    def mark_shown(self, name: str) -> None:
        """Mark the entry that is shown in the centre."""
        self.paints.shown = name
        self.viewport().update()

    def pick_image(self, row: HistoryRow, image: int) -> None:
        """The image of an entry that keys and menus mean."""
        self.paints.picked[row.name] = min(max(image, 0), max(row.item.entry.images - 1, 0))
        self.viewport().update()

    def ask(self, what: str) -> None:
        row = self.current()
        if what == "favourite" and row is not None:
            self.pick_image(row, self.paints.picked_image(row))  # it stays the one, though no longer a favourite
        super().ask(what)

    # ------------------------------------------------------------------------------------------------- the user

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, row = Qt.Key(event.key()), self.current()
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if row is not None and plain and key in _SIDEWAYS:
            self.pick_image(row, self.paints.picked_image(row) + _SIDEWAYS[key])
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        index = self.indexAt(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and index.isValid() and not event.modifiers():
            self._on_pressed(index, event.position().toPoint())

    def _on_pressed(self, index: QModelIndex, place: QPoint) -> None:
        row: HistoryRow = index.data(ROW)
        places = self.paints.places(self.visualRect(index), row)
        if (image := places.image_at(place)) >= 0:
            self.pick_image(row, image)
        elif places.star.adjusted(-4, -4, 4, 4).contains(place):
            self.ask("favourite")

    def _entries(self) -> list[MenuEntry]:
        row = self.current()
        return _entries(self.selected(), self.paints.picked_image(row) if row else 0)


def _entries(selected: list[HistoryRow], image: int) -> list[MenuEntry]:
    """Of the menu of some rows; `image` is the one that is picked."""
    kept = [row for row in selected if row.item.has_trajectory]
    free = ("trim", "Remove the trajectory…" if len(kept) == 1 else "Remove the trajectories…", "")
    if len(selected) > 1:
        trim = [free] if kept else []
        return [*trim, ("delete", f"Delete {counted(len(selected), 'entry', 'entries')}", "Delete")]
    item = selected[0].item
    if item.sweep:
        return [
            ("open", "Open", "Return"),
            ("folder", "Open folder", ""),
            ("", "", ""),
            ("delete", "Delete", "Delete"),
        ]
    mark = "Unmark" if image in item.favourites else "Mark"
    return [
        ("open", "Open", "Return"),
        ("restore", "Restore these settings", "R"),
        ("", "", ""),
        ("favourite", f"{mark} image {image + 1} as a favourite", "F"),
        ("compare", f"Compare image {image + 1}", "C"),
        ("export", "Export…", ""),
        ("", "", ""),
        *([free] if kept else []),
        ("delete", "Delete", "Delete"),
    ]
