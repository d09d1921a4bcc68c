"""The training card: how long, how fast, how often saved, what the previews look like, and what is measured."""

from PySide6.QtWidgets import QWidget

from dit_studio.ui.widgets.basics import Title
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form


class TrainingCard(Card):
    """Three sections of the recipe."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Training", parent=parent)
        self.form, self.sample, self.evaluate = Form("train"), Form("sample"), Form("evaluate")
        for widget in (self.form, Title("Previews"), self.sample, Title("Metrics while training"), self.evaluate):
            self.body.addWidget(widget)
