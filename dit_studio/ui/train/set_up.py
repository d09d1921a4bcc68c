"""The left side: the cards that make up a recipe, what is wrong with it, and whether a run could start."""

from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.config import DataConfig, Recipe, parse_recipe, recipe_to_tables
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Event
from dit_studio.jobs.launch import Launcher
from dit_studio.model_settings import PRESETS, ModelConfig
from dit_studio.places import runs_dir
from dit_studio.start_model import recipe_from_start
from dit_studio.ui.settings import Settings
from dit_studio.ui.titles import with_titles
from dit_studio.ui.train.architecture_parts import Input
from dit_studio.ui.train.data_card import DataCard
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.latents_card import LatentsCard
from dit_studio.ui.train.model_card import ModelCard
from dit_studio.ui.train.preflight import PreflightCard
from dit_studio.ui.train.questions import Questions
from dit_studio.ui.train.recipe_card import RecipeCard
from dit_studio.ui.train.training_card import TrainingCard
from dit_studio.ui.widgets.form import Form

DESCRIBE_DELAY_MS = 250
PREFLIGHT_DELAY_MS = 600
RECHECK_AFTER_SECONDS = 5.0  # when the window is used again after another

# What a contradiction is computed from besides the setting that it is shown at; not told while one of these is wrong.
_OTHERS = {
    "model.patch_size": ("data.image_size",),
    "model.num_heads": ("model.hidden_size",),
    "train.accumulate": ("train.batch_size",),
    "diffusion.beta_end": ("diffusion.beta_start", "diffusion.timesteps"),
    "sample.steps": ("diffusion.timesteps",),
    "evaluate.metrics": ("evaluate.extractor",),
}


