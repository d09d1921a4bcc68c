"""The left column: which model draws which classes, with which settings, and Generate."""

from collections.abc import Sequence
from typing import Any

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.config import SampleConfig
from dit_studio.errors import Problem
from dit_studio.events import Failure, JobState, SampleModel
from dit_studio.sample_request import SampleRequest
from dit_studio.ui.sample.branch_banner import BranchBanner
from dit_studio.ui.sample.class_picker import ClassPicker
from dit_studio.ui.sample.generate_bar import GenerateBar
from dit_studio.ui.sample.model_menu import ModelMenu
from dit_studio.ui.sample.model_picker import ModelDialogs, ModelPicker
from dit_studio.ui.sample.options import OptionsCard
from dit_studio.ui.settings import Settings
from dit_studio.ui.titles import with_titles
from dit_studio.ui.widgets.scrolling import Scrolling

_FORM = "request"  # what the settings file calls it
_NO_MODEL = "choose a model first."
_MOST_RECENT = 8  # models from outside the runs that are offered again


class SampleSetUp(QWidget):
    """What is typed is remembered as it changes. `changed`: look again at `request`.

    `model_chosen` carries a path and "ema" or "raw": load it, and say `show_loading`, then `show_model` or
    `show_failure`.
    """

    generate_asked = Signal()
    stop_asked = Signal()
    branch_cancelled = Signal()
    model_chosen = Signal(str, str)
    changed = Signal()

    def __init__(self, settings: Settings, dialogs: ModelDialogs | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._model: SampleModel | None = None
        self._model_problem = _NO_MODEL
        self.model, self.classes, self.options = ModelPicker(dialogs), ClassPicker(), OptionsCard()
        self.menu, self.branch, self.bar = ModelMenu(), BranchBanner(), GenerateBar()
        self._wanted_classes: tuple[int, ...] | None = None  # of a request whose model is still to come
        self._build()
        self._restore()
        self._connect()
        self._show_readiness()

    # --------------------------------------------------------------------------------------------- the request

    def request(self) -> SampleRequest | None:
        """What Generate asks for; None while something is not possible, which the fields then say."""
        options = self.options.options()
        if options is None or self.why_not():
            return None
        return SampleRequest(classes=self.classes.classes(), **msgspec.structs.asdict(options))

    def typed(self) -> SampleRequest:
        """What stands in the form, whether it is possible or not; nothing that is asked for."""
        values = self.options.values()
        values.pop("new_each_time")
        classes = self._wanted_classes if self._model is None and self._wanted_classes else self.classes.classes()
        return SampleRequest(classes=classes, **values)

    def next_request(self) -> SampleRequest | None:
        """The request of a Generate that is pressed now: with another seed, if that is wanted each time."""
        if self.options.new_each_time.isChecked() and self.request() is not None:
            self.options.roll()
        return self.request()

    def set_request(self, request: SampleRequest) -> None:
        """Show a request; classes that the model lacks are named."""
        self.options.set_options(request)
        if self._model is not None:
            self.classes.set_classes(request.classes)
        self._on_changed()
        self._wanted_classes = request.classes

    def suggest(self, preview: SampleConfig) -> None:
        """Begin with what a run draws its previews with, unless the user has settings of their own."""
        if not self._settings.form(_FORM):
            self.options.set_values({"sampler": preview.sampler, "steps": preview.steps, "cfg": preview.cfg})
            self._show_readiness()

    def why_not(self) -> str:
        """Why nothing can be drawn, as a sentence; "" if it can."""
        if self._model_problem:
            return self._model_problem
        if problem := self.classes.problem():
            return problem
        problems = self.options.problems()
        return with_titles(problems[0].message) if problems else ""

    # --------------------------------------------------------------------------------------------- the model

    def set_model(self, path: str, weights: str = "ema") -> None:
        """Show a choice of a model that was made elsewhere; whoever made it loads the model."""
        self.model.set_model(path, weights)
        self.menu.setEnabled(bool(path))
        self._remember_model()
        if not path:
            self._lose_model(_NO_MODEL)

    def show_loading(self, text: str, done: int = 0, total: int | None = None) -> None:
        self._lose_model("the model is being loaded.")
        self.model.show_loading(text, done, total)

    def show_model(self, model: SampleModel) -> None:
        self._model, self._model_problem = model, ""
        self._remember_recent()
        self.model.show_model(model)
        self.options.show_model(model)
        self.classes.show_model(model)
        if self._wanted_classes and min(self._wanted_classes) < model.num_classes:
            self.classes.set_classes(self._wanted_classes)
        self._wanted_classes = None
        self._show_readiness()

    def show_failure(self, failure: Failure) -> None:
        self._lose_model("the model cannot be used.")
        self.model.show_failure(failure)

    # --------------------------------------------------------------------------------------------- the drawing

    def show_state(self, state: JobState, text: str = "") -> None:
        self.bar.show_state(state, text)

    def show_progress(self, text: str, done: int = 0, total: int | None = None) -> None:
        self.bar.show_progress(text, done, total)

    def show_problems(self, problems: Sequence[tuple[str, str]]) -> None:
        """What the engine refused: (setting, sentence) each, shown at the setting until it changes."""
        for field, message in problems:
            name = field.rpartition(".")[2]
            if name == "classes":
                self.classes.show_problem(message)
            elif name in ("model", "weights"):
                self.model.show_failure(Failure(message=message))
            else:
                self.options.show_problem(Problem(field, message))

    def show_branch(self, text: str) -> None:
        """Generate goes on from a step of a drawn image, which the text names."""
        self.branch.show_text(text)

    def clear_branch(self) -> None:
        self.branch.hide()

    # --------------------------------------------------------------------------------------------- how

    def _lose_model(self, why_not: str) -> None:
        self._model, self._model_problem = None, why_not
        self._show_readiness()

    def _on_chosen(self, path: str, weights: str) -> None:
        self._wanted_classes = None
        self.menu.setEnabled(bool(path))
        self._remember_model()
        self.model_chosen.emit(path, weights)

    def _on_changed(self) -> None:
        self._wanted_classes = None if self._model else self._wanted_classes
        labels = self.classes.classes() if self._model else self._wanted_classes or ()
        self._settings.save_form(_FORM, self.options.values() | {"classes": list(labels)})
        self._show_readiness()
        self.changed.emit()

    def _show_readiness(self) -> None:
        self.options.show_class_count(len(self.classes.classes()))
        self.bar.set_why_not(self.why_not())

    def _remember_model(self) -> None:
        self._settings.save_form("sample model", {"path": self.model.path, "weights": self.model.weights_name})

    def _remember_recent(self) -> None:
        if self.model.is_from_a_run or not self.model.path:
            return
        others = [path for path in self._recent() if path != self.model.path]
        recent = [self.model.path, *others][:_MOST_RECENT]
        self._settings.save_form("recent models", {"paths": recent})
        self.model.set_recent(recent)

    def _recent(self) -> list[str]:
        paths = self._settings.form("recent models").get("paths", [])
        return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []

    def _restore(self) -> None:
        values: dict[str, Any] = self._settings.form(_FORM)
        self.options.set_values(values)
        labels = values.get("classes")
        if isinstance(labels, list) and labels and all(isinstance(label, int) for label in labels):
            self._wanted_classes = tuple(labels)
        model = self._settings.form("sample model")
        self.model.set_recent(self._recent())
        self.model.set_model(str(model.get("path", "")), str(model.get("weights", "ema")))
        self.menu.setEnabled(bool(self.model.path))

    def _connect(self) -> None:
        self.model.model_chosen.connect(self._on_chosen)
        self.classes.changed.connect(self._on_changed)
        self.options.changed.connect(self._on_changed)
        self.bar.generate_asked.connect(self.generate_asked)
        self.bar.stop_asked.connect(self.stop_asked)
        self.branch.cancelled.connect(self.branch_cancelled)

    def _build(self) -> None:
        cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for card in (self.model, self.classes, self.options):
            column.addWidget(card)
        column.addStretch(1)
        self.model.add_action(self.menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(Scrolling(cards), 1)
        layout.addWidget(self.branch)
        layout.addWidget(self.bar)
