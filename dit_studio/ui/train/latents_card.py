"""The latents card: pixels, or the latents of a VAE; what the VAE is, and what it makes of one's own images."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from dit_studio.config import Recipe, recipe_to_tables
from dit_studio.events import Event, Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import VaeDescribed
from dit_studio.ui.icons import icon
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import amounts
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.questions import Questions
from dit_studio.ui.train.reconstruction_dialog import ReconstructionDialog
from dit_studio.ui.widgets.basics import Said, button
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.form import Form

_JOB, _DELAY_MS = "describe_vae", 400
_USUAL = (8, 4)  # the factor and the channels of the VAE that the paper trains with
_PIXELS = "Without a VAE the model learns the pixels themselves, which suits images up to about 64 pixels."


class LatentsCard(Card):
    """`described`: what is known of the VAE is other than before. `files_asked`: the user wants to fetch one."""

    described = Signal()
    files_asked = Signal(str)  # the name of the VAE

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        dialogs: Dialogs,
        recipe: Callable[[], Recipe | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Latents", parent=parent)
        self._settings, self._launcher, self._dialogs, self._recipe = settings, launcher, dialogs, recipe
        self.form = Form("latents")
        self.vae: VaeDescribed | None = None
        self._asked = ""
        self._questions = Questions(launcher, self)
        self._facts = Said(_PIXELS)
        self._dialog: ReconstructionDialog | None = None
        self._build()
        self.look()

    @property
    def geometry_of_latents(self) -> tuple[int, int]:
        """How many pixels on a side become one latent, and of how many channels; a guess until the VAE says so."""
        return (self.vae.factor, self.vae.channels) if self.vae is not None else _USUAL

    @property
    def facts(self) -> str:
        return self._facts.words

    def use_vae(self, name: str) -> None:
        """Train in the latents of this VAE."""
        self.form.set_values({"vae": name})
        self.form.changed.emit()

    def look(self) -> None:
        """Ask what the VAE is, soon; where there is none, say what that means."""
        name = str(self.form.values().get("vae", ""))
        self.check.setEnabled(bool(name))
        if name == self._asked:
            return
        self._asked, self.vae = name, None
        self._questions.withdraw(_JOB)
        self._fetch.hide()
        self._facts.say("Looking at the VAE." if name else _PIXELS)
        if name:
            self._questions.ask(_JOB, delay_ms=_DELAY_MS, vae=name)

    def close_jobs(self) -> None:
        self._questions.close()
        if self._dialog is not None:
            self._dialog.close_job()

    # --------------------------------------------------------------------------------------------- how

    def _on_answered(self, _job: str, answer: Event) -> None:
        if isinstance(answer, VaeDescribed):
            self.vae = answer
            self._facts.say(facts_of(answer))
            self.described.emit()
        elif isinstance(answer, Failure):
            self._facts.say(f"{answer.message} {answer.remedy}".strip(), is_problem=True)
            self._fetch.setVisible(not Path(self._asked).exists() and "/" in self._asked)

    def _choose(self) -> None:
        if path := self._dialogs.vae_folder(str(self._settings.form("latents").get("vae", ""))):
            self.use_vae(path)

    def _check(self) -> None:
        recipe = self._recipe()
        if recipe is None or not recipe.data.path:
            self._facts.say("Open a folder of images first, and mend what is marked red.", is_problem=True)
            return
        if self._dialog is None:
            self._dialog = ReconstructionDialog(self._launcher, self)
        self._dialog.ask(recipe_to_tables(recipe))

    def _build(self) -> None:
        choose = button("Folder…", "Choose the folder of a diffusers AutoencoderKL.", icon=icon("folder"))
        self.check = button(
            "Check reconstruction…", "See your images beside what the VAE makes of them, before training."
        )
        self._fetch = button("Model files…", "Show where this VAE can be downloaded.")
        self._fetch.hide()
        choose.clicked.connect(self._choose)
        self.check.clicked.connect(self._check)
        self._fetch.clicked.connect(lambda: self.files_asked.emit(self._asked))
        self.form.changed.connect(self.look)
        self._questions.answered.connect(self._on_answered)
        for widget in (self.form, self._facts):
            self.body.addWidget(widget)
        buttons = FlowLayout()
        for each in (choose, self.check, self._fetch):
            buttons.addWidget(each)
        self.body.addLayout(buttons)


def facts_of(vae: VaeDescribed) -> str:
    """ "sd-vae-ft-ema: 8 × 8 pixels become one latent of 4 channels, scaled by 0.18215. 83.7 M parameters."."""
    scaled = f"scaled by {vae.scale:g}" if vae.scale else "scaled to a deviation of 1 when the images are encoded"
    shifted = f" after taking off {vae.shift:g}" if vae.shift else ""
    sentences = [
        f"{vae.name}: {vae.factor} × {vae.factor} pixels make a latent of {vae.channels} channels, {scaled}{shifted}.",
        f"{amounts.short(vae.parameters)} parameters.",
        *vae.warnings,
    ]
    return " ".join(sentences)
