"""The Sweep tab: what it goes over above, its cells below."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from dit_studio.events import Event, JobState, SampleModel
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import SweepRecord
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.sweep_grid import SweepGrid
from dit_studio.ui.sample.sweep_panel import SweepPanel
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.basics import EmptyState
from dit_studio.ui.widgets.scrolling import Scrolling


class SweepTab(QWidget):
    """`start_asked` carries the axes; draw them over `request`, from `model_path`."""

    start_asked = Signal(list)
    stop_asked = Signal()
    restore_asked = Signal(object, str, str)  # SampleRequest, model and weights of a cell
    evaluate_asked = Signal(object)  # Path of a cell
    evaluate_all_asked = Signal(object)  # Path of the sweep

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panel, self.grid = SweepPanel(settings), SweepGrid()
        text = "Choose one to three settings above and their values. Each combination becomes a cell here."
        self._pages = QStackedWidget()
        self._pages.addWidget(EmptyState(icon("sample", "muted"), "No sweep yet", text))
        self._pages.addWidget(self.grid)
        self._build()
        self.panel.start_asked.connect(self.start_asked)
        self.panel.stop_asked.connect(self.stop_asked)
        self.grid.restore_asked.connect(self.restore_asked)
        self.grid.evaluate_asked.connect(self.evaluate_asked)
        self.grid.evaluate_all_asked.connect(self.evaluate_all_asked)

    def _build(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.panel)
        column.addWidget(self._pages, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Scrolling(content))

    # --------------------------------------------------------------------------------------------- what is asked for

    def request(self) -> SampleRequest | None:
        """The request below every cell, with as many images as a cell has."""
        return self.panel.request()

    def model_path(self) -> str:
        return self.panel.model_path()

    def set_base(self, request: SampleRequest | None) -> None:
        """The settings of the left column, None while they are not possible."""
        self.panel.set_base(request)

    def show_model(self, model: SampleModel | None, path: str, weights: str) -> None:
        self.panel.show_model(model, path, weights)

    def show_problems(self, problems: Sequence[tuple[str, str]]) -> None:
        self.panel.show_problems(problems)

    # --------------------------------------------------------------------------------------------- the drawing

    def begin(self, folder: Path) -> None:
        """The sweep that was asked for is about to be drawn into a folder."""
        plan = self.panel.plan()
        if plan is not None:
            self.grid.show_plan(plan, folder)
            self._pages.setCurrentWidget(self.grid)

    def show_record(self, record: SweepRecord, folder: Path) -> None:
        """A sweep that was drawn before."""
        self.grid.show_record(record, folder)
        self._pages.setCurrentWidget(self.grid)

    def add_events(self, events: Sequence[Event]) -> None:
        self.grid.add_events(events)

    def show_state(self, state: JobState) -> None:
        """Of whatever is being drawn: one device does one thing at a time."""
        self.panel.show_state(state)
        if not state.is_active:
            self.grid.end()
