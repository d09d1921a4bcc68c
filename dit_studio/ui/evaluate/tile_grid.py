"""Widgets in as many columns as there is room for."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from dit_studio.ui import theme


class TileGrid(QWidget):
    """Tiles from left to right; `width` is that of a column, in pixels at a font scale of 100 %."""

    def __init__(self, tiles: Sequence[QWidget], *, width: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tiles, self._width, self._columns = list(tiles), width, 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(16)
        self._grid.setSizeConstraint(QGridLayout.SizeConstraint.SetNoConstraint)
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """As wide as one tile, whatever the columns are now."""
        widest = max((tile.minimumSizeHint().width() for tile in self._tiles), default=0)
        return QSize(widest, self._grid.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._arrange()

    def _arrange(self) -> None:
        columns = max(min(self.width() // theme.scaled(self._width), len(self._tiles)), 1)
        if columns == self._columns:
            return
        for column in range(self._columns):
            self._grid.setColumnStretch(column, 0)
        self._columns = columns
        for place, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, place // columns, place % columns)
            self._grid.setColumnStretch(place % columns, 1)