class SetUp(QWidget):
    """What is typed is remembered as it changes. `readiness_changed`: look again at `why_not_start`."""

    readiness_changed = Signal()

    def __init__(self, settings: Settings, launcher: Launcher, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.recipe_card = RecipeCard(dialogs, self.recipe)
        self.data = DataCard(settings, launcher, dialogs)
        self.model, self.training, self.preflight = ModelCard(), TrainingCard(launcher, dialogs), PreflightCard()
        self.latents = LatentsCard(settings, launcher, dialogs, self.recipe)
        self.forms = {
            "data": self.data.form,
            "model": self.model.form,
            "diffusion": self.model.diffusion,
            "latents": self.latents.form,
            "train": self.training.form,
            "sample": self.training.sample,
            "evaluate": self.training.evaluate,
        }
        self._problems: list[Problem] = []
        self._objective: str | None = None
        self._questions = Questions(launcher, self)
        self._retry = QShortcut(QKeySequence("Ctrl+Return"), self)  # that of Start, while the checks keep it off
        self._retry.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for card in (self.recipe_card, self.data, self.latents, self.model, self.training, self.preflight):
            layout.addWidget(card)
        layout.addStretch(1)
        self._restore()
        self._connect()

    def take_keys_of(self, page: QWidget) -> None:
        """Hear the keys of the whole page, also while the set-up is behind another of its tabs."""
        self._retry.setParent(page)

    # --------------------------------------------------------------------------------------------- the settings

    def tables(self) -> dict[str, dict[str, Any]]:
        """The settings as the tables of a recipe; what cannot be used is left out."""
        tables = {section: form.values() for section, form in self.forms.items()}
        tables["data"]["path"] = self.data.path
        return tables

    def recipe(self) -> Recipe | None:
        """The settings as a recipe; None if they are not possible."""
        if any(form.problems() for form in self.forms.values()):
            return None
        try:
            return parse_recipe(self.tables())
        except ConfigError:
            return None

    def show_recipe(self, recipe: Recipe) -> None:
        """Put the settings of a recipe into the forms; its images too, if they are there."""
        tables = recipe_to_tables(recipe)
        tables["model"] = without_preset_numbers(recipe.model)
        path = tables["data"].pop("path")
        for section, form in self.forms.items():
            form.set_values(tables[section])
        self.training.start.look_at(recipe.train.start_from, takes="shape")
        if path and path != self.data.path and Path(path).exists():
            self.data.show_path(str(Path(path).absolute()))
        else:
            self._on_changed()

    def change(self, values: dict[str, dict[str, Any]]) -> None:
        """Put some values into the forms."""
        for section, changed in values.items():
            self.forms[section].set_values(changed)
        self._on_changed()

    def full_tables(self) -> dict[str, dict[str, Any]]:
        """The settings with every default written out, for whoever computes with them."""
        recipe = self.recipe() or Recipe()
        return {section: recipe_to_tables(recipe)[section] | values for section, values in self.tables().items()}

    # --------------------------------------------------------------------------------------------- readiness

    def why_not_start(self) -> str:
        """The sentence that says why a run cannot start; "" if it can."""
        if not self.data.path:
            return "open a folder of images first."
        if self.data.is_scanning:
            return "the images are being looked at."
        if self.data.summary is None:
            return "the images cannot be used."
        if self._problems:
            return with_titles(self._problems[0].message)
        return self.preflight.why_not

    def check_again(self) -> None:
        """Look again at what may have changed outside: disk, memory, the place of runs."""
        self.preflight.show_place()
        self._ask()

    def open_remembered(self) -> None:
        """Look at the images that were open last, if they are still there."""
        path = str(self._settings.form("data").get("path", ""))
        if path and not self.data.path and Path(path).exists():
            self.data.show_path(path)

    def close_jobs(self) -> None:
        self._questions.close()
        self.training.start.close_job()
        self.training.finders.close_jobs()
        self.training.devices.close_job()
        self.latents.close_jobs()
        self.data.close_jobs()

    # --------------------------------------------------------------------------------------------- how

    def _connect(self) -> None:
        for section, form in self.forms.items():
            if section != "data":  # its card says so itself
                form.changed.connect(self._on_diffusion_edited if section == "diffusion" else self._on_changed)
        self.data.changed.connect(self._on_changed)
        self.data.opened.connect(lambda path: self.preflight.propose_name(path.stem))
        self.preflight.named.connect(self._save)
        self.preflight.asked.connect(self.check_again)
        self.recipe_card.chosen.connect(self.show_recipe)
        self.latents.described.connect(self._ask)
        self.training.start.chosen.connect(lambda path: self.change({"train": {"start_from": path}}))
        self.training.start.described.connect(self._take_start_model)
        self.training.finders.serve(recipe=self.recipe, data=lambda: self.data.summary)
        self.training.finders.chosen.connect(lambda values: self.change({"train": values}))
        self._questions.answered.connect(self._on_answered)
        self._retry.activated.connect(self.check_again)
        app = QGuiApplication.instance()
        assert isinstance(app, QGuiApplication)
        app.applicationStateChanged.connect(self._on_application_state)

    def _restore(self) -> None:
        for section, form in self.forms.items():
            form.set_values(self._settings.form(section))
        self.preflight.name.setText(str(self._settings.form("run").get("name", "")))
        self.training.start.look_at(str(self.training.form.values().get("start_from", "")), takes="nothing")
        self.latents.look()
        self._objective = self.model.diffusion.values().get("objective")
        self._problems = self._find_problems()
        self.preflight.show_impossible()
        self.model.show_changes()

    def _on_changed(self) -> None:
        self.latents.look()
        self.training.start.look_at(str(self.training.form.values().get("start_from", "")))
        self._objective = self.model.diffusion.values().get("objective")
        self._save()
        self._problems = self._find_problems()
        self._ask()

    def _take_start_model(self, description: str, taken_of_it: str) -> None:
        """Fill in what the start model says of itself, "all" with the size of its images; how it is trained stays."""
        recipe = self.recipe() or Recipe()
        taken = recipe_from_start(recipe, description)
        tables = recipe_to_tables(taken)
        tables["model"] = without_preset_numbers(taken.model)
        self.change({section: tables[section] for section in ("model", "diffusion", "latents", "sample")})
        if taken_of_it == "all":
            self.change({"data": {name: tables["data"][name] for name in ("image_size", "color")}})

    def _on_diffusion_edited(self) -> None:
        if self.model.diffusion.values().get("objective") != self._objective:
            self._fit_objective()
        self._on_changed()

    def _fit_objective(self) -> None:
        """What a person chose to predict brings the settings along that it alone goes with."""
        said = [self.model.fit_objective()]
        is_flow = self.model.diffusion.values().get("objective") == "flow"
        sampler = self.training.sample.values().get("sampler")
        if is_flow != (sampler == "flow-euler"):
            fitting = "flow-euler" if is_flow else "ddim"
            self.training.sample.set_values({"sampler": fitting})
            said.append(f"Previews are now drawn by {fitting}.")
        self.model.say_fitted(" ".join(words for words in said if words))

    def _save(self) -> None:
        for section, form in self.forms.items():
            path = {"path": self.data.path} if section == "data" else {}
            self._settings.save_form(section, _typed(form) | path)
        self._settings.save_form("run", {"name": self.preflight.name.text()})

    def _find_problems(self) -> list[Problem]:
        """Each is also shown at its field."""
        self.model.fit_forms()
        for form in self.forms.values():
            form.set_values({})  # forget the marks of contradictions that may be gone
        problems = [problem for form in self.forms.values() for problem in form.problems()]
        contradictions = self._contradictions({problem.field for problem in problems})
        for problem in contradictions:
            section = problem.field.partition(".")[0]
            if section in self.forms:
                self.forms[section].show_problem(problem)
        return problems + contradictions

    def _contradictions(self, wrong: set[str]) -> list[Problem]:
        """Those between the settings that are right by themselves."""
        try:
            parse_recipe(self.tables())
        except ConfigError as error:
            return [one for one in error.problems if wrong.isdisjoint({one.field, *_OTHERS.get(one.field, ())})]
        return []

    def _ask(self) -> None:
        recipe = self.recipe()
        self.model.show_changes()
        self.model.show_architecture(self._input())
        if recipe is None:
            self._questions.withdraw("describe_model")
            self.model.show_answer(None)
        else:
            self.model.show_waiting()
            self._questions.ask(
                "describe_model",
                delay_ms=DESCRIBE_DELAY_MS,
                recipe=recipe_to_tables(recipe),
                num_classes=len(self.data.summary.classes) if self.data.summary else 0,
            )
        self._ask_preflight(recipe)
        self._tell_readiness()

    def _tell_readiness(self) -> None:
        self._retry.setEnabled(self.preflight.has_failed)
        self.readiness_changed.emit()

    def _on_application_state(self, state: Qt.ApplicationState) -> None:
        """Somebody comes back, perhaps from mending what the checks found."""
        is_back = state is Qt.ApplicationState.ApplicationActive
        if is_back and self.preflight.has_failed and self.preflight.seconds_since_answer() > RECHECK_AFTER_SECONDS:
            self.check_again()

    def _input(self) -> Input:
        """What the model sees; of latents a VAE is taken to be the usual one until it says otherwise."""
        data = DataConfig(**self.data.form.values())
        classes = len(self.data.summary.classes) if self.data.summary and data.classes != "none" else 0
        if self.latents.form.values().get("vae"):
            factor, channels = self.latents.geometry_of_latents
            return Input(size=data.image_size // factor, channels=channels, is_latent=True, classes=classes)
        return Input(size=data.image_size, channels=1 if data.color == "grey" else 3, classes=classes)

    def _ask_preflight(self, recipe: Recipe | None) -> None:
        if recipe is None or self.data.summary is None:
            self._questions.withdraw("preflight")
            self.preflight.show_impossible()
            return
        self.preflight.show_waiting()
        self._questions.ask(
            "preflight", delay_ms=PREFLIGHT_DELAY_MS, recipe=recipe_to_tables(recipe), out=str(runs_dir())
        )

    def _on_answered(self, job: str, answer: Event) -> None:
        if job == "describe_model":
            self.model.show_answer(answer)
        else:
            self.preflight.show_answer(answer)
        self._tell_readiness()


def _typed(form: Form) -> dict[str, Any]:
    """What is typed into a form, also where it cannot be used."""
    values = form.values()
    for problem in form.problems():
        name = problem.field.rpartition(".")[2]
        values[name] = problem.value
    return values


def without_preset_numbers(model: ModelConfig) -> dict[str, Any]:
    """The model's settings without the numbers that its preset gives anyway, so that another preset has its own."""
    values: dict[str, Any] = msgspec.to_builtins(model)
    names = ("hidden_size", "depth", "num_heads", "patch_size")
    for name, number in zip(names, PRESETS[model.preset], strict=True):
        if values[name] == number:
            values[name] = None
    return values
