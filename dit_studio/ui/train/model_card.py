"""The model card: size, patch and the numbers behind them, and what they cost."""

from PySide6.QtWidgets import QWidget

from dit_studio.events import Event, Failure, ModelSummary
from dit_studio.model_settings import ModelConfig
from dit_studio.ui.train import amounts
from dit_studio.ui.train.disclosure import Disclosure
from dit_studio.ui.train.model_words import changes_line
from dit_studio.ui.widgets.basics import Caption
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
        self._cost.setToolTip(
            "Trained numbers · multiply-adds of one forward pass of one image · tokens of an image · "
            "memory to train at this batch size and precision, estimated."
        )
        self.changes = Caption()
        for widget in (self.form, self.changes, noise, self._cost):
            self.body.addWidget(widget)
        self.show_changes()

    def show_changes(self) -> None:
        """What is not the preset's, which a closed form hides."""
        line = changes_line(ModelConfig(**self.form.values()))
        self.changes.setText(line[:1].upper() + line[1:] + "." if line else "")
        self.changes.setVisible(bool(line))

    def show_waiting(self) -> None:
        """The cost shown is that of other settings, and the new one is on its way."""
        self._cost.setEnabled(False)

    def show_answer(self, answer: Event | None) -> None:
        """What the model costs, or why that is not known."""
        self._cost.setEnabled(True)
        if isinstance(answer, ModelSummary):
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
    ])  # fmt: skip
