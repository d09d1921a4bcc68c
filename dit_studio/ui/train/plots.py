"""The centre of the Train page: live plots of one run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QIODevice, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Event, Failure, JobState, Progress, Resumed, Written
from dit_studio.files import write_atomically
from dit_studio.jobs.history_index import READING
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.sample.export_path import Confirm, ExportPlace, SavePath, confirm, save_path
from dit_studio.ui.train.amounts import count
from dit_studio.ui.train.curves import Flag, RunHistory, XAxis
from dit_studio.ui.train.empty_plots import NO_RUN, empty_words
from dit_studio.ui.train.flags import FlagStrip, flag_colour
from dit_studio.ui.train.line_items import Look
from dit_studio.ui.train.lines import LOSS, OTHERS, PlotKind, metric_kind
from dit_studio.ui.train.long_export import WriteTable
from dit_studio.ui.train.plot_controls import PlotControls
from dit_studio.ui.train.plot_export import to_csv
from dit_studio.ui.train.plot_panel import PlotPanel
from dit_studio.ui.train.sorted_flags import SortedFlags
from dit_studio.ui.train.stretch import Stretch
from dit_studio.ui.widgets.basics import Caption, EmptyState, NoScrollComboBox, describe
from dit_studio.ui.widgets.flow import FlowLayout

ChooseFile = Callable[[str, str], Path | None]  # proposed name, filter -> where to write, None: nowhere

_REDRAW_MS = 100
_BETWEEN_PLOTS_MS = 15  # so that input is handled between two of them
_EVENTS_AT_ONCE = 2000
_HEADROOM = 0.05  # of the x range, so that its ticks stay for a while
_KEY_STEP = 0.01  # of the x range
_AXES: dict[XAxis, str] = {"step": "Step", "images": "Images seen", "seconds": "Training time"}
_TIME_UNITS = ((7200, "h", 3600), (120, "min", 60), (0, "s", 1))  # from so many seconds on


def ask_for_file(
    name: str, pattern: str, *, save_path: SavePath = save_path, confirm: Confirm = confirm
) -> Path | None:
    """Where to write, with the ending of the proposed name: a picture is never called a table."""
    place = ExportPlace(will_write=lambda _: False, save_path=save_path, confirm=confirm)
    return place.ask("Save as", name, ending=Path(name).suffix.removeprefix("."), kinds=pattern)


class TrainPlots(QWidget):
    """The loss, and below it one of the other plots, over the same x axis.

    Plots are drawn at most ten times a second, one at a time, and only while they can be seen.
    """

    checkpoint_clicked = Signal(int)
    preview_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, choose_file: ChooseFile = ask_for_file) -> None:
        super().__init__(parent)
        self.history = RunHistory()
        self._choose_file = choose_file
        self._folder: RunFolder | None = None
        self._stretch = Stretch(self)
        self._writing = OneJob(self)  # a table of a long history
        self._said = ""  # of it
        self._pending: list[Event] = []
        self._stale: list[PlotPanel] = []
        self._x_range = (0.0, 1.0)
        self._step: float | None = None  # below the crosshair
        self._marks: list[tuple[float, str]] = []
        self._sorted: SortedFlags | None = None
        self._loss = PlotPanel(LOSS)
        self._kinds: list[PlotKind] = []  # by tab; behind these the metrics that were measured
        self._others: dict[int, PlotPanel] = {}  # by tab, made when first shown
        self._controls = PlotControls()
        self._flags = FlagStrip()
        self._tabs = QTabBar()
        self._axis_box = NoScrollComboBox()
        self._note = Caption(wraps=False)
        self._below = QStackedWidget()
        self._pages = QStackedWidget()
        self._empty = EmptyState(icon("train", "muted"), *NO_RUN)
        self._take_in_timer = QTimer(self, singleShot=True, interval=0)
        self._redraw_timer = QTimer(self, singleShot=True)
        self._build()
        self._connect()
        self._on_tab_changed(0)

    # ------------------------------------------------------------------------------------------------- the run

    def add_events(self, events: Sequence[Event]) -> None:
        """Take in what a run said. A long history goes in piece by piece, while the window stays alive."""
        self._pending.extend(events)
        if not self._take_in_timer.isActive():
            self._take_in()

    def show_run(self, folder: RunFolder) -> None:
        """Forget the run before; what this one says comes by `add_events`."""
        self.clear()
        self._folder = folder
        self._stretch.show_run(folder)

    def show_state(self, state: JobState, *, is_reading: bool) -> None:
        """What to say while there is nothing to draw."""
        self._empty.set_text(*empty_words(state, has_run=self._folder is not None, is_reading=is_reading))

    def close_jobs(self) -> None:
        self._stretch.close()
        self._writing.close()

    def clear(self) -> None:
        """Forget the run."""
        self._folder = None
        self._stretch.show_run(None)
        self._pending.clear()
        self.history = RunHistory()
        self._step = None
        self._x_range = (0.0, 1.0)
        self._forget_metrics()
        for panel in self._panels():
            panel.view.reset()
        self._pages.setCurrentIndex(0)
        self.fit()

    def fit(self) -> None:
        """Show the whole run, and keep doing so as it goes on."""
        self._controls.set_following(True)
        for panel in self._panels():
            panel.view.follows_y = True
        self._make_stale(delay_ms=0)

    def _take_in(self) -> None:
        now, self._pending = self._pending[:_EVENTS_AT_ONCE], self._pending[_EVENTS_AT_ONCE:]
        self.history.add(now)
        self._say_reading(now)
        if any(isinstance(event, Resumed) for event in now):
            self._stretch.forget()
        self._show_metrics()
        if not self.history.is_empty:
            self._pages.setCurrentIndex(1)
        if self._pending:
            self._take_in_timer.start()
        self._make_stale(delay_ms=_REDRAW_MS)

    def _say_reading(self, events: Sequence[Event]) -> None:
        """A long history that has no index yet takes its time."""
        reading = [event for event in events if isinstance(event, Progress) and event.stage == READING]
        if reading:
            self._said = f"{READING}: {count(reading[-1].done)} of {count(reading[-1].total or 0)} MB"
            self._show_note()
        elif self._said.startswith(READING):
            self._said = ""

    def _show_metrics(self) -> None:
        """A tab for each metric: they share no unit, and so no axis."""
        for measured in list(self.history.measured.values())[len(self._kinds) - len(OTHERS) :]:
            self._add_tab(metric_kind(measured))

    def _add_tab(self, kind: PlotKind) -> None:
        self._kinds.append(kind)
        self._tabs.setTabToolTip(self._tabs.addTab(kind.name), kind.about)

    def _forget_metrics(self) -> None:
        if self._tabs.currentIndex() >= len(OTHERS):
            self._tabs.setCurrentIndex(0)
        while len(self._kinds) > len(OTHERS):
            self._kinds.pop()
            self._tabs.removeTab(len(self._kinds))
            if (panel := self._others.pop(len(self._kinds), None)) is not None:
                self._below.removeWidget(panel)
                panel.deleteLater()

    # ------------------------------------------------------------------------------------------------- drawing

    def _panels(self) -> list[PlotPanel]:
        return [self._loss, *self._others.values()]

    def _visible_panels(self) -> list[PlotPanel]:
        return [self._loss, self._others[self._tabs.currentIndex()]]

    def _make_stale(self, *, delay_ms: int) -> None:
        """Draw the visible plots again, soon."""
        self._stale = self._visible_panels()
        if delay_ms == 0 or not self._redraw_timer.isActive():
            self._redraw_timer.start(delay_ms)

    def _redraw_next(self) -> None:
        if not self.isVisible() or not self._stale:
            return
        panel = self._stale.pop(0)
        if panel is self._loss:
            self._follow()
            self._show_flags()
            self._show_note()
        panel.view.draw(self._in_sight(), self._look())
        self._point_in(panel)
        if self._stale:
            self._redraw_timer.start(_BETWEEN_PLOTS_MS)

    def _look(self) -> Look:
        low, high = self._x_range
        return Look(
            axis=self._axis(), smoothing=self._controls.smoothing, is_log=self._controls.is_log, low=low, high=high
        )

    def _axis(self) -> XAxis:
        return list(_AXES)[self._axis_box.currentIndex()]

    def _follow(self) -> None:
        """Move the x range on, unless the user has chosen one."""
        last = self.history.position(self.history.last_step, self._axis())
        if self._controls.is_following and not last <= self._x_range[1] <= last * (1 + 2 * _HEADROOM):
            self._x_range = (0.0, last * (1 + _HEADROOM) or 1.0)
        unit, seconds = next((unit, size) for least, unit, size in _TIME_UNITS if last >= least)
        is_time = self._axis() == "seconds"
        title = f"{_AXES[self._axis()]} ({unit})" if is_time else _AXES[self._axis()]
        for panel in self._visible_panels():
            panel.view.set_x_unit("" if panel is self._loss else title, 1 / seconds if is_time else 1.0)

    def _show_flags(self) -> None:
        flags, low, high = self._sorted_flags(), *self._x_range
        positions = self.history.positions(flags.steps, self._axis())
        pixels = self._loss.view.pixels(positions, self._x_range)
        seen = flags.newest_at(pixels, (positions >= low) & (positions <= high))
        self._flags.show_flags([flags.flags[index] for index in seen], pixels[seen])
        marks = [(float(positions[index]), flag_colour(flags.flags[index].kind)) for index in flags.marked]
        if marks != self._marks:
            self._marks = marks
            self._loss.view.show_marks(marks)

    def _sorted_flags(self) -> SortedFlags:
        """Those of the history, sorted anew only when there are others."""
        if self._sorted is None or self._sorted.is_stale(self.history):
            self._sorted = SortedFlags(self.history)
        return self._sorted

    def _show_note(self) -> None:
        hidden = sum(panel.hidden_values(self.history) for panel in self._visible_panels())
        is_needed = self._controls.is_log and hidden > 0
        self._note.setText(self._said or (f"{count(hidden)} values ≤ 0 are not shown" if is_needed else ""))
        self._note.setVisible(bool(self._said) or is_needed)

    def _point_at(self, step: float | None) -> None:
        self._step = step
        for panel in self._visible_panels():
            self._point_in(panel)

    def _point_in(self, panel: PlotPanel) -> None:
        """Without a step the newest values are read out, wherever the user looks."""
        history = self.history if self._step is None else self._in_sight()
        panel.point_at(history, self._look(), step=self._step)

    def _in_sight(self) -> RunHistory:
        low, high = self.history.steps_at(np.array(self._x_range), self._axis())
        return self._stretch.history(self.history, max(float(low), 0.0), min(float(high), self.history.last_step))

    # ------------------------------------------------------------------------------------------------- the user

    def _on_pointed(self, x: float | None) -> None:
        if x is None:
            self._point_at(None)
            return
        step = float(self.history.steps_at(np.array([x]), self._axis())[0])
        self._point_at(min(max(round(step), 0), self.history.last_step))

    def _on_stepped(self, direction: int) -> None:
        low, high = self.history.steps_at(np.array(self._x_range), self._axis())
        last = min(high, self.history.last_step)
        here = last if self._step is None else self._step
        stride = max(round(_KEY_STEP * (high - low)), 1)
        self._point_at(round(min(max(here + direction * stride, low, 0), last)))

    def _on_zoomed(self, low: float, high: float) -> None:
        self._controls.set_following(False)
        self._x_range = (low, high)
        self._make_stale(delay_ms=0)

    def _on_flag_chosen(self, flag: Flag) -> None:
        if flag.kind == "checkpoint":
            self.checkpoint_clicked.emit(flag.step)
        elif flag.kind == "preview":
            self.preview_clicked.emit(flag.step)

    def _on_tab_changed(self, index: int) -> None:
        if index not in self._others:
            self._others[index] = self._new_panel(index)
        self._below.setCurrentWidget(self._others[index])
        self._make_stale(delay_ms=0)

    def _on_look_changed(self) -> None:
        self._make_stale(delay_ms=0)

    def _on_axis_changed(self) -> None:
        self._step = None
        self.fit()

    def _on_theme_changed(self) -> None:
        for panel in self._panels():
            panel.restyle()
        self._marks = []
        self._make_stale(delay_ms=0)

    def _save_csv(self) -> None:
        if path := self._choose_file("curves.csv", "Table (*.csv)"):
            if self.history.loss.merged_count and self._folder is not None:
                self._writing.run(WriteTable(self._folder, path))
            else:
                self._save(path, to_csv(self.history))

    def _on_writing(self, events: list[Event]) -> None:
        match events[-1]:
            case Progress(stage=stage, done=done):
                self._said = f"{stage}: {count(done)} steps"
            case Written(file=file):
                self._said = f"Saved {Path(file).name}."
            case Failure(message=message, remedy=remedy):
                self._said = f"{message} {remedy}".strip()
        self._show_note()

    def _save_png(self) -> None:
        if path := self._choose_file("plots.png", "Picture (*.png)"):
            buffer = QBuffer()
            buffer.open(QIODevice.OpenModeFlag.WriteOnly)
            self._pages.grab().save(buffer, "PNG")
            self._save(path, bytes(buffer.data().data()))

    def _save(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except StudioError as error:
            self._note.setText(str(error))
        else:
            self._note.setText(f"Saved {path.name}.")
        self._note.show()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._make_stale(delay_ms=0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_stale(delay_ms=0)

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self._controls.changed.connect(self._on_look_changed)
        self._controls.fit_wanted.connect(self.fit)
        self._controls.csv_wanted.connect(self._save_csv)
        self._controls.png_wanted.connect(self._save_png)
        self._flags.chosen.connect(self._on_flag_chosen)
        self._flags.pointed.connect(self._point_at)
        self._tabs.currentChanged.connect(self._on_tab_changed)
        self._axis_box.currentIndexChanged.connect(self._on_axis_changed)
        self._take_in_timer.timeout.connect(self._take_in)
        self._redraw_timer.timeout.connect(self._redraw_next)
        self._connect_view(self._loss)
        theme.theme_changed.connect(self._on_theme_changed)
        self._stretch.was_read.connect(self._on_look_changed)
        self._writing.received.connect(self._on_writing)

    def _connect_view(self, panel: PlotPanel) -> None:
        panel.view.zoomed.connect(self._on_zoomed)
        panel.view.pointed.connect(self._on_pointed)
        panel.view.stepped.connect(self._on_stepped)
        panel.view.fit_wanted.connect(self.fit)

    def _new_panel(self, index: int) -> PlotPanel:
        panel = PlotPanel(self._kinds[index])
        self._connect_view(panel)
        self._below.addWidget(panel)
        return panel

    def _build(self) -> None:
        for kind in OTHERS:
            self._add_tab(kind)
        self._tabs.setExpanding(False)
        self._tabs.setDrawBase(False)
        describe(self._tabs, "Plot below the loss", "")
        self._axis_box.addItems(list(_AXES.values()))
        describe(
            self._axis_box, "Horizontal axis", "Horizontal axis of all plots: steps, images seen, or training time."
        )
        plots = QWidget()
        layout = QVBoxLayout(plots)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._loss, 3)
        layout.addWidget(self._flags)
        below = FlowLayout()
        below.addWidget(self._tabs)
        below.addWidget(self._axis_box)
        layout.addLayout(below)
        layout.addWidget(self._below, 2)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(plots)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(4)
        page.addWidget(self._controls)
        page.addWidget(self._pages, 1)
        page.addWidget(self._note)
