"""How a model draws the images that are measured."""

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from dit_studio.errors import Problem
from dit_studio.sample_request import SampleOptions, SampleRequest
from dit_studio.sweep import ModelLimits
from dit_studio.ui.sample.options import contradictions, explain_samplers, problems_of
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.basics import Caption
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form

_DEFAULTS: dict[str, Any] = {"count": 1000, "steps": 50, "cfg": 1.5}
_OF_A_RUN = ("sampler", "steps", "cfg", "eta", "cfg_channels", "cfg_from", "cfg_to")
_GUIDANCE = ("cfg", "cfg_channels", "cfg_from", "cfg_to")


class DrawingCard(Card):
    """`changed` follows every edit, valid or not."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Images to draw", parent=parent)
        self._limits: ModelLimits | None = None
        self.form = Form("request")
        self._classes = Caption()
        self._is_untouched = True
        up_to = self.form.editor("cfg_to")
        assert isinstance(up_to, QLineEdit)
        up_to.setPlaceholderText("the noisiest")
        self.form.set_values(_DEFAULTS)
        self.form.add_below("count", self._classes)
        self.body.addWidget(self.form)
        explain_samplers(self.form)
        self.form.changed.connect(self._on_changed)
        self.show_limits(None)

    def request(self) -> SampleRequest | None:
        """What is drawn of every class in turn; None if it is not possible."""
        if self.problems():
            return None
        classes = tuple(range(self._limits.num_classes if self._limits else 1))
        return SampleRequest(classes=classes, **self.form.values())

    def problems(self) -> list[Problem]:
        return problems_of(self.form)

    def values(self) -> dict[str, Any]:
        """What is typed, also where it cannot be used: to be remembered. Nothing while nothing was typed."""
        if self._is_untouched:
            return {}
        typed = {problem.field.rpartition(".")[2]: problem.value for problem in self.form.problems()}
        return self.form.values() | typed

    def set_values(self, values: dict[str, Any]) -> None:
        """Show what somebody chose."""
        self._is_untouched = self._is_untouched and not values
        self.form.set_values(values)
        self._check()

    def suggest(self, options: SampleOptions) -> None:
        """Begin with how a run draws, unless the user has settings of their own."""
        if self._is_untouched:
            self.form.set_values({name: getattr(options, name) for name in _OF_A_RUN})
            self._check()

    def show_limits(self, limits: ModelLimits | None) -> None:
        """Take the limits of a model."""
        self._limits = limits
        if limits is not None:
            if limits.samplers:
                self.form.offer("sampler", limits.samplers)
            self.form.limit("steps", limits.timesteps)
            self.form.limit("cfg_from", limits.timesteps - 1)
            self.form.limit("cfg_to", limits.timesteps - 1)
        explain_samplers(self.form)
        self._check()

    def show_problem(self, problem: Problem) -> None:
        """What the engine says of a setting, until the next edit."""
        self.form.show_problem(problem)

    # --------------------------------------------------------------------------------------------- how

    def _on_changed(self) -> None:
        self._is_untouched = False
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        for name in _GUIDANCE:
            self.form.set_shown(name, self._limits is None or self._limits.has_null_class)
        self.form.set_shown("eta", self.form.values().get("sampler") == "ddim")
        for problem in contradictions(self.form):
            self.form.show_problem(problem)
        total = self._limits.num_classes if self._limits else 1
        self._classes.setText(f"Of all {counted(total, 'class', 'classes')} in turn.")
        self._classes.setVisible(total > 1)
