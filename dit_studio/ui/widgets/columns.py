"""Three columns where there is room; where there is not, the right one and then the left one become tabs."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QLayout, QSplitter, QTabWidget, QVBoxLayout, QWidget

_THREE_FROM = 1120  # pixels, or more if they need it
_CENTRE = 560  # pixels


@dataclass(frozen=True)
class Side:
    """A column beside the centre, and what it is called where it is a tab."""

    widget: QWidget
    width: int  # pixels, at first
    title: str
    tooltip: str
    bar: QWidget | None = None  # the last of its layout; where the column is a tab it stands below all tabs


class Columns(QWidget):
    """`tabs` is somewhere in `centre`; the sides go into it where they do not fit beside it."""

    def __init__(self, left: Side, centre: QWidget, tabs: QTabWidget, right: Side) -> None:
        super().__init__()
        self._left, self._centre, self._tabs, self._right = left, centre, tabs, right
        self._count = 3
        self._splitter = QSplitter(Qt.Orientation.Horizontal, handleWidth=8)
        for widget in (left.widget, centre, right.widget):
            self._splitter.addWidget(widget)
        self._splitter.setStretchFactor(1, 1)
        self._splitter.setCollapsible(1, False)  # noqa: FBT003  Qt knows no keyword
        self._splitter.setSizes([left.width, _CENTRE, right.width])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        layout.addWidget(self._splitter, 1)

    @property
    def count(self) -> int:
        """How many columns there are now: 1, 2 or 3."""
        return self._count

    def sizes(self) -> list[int]:
        return self._splitter.sizes()

    def set_sizes(self, sizes: Sequence[int]) -> None:
        """The widths of three columns, in pixels."""
        self._splitter.setSizes(list(sizes))

    def show_side(self, widget: QWidget) -> None:
        """Bring a side to the front, where it is a tab."""
        if self._tabs.indexOf(widget) >= 0:
            self._tabs.setCurrentWidget(widget)

    def minimumSizeHint(self) -> QSize:
        """That of one column, with the bar below it where it stands there."""
        hints = [widget.minimumSizeHint() for widget in (self._left.widget, self._centre)]
        bar = self._left.bar
        below = bar.minimumSizeHint().height() + 8 if bar is not None and bar.parentWidget() is self else 0
        width = max(self._left_width(), *(hint.width() for hint in hints))
        return QSize(width + 16, max(hint.height() for hint in hints) + below + 16)

    def event(self, event: QEvent) -> bool:
        """Arrange the columns anew where the page, or what they need, has another size."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._arrange(self._fitting())
        return super().event(event)

    def _fitting(self) -> int:
        left = self._left_width() + 8
        centre, right = (widget.minimumSizeHint().width() + 8 for widget in (self._centre, self._right.widget))
        if self.width() >= max(_THREE_FROM, left + centre + right + 8):
            return 3
        return 2 if self.width() >= left + centre + 8 else 1

    def _left_width(self) -> int:
        """What the left column needs, wherever its bar is now."""
        bar = self._left.bar
        return max(self._left.widget.minimumSizeHint().width(), bar.minimumSizeHint().width() if bar else 0)

    def _arrange(self, count: int) -> None:
        if count == self._count:
            return
        self._count = count
        sides = ((self._left.widget, 2), (self._centre, 1), (self._right.widget, 3))
        shown = self._tabs.currentWidget()
        for place, widget in enumerate(widget for widget, least in sides if count >= least):
            self._splitter.insertWidget(place, widget)
            widget.show()
        if count < 3:
            self._insert_tab(1, self._right)
        if count < 2:
            self._insert_tab(0, self._left)
        self._tabs.setCurrentWidget(shown)
        self._place_bar()
        left, right = self._left.width, self._right.width
        self._splitter.setSizes(
            {3: [left, self.width() - left - right, right], 2: [left, _CENTRE], 1: [_CENTRE]}[count]
        )

    def _place_bar(self) -> None:
        bar = self._left.bar
        layout = (self if self._count < 2 else self._left.widget).layout()
        if bar is not None and layout is not None and layout.indexOf(bar) < 0:
            layout.addWidget(bar)

    def _insert_tab(self, place: int, side: Side) -> None:
        if self._tabs.indexOf(side.widget) < 0:
            self._tabs.setTabToolTip(self._tabs.insertTab(place, side.widget, side.title), side.tooltip)
