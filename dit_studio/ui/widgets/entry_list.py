"""A list of entries: keys and a menu say what is to be done with the rows that are picked."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QMenu, QStyledItemDelegate, QWidget

from dit_studio.ui import theme
from dit_studio.ui.widgets.rows_model import ROW, Row, RowsModel

MenuEntry = tuple[str, str, str]  # key, text and shortcut; an empty key is a line between entries


class EntryList(QListView):
    """Rows to pick from. `asked` carries what is to be done: a value of `keys`, or a key of the menu."""

    asked = Signal(str)

    def __init__(
        self,
        paints: QStyledItemDelegate,
        *,
        keys: Mapping[Qt.Key, str],
        menu_entries: Callable[[], Sequence[MenuEntry]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.rows = RowsModel(self)
        self._keys, self._menu_entries = keys, menu_entries
        paints.setParent(self)
        self.setModel(self.rows)
        self.setItemDelegate(paints)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)
        self.verticalScrollBar().setSingleStep(24)
        theme.theme_changed.connect(self._on_theme_changed)
        self.doubleClicked.connect(self._on_double_clicked)

    def current_row(self) -> Row | None:
        row: Row | None = self.currentIndex().data(ROW) if self.currentIndex().isValid() else None
        return row

    def selected_rows(self) -> list[Row]:
        """The rows that are selected, from the top."""
        places = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return [self.rows.rows[place] for place in places]

    def select_only(self, index: QModelIndex) -> None:
        """Make a row the current one, and the only one that is selected: `setCurrentIndex` adds while a key is held."""
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)

    def ask(self, what: str) -> None:
        """Say what is to be done with the rows that are picked."""
        self.asked.emit(what)

    # ------------------------------------------------------------------------------------------------- the user

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if self.current_row() is not None and plain and Qt.Key(event.key()) in self._keys:
            self.ask(self._keys[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, _text: str) -> None:
        """Letters are commands here; the search box finds."""

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.current_row() is not None and self.selected_rows():
            menu = self.menu()
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(event.globalPos() if event.reason() == event.Reason.Mouse else self._below_current())

    def menu(self) -> QMenu:
        """What can be done with the selected rows."""
        menu = QMenu(self)
        for key, text, shortcut in self._menu_entries():
            if not key:
                menu.addSeparator()
                continue
            action = menu.addAction(text, partial(self.ask, key))
            action.setShortcut(shortcut)
            action.setShortcutVisibleInContextMenu(True)
        return menu

    def _on_double_clicked(self) -> None:
        self.ask("open")

    def _below_current(self) -> QPoint:
        return self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())

    def _on_theme_changed(self) -> None:
        self.scheduleDelayedItemsLayout()

    def currentChanged(
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()
