"""The training card: how long, how fast, how often saved, and what the previews look like."""

from PySide6.QtWidgets import QWidget

from dit_studio.ui.widgets.basics import Title
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form


class TrainingCard(Card):
    """Two sections of the recipe."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Training", parent=parent)
        self.form, self.sample = Form("train"), Form("sample")
        for widget in (self.form, Title("Previews"), self.sample):
            self.body.addWidget(widget)
