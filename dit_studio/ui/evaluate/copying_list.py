"""The list of generated images with the training images nearest to them."""

from typing import cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QWidget

from dit_studio.ui.evaluate.copying_delegate import CopyDelegate
from dit_studio.ui.evaluate.copying_rows import CopyRow
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.widgets.basics import describe
from dit_studio.ui.widgets.entry_list import EntryList
from dit_studio.ui.widgets.rows_model import ROW

_KEYS = {Qt.Key.Key_Return: "open", Qt.Key.Key_Enter: "open", Qt.Key.Key_Space: "open"}


class CopiesList(EntryList):
    """`opened` carries a row, and which of its training images is meant, from 0."""

    opened = Signal(int, int)

    def __init__(self, pictures: SourcePictures, parent: QWidget | None = None) -> None:
        self.paints = CopyDelegate(pictures)
        super().__init__(self.paints, keys=_KEYS, menu_entries=self._entries, parent=parent)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setUniformItemSizes(True)
        pictures.loaded.connect(self.viewport().update)
        self.asked.connect(self._on_asked)
        describe(
            self,
            "Nearest training images",
            "Each generated image, and beside it the training images nearest to it with their distances. "
            "↑ ↓ go through them; Return or a click on an image shows it in large.",
        )

    def shown(self) -> list[CopyRow]:
        """All rows, the closest first."""
        return cast(list[CopyRow], self.rows.rows)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        index = self.indexAt(event.position().toPoint())
        if event.button() != Qt.MouseButton.LeftButton or not index.isValid():
            return
        place = self.paints.places(self.visualRect(index), index.data(ROW)).at(event.position().toPoint())
        if place >= 0:
            self.opened.emit(index.row(), max(place - 1, 0))

    def _on_asked(self) -> None:
        if self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row(), 0)

    def _entries(self) -> list[tuple[str, str, str]]:
        return [("open", "Show in large", "Return")]
