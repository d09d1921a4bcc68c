"""The settings of a request, with the limits of the model that is loaded, and what they cost."""

import random
from typing import Any

import msgspec
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QToolButton, QWidget

from dit_studio.errors import Problem
from dit_studio.events import SampleModel
from dit_studio.sample_request import SampleOptions
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.cost import passes_line, trajectory_line
from dit_studio.ui.widgets.basics import Caption, describe
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form

DEFAULTS: dict[str, Any] = {"cfg": 4.0, "count": 4, "steps": 50, "batch_size": 16}  # small: the first image comes soon
_SEED_LIMIT = 2**31  # that of a seed drawn by lot: short enough to read out
_NO_GUIDANCE = "This model was trained without leaving classes out, so there is no CFG: it is drawn with 1."
_SAMPLERS = {
    "ddim": "Deterministic unless η is above 0; good from 50 steps on.",
    "ddpm": "Adds noise in every step, as the model was trained; best with 250 steps or more.",
    "dpm++": "DPM-Solver++ 2M: good images in 15 to 25 steps.",
    "unipc": "UniPC: good images in 10 to 20 steps.",
    "heun": "Heun: second order, looks twice at every step.",
    "euler": "Euler: the simplest solver of the probability flow.",
    "flow-euler": "Euler along a rectified flow, the way flow models are drawn.",
}


class OptionsCard(Card):
    """`changed` follows every edit, valid or not, and no call of `set_values`."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Settings", parent=parent)
        self._model: SampleModel | None = None
        self.form = Form("request")
        self.form.set_values(DEFAULTS)
        self.dice, self.new_each_time = _dice(), QCheckBox("New seed each time")
        self._no_guidance, self._few, self._cost = Caption(_NO_GUIDANCE), Caption(), Caption()
        self._classes = 1
        self._build()
        self.form.changed.connect(self._on_changed)
        self.dice.clicked.connect(self.roll)
        self.new_each_time.toggled.connect(self.changed)
        self._check()

    # --------------------------------------------------------------------------------------------- what is set

    def options(self) -> SampleOptions | None:
        """The settings; None if they are not possible with this model."""
        return None if self.problems() else SampleOptions(**self.form.values())

    def problems(self) -> list[Problem]:
        return problems_of(self.form)

    def values(self) -> dict[str, Any]:
        """What is typed, also where it cannot be used: to be remembered."""
        typed = {problem.field.rpartition(".")[2]: problem.value for problem in self.form.problems()}
        return self.form.values() | typed | {"new_each_time": self.new_each_time.isChecked()}

    def set_values(self, values: dict[str, Any]) -> None:
        self.form.set_values(values)
        if "new_each_time" in values:
            self.new_each_time.setChecked(bool(values["new_each_time"]))
        self._check()

    def set_options(self, options: SampleOptions) -> None:
        """Show these settings, none of those before."""
        values = msgspec.structs.asdict(options)
        self.set_values({name: values[name] for name in SampleOptions.__struct_fields__})
        kept = self.form.values()["sampler"]
        if kept != options.sampler:
            message = f"{options.sampler} is not possible: it does not serve this model. {kept} is kept."
            self.form.show_problem(Problem("request.sampler", message, options.sampler))

    def show_model(self, model: SampleModel | None) -> None:
        """Take the limits of a model."""
        self._model = model
        if model is not None:
            self.form.offer("sampler", model.samplers or tuple(_SAMPLERS))
            self.form.limit("steps", model.timesteps)
            self.form.limit("cfg_from", model.timesteps - 1)
            self.form.limit("cfg_to", model.timesteps - 1)
        explain_samplers(self.form)
        self._check()

    def show_problem(self, problem: Problem) -> None:
        """Mark a setting with what the engine says of it, until the next edit."""
        self.form.show_problem(problem)

    def show_class_count(self, classes: int) -> None:
        """So many classes are ticked, which fewer images cannot show."""
        self._classes = classes
        self._show_cost()

    def roll(self) -> None:
        """A seed by lot."""
        self.form.set_values({"seed": random.SystemRandom().randrange(_SEED_LIMIT)})
        self._on_changed()

    def cost(self) -> str:
        """The line that says what the settings come to."""
        return self._cost.text()

    # --------------------------------------------------------------------------------------------- how

    def _on_changed(self) -> None:
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        """Show what applies to the sampler and the model, what contradicts the model, and what the rest costs."""
        has_guidance = self._model is None or self._model.has_null_class
        for name in ("cfg", "cfg_channels", "cfg_from", "cfg_to"):
            self.form.set_shown(name, has_guidance)
        self._no_guidance.setVisible(not has_guidance)
        self.form.set_shown("eta", self.form.values().get("sampler") == "ddim")
        for problem in contradictions(self.form):
            self.form.show_problem(problem)
        self._show_cost()

    def _show_cost(self) -> None:
        options = self.options()
        parts = [passes_line(options)] if options else []
        if options and self._model is not None:
            parts.append(trajectory_line(options, self._model))
        self._cost.setText(" · ".join(parts))
        self._cost.setVisible(bool(parts))
        is_few = options is not None and options.count < self._classes
        self._few.setText(f"Only the first of the {self._classes} classes are drawn; {self._classes} images show each.")
        self._few.setVisible(is_few)

    def _build(self) -> None:
        up_to = self.form.editor("cfg_to")
        assert isinstance(up_to, QLineEdit)
        up_to.setPlaceholderText("the noisiest")
        describe(self.new_each_time, "New seed each time", "Draw another seed by lot for every Generate.")
        self.form.add_beside("seed", self.dice)
        self.form.add_below("seed", self.new_each_time)
        self.form.add_below("cfg", self._no_guidance)
        self.form.add_below("count", self._few)
        self._no_guidance.hide()
        self._cost.setToolTip(
            "How often the model is asked, an image at a time; and what all steps of all images take when kept."
        )
        self.body.addWidget(self.form)
        self.body.addWidget(self._cost)
        explain_samplers(self.form)


def problems_of(form: Form) -> list[Problem]:
    """Of a form of a request: what is wrong with a setting by itself, or beside another."""
    found = form.problems()
    wrong = {problem.field for problem in found}
    return found + [problem for problem in contradictions(form) if problem.field not in wrong]


def contradictions(form: Form) -> list[Problem]:
    """What each setting allows by itself, and another does not."""
    values = form.values()
    low, high = values.get("cfg_from", 0), values.get("cfg_to")
    if high is None or high >= low:
        return []
    message = f"request.cfg_to = {high} is not possible: guidance starts at t = {low}. Choose {low} or more."
    return [Problem("request.cfg_to", message, high)]


def explain_samplers(form: Form) -> None:
    """A tooltip for each sampler that is offered."""
    box = form.editor("sampler")
    assert isinstance(box, QComboBox)
    for number in range(box.count()):
        box.setItemData(number, _SAMPLERS.get(box.itemText(number), ""), Qt.ItemDataRole.ToolTipRole)


def _dice() -> QToolButton:
    result = QToolButton()
    result.setIcon(icon("dice"))
    result.setIconSize(QSize(18, 18))
    describe(result, "New seed", "Draw another seed by lot.")
    return result
