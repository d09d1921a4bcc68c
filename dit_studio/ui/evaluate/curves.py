"""A metric against a setting, and precision against recall."""

import html
from collections.abc import Callable, Collection
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import CautionRecord, EvaluationResult
from dit_studio.files import write_atomically
from dit_studio.ui import theme
from dit_studio.ui.evaluate.cautions import LEVELS, MARKS, caution_text
from dit_studio.ui.evaluate.comparable import metrics_in
from dit_studio.ui.evaluate.curve_view import CurveView
from dit_studio.ui.evaluate.line_marks import UNLIKE, legend
from dit_studio.ui.evaluate.plan_axis import axis_names, axis_title, axis_values
from dit_studio.ui.evaluate.plot_files import to_csv, to_png, to_svg
from dit_studio.ui.evaluate.plot_lines import Picture, PlotPoint, metric_picture, metric_title
from dit_studio.ui.evaluate.precision_recall import TITLE, has_both, precision_recall_picture
from dit_studio.ui.evaluate.save_button import PATTERNS, SaveButton
from dit_studio.ui.evaluate.short_labels import listed
from dit_studio.ui.icons import icon
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.train.plots import ChooseFile, ask_for_file
from dit_studio.ui.widgets.basics import EmptyState, NoScrollComboBox, WholeText, describe
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.scrolling import Scrolling

_FORMATS = {
    "csv": "The points as a table (CSV)…",
    "png": "The plot as a picture (PNG)…",
    "svg": "The plot as a drawing (SVG)…",
}
_CAUTIONS = 3  # shown at most; the cards have them all
_HINT = "Point at a figure to read it; click to show its card, double-click for its samples."


