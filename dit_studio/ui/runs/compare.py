"""Runs side by side: their curves in one plot, their settings and machines in one table."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QRegion
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from dit_studio.events import Event
from dit_studio.ui import theme
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.runs.compare_controls import CompareControls
from dit_studio.ui.runs.differences import environment_table, sameness_words, settings_table, unread_words
from dit_studio.ui.runs.histories import PastRead, ReadPasts, RunPast
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.overlay import Overlay, measures, overlay, to_csv
from dit_studio.ui.settings import Settings
from dit_studio.ui.speed.csv_file import write_csv
from dit_studio.ui.widgets.basics import Muted, WholeText, describe
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.scrolling import Scrolling

if TYPE_CHECKING:
    from dit_studio.ui.runs.compare_plot import ComparePlot

_FORM = "compare"  # under which the choices are remembered
_COLUMN = 96  # pixels at a font scale of 100 %: the least width of a column of settings
_MOST_IN_LEGEND, _LEAST_IN_LEGEND = 36, 22  # letters of a name at a font scale of 100 %, and at the largest
_SHARPNESS = 2  # pixels of a saved picture for one on the screen


class ComparePanel(QSplitter):
    """Shows the runs it is given; a run keeps its colour in plot and table. `save` asks for a file."""

    def __init__(
        self, settings: Settings, *, save: Callable[[QWidget, str, str], str], parent: QWidget | None = None
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._settings, self._save = settings, save
        self._rows: list[RunRow] = []
        self._pasts: dict[Path, RunPast] = {}
        self._overlays: list[Overlay] = []
        self.plot: ComparePlot | None = None
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._build()
        self.controls.restore(settings.form(_FORM))
        self.controls.changed.connect(self._on_changed)
        self.controls.csv_wanted.connect(self._save_csv)
        self.controls.png_wanted.connect(self._save_png)
        self.only_differences.toggled.connect(self._fill_table)
        theme.theme_changed.connect(self._on_theme_changed)

    def show_runs(self, rows: Sequence[RunRow]) -> None:
        """Compare these runs; what they said is read in another thread."""
        is_new = [row.path for row in rows] != [row.path for row in self._rows]
        has_changed = is_new or any(one is not other for one, other in zip(rows, self._rows, strict=True))
        shown = [(row.title, row.summary.recipe) for row in self._rows]
        self._rows = list(rows)
        if is_new:
            self._pasts = {path: past for path, past in self._pasts.items() if path in {row.path for row in rows}}
            self._job.run(ReadPasts([row.summary.folder for row in rows if row.path not in self._pasts]))
        if is_new or (has_changed and shown != [(row.title, row.summary.recipe) for row in rows]):
            self._name_runs()
            self._draw()

    def read_again(self) -> None:
        """Take in what the runs have said since."""
        self._job.run(ReadPasts([row.summary.folder for row in self._rows]))

    def close_job(self) -> None:
        self._job.close()

    # --------------------------------------------------------------------------------------------- what is shown

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PastRead):
                self._pasts[event.path] = event.past
        shown = [self._pasts[row.path].history for row in self._rows if row.path in self._pasts]
        self.controls.show_measures(measures(shown))
        self._fill_table()
        self._draw()

    def _on_changed(self) -> None:
        self._settings.save_form(_FORM, self._settings.form(_FORM) | self.controls.values())
        self._draw()

    def _on_theme_changed(self) -> None:
        self._name_runs()
        self._draw()

    def _name_runs(self) -> None:
        """In the legend and in the table, each with its colour."""
        self._fill_table()
        self._legend.setText("&ensp; ".join(_legend_entry(number, row) for number, row in enumerate(self._rows)))

    def _draw(self) -> None:
        if not self._pasts:
            return
        if self.plot is None:
            from dit_studio.ui.runs.compare_plot import ComparePlot

            self.plot = ComparePlot()
            self._waiting.hide()
            self._picture_layout.insertWidget(1, self.plot, 1)
        self._overlays = [self._overlay(row) for row in self._rows]
        colours = [_colour(number) for number in range(len(self._rows))]
        measure, axis = self.controls.chosen_measure, self.controls.chosen_axis
        self.plot.show_overlays(self._overlays, colours, measure=measure, axis=axis, font=self.font())
        odd = [one.problem for one in self._overlays if one.problem]
        self._note.setText("; ".join(odd) + "." if odd else "")
        self._note.setVisible(bool(odd))

    def _overlay(self, row: RunRow) -> Overlay:
        past, controls = self._pasts.get(row.path), self.controls
        return overlay(
            row.title,
            past.history if past else None,
            measure=controls.chosen_measure,
            axis=controls.chosen_axis,
            smoothing=controls.amount,
        )

    def _fill_table(self) -> None:
        recipes = [row.summary.recipe for row in self._rows]
        is_only = self.only_differences.isChecked()
        pasts = [self._pasts.get(row.path) for row in self._rows]
        environments = [past.environment if past else None for past in pasts]
        lines = settings_table(recipes, only_differences=is_only)
        if all(past is not None for past in pasts):
            lines += environment_table([found or {} for found in environments], only_differences=is_only)
        self.table.setColumnCount(len(self._rows) + 1)
        self.table.setHorizontalHeaderItem(0, QTableWidgetItem("Setting"))
        for number, row in enumerate(self._rows):
            title = QTableWidgetItem(row.title)
            title.setIcon(_dot(_colour(number)))
            title.setToolTip(str(row.path))
            self.table.setHorizontalHeaderItem(number + 1, title)
        self.table.setRowCount(len(lines))
        for line, (key, values) in enumerate(lines):
            for column, text in enumerate([key, *values]):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(line, column, item)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        titles = [row.title for row in self._rows]
        self._nothing.setText(sameness_words(titles, recipes, environments))
        self._nothing.setVisible(not lines)
        self._unread.setText(unread_words(titles, recipes) if lines else "")
        self._unread.setVisible(bool(self._unread.text()))
        self.table.setVisible(bool(lines))

    # --------------------------------------------------------------------------------------------- saving

    def _save_csv(self) -> None:
        path = self._save(self, "comparison.csv", "Tables (*.csv)")
        if path:
            lines = to_csv(self._overlays, self.controls.chosen_measure, self.controls.chosen_axis)
            self._say_saved(path, write_csv(Path(path), lines))

    def _save_png(self) -> None:
        path = self._save(self, "comparison.png", "Pictures (*.png)")
        if path:
            is_saved = self._drawn().save(path, "PNG")
            self._say_saved(path, "" if is_saved else f"{path} cannot be written. Choose another folder.")

    def _drawn(self) -> QPixmap:
        """Legend and plot, sharper than on the screen."""
        pixmap = QPixmap(self._picture.size() * _SHARPNESS)
        pixmap.setDevicePixelRatio(_SHARPNESS)
        pixmap.fill(QColor(theme.current().surface))
        self._picture.render(pixmap, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
        return pixmap

    def _say_saved(self, path: str, problem: str) -> None:
        self._note.setText(problem or f"Saved {path}.")
        self._note.show()

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        plot_card, table_card = Card("Curves"), Card("Settings")
        self.controls = CompareControls()
        self._legend = WholeText()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._waiting = Muted("Reading what the runs have said…")
        self._note = WholeText(role="caption")
        self._note.hide()
        self._picture = QWidget()
        self._picture_layout = QVBoxLayout(self._picture)
        self._picture_layout.setContentsMargins(0, 0, 0, 0)
        self._picture_layout.addWidget(self._legend)
        self._picture_layout.addWidget(self._waiting, 1, Qt.AlignmentFlag.AlignCenter)
        plot_card.body.addWidget(self.controls)
        for press in (self.controls.csv, self.controls.png):
            plot_card.add_action(press)
        plot_card.body.addWidget(self._picture, 1)
        plot_card.body.addWidget(self._note)
        self.only_differences = QCheckBox("Differences only")
        self.only_differences.setChecked(True)
        describe(
            self.only_differences, "Differences only", "Hide the settings and versions that are the same in all runs."
        )
        table_card.add_action(self.only_differences)
        self.table = _make_table()
        self._nothing, self._unread = Muted(), WholeText(role="caption")
        self._unread.hide()
        table_card.body.addWidget(self._nothing)
        table_card.body.addWidget(self._unread)
        table_card.body.addWidget(self.table, 1)
        self.addWidget(Scrolling(plot_card))
        self.addWidget(table_card)
        self.setChildrenCollapsible(False)
        self.setSizes([500, 500])


def _legend_entry(number: int, row: RunRow) -> str:
    return (
        f'<span style="color: {_colour(number)}">●</span>&nbsp;{html.escape(_short(row.title)).replace(" ", "&nbsp;")}'
    )


def _short(title: str) -> str:
    """So much of it that the smallest window holds the legend beside the table."""
    most = max(_LEAST_IN_LEGEND, _MOST_IN_LEGEND * _MOST_IN_LEGEND // theme.scaled(_MOST_IN_LEGEND))
    return title if len(title) <= most else f"{title[: most - 1]}…"


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
    colours = theme.current().curves
    return colours[number] if number < len(colours) else theme.current().text


def _make_table() -> QTableWidget:
    table = QTableWidget()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)  # it would show the first words of a path alone
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.verticalHeader().hide()
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    header.setMinimumSectionSize(theme.scaled(_COLUMN))
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    describe(table, "Settings of the runs compared", "One line a setting, one column a run.")
    return table
