"""A plot under its legend, which reads out the values below the crosshair."""

import math

from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.line_items import Look
from dit_studio.ui.train.lines import Line, PlotKind
from dit_studio.ui.train.plot_view import AXIS_WIDTH, PlotView
from dit_studio.ui.train.readout import Entry, Readout


class PlotPanel(QWidget):
    """Draws a PlotKind. Without a crosshair the legend has the newest values."""

    def __init__(self, kind: PlotKind, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        self.view = PlotView(kind)
        self.readout = Readout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.readout)
        layout.addWidget(self.view, 1)
        self.restyle()

    def restyle(self) -> None:
        """Take on the theme in use."""
        self.view.restyle()
        self.readout.set_indent(theme.scaled(AXIS_WIDTH))

    def point_at(self, history: RunHistory, look: Look, *, step: float | None) -> None:
        """Move the crosshair to a step, or hide it."""
        self.view.show_crosshair(None if step is None else history.position(step, look.axis))
        entries = [entry for line in self.kind.lines(history) for entry in _entries(line, look.smoothing, step)]
        self.readout.show_entries(entries or [Entry("Nothing was measured yet.", "")])

    def hidden_values(self, history: RunHistory) -> int:
        """How many values a logarithmic axis cannot show."""
        return sum(line.curve.nonpositive_count for line in self.kind.lines(history))


def _entries(line: Line, smoothing: float, step: float | None) -> list[Entry]:
    if not len(line.curve):
        return []
    step = math.inf if step is None else step
    raw = line.curve.at(step, line.curve.y) * line.scale
    if not line.is_smooth:
        return [
            Entry(line.name, _text(raw), line.colour, line.has_points, is_dashed=line.is_dashed),
            *_ends(line, step),
        ]
    smooth = line.curve.at(step, line.curve.smoothed(smoothing)) * line.scale
    entries = [Entry(line.name, _text(smooth), line.colour)]
    return [*entries, Entry("raw", _text(raw), line.colour, is_faint=True)] if line.is_raw else entries


def _ends(line: Line, step: float) -> list[Entry]:
    if line.interval is None:
        return []
    low, high = (end.at(step, end.y) * line.scale for end in line.interval)
    return [] if math.isnan(low) or math.isnan(high) else [Entry("95 %", f"{_text(low)} … {_text(high)}")]


def _text(value: float) -> str:
    if math.isnan(value):
        return "not finite"
    return f"{value:#.4g}".rstrip(".") if abs(value) >= 1e-3 else f"{value:.3g}"
