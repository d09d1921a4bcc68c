"""The training card: how long, how fast, how often saved, what the previews look like, and what is measured."""

from PySide6.QtWidgets import QWidget

from dit_studio.jobs.launch import Launcher
from dit_studio.ui.train.devices_row import DevicesRow
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.finders import Finders
from dit_studio.ui.train.start_model_row import StartModelRow
from dit_studio.ui.widgets.basics import Title
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form


class TrainingCard(Card):
    """Three sections of the recipe."""

    def __init__(self, launcher: Launcher, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__("Training", parent=parent)
        self.devices = DevicesRow(launcher)
        self.form = Form("train", editors={"device": self.devices})
        self.sample, self.evaluate = Form("sample"), Form("evaluate")
        self.start = StartModelRow(launcher, dialogs)
        self.form.add_below("start_from", self.start)
        self.finders = Finders(launcher, self.form)
        for widget in (self.form, Title("Previews"), self.sample, Title("Metrics while training"), self.evaluate):
            self.body.addWidget(widget)
