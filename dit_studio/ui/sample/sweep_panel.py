"""What a sweep goes over: one to three settings with their values, checked before anything is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from dit_studio.errors import ConfigError, Problem
from dit_studio.events import JobState, SampleModel
from dit_studio.fields import check_value, schema_fields
from dit_studio.sample_request import SampleOptions, SampleRequest
from dit_studio.sweep import ModelLimits, SweepAxis, SweepPlan, plan_sweep
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.cost import passes
from dit_studio.ui.sample.sweep_axis_row import SweepAxisRow
from dit_studio.ui.sample.sweep_values import in_titles
from dit_studio.ui.settings import Settings
from dit_studio.ui.titles import with_titles
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.basics import Caption, WholeText, button, describe, row, set_property
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.editors import read_number
from dit_studio.ui.widgets.flow import FlowLayout

_STOP = "End after the step in progress; the cells that are drawn stay. Pressed again: end at once."
_FORM = "sweep"  # what the settings file calls it
_COUNT = next(field for field in schema_fields("request", SampleOptions) if field.name == "count")
_AXIS_OF = {"request.classes": "class", "request.cfg_from": "interval", "request.cfg_to": "interval"}
_AT_FIRST = {"axes": [["cfg", "1, 4, 7, 12"], ["", ""], ["", ""]], "images": "4"}


class SweepPanel(Card):
    """`start_asked` carries the axes, a list of {"name", "values"}; they are laid over `request`."""

    start_asked = Signal(list)
    stop_asked = Signal()

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__("Sweep", parent=parent, collapsible=True)
        self._settings = settings
        self._base: SampleRequest | None = None
        self._model: SampleModel | None = None
        self._path, self._weights, self._is_running = "", "ema", False
        self._plan: SweepPlan | None = None
        self.rows = [SweepAxisRow(number) for number in range(3)]
        self.images = QLineEdit()
        self.swap = button("Swap", "Let the columns and the rows change places.")
        self.start = button("Start sweep", "Draw every cell.", kind="primary", icon=icon("play", "on_accent"))
        self.stop = button("Stop", _STOP, icon=icon("stop"))
        self._images_problem, self._summary, self._problem = _problem_label(), Caption(), _problem_label()
        self._build()
        self._restore()
        self._connect()
        self._check()

    # --------------------------------------------------------------------------------------------- what is asked for

    def plan(self) -> SweepPlan | None:
        """The sweep as it is typed; None if it is not possible."""
        return self._plan

    def request(self) -> SampleRequest | None:
        """The request below every cell, with the number of images of a cell."""
        count = self._images_count()
        if self._base is None or isinstance(count, Problem):
            return None
        return msgspec.structs.replace(self._base, count=count)

    def axes(self) -> list[SweepAxis]:
        return [axis for one in self.rows if (axis := one.axis()) is not None]

    def model_path(self) -> str:
        """What is drawn from: a sweep over checkpoints is one of the run that they belong to."""
        place = Path(self._path)
        is_checkpoint = place.parent.name == "checkpoints"
        sweeps_checkpoints = any(one.name == "checkpoint" for one in self.rows)
        return str(place.parent.parent) if is_checkpoint and sweeps_checkpoints else self._path

    def set_base(self, request: SampleRequest | None) -> None:
        """The settings of the left column, None while they are not possible."""
        self._base = request
        self._check()

    def show_model(self, model: SampleModel | None, path: str, weights: str) -> None:
        """The model that is loaded, and the path that was asked for."""
        self._model, self._path, self._weights = model, path, weights
        for one in self.rows:
            one.show_model(model, self._path)
        self._check()

    def show_state(self, state: JobState) -> None:
        """Of whatever is being drawn: one device does one thing at a time."""
        self.stop.setText("End at once" if state is JobState.STOPPING else "Stop")
        self.stop.setAccessibleName(self.stop.text())
        self._is_running = state.is_active
        self._show_buttons()

    def show_problems(self, problems: Sequence[tuple[str, str]]) -> None:
        """What the engine refused, shown until the next edit."""
        self.set_collapsed(False)
        self._mark([Problem(self._axis_field(field), message) for field, message in problems])

    def _axis_field(self, field: str) -> str:
        """Where a problem of a cell's request belongs: "request.steps" to the axis of the steps, if they are swept."""
        name = _AXIS_OF.get(field, field.removeprefix("request."))
        return f"sweep.{name}" if any(one.name == name for one in self.rows) else field

    @property
    def summary(self) -> str:
        """What the sweep comes to, or why it cannot start."""
        return self._problem.text() or self._summary.text()

    # --------------------------------------------------------------------------------------------- checks

    def _on_edited(self) -> None:
        axes = [[one.name, one.values.text()] for one in self.rows]
        self._settings.save_form(_FORM, {"axes": axes, "images": self.images.text()})
        self._check()

    def _check(self) -> None:
        self._plan = None
        count = self._images_count()
        problems = [count] if isinstance(count, Problem) else []
        if self._base is not None and self._model is not None:
            base = self.request() or msgspec.structs.replace(self._base, count=1)
            try:
                plan = plan_sweep(
                    base, model=self.model_path(), weights=self._weights, axes=self.axes(), limits=_limits(self._model)
                )
            except ConfigError as error:
                problems += error.problems
            else:
                self._plan = None if problems else plan
        self._mark(problems)
        self._show_summary()
        self._show_buttons()

    def _images_count(self) -> int | Problem:
        try:
            count: int = check_value(_COUNT, read_number(self.images.text(), int))
        except ConfigError as error:
            return error.problems[0]
        return count

    def _mark(self, problems: list[Problem]) -> None:
        """Each at the field that it speaks of, those of no field below all."""
        left = list(problems)
        for one in self.rows:
            own = [problem for problem in left if problem.field == f"sweep.{one.name}"]
            left = [problem for problem in left if problem not in own or not one.name]
            one.mark("\n".join(in_titles(problem.message, one.name) for problem in own))
        counts = [problem for problem in left if problem.field == "request.count"]
        set_property(self.images, "invalid", bool(counts))
        _show(self._images_problem, [problem.message.replace("request.count", "Images a cell") for problem in counts])
        _show(self._problem, [with_titles(problem.message) for problem in left if problem not in counts])

    def _show_summary(self) -> None:
        if self._model is None:
            self._summary.setText("Choose a model first.")
        elif self._base is None:
            self._summary.setText("The settings on the left are not possible yet.")
        elif self._plan is None:
            self._summary.setText("")
        else:
            total = sum(passes(cell.request) for cell in self._plan.cells)
            parts = (counted(len(self._plan.cells), "cell"), counted(self._plan.images, "image"))
            self._summary.setText(" · ".join([*parts, counted(total, "pass", "passes")]))

    def _show_buttons(self) -> None:
        can_start = self._plan is not None and not self._is_running
        self.start.setEnabled(can_start)
        self.stop.setEnabled(self._is_running)
        self.swap.setEnabled(bool(self.rows[1].name))
        self.rows[2].setVisible(bool(self.rows[1].name or self.rows[2].name))

    # --------------------------------------------------------------------------------------------- actions

    def _on_start(self) -> None:
        if self._plan is not None:
            self.start_asked.emit([{"name": axis.name, "values": list(axis.values)} for axis in self._plan.axes])

    def _on_swap(self) -> None:
        one, other = ((each.name, each.values.text()) for each in self.rows[:2])
        self.rows[0].put(*other)
        self.rows[1].put(*one)
        self._on_edited()

    # --------------------------------------------------------------------------------------------- building

    def _restore(self) -> None:
        values: dict[str, Any] = _AT_FIRST | self._settings.form(_FORM)
        for one, pair in zip(self.rows, values["axes"], strict=False):
            if isinstance(pair, list) and len(pair) == 2:
                one.put(str(pair[0]), str(pair[1]))
        self.images.setText(str(values["images"]))

    def _connect(self) -> None:
        for one in self.rows:
            one.edited.connect(self._on_edited)
        self.images.textEdited.connect(self._on_edited)
        self.swap.clicked.connect(self._on_swap)
        self.start.clicked.connect(self._on_start)
        self.stop.clicked.connect(self.stop_asked)

    def _build(self) -> None:
        label = QLabel("Images a cell")
        label.setBuddy(self.images)
        describe(self.images, "Images a cell", "How many images every cell holds. Unit: images")
        self.images.setFixedWidth(theme.scaled(72))
        self.images.setAcceptDrops(False)  # what is dropped is for the window
        self._summary.setWordWrap(False)
        for one in self.rows:
            self.body.addWidget(one)
        for widget in (self._images_problem, self._problem):
            self.body.addWidget(widget)
        flow = FlowLayout()
        group = QWidget()
        group.setLayout(row(label, self.images, self.swap))
        flow.addWidget(group)
        flow.addWidget(self._summary)
        self.body.addLayout(flow)
        self.add_action(self.stop)
        self.add_action(self.start)


def _limits(model: SampleModel) -> ModelLimits:
    return ModelLimits(
        num_classes=model.num_classes,
        class_names=model.class_names,
        timesteps=model.timesteps,
        samplers=model.samplers,
        has_null_class=model.has_null_class,
    )


def _problem_label() -> WholeText:
    result = WholeText(role="problem")
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.hide()
    return result


def _show(label: QLabel, messages: list[str]) -> None:
    label.setText("\n".join(messages))
    label.setVisible(bool(messages))
