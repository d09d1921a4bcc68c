"""The list of the history: keys, clicks on thumbnails and stars, and the menu of a row."""

from functools import partial

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QMenu, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.history_delegate import HistoryDelegate
from dit_studio.ui.sample.history_model import ROW, HistoryModel, HistoryRow
from dit_studio.ui.sample.history_thumbnails import Thumbnails
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.basics import describe

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


class HistoryList(QListView):
    """Rows to pick from. `asked` carries what is to be done with the rows that are picked."""

    asked = Signal(str)  # "open", "restore", "favourite", "compare", "export", "folder", "trim" or "delete"

    def __init__(self, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = HistoryModel(self)
        self.paints = HistoryDelegate(thumbnails, self)
        self.setModel(self.rows)
        self.setItemDelegate(self.paints)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)
        self.verticalScrollBar().setSingleStep(24)
        thumbnails.loaded.connect(self.viewport().update)
        theme.theme_changed.connect(self._on_theme_changed)
        self.doubleClicked.connect(partial(self._ask, "open"))
        describe(
            self,
            "History",
            "Return opens, ← → pick an image, F marks it as a favourite, C compares it, R restores the settings, "
            "Delete deletes.",
        )

    def current_row(self) -> HistoryRow | None:
        row: HistoryRow | None = self.currentIndex().data(ROW) if self.currentIndex().isValid() else None
        return row

    def selected_rows(self) -> list[HistoryRow]:
        """The rows that are selected, from the top."""
        places = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return [self.rows.rows[place] for place in places]

    def select_only(self, index: QModelIndex) -> None:
        """Make a row the current one, and the only one that is selected: `setCurrentIndex` adds while a key is held."""
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)

    def mark_shown(self, name: str) -> None:
        """Mark the entry that is shown in the centre."""
        self.paints.shown = name
        self.viewport().update()

    def pick_image(self, row: HistoryRow, image: int) -> None:
        """The image of an entry that keys and menus mean."""
        self.paints.picked[row.name] = min(max(image, 0), max(row.item.entry.images - 1, 0))
        self.viewport().update()

    # ------------------------------------------------------------------------------------------------- the user

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, row = Qt.Key(event.key()), self.current_row()
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if row is not None and plain and key in _KEYS:
            self._ask(_KEYS[key])
        elif row is not None and plain and key in _SIDEWAYS:
            self.pick_image(row, self.paints.picked_image(row) + _SIDEWAYS[key])
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, _text: str) -> None:
        """Letters are commands here; the search box finds."""

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
            self._ask("favourite")

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.current_row() is not None and self.selected_rows():
            menu = self.menu()
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(event.globalPos() if event.reason() == event.Reason.Mouse else self._below_current())

    def menu(self) -> QMenu:
        """What can be done with the selected rows."""
        menu = QMenu(self)
        selected, row = self.selected_rows(), self.current_row()
        for key, text, shortcut in _entries(selected, self.paints.picked_image(row) if row else 0):
            if not key:
                menu.addSeparator()
                continue
            action = menu.addAction(text, partial(self._ask, key))
            action.setShortcut(shortcut)
            action.setShortcutVisibleInContextMenu(True)
        return menu

    def _ask(self, what: str, _of: object = None) -> None:
        row = self.current_row()
        if what == "favourite" and row is not None:
            self.pick_image(row, self.paints.picked_image(row))  # it stays the one, though no longer a favourite
        self.asked.emit(what)

    def _below_current(self) -> QPoint:
        return self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())

    def _on_theme_changed(self) -> None:
        self.scheduleDelayedItemsLayout()

    def currentChanged(
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()


def _entries(selected: list[HistoryRow], image: int) -> list[tuple[str, str, str]]:
    """Key, text and shortcut of the menu's entries; an empty key is a line between them."""
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
