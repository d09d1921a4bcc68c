"""One plot: lines redrawn in place, a crosshair, and a range that follows the data until the user zooms."""

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QSizePolicy

from dit_studio.ui import theme
from dit_studio.ui.train.axes import NumberAxis
from dit_studio.ui.train.curve import Floats
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.decimation import padded
from dit_studio.ui.train.line_items import LineItems, Look, Ranges
from dit_studio.ui.train.lines import PlotKind
from dit_studio.ui.widgets.basics import describe

# Pixels at a font scale of 100 %.
AXIS_WIDTH = 64  # the same for all plots, so that they stand exactly above one another
_RIGHT_MARGIN = 14  # for half of the last tick's label
_MIN_HEIGHT = 130  # and the text below
_GRID = 50  # opacity of the grid, of 255
_ZOOMS = {Qt.Key.Key_Plus: 0.8, Qt.Key.Key_Equal: 0.8, Qt.Key.Key_Minus: 1.25}
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_KEYS = "Drag: zoom; wheel: zoom x; double click or Home: fit; ← →: read values; + −: zoom x."


class PlotView(pg.GraphicsView):
    """Draws the lines of a PlotKind. Other ranges than the data's own come only from the user."""

    zoomed = Signal(float, float)  # by hand, to this x range
    pointed = Signal(object)  # x below the mouse, None where it left
    stepped = Signal(int)  # the crosshair, by keys: -1 or 1
    fit_wanted = Signal()

    def __init__(self, kind: PlotKind) -> None:
        super().__init__(background=None)
        self.kind = kind
        self.follows_y = True
        self._y_range = (0.0, 1.0)
        self._x_unit = ("", 0.0)
        self._items: dict[str, LineItems] = {}
        self._marks: list[pg.InfiniteLine] = []
        self.box = pg.ViewBox(enableMenu=False, defaultPadding=0)
        self._left, self._bottom = NumberAxis("left"), NumberAxis("bottom")
        self._crosshair = pg.InfiniteLine(angle=90)
        self._layout = pg.GraphicsLayout()
        self._build()

    # ------------------------------------------------------------------------------------------------- drawing

    def draw(self, history: RunHistory, look: Look) -> None:
        """Show what lies in the look's range."""
        self.box.setXRange(look.low, look.high, padding=0)
        self._left.set_log(look.is_log)
        low, high = history.steps_at(np.array([look.low, look.high]), look.axis)
        width = max(int(self.box.width()), 100)
        lines = {line.name: line for line in self.kind.lines(history)}
        for name in self._items.keys() - lines.keys():
            self._items.pop(name).remove()
        ranges: Ranges = []
        for name, line in lines.items():
            if name not in self._items:
                self._items[name] = LineItems(line, self.box)
            items = self._items[name]
            ranges += items.draw(line, history, look, steps=(float(low), float(high)), width=width)
        if self.follows_y and ranges:
            self._fit_y(*padded(min(low for low, _ in ranges), max(high for _, high in ranges)))

    def reset(self) -> None:
        """Forget the lines and the range of a run."""
        for items in self._items.values():
            items.remove()
        self._items.clear()
        self.follows_y = True
        self._y_range = (0.0, 1.0)
        self.box.setRange(xRange=(0.0, 1.0), yRange=self._y_range, padding=0)

    def pixels(self, positions: Floats, x_range: tuple[float, float]) -> Floats:
        """Where positions stand between the left edge of the widget and the right, for those in the range."""
        area = self.box.sceneBoundingRect()
        low, high = x_range
        return area.left() + (positions - low) / (high - low) * area.width()

    def set_x_unit(self, title: str, scale: float) -> None:
        """Name the x axis, if it shall have a name; `scale` is from its positions to the unit in the title."""
        if (title, scale) != self._x_unit:
            self._x_unit = (title, scale)
            self._bottom.setLabel(title)
            self._bottom.showLabel(bool(title))
            self._size_bottom()
            self._bottom.setScale(scale)

    def _size_bottom(self) -> None:
        self._bottom.setHeight(round((2.6 if self._x_unit[0] else 1.4) * theme.text_size(0)) + 4)

    def show_crosshair(self, x: float | None) -> None:
        self._crosshair.setVisible(x is not None)
        if x is not None:
            self._crosshair.setPos(x)

    def show_marks(self, marks: list[tuple[float, str]]) -> None:
        """Vertical lines at x, in a colour."""
        for item in self._marks:
            self.box.removeItem(item)
        pens = [(x, pg.mkPen(colour, style=Qt.PenStyle.DotLine)) for x, colour in marks]
        self._marks = [pg.InfiniteLine(x, angle=90, pen=pen) for x, pen in pens]
        for item in self._marks:
            self.box.addItem(item, ignoreBounds=True)

    def restyle(self) -> None:
        """Take the colours of the theme in use; the next draw makes the lines anew."""
        palette = theme.current()
        self.setBackground(palette.ground)
        font = self.font()
        font.setPixelSize(theme.text_size(0))
        for axis in (self._left, self._bottom):
            axis.setPen(pg.mkPen(palette.edge))
            axis.setTextPen(pg.mkPen(palette.muted))
            axis.setTickFont(font)
            axis.label.setFont(font)
            axis.setGrid(_GRID)
            axis.resizeEvent()  # puts the label where its new size wants it
        self._left.setWidth(theme.scaled(AXIS_WIDTH))
        self._size_bottom()
        self._layout.setContentsMargins(0, 4, theme.scaled(_RIGHT_MARGIN), 0)
        self.setMinimumHeight(_MIN_HEIGHT + round(2.6 * theme.text_size(0)))
        self._crosshair.setPen(pg.mkPen(palette.muted, style=Qt.PenStyle.DashLine))
        fill = QColor(palette.accent)
        fill.setAlphaF(0.15)
        self.box.rbScaleBox.setPen(pg.mkPen(palette.accent))
        self.box.rbScaleBox.setBrush(fill)
        for items in self._items.values():
            items.remove()
        self._items.clear()

    def _fit_y(self, low: float, high: float) -> None:
        """Leave the range while the data still fill it well: a new one means new ticks, which cost time."""
        old_low, old_high = self._y_range
        fits = old_low <= low + 0.07 * (high - low) and high - 0.07 * (high - low) <= old_high
        if not fits or high - low < 0.8 * (old_high - old_low):
            self._y_range = (low, high)
        self.box.setYRange(*self._y_range, padding=0)

    # ------------------------------------------------------------------------------------------------- the user

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        if self.box.sceneBoundingRect().contains(event.position()):
            self.pointed.emit(self.box.mapSceneToView(event.position()).x())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        self.fit_wanted.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Home:
            self.fit_wanted.emit()
        elif key in _STEPS:
            self.stepped.emit(_STEPS[key])
        elif key in _ZOOMS:
            self.box.scaleBy(x=_ZOOMS[key])
            self._on_range_changed_by_hand()
        else:
            event.ignore()

    def _on_range_changed_by_hand(self) -> None:
        (low, high), y_range = self.box.viewRange()
        self.follows_y = self.follows_y and np.allclose(y_range, self._y_range)
        self.zoomed.emit(low, high)

    # ------------------------------------------------------------------------------------------------- building

    def _build(self) -> None:
        layout = self._layout
        layout.setSpacing(0)
        layout.addItem(self._left, 0, 0)
        layout.addItem(self.box, 0, 1)
        layout.addItem(self._bottom, 1, 1)
        self.setCentralItem(layout)
        for axis in (self._left, self._bottom):
            axis.linkToView(self.box)
            axis.setZValue(-1)
        self._left.setLabel(self.kind.title)
        self.box.disableAutoRange()
        self.box.setMouseMode(pg.ViewBox.RectMode)
        self.box.setMouseEnabled(x=True, y=False)
        self.box.sigRangeChangedManually.connect(self._on_range_changed_by_hand)
        self.box.addItem(self._crosshair, ignoreBounds=True)
        self._crosshair.setZValue(4)
        self._crosshair.hide()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        describe(self, f"Plot: {self.kind.name}", f"{self.kind.about}\n{_KEYS}")
