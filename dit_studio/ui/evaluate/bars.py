"""Results of several evaluations side by side."""

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.evaluation_request import EvaluationResult, Metric
from dit_studio.files import write_atomically
from dit_studio.ui import theme
from dit_studio.ui.evaluate.bar_panel import BarGroup, BarPanel, Member, group_of
from dit_studio.ui.evaluate.comparable import figure_of, metrics_in
from dit_studio.ui.evaluate.line_marks import mark_of
from dit_studio.ui.evaluate.plot_files import to_png, to_svg
from dit_studio.ui.evaluate.plot_lines import metric_title
from dit_studio.ui.evaluate.result_text import copy_results
from dit_studio.ui.evaluate.save_button import PATTERNS, SaveButton
from dit_studio.ui.evaluate.short_labels import short_labels
from dit_studio.ui.evaluate.tile_grid import TileGrid
from dit_studio.ui.icons import icon
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.train.plots import ChooseFile, ask_for_file
from dit_studio.ui.widgets.basics import Caption, EmptyState, NoScrollComboBox, button, describe
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.scrolling import Scrolling

_ALL = "All metrics"
_PANEL_WIDTH = 260  # pixels at a font scale of 100 %


class Bars(QWidget):
    """A panel for each metric and protocol, a bar for each result."""

    removed = Signal(str)  # the label of a result; "": all of them

    def __init__(self, parent: QWidget | None = None, *, choose_file: ChooseFile = ask_for_file) -> None:
        super().__init__(parent)
        self._choose_file = choose_file
        self._results: list[tuple[str, EvaluationResult]] = []
        self._metrics = NoScrollComboBox()
        self._names = button("", "What is compared; choose a result to take it out. The history keeps it.")
        self._shared, self._note = Caption(), Caption()
        self._panels = TileGrid([], width=_PANEL_WIDTH)
        self._content = QWidget()
        self._column = QVBoxLayout(self._content)
        self._pages = QStackedWidget()
        self._build()
        self._metrics.currentIndexChanged.connect(self._draw)
        theme.theme_changed.connect(self._restyle)

    def set_results(self, results: Sequence[tuple[str, EvaluationResult]]) -> None:
        """Compare these, each with its label."""
        self._results = list(results)
        self._offer_metrics()
        self._show_names()
        self._draw()
        self._pages.setCurrentIndex(1 if results else 0)

    def groups(self) -> list[BarGroup]:
        """What is shown, a panel each."""
        found = metrics_in(result for _, result in self._results)
        chosen = self._metrics.currentData()
        return [group for metric in found if chosen in (_ALL, metric) for group in self._groups_of(metric)]

    def _groups_of(self, metric: Metric) -> list[BarGroup]:
        """One for each protocol: other features, another way of resizing or another reference give other figures."""
        members: dict[tuple[str, ...], list[Member]] = {}
        short, _ = short_labels([label for label, _ in self._results])
        for number, name, (label, result) in zip(self._numbers(), short, self._results, strict=True):
            found = figure_of(result, metric)
            if found is not None and found.value is not None:
                member = Member(number=number, label=name, whole_label=label, result=result)
                members.setdefault(result.protocol.key, []).append(member)
        return [group_of(metric, each) for each in members.values()]

    def _numbers(self) -> list[int]:
        """Of each result that of its images: the same images keep their colour in every embedding."""
        places = dict.fromkeys(result.protocol.fake_hash for _, result in self._results)
        return [list(places).index(result.protocol.fake_hash) for _, result in self._results]

    # ------------------------------------------------------------------------------------------------- drawing

    def _draw(self) -> None:
        old = self._panels
        self._panels = TileGrid([BarPanel(group) for group in self.groups()], width=_PANEL_WIDTH)
        self._column.replaceWidget(old, self._panels)
        old.hide()
        old.setParent(None)
        old.deleteLater()
        self._panels.show()

    def _restyle(self) -> None:
        self._show_names()
        self._draw()

    def _offer_metrics(self) -> None:
        """Every metric that any result has; the chosen one stays."""
        results = {number: result for number, (_, result) in enumerate(self._results)}
        chosen = self._metrics.currentData()
        self._metrics.blockSignals(True)  # noqa: FBT003  Qt knows no keyword
        self._metrics.clear()
        self._metrics.addItem(_ALL, _ALL)
        for metric in metrics_in(results.values()):
            self._metrics.addItem(metric_title(results, metric), metric)
        self._metrics.setCurrentIndex(max(self._metrics.findData(chosen), 0))
        self._metrics.blockSignals(False)  # noqa: FBT003

    def _show_names(self) -> None:
        """An entry of the menu for each result, which takes it out, and one for all."""
        self._names.setText(counted(len(self._results), "result"))
        _, shared = short_labels([label for label, _ in self._results])
        self._shared.setText(f"All: {shared}")
        self._shared.setVisible(bool(shared))
        menu = self._names.menu()
        menu.clear()
        for number, (label, _) in zip(self._numbers(), self._results, strict=True):
            text = f"Take out {label}".replace("&", "&&")
            menu.addAction(icon("close", mark_of(number).colour), text).triggered.connect(
                partial(self._take_out, label)
            )
        menu.addSeparator()
        menu.addAction("Take all out").triggered.connect(partial(self._take_out, ""))

    def _take_out(self, label: str, _checked: bool = False) -> None:
        self.removed.emit(label)

    # ------------------------------------------------------------------------------------------------- the user

    def _save(self, kind: str) -> None:
        path = self._choose_file(f"comparison.{kind}", PATTERNS[kind])
        if path is None:
            return
        data = to_png(self._panels) if kind == "png" else to_svg(self._panels, "Comparison")
        try:
            write_atomically(path, data)
        except StudioError as error:
            self._note.setText(str(error))
        else:
            self._note.setText(f"Saved {path.name}.")

    def _copy(self) -> None:
        copy_results(self._results)
        self._note.setText("Copied, as text and as a table.")

    # ------------------------------------------------------------------------------------------------- building

    def _build(self) -> None:
        describe(self._metrics, "Metric", "What is compared: one metric, or all of them.")
        controls = FlowLayout()
        controls.addWidget(self._metrics)
        self._names.setMenu(QMenu(self._names))
        self._names.setAccessibleName("Results that are compared")
        controls.addWidget(self._names)
        copy = button("Copy", "Copy all figures, as text and as a table for a spreadsheet.")
        copy.clicked.connect(self._copy)
        controls.addWidget(copy)
        save = SaveButton({"png": "The bars as a picture (PNG)…", "svg": "The bars as a drawing (SVG)…"})
        save.chosen.connect(self._save)
        controls.addWidget(save)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self._panels)
        self._column.addStretch(1)
        shown = QWidget()
        layout = QVBoxLayout(shown)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(controls)
        layout.addWidget(self._shared)
        layout.addWidget(Scrolling(self._content), 1)
        layout.addWidget(self._note)
        empty = EmptyState(
            icon("evaluate", "muted"),
            "Nothing to compare yet",
            'Choose "Compare" in the menu of an evaluation in the history; then add others.',
        )
        self._pages.addWidget(empty)
        self._pages.addWidget(shown)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._pages)
