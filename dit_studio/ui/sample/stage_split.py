"""How the stage is divided: the grid above, the picked image below, or one of them alone."""

from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.image_grid import ImageGrid
from dit_studio.ui.sample.scrubber import Scrubber

Layout = Literal["both", "grid", "image"]
_LAYOUTS: tuple[Layout, ...] = ("both", "grid", "image")
_GRID_SHARE = 0.27  # of the height, at most, unless the user pulls at it
_GRID_LEAST, _PICTURES_HEIGHT = 90, 190  # pixels
_PICTURES_LEAST = 200  # pixels, at any size of text: with less, the curves go


class StageSplit(QSplitter):
    """`lower` holds `pictures`, the `scrubber` and what belongs to them; it stays where the pictures are hidden."""

    def __init__(self, grid: ImageGrid, lower: QWidget, pictures: QWidget, scrubber: Scrubber) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._grid, self._lower, self._pictures, self._scrubber = grid, lower, pictures, scrubber
        self._layout: Layout = "both"
        self._has_many, self._is_grid_dispensable = False, False
        self._is_split_by_user = False
        self.addWidget(grid)
        self.addWidget(lower)
        self.setStretchFactor(1, 1)
        self.setChildrenCollapsible(False)
        self.splitterMoved.connect(self._on_moved)

    def show_one_or_many(self, *, has_many: bool) -> None:
        """Of a single image there is no grid."""
        self._has_many = has_many
        self.divide()

    def let_grid_give_way(self, *, gives_way: bool) -> None:
        """Let the grid go where the pictures would have too little room beside it, or come back."""
        if gives_way != self._is_grid_dispensable:
            self._is_grid_dispensable = gives_way
            self.divide()

    def lay_out(self, layout: Layout) -> None:
        self._layout, self._is_split_by_user = layout, False
        self.divide()

    def next_layout(self) -> None:
        self.lay_out(_LAYOUTS[(_LAYOUTS.index(self._layout) + 1) % len(_LAYOUTS)])

    def open_alone(self) -> None:
        """The picked image alone; if it is that already, all of them again."""
        self.lay_out("both" if self._layout == "image" else "image")

    def divide(self) -> None:
        """Give the grid as much room as its images need, and no more than its share unless it is alone; once the user
        has pulled at it, it stays as it is until the layout changes."""
        self._scrubber.show_curves(shows=self._has_room_for_curves())
        gives_way = self._is_grid_dispensable and self._layout == "both" and self._room() < _GRID_LEAST
        self._grid.setVisible(self._has_many and self._layout != "image" and not gives_way)
        self._pictures.setVisible(not self._has_many or self._layout != "grid")
        is_alone = self._pictures.isHidden()
        height = self.height() - self.handleWidth()
        wanted = height if is_alone else self._grid.preferred_height(self._grid.width(), self._grid_limit())
        if self._is_split_by_user and not is_alone:
            return
        self.setStretchFactor(0, 1 if is_alone else 0)
        self.setStretchFactor(1, 0 if is_alone else 1)
        self.setSizes([wanted, height - wanted])

    def _grid_limit(self) -> int:
        """How high the grid may be beside the pictures, which go before it where there is little room."""
        return max(min(round(self.height() * _GRID_SHARE), self._room()), _GRID_LEAST)

    def _room(self) -> int:
        """What is left for the grid after the pictures and all that belongs to them."""
        return self.height() - self._below() - theme.scaled(_PICTURES_HEIGHT)

    def _below(self) -> int:
        """What belongs to the pictures takes so much at least."""
        return self._lower.minimumSizeHint().height() - self._pictures.minimumSizeHint().height()

    def _has_room_for_curves(self) -> bool:
        """Beside pictures that can be seen, and beside the grid unless that may go, too."""
        if self._layout == "grid" or self._scrubber.isHidden():
            return True
        needs_grid = self._has_many and self._layout == "both" and not self._is_grid_dispensable
        more = 0 if self._scrubber.shows_curves else self._scrubber.least_curves_height
        room = self.height() - self._below() - more
        return room >= _PICTURES_LEAST + (_GRID_LEAST if needs_grid else 0)

    def _on_moved(self) -> None:
        self._is_split_by_user = not self._pictures.isHidden()