class Curves(QWidget):
    """One metric over one axis of the plan, a line for each combination of the others."""

    point_selected = Signal(int)
    samples_asked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, choose_file: ChooseFile = ask_for_file) -> None:
        super().__init__(parent)
        self._choose_file = choose_file
        self._plan: EvaluationPlan | None = None
        self._results: dict[int, EvaluationResult] = {}
        self._picture: Picture | None = None
        self._selected, self._is_stale, self._wanted = -1, False, ""
        self._metrics, self._axes = NoScrollComboBox(), NoScrollComboBox()
        self._log = QCheckBox("Log x")
        self._view = CurveView()
        self._legend, self._reading, self._sentences = WholeText(), WholeText(role="caption"), WholeText(role="caption")
        self._figure = QWidget()
        self._empty = EmptyState(icon("evaluate", "muted"), "", "")
        self._pages = QStackedWidget()
        self._build()
        self._connect()
        self.clear()

    def show_plan(self, plan: EvaluationPlan) -> None:
        """Show the points of an evaluation as they come."""
        self.clear()
        self._plan = plan
        self._axes.addItems([axis_title(axis) for axis in plan.axes] or ["Measured"])
        self._axes.setCurrentIndex(_first_axis(plan))
        self._axes.setVisible(len(plan.axes) > 1)
        self._show_emptiness()

    def add(self, index: int, result: EvaluationResult) -> None:
        """What came of a point."""
        if self._plan is None:
            return
        self._results[index] = result
        if not self._is_stale:  # many that come together are drawn together
            self._is_stale = True
            QTimer.singleShot(0, self, self._take_in)

    def clear(self) -> None:
        """Forget the evaluation."""
        self._plan, self._picture, self._selected = None, None, -1
        self._view.follow()
        self._results.clear()
        self._metrics.clear()
        self._axes.clear()
        self._show_emptiness()

    def select(self, index: int) -> None:
        """Mark a point."""
        self._selected = index
        self._view.select(index)
        self._read(None)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._take_in()

    # ------------------------------------------------------------------------------------------------- drawing

    def _take_in(self) -> None:
        """Draw the points that came, as soon as they can be seen."""
        if self._is_stale and self.isVisible():
            self._is_stale = False
            self._offer_metrics()
            self._draw(fits=False)

    def _draw(self, *, fits: bool) -> None:
        place, chosen = self._axes.currentIndex(), self._metrics.currentData()
        if self._plan is None or place < 0 or chosen is None:
            return
        if chosen == TITLE:
            self._picture = precision_recall_picture(self._plan, self._results, place)
        else:
            self._picture = metric_picture(self._plan, self._results, chosen, place)
        can_be_log = chosen != TITLE and not axis_names(self._plan, place) and min(axis_values(self._plan, place)) > 0
        self._log.setVisible(can_be_log)
        self._view.draw(self._picture, is_log=can_be_log and self._log.isChecked(), fits=fits)
        names = [line.name for line in self._picture.lines]
        self._legend.setText(legend(names) if len(names) > 1 else "")
        self._legend.setVisible(len(names) > 1)
        self._sentences.setText("<br>".join(self._notes(self._picture, chosen)))
        self._sentences.setVisible(bool(self._sentences.text()))
        self._read(None)
        self._show_emptiness()

    def _notes(self, picture: Picture, chosen: str) -> list[str]:
        """What has to be known with the picture, as rich text."""
        lines = [html.escape(line) for line in _unlike(picture)]
        waiting = len(self._plan.points) - len(picture.points) if self._plan else 0
        if waiting:
            lines.append(
                f"{counted(waiting, 'point')} without a figure: {'its' if waiting == 1 else 'their'} gap is left open."
            )
        metrics = ("precision", "recall", "") if chosen == TITLE else (chosen, "")
        cautions = self._cautions(metrics)
        shown = sorted(cautions, key=lambda caution: LEVELS.index(caution.level))[:_CAUTIONS]
        return lines + [_marked(caution, cautions[caution]) for caution in shown]

    def _cautions(self, metrics: Collection[str]) -> dict[CautionRecord, str]:
        """What is said about these metrics, and of which points; "" for all of them."""
        points: dict[CautionRecord, list[int]] = {}
        for index, result in sorted(self._results.items()):
            for caution in result.cautions:
                if caution.metric in metrics and caution.level != "note":
                    points.setdefault(caution, []).append(index)
        names = [point.label for point in self._plan.points] if self._plan else []
        return {
            caution: listed([names[index] for index in found], between=" · ") if len(found) < len(self._results) else ""
            for caution, found in points.items()
        }

    def _offer_metrics(self) -> None:
        """Every metric that any point has; the chosen one stays, even from one evaluation to the next."""
        found = metrics_in(self._results.values())
        titles: list[tuple[str, str]] = [(metric_title(self._results, metric), metric) for metric in found]
        titles += [(TITLE, TITLE)] if has_both(self._results) else []
        if [self._metrics.itemData(place) for place in range(self._metrics.count())] == [data for _, data in titles]:
            return
        self._metrics.blockSignals(True)  # noqa: FBT003  Qt knows no keyword
        self._metrics.clear()
        for title, data in titles:
            self._metrics.addItem(title, data)
        self._metrics.setCurrentIndex(max(self._metrics.findData(self._wanted), 0) if titles else -1)
        self._metrics.blockSignals(False)  # noqa: FBT003

    def _read(self, point: PlotPoint | None) -> None:
        """Read out a point: the one below the mouse, or the selected one."""
        points = self._picture.points if self._picture else []
        shown = point or next((each for each in points if each.index == self._selected), None)
        unlike = f" {UNLIKE} {', '.join(shown.differs)}." if shown and shown.differs else ""
        self._reading.setText(shown.text + unlike if shown else _HINT)
        self._view.setAccessibleDescription(self._reading.text())

    def _show_emptiness(self) -> None:
        if self._plan is None:
            self._empty.set_text("No curves yet", "Evaluate a model at several checkpoints or settings to see curves.")
        elif len(self._plan.points) < 2:
            self._empty.set_text(
                "One point makes no curve",
                "Choose several checkpoints, CFG scales, steps or samplers of a model, or a sweep of the Sample page.",
            )
        else:
            self._empty.set_text("Nothing measured yet", "The first point appears as soon as it is measured.")
        is_drawn = self._plan is not None and len(self._plan.points) > 1 and bool(self._results)
        self._pages.setCurrentIndex(1 if is_drawn else 0)

    # ------------------------------------------------------------------------------------------------- the user

    def _on_metric_changed(self) -> None:
        self._wanted = self._metrics.currentData() or self._wanted
        self._draw(fits=True)

    def _on_axis_changed(self) -> None:
        self._draw(fits=True)

    def _on_chosen(self, index: int) -> None:
        self.select(index)
        self.point_selected.emit(index)

    def _on_theme_changed(self) -> None:
        self._view.restyle()
        self._draw(fits=False)

    def _save(self, kind: str) -> None:
        if self._picture is None or (path := self._choose_file(f"curves.{kind}", PATTERNS[kind])) is None:
            return
        title = self._plan.title if self._plan else ""
        make: dict[str, Callable[[], bytes]] = {
            "csv": lambda: to_csv(self._picture) if self._picture else b"",
            "png": lambda: to_png(self._figure),
            "svg": lambda: to_svg(self._figure, title),
        }
        self._write(path, make[kind]())

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except StudioError as error:
            self._reading.setText(str(error))
        else:
            self._reading.setText(f"Saved {path.name}.")

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self._metrics.currentIndexChanged.connect(self._on_metric_changed)
        self._axes.currentIndexChanged.connect(self._on_axis_changed)
        self._log.toggled.connect(self._on_axis_changed)
        self._view.pointed.connect(self._read)
        self._view.chosen.connect(self._on_chosen)
        self._view.opened.connect(self.samples_asked)
        theme.theme_changed.connect(self._on_theme_changed)

    def _build(self) -> None:
        describe(self._metrics, "Metric", "What is drawn: a metric, or precision against recall.")
        describe(self._axes, "Horizontal axis", "The setting along the horizontal axis; the others become lines.")
        describe(self._log, "Logarithmic x axis", "Logarithmic horizontal axis, for steps that double.")
        controls = FlowLayout()
        for widget in (self._metrics, self._axes, self._log):
            controls.addWidget(widget)
        save = SaveButton(_FORMATS)
        save.chosen.connect(self._save)
        controls.addWidget(save)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._sentences.setTextFormat(Qt.TextFormat.RichText)
        self._reading.setTextFormat(Qt.TextFormat.PlainText)
        figure = QVBoxLayout(self._figure)
        figure.setContentsMargins(0, 0, 0, 0)
        figure.setSpacing(4)
        figure.addWidget(self._legend)
        figure.addWidget(self._view, 1)
        figure.addWidget(self._sentences)
        drawn = QWidget()
        layout = QVBoxLayout(drawn)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(controls)
        layout.addWidget(self._reading)
        layout.addWidget(self._figure, 1)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(Scrolling(drawn))
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._pages)


def _first_axis(plan: EvaluationPlan) -> int:
    """The axis that is shown first: training steps, else the one with the most numbers."""
    names = [axis.name for axis in plan.axes]
    if "checkpoint" in names:
        return names.index("checkpoint")
    numbers = [0 if axis_names(plan, place) else len(axis.values) for place, axis in enumerate(plan.axes)]
    return numbers.index(max(numbers)) if numbers else 0


def _marked(caution: CautionRecord, of: str) -> str:
    """A caution behind a square of its colour, as rich text; `of` which points it is."""
    colour = getattr(theme.current(), MARKS[caution.level])
    return f'<span style="color: {colour}">■</span> {html.escape(caution_text(caution, of=of))}'


def _unlike(picture: Picture) -> list[str]:
    """What the hollow points are, by what sets them apart."""
    reasons: dict[str, int] = {}
    for point in picture.points:
        if point.differs:
            reason = "; ".join(point.differs)
            reasons[reason] = reasons.get(reason, 0) + 1
    return [
        f"{UNLIKE} {counted(count, 'hollow point')}: {reason}. Not comparable with the first."
        for reason, count in reasons.items()
    ]
