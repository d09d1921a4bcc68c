"""The buttons beside "Batch size" and "Learning rate", and the dialogs that they open."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QPushButton

from dit_studio.config import Recipe, recipe_to_tables
from dit_studio.events import DataSummary
from dit_studio.jobs.busy_devices import why_device_is_taken
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.queue_order import do_share
from dit_studio.places import runs_dir
from dit_studio.ui.icons import icon
from dit_studio.ui.run_watch import SeenRun
from dit_studio.ui.train.find_batch_dialog import FindBatchDialog
from dit_studio.ui.train.find_rate_dialog import FindRateDialog
from dit_studio.ui.train.finder_bar import FinderBar
from dit_studio.ui.widgets.basics import button, describe
from dit_studio.ui.widgets.form import Form

GetRecipe = Callable[[], Recipe | None]
GetData = Callable[[], DataSummary | None]


class Finders(QObject):
    """`chosen` carries settings of [train]. What is at work ends when its dialog is closed."""

    chosen = Signal(dict)

    def __init__(self, launcher: Launcher, form: Form) -> None:
        super().__init__(form)
        self._launcher, self._form = launcher, form
        self._recipe: GetRecipe = lambda: None
        self._data: GetData = lambda: None
        self._batch: FindBatchDialog | None = None
        self._rate: FindRateDialog | None = None
        self.batch_button = _small(
            "Find the largest batch that fits", "Find the largest batch that fits into memory, by real steps."
        )
        self.rate_button = _small("Find a learning rate", "Find a learning rate by a range test on your images.")
        form.add_beside("batch_size", self.batch_button)
        form.add_beside("learning_rate", self.rate_button)
        self.batch_button.clicked.connect(self.find_batch)
        self.rate_button.clicked.connect(self.find_rate)

    def serve(self, *, recipe: GetRecipe, data: GetData) -> None:
        """Ask these for the settings of the cards, and for what is known of the images."""
        self._recipe, self._data = recipe, data

    def find_batch(self) -> FindBatchDialog:
        if self._batch is None:
            self._batch = FindBatchDialog(
                self._launcher, why_not=self._why_no_batch, params=self._batch_params, parent=self._form.window()
            )
            self._batch.chosen.connect(lambda batch: self.chosen.emit({"batch_size": batch}))
        _bring(self._batch)
        return self._batch

    def find_rate(self) -> FindRateDialog:
        if self._rate is None:
            self._rate = FindRateDialog(
                self._launcher, why_not=self._why_no_rate, params=self._rate_params, parent=self._form.window()
            )
            self._rate.chosen.connect(lambda rate: self.chosen.emit({"learning_rate": rate}))
        _bring(self._rate)
        return self._rate

    def at_work_on(self, devices: Sequence[str]) -> str:
        """What is being looked for on these devices, as the beginning of a sentence; "" if nothing is."""
        names = [name for name, bar in self._bars() if bar.is_running and _may_share(bar.devices, devices)]
        return names[0] if names else ""

    def show_runs(self, at_work: Sequence[SeenRun]) -> None:
        """Say of a run that has begun beside what is being looked for."""
        for _, bar in self._bars():
            beside = [run for run in at_work if not run.status.is_of_another_machine and
                      _may_share(bar.devices, run.status.devices or run.devices)]  # fmt: skip
            if bar.is_running and beside:
                bar.warn_of(beside[0].title)

    def close_jobs(self) -> None:
        for _, bar in self._bars():
            bar.close_job()

    def _bars(self) -> Iterator[tuple[str, FinderBar]]:
        if self._batch is not None:
            yield "The batch size", self._batch.bar
        if self._rate is not None:
            yield "The learning rate", self._rate.bar

    def _why_no_batch(self) -> str:
        recipe = self._recipe()
        if recipe is None:
            return "A setting in the cards cannot be used: mend it first."
        if self._rate is not None and self._rate.bar.is_running:
            return "The learning rate is being looked for; wait for its end, or cancel it."
        return why_device_is_taken(recipe.train.device, runs_dir())

    def _why_no_rate(self) -> str:
        recipe = self._recipe()
        if recipe is None:
            return "A setting in the cards cannot be used: mend it first."
        if self._data() is None:
            return "There are no images yet: the test learns from your own. Open a folder of them first."
        if self._batch is not None and self._batch.bar.is_running:
            return "The batch size is being looked for; wait for its end, or cancel it."
        return why_device_is_taken(recipe.train.device, runs_dir())

    def _batch_params(self) -> dict[str, Any]:
        data = self._data()
        known = (len(data.classes), data.images) if data else (0, 0)
        return {**self._rate_params(), "num_classes": known[0], "images": known[1]}

    def _rate_params(self) -> dict[str, Any]:
        return {"recipe": recipe_to_tables(self._recipe() or Recipe())}


def _may_share(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Who does not say which devices may be on any."""
    return not ours or not theirs or do_share(ours, theirs)


def _small(name: str, tooltip: str) -> QPushButton:
    result = button("", tooltip, icon=icon("speed"))
    describe(result, name, tooltip)
    return result


def _bring(dialog: QDialog) -> None:
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
