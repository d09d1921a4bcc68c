"""A model that is to be measured: which, how it draws, and over which settings a curve goes."""

from pathlib import Path

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_plan import EvaluationPlan, plan_model, plan_one
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import Event, Failure, Progress, SourceDescribed
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.sample_request import SampleOptions, SampleRequest
from dit_studio.sweep import ModelLimits, SweepAxis, SweepPlan, plan_sweep
from dit_studio.ui.evaluate.axes_card import AxesCard
from dit_studio.ui.evaluate.drawing_card import DrawingCard
from dit_studio.ui.evaluate.model_title import model_title, run_of
from dit_studio.ui.evaluate.remembered import RememberedModel
from dit_studio.ui.evaluate.source_question import SourceQuestion
from dit_studio.ui.evaluate.source_words import facts_line, progress_line
from dit_studio.ui.sample.model_picker import ModelDialogs, ModelPicker


class ModelSubject(QWidget):
    """`changed`: look again at `plan`. `chosen` carries the path that a person chose."""

    changed = Signal()
    chosen = Signal(str)

    def __init__(self, launcher: Launcher, dialogs: ModelDialogs | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.described: SourceDescribed | None = None
        self._run = ""  # that the axes are of
        self.picker, self.drawing, self.axes = ModelPicker(dialogs), DrawingCard(), AxesCard()
        self._question = SourceQuestion(launcher, "fake", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for card in (self.picker, self.drawing, self.axes):
            layout.addWidget(card)
        self.picker.model_chosen.connect(self._on_chosen)
        self.drawing.changed.connect(self.changed)
        self.axes.changed.connect(self.changed)
        self._question.progressed.connect(self._on_progressed)
        self._question.answered.connect(self._on_answered)

    # --------------------------------------------------------------------------------------------- what is chosen

    @property
    def path(self) -> str:
        return self.picker.path

    @property
    def run(self) -> str:
        """The run that the path is, or is a checkpoint of; "" for a model from elsewhere."""
        return run_of(self.path)

    @property
    def title(self) -> str:
        """ "digits", or "digits step 2,000" where a checkpoint was chosen."""
        return model_title(self.path, has_steps=any(axis.name == "checkpoint" for axis in self.axes.axes()))

    def show_path(self, path: str, weights: str = "ema") -> None:
        """Show a choice without looking at it yet; the axes are taken to be of it."""
        self._question.withdraw()
        self.described = None
        self.picker.set_model(path, weights)
        self._run = self.run
        self._show_limits()

    def set_model(self, path: str) -> None:
        """Another model, whose run has checkpoints of its own; one checkpoint is measured alone."""
        before = self._run
        self.show_path(path)
        self._renew_axes(before)
        if path and path != self.run:
            self.axes.drop_checkpoints()
        self.look()

    def look(self) -> None:
        """Ask what the path is, again."""
        self.described = None
        if self.path:
            self.picker.show_loading("Looking at the model")
            self._question.ask(self.path)
        self._show_limits()
        self.changed.emit()

    def why_not(self) -> str:
        """Why it cannot be measured, whatever the axes; "" if it can."""
        if not self.path:
            return "choose a model to measure."
        if self._question.is_asking:
            return "the model is being looked at."
        return "" if self.described else "the model cannot be used."

    def plan(self, base: EvaluationRequest, title: str) -> EvaluationPlan:
        """The points. Raises: ConfigError with what is wrong with the axes or the settings."""
        sweep, problems = None, self.drawing.problems()
        if self.axes.rows:
            try:
                sweep = self._sweep()
            except ConfigError as error:
                problems += [one for one in error.problems if not problems or one.field.startswith("sweep")]
        if problems:
            raise ConfigError(problems)
        if sweep is not None:
            return plan_model(base, sweep, title=title)
        request, weights = self.drawing.request(), self.picker.weights_name
        base = msgspec.structs.replace(base, fake=self.path, sample=request, model_weights=weights)
        return plan_one(base, title=title)

    def _sweep(self) -> SweepPlan | None:
        """The axes over the settings; over the usual ones while those are not possible. Raises: ConfigError."""
        axes, limits = self.axes.axes(), self.limits()
        if limits is None:
            return None
        over_training = any(axis.name == "checkpoint" for axis in axes)
        return plan_sweep(
            self.drawing.request() or SampleRequest(),
            model=self.run if self.run and over_training else self.path,
            weights=self.picker.weights_name,
            axes=axes,
            limits=limits,
        )

    def limits(self) -> ModelLimits | None:
        """What the model can be asked for; None while it is not known."""
        known = self.described
        if known is None:
            return None
        own = self._own_request()
        return ModelLimits(
            num_classes=max(len(known.classes), max(own.classes, default=0) + 1 if own else 1),
            class_names=known.classes,
            timesteps=known.timesteps or 1000,
            samplers=known.samplers,
            has_null_class=known.has_null_class,
        )

    def show_plan(self, request: EvaluationRequest, model: str, axes: tuple[SweepAxis, ...]) -> None:
        """Take the settings of an earlier evaluation."""
        if request.sample is not None:
            names = SampleOptions.__struct_fields__
            self.drawing.set_values({name: getattr(request.sample, name) for name in names})
        self.axes.put(axes)
        self.show_path(model, request.model_weights)
        self.look()

    def show_problems(self, problems: list[Problem]) -> None:
        """What the engine refused, until the next edit."""
        for problem in problems:
            if problem.field.startswith("request."):
                self.drawing.show_problem(problem)
        self.axes.mark([problem for problem in problems if not problem.field.startswith("request.")])

    def remembered(self) -> RememberedModel:
        axes = tuple((axis.name, ", ".join(axis.values)) for axis in self.axes.axes())
        return RememberedModel(
            path=self.path, weights=self.picker.weights_name, drawing=self.drawing.values(), axes=axes
        )

    def restore(self, remembered: RememberedModel) -> None:
        """Show what was chosen last, without looking at it yet."""
        self.drawing.set_values(remembered.drawing)
        self.axes.put([SweepAxis(name=name, values=(values,)) for name, values in remembered.axes])
        self.show_path(remembered.path, remembered.weights)

    def close_jobs(self) -> None:
        self._question.close()

    # --------------------------------------------------------------------------------------------- how

    def _renew_axes(self, before: str) -> None:
        """The checkpoints of a run that was chosen before are no values for this one."""
        self._run = self.run
        if before != self._run:
            self.axes.renew_checkpoints()

    def _on_chosen(self, path: str, _weights: str) -> None:
        before = self._run
        self.described = None
        self._show_limits()
        self._renew_axes(before)
        self.look()
        self.chosen.emit(path)

    def _on_progressed(self, progress: Progress) -> None:
        self.picker.show_loading(progress_line(progress), progress.done, progress.total)

    def _on_answered(self, answer: Event) -> None:
        if isinstance(answer, SourceDescribed) and answer.source == "model":
            self.described = answer
            self._show_limits()
            if (own := self._own_request()) is not None:
                self.drawing.suggest(own)
            step = answer.steps[-1] if answer.steps else None
            name = dict(answer.facts).get("model", self.title)
            self.picker.show_known(name, "\n".join([_facts(answer), *answer.warnings]), step=step)
        elif isinstance(answer, SourceDescribed):
            message = f"{answer.path} is no model: it is measured as images."
            self.picker.show_failure(Failure(message=message, remedy='Choose "Images" above.'))
        elif isinstance(answer, Failure):
            self.picker.show_failure(answer)
        self._show_limits()
        self.changed.emit()

    def _show_limits(self) -> None:
        limits = self.limits()
        self.drawing.show_limits(limits)
        self.axes.show_model(
            limits, self.path, checkpoints=len(RunFolder(Path(self.run)).checkpoints()) if self.run else 0
        )

    def _own_request(self) -> SampleRequest | None:
        """How the run itself draws, the classes in turn."""
        if self.described is None or not self.described.settings:
            return None
        try:
            return msgspec.json.decode(self.described.settings, type=SampleRequest)
        except msgspec.DecodeError:
            return None


def _facts(model: SourceDescribed) -> str:
    """All but the name, which stands above them."""
    return facts_line(msgspec.structs.replace(model, facts=tuple(fact for fact in model.facts if fact[0] != "model")))
