"""Runs side by side: their losses in one plot, their settings in one table."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QSizePolicy,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from dit_studio.events import Event
from dit_studio.ui import theme
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.runs.differences import settings_table
from dit_studio.ui.runs.listing import LossesRead, ReadLosses, RunRow
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.widgets.basics import Caption, Muted, WholeText, describe
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.scrolling import Scrolling

RUN_LIMIT = len(theme.DARK.curves)  # as many as there are colours
_SMOOTHING = 0.9
_COLUMN = 96  # pixels at a font scale of 100 %: the least width of a column of settings
_PLOT_HEIGHT = 140  # pixels at a font scale of 100 %, at least


class ComparePanel(QSplitter):
    """Shows the runs it is given; a run keeps its colour in plot and table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._rows: list[RunRow] = []
        self._histories: dict[Path, RunHistory] = {}
        self._plot: Any = None
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._plot_card, self._table_card = Card("Loss"), Card("Settings")
        self._legend = WholeText()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._plot_card.body.addWidget(self._legend)
        self._waiting = Muted("Reading the losses…")
        self._plot_card.body.addWidget(self._waiting, 1, Qt.AlignmentFlag.AlignCenter)
        self._note = Caption("Smoothed training loss over steps, logarithmic; dots: validation loss.")
        self._plot_card.body.addWidget(self._note)
        self._only_differences = QCheckBox("Differences only")
        self._only_differences.setChecked(True)
        describe(self._only_differences, "Differences only", "Hide the settings that are the same in all these runs.")
        self._only_differences.toggled.connect(self._fill_table)
        self._table_card.add_action(self._only_differences)
        self._table = _make_table()
        self._nothing = Muted("These runs have the same settings.")
        self._table_card.body.addWidget(self._nothing)
        self._table_card.body.addWidget(self._table, 1)
        self.addWidget(Scrolling(self._plot_card))
        self.addWidget(self._table_card)
        self.setChildrenCollapsible(False)
        self.setSizes([500, 500])
        theme.theme_changed.connect(self._on_theme_changed)

    def show_runs(self, rows: Sequence[RunRow]) -> None:
        """Compare these runs; their losses are read in another thread."""
        is_new = [row.path for row in rows] != [row.path for row in self._rows]
        self._rows = list(rows)
        if is_new:
            self._name_runs()
            self._job.run(ReadLosses([row.summary.folder for row in rows]))

    def close_job(self) -> None:
        self._job.close()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, LossesRead):
                self._histories = event.histories
                self._draw()

    def _name_runs(self) -> None:
        """In the legend and in the table, each with its colour."""
        self._fill_table()
        self._legend.setText("&ensp; ".join(_legend_entry(number, row) for number, row in enumerate(self._rows)))

    def _fill_table(self) -> None:
        recipes = [row.summary.recipe for row in self._rows]
        lines = settings_table(recipes, only_differences=self._only_differences.isChecked())
        self._table.setColumnCount(len(self._rows) + 1)
        self._table.setHorizontalHeaderItem(0, QTableWidgetItem("Setting"))
        for number, row in enumerate(self._rows):
            title = QTableWidgetItem(row.title)
            title.setIcon(_dot(_colour(number)))
            title.setToolTip(str(row.path))
            self._table.setHorizontalHeaderItem(number + 1, title)
        self._table.setRowCount(len(lines))
        for line, (key, values) in enumerate(lines):
            for column, text in enumerate([key, *values]):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self._table.setItem(line, column, item)
        self._table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self._nothing.setVisible(not lines)
        self._table.setVisible(bool(lines))

    def _draw(self) -> None:
        if self._plot is None:
            self._plot = _make_plot()
            self._waiting.hide()
            self._plot_card.body.insertWidget(1, self._plot, 1)
        self._restyle()

    def _on_theme_changed(self) -> None:
        self._name_runs()
        self._restyle()

    def _restyle(self) -> None:
        if self._plot is None:
            return
        import pyqtgraph

        palette = theme.current()
        self._plot.setBackground(palette.surface)
        self._plot.clear()
        self._plot.setMinimumHeight(theme.scaled(_PLOT_HEIGHT))
        font = self.font()
        font.setPixelSize(theme.text_size(0))
        for name in ("left", "bottom"):
            axis = self._plot.getAxis(name)
            axis.setPen(palette.line)
            axis.setTextPen(palette.muted)
            axis.setTickFont(font)
            axis.label.setFont(font)
        for number, row in enumerate(self._rows):
            history = self._histories.get(row.path)
            if history is not None:
                self._add_curves(pyqtgraph, history, _colour(number))

    def _add_curves(self, pyqtgraph: Any, history: RunHistory, colour: str) -> None:
        loss, validation = history.loss, history.validation
        if len(loss):
            smooth = _positive(loss.smoothed(_SMOOTHING))
            self._plot.plot(loss.x, smooth, pen=pyqtgraph.mkPen(colour, width=2), connect="finite", antialias=True)
        if len(validation):
            y = _positive(validation.y)
            self._plot.plot(validation.x, y, pen=None, symbol="o", symbolSize=6, symbolBrush=colour, symbolPen=None)


def _positive(values: Any) -> Any:
    return np.where(values > 0, values, np.nan)


def _legend_entry(number: int, row: RunRow) -> str:
    return f'<span style="color: {_colour(number)}">●</span>&nbsp;{html.escape(row.title).replace(" ", "&nbsp;")}'


def _dot(colour: str) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(4, 4, 8, 8)
    painter.end()
    return QIcon(pixmap)


def _colour(number: int) -> str:
    return theme.current().curves[number % RUN_LIMIT]


def _make_plot() -> Any:
    import pyqtgraph  # a third of a second, so not before two runs are compared

    from dit_studio.ui.train.axes import NumberAxis

    axes = {side: NumberAxis(side) for side in ("left", "bottom")}
    axes["left"].set_log(is_log=True)
    plot: Any = pyqtgraph.PlotWidget(axisItems=axes)  # type: ignore[no-untyped-call]
    plot.setLogMode(x=False, y=True)
    plot.showGrid(x=True, y=True, alpha=0.15)
    plot.setLabel("bottom", "step")
    plot.setLabel("left", "loss")
    plot.setMenuEnabled(enableMenu=False)
    plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
    describe(plot, "Losses of the runs compared", "Drag to move, wheel to zoom; the A button at the corner shows all.")
    return plot


def _make_table() -> QTableWidget:
    table = QTableWidget()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    header.setMinimumSectionSize(theme.scaled(_COLUMN))
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    describe(table, "Settings of the runs compared", "One line a setting, one column a run.")
    return table
