"""A small plot over a logarithmic axis: a line with its points, a faint one behind it, and upright lines."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import QSizePolicy

from dit_studio.ui import theme
from dit_studio.ui.train.axes import NumberAxis
from dit_studio.ui.train.decimation import padded
from dit_studio.ui.widgets.basics import describe

# Pixels at a font scale of 100 %.
_HEIGHT, _LEFT, _RIGHT = 170, 64, 14
_GRID = 50  # opacity of 255
_FAINT = 0.4
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_KEY_STEP = 0.05  # decades
Points = Sequence[tuple[float, float]]


class FinderPlot(pg.GraphicsView):
    """All positions and values are given as they are; the x axis, and where asked the y axis, is logarithmic.

    `moved` carries where the marker was drawn to, by hand or by ← and →.
    """

    moved = Signal(float)

    def __init__(self, name: str, about: str, *, left: str, bottom: str, is_log: bool = False) -> None:
        super().__init__(background=None)
        self._is_log = is_log
        self._box = pg.ViewBox(enableMenu=False, enableMouse=False, defaultPadding=0)
        self._axes = (NumberAxis("left"), NumberAxis("bottom"))
        self._faint = pg.PlotCurveItem()
        self._line = pg.PlotDataItem(symbolSize=6, symbolPen=None)
        self._marker = pg.InfiniteLine(angle=90, movable=True)
        self._stands = pg.InfiniteLine(angle=90)
        self._build(left, bottom)
        describe(self, name, about)
        theme.theme_changed.connect(self._restyle)
        self._restyle()

    def show_points(self, points: Points, *, faint: Points = (), x_range: tuple[float, float] | None = None) -> None:
        """Draw these from left to right; what is not finite is left out."""
        x, y = self._positions(sorted(points))
        self._line.setData(x, y, symbol="o" if len(x) <= 60 else None)
        faint_x, faint_y = self._positions(sorted(faint))
        self._faint.setData(faint_x, faint_y)
        if len(y):
            low, high = (np.log10(np.array(x_range)) if x_range else (x[0], x[-1])) if len(x) > 1 else (x[0], x[0])
            self._box.setXRange(*padded(float(low), float(high)), padding=0)
            self._box.setYRange(*padded(float(y.min()), float(y.max())), padding=0)

    def show_suggestion(self, x: float | None) -> None:
        """The dotted line that stays."""
        _place(self._stands, x)

    def show_marker(self, x: float | None) -> None:
        """The line that can be drawn elsewhere."""
        _place(self._marker, x)

    @property
    def marker(self) -> float | None:
        """Where it stands; None while it is not shown."""
        return float(10.0 ** self._marker.value()) if self._marker.isVisible() else None

    def sizeHint(self) -> QSize:
        return QSize(theme.scaled(2 * _HEIGHT), self.minimumHeight())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        direction = _STEPS.get(Qt.Key(event.key()))
        if direction is None or not self._marker.isVisible():
            event.ignore()
            return
        low, high = self._box.viewRange()[0]
        self._marker.setValue(min(max(self._marker.value() + direction * _KEY_STEP, low), high))
        self._on_dragged()

    def _positions(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        x, y = (np.array(values, float) for values in (zip(*points, strict=True) if points else ((), ())))
        is_shown = np.isfinite(y) & ((y > 0) | (not self._is_log))
        x, y = np.log10(x[is_shown]), y[is_shown]
        return x, np.log10(y) if self._is_log else y

    def _on_dragged(self) -> None:
        self.moved.emit(float(10.0 ** self._marker.value()))

    def _restyle(self) -> None:
        palette = theme.current()
        self.setBackground(palette.surface)
        font = self.font()
        font.setPixelSize(theme.text_size(0))
        for axis in self._axes:
            axis.setPen(pg.mkPen(palette.edge))
            axis.setTextPen(pg.mkPen(palette.muted))
            axis.setTickFont(font)
            axis.label.setFont(font)
            axis.setGrid(_GRID)
        self._axes[0].setWidth(theme.scaled(_LEFT))
        self._axes[1].setHeight(round(2.8 * theme.text_size(0)) + 4)
        for axis in self._axes:
            axis.resizeEvent()  # puts the label where its new size wants it
        self._layout.setContentsMargins(0, 4, theme.scaled(_RIGHT), 0)
        self.setMinimumHeight(theme.scaled(_HEIGHT))
        curve = QColor(palette.curves[0])
        self._line.setPen(pg.mkPen(curve, width=2))
        self._line.setSymbolBrush(curve)
        curve.setAlphaF(_FAINT)
        self._faint.setPen(pg.mkPen(curve))
        self._marker.setPen(pg.mkPen(palette.accent, width=2))
        self._marker.setHoverPen(pg.mkPen(palette.accent_hover, width=4))
        self._stands.setPen(pg.mkPen(palette.muted, width=2, style=Qt.PenStyle.DotLine))

    def _build(self, left: str, bottom: str) -> None:
        self._layout = pg.GraphicsLayout()
        self._layout.setSpacing(0)
        self._layout.addItem(self._axes[0], 0, 0)
        self._layout.addItem(self._box, 0, 1)
        self._layout.addItem(self._axes[1], 1, 1)
        self.setCentralItem(self._layout)
        for axis, title, is_log in zip(self._axes, (left, bottom), (self._is_log, True), strict=True):
            axis.linkToView(self._box)
            axis.setZValue(-1)
            axis.setLabel(title)
            axis.set_log(is_log)
        self._box.disableAutoRange()
        for z, item in enumerate((self._faint, self._line, self._stands, self._marker)):
            item.setZValue(z)
            self._box.addItem(item, ignoreBounds=True)
        for item in (self._stands, self._marker):
            item.hide()
        self._marker.sigDragged.connect(self._on_dragged)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)


def _place(line: pg.InfiniteLine, x: float | None) -> None:
    line.setVisible(x is not None)
    if x is not None:
        line.setValue(float(np.log10(x)))
