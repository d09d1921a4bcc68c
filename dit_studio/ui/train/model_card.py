"""The model card: size, patch and the numbers behind them, and what they cost."""

from PySide6.QtWidgets import QWidget

from dit_studio.events import Event, Failure, ModelSummary
from dit_studio.model_settings import DiffusionConfig, ModelConfig
from dit_studio.ui.icons import icon
from dit_studio.ui.train import amounts
from dit_studio.ui.train.architecture_dialog import ArchitectureDialog
from dit_studio.ui.train.architecture_parts import Input, architecture_of
from dit_studio.ui.train.disclosure import Disclosure
from dit_studio.ui.train.model_words import changes_line
from dit_studio.ui.widgets.basics import Caption, button
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form


class ModelCard(Card):
    """Two sections of the recipe, and a line that says what they come to."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Model", parent=parent)
        self.form, self.diffusion = Form("model"), Form("diffusion")
        noise = Disclosure(self.diffusion, "Show or hide the noise schedule and what the model predicts.")
        noise.set_summary("Diffusion")
        self._cost = Caption("Its cost is shown here.")
        self._is_counted = False
        self._took_variance = False  # for another objective, and not a person
        self._cost.setToolTip(
            "Trained numbers · multiply-adds of one forward pass of one image · tokens of an image · "
            "memory to train at this batch size and precision, and to draw previews, estimated · the paper's row."
        )
        self.changes, self.fitted = Caption(), Caption()
        self.fitted.hide()
        self.architecture = button("Architecture…", "Draw the model as it is chosen here.", icon=icon("layout"))
        self._dialog = ArchitectureDialog(self)
        self.architecture.clicked.connect(self._dialog.open_beside)
        for widget in (self.form, self.changes, noise, self.fitted, self._cost, self.architecture):
            self.body.addWidget(widget)
        for form in (self.form, self.diffusion):
            form.changed.connect(self.fit_forms)
        self.fit_forms()
        self.show_changes()

    def fit_objective(self) -> str:
        """The variance is learned with the noise alone. Says what was changed for it; "" if nothing was."""
        is_noise = self.diffusion.values().get("objective", "epsilon") == "epsilon"
        if is_noise and self._took_variance:
            self.form.set_values({"learn_sigma": True})
            self._took_variance = False
            return "Learned variance is on again."
        if is_noise or not self.form.values().get("learn_sigma"):
            return ""
        self.form.set_values({"learn_sigma": False})
        self._took_variance = True
        return "Learned variance is now off: it is learned with the noise alone."

    def say_fitted(self, words: str) -> None:
        self.fitted.setText(words)
        self.fitted.setVisible(bool(words))

    def fit_forms(self) -> None:
        """Show the settings that mean something in the chosen kind of model."""
        attention = self.form.values().get("attention")
        for name, wanted in (("num_kv_heads", "grouped"), ("window", "window")):
            self.form.set_shown(name, attention == wanted)
        is_logit_normal = self.diffusion.values().get("timestep_sampling") == "logit-normal"
        for name in ("logit_mean", "logit_std"):
            self.diffusion.set_shown(name, is_logit_normal)
        self.diffusion.set_shown("min_snr_gamma", self.diffusion.values().get("loss_weight") == "min-snr")

    def show_architecture(self, seen: Input) -> None:
        """Draw the model as it stands in the forms, whatever else is wrong with the recipe."""
        model, diffusion = ModelConfig(**self.form.values()), DiffusionConfig(**self.diffusion.values())
        self._dialog.show_architecture(architecture_of(model, diffusion, seen))

    def show_changes(self) -> None:
        """What is not the preset's, which a closed form hides."""
        line = changes_line(ModelConfig(**self.form.values()))
        self.changes.setText(line[:1].upper() + line[1:] + "." if line else "")
        self.changes.setVisible(bool(line))

    def show_waiting(self) -> None:
        """The cost shown is that of other settings, and the new one is on its way."""
        self._cost.setEnabled(False)
        if not self._is_counted:
            self._cost.setText("Its cost is being counted.")

    def show_answer(self, answer: Event | None) -> None:
        """What the model costs, or why that is not known."""
        self._cost.setEnabled(True)
        if isinstance(answer, ModelSummary):
            self._is_counted = True
            self._cost.setText(cost_line(answer))
        elif isinstance(answer, Failure):
            self._cost.setText(f"{answer.message} {answer.remedy}".strip())
        else:
            self._cost.setText("Its cost is shown here once the settings are possible.")

    @property
    def cost(self) -> str:
        return self._cost.text()


def cost_line(summary: ModelSummary) -> str:
    """ "33.0 M parameters · 6.06 Gflops · 256 tokens · about 4.1 GB to train"."""
    return " · ".join([
        f"{amounts.short(summary.parameters)} parameters",
        f"{summary.gflops:.3g} Gflops",
        amounts.counted(summary.tokens, "token"),
        f"about {amounts.memory(summary.training_bytes)} to train",
        *([f"{amounts.memory(summary.sampling_bytes)} to sample"] if summary.sampling_bytes else []),
        *([summary.paper_row] if summary.paper_row else []),
    ])  # fmt: skip
