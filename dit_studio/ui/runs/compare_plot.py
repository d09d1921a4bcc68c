"""The plot of a comparison. pyqtgraph takes a third of a second to import: this file is imported with two runs."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QSizePolicy

from dit_studio.ui import theme
from dit_studio.ui.runs.overlay import LOSS, VALIDATION, Overlay, time_unit
from dit_studio.ui.train.axes import NumberAxis
from dit_studio.ui.train.curve import Floats
from dit_studio.ui.train.curves import XAxis
from dit_studio.ui.train.decimation import sampled
from dit_studio.ui.widgets.basics import describe

_HEIGHT = 140  # pixels at a font scale of 100 %, at least
_AXIS_HEIGHT = 40
_BUCKETS = 4000  # points of a line: more than a screen has columns
_X_LABELS: dict[XAxis, str] = {"step": "step", "images": "images seen", "seconds": "training time"}


class ComparePlot(pg.PlotWidget):
    """A line a run, dots where there are few values; losses are logarithmic."""

    def __init__(self) -> None:
        self._axes = {side: NumberAxis(side) for side in ("left", "bottom")}
        super().__init__(axisItems=self._axes)
        self.showGrid(x=True, y=True, alpha=0.15)
        self.setMenuEnabled(enableMenu=False)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        describe(self, "Curves of the runs compared", "Drag: move; wheel: zoom; the A button at the corner shows all.")

    def sizeHint(self) -> QSize:
        """Its least height counts where the height of what wraps around it is asked for."""
        return QSize(0, self.minimumHeight())

    def show_overlays(
        self, overlays: Sequence[Overlay], colours: Sequence[str], *, measure: str, axis: XAxis, font: QFont
    ) -> None:
        is_log = measure in (LOSS, VALIDATION)
        self._style(font)
        self.clear()
        self._axes["left"].set_log(is_log=is_log)
        self.setLogMode(x=False, y=is_log)
        unit, seconds = time_unit(overlays) if axis == "seconds" else ("", 1.0)
        self.setLabel("bottom", f"{_X_LABELS[axis]}, {unit}" if unit else _X_LABELS[axis])
        self.setLabel("left", measure)
        for one, colour in zip(overlays, colours, strict=True):
            self._add(one.x / seconds, _positive(one.smooth) if is_log else one.smooth, colour, dots=measure != LOSS)

    def _add(self, x: Floats, y: Floats, colour: str, *, dots: bool) -> None:
        if not x.size:
            return
        x, y = sampled(x, y, slice(0, x.size), buckets=_BUCKETS)
        looks = {"symbol": "o", "symbolSize": 6, "symbolBrush": colour, "symbolPen": None} if dots else {}
        self.plot(x, y, pen=pg.mkPen(colour, width=2), connect="finite", antialias=True, **looks)

    def _style(self, font: QFont) -> None:
        palette = theme.current()
        self.setBackground(palette.surface)
        self.setMinimumHeight(theme.scaled(_HEIGHT))
        self._axes["bottom"].setHeight(theme.scaled(_AXIS_HEIGHT))  # its own would cut the label's last line
        small = QFont(font)
        small.setPixelSize(theme.text_size(0))
        for axis in self._axes.values():
            axis.setPen(palette.line)
            axis.setTextPen(palette.muted)
            axis.setTickFont(small)
            axis.label.setFont(small)


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)
