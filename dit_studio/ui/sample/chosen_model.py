"""The model that the Sample page draws from: opened, loaded, looked at and exported."""

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.events import Failure, SampleModel
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_list import list_runs
from dit_studio.places import runs_dir
from dit_studio.ui.sample.export_model_dialog import ExportModelDialog
from dit_studio.ui.sample.model_answers import must_be_asked
from dit_studio.ui.sample.model_opening import ModelOpening
from dit_studio.ui.sample.session import SampleSession
from dit_studio.ui.sample.set_up import SampleSetUp


class ChosenModel(QObject):
    """Leads from a choice in the set-up to a model in the session."""

    changed = Signal()  # another is loaded, or none
    loaded = Signal(object)  # SampleModel

    def __init__(self, launcher: Launcher, session: SampleSession, set_up: SampleSetUp, window: QWidget) -> None:
        super().__init__(window)
        self._launcher, self._session, self._set_up, self._window = launcher, session, set_up, window
        self.opening = ModelOpening(launcher, set_up.model.dialogs.folder, window)
        self._last = ("", "ema")  # the model that was loaded last, and its weights
        self._connect()

    def open(self, path: str, weights: str) -> None:
        """Choose a model, and load it."""
        self._set_up.set_model(path, weights)
        self.load(path, weights)

    def load(self, path: str, weights: str) -> None:
        """Have what is chosen loaded, once all is known of it."""
        if not path:
            return
        self._session.forget_model()
        self._set_up.show_loading("Loading the model")
        self.opening.open(path, weights)
        self.changed.emit()

    def open_remembered(self) -> None:
        """The model that was open last, or the newest run that has something to sample from."""
        path = self._set_up.model.path
        if not path:
            runs = [run.folder for run in list_runs(runs_dir()) if run.folder.checkpoints()]
            path = str(runs[0].path) if runs else ""
            if path:
                self._set_up.set_model(path)
        if path and must_be_asked(Path(path)):
            message = f"{Path(path).name} has changed since it was opened."
            self._on_failed(Failure(message=message, remedy="“What is known of it…” in its menu asks again."))
        elif path and self._session.model is None:
            self.load(path, self._set_up.model.weights_name)

    def close_jobs(self) -> None:
        self.opening.close_job()
        for dialog in self._window.findChildren(ExportModelDialog):
            dialog.close_jobs()

    # --------------------------------------------------------------------------------------------- what becomes of it

    def _load_known(self, path: str, weights: str) -> None:
        self._set_up.show_loading("Loading the model")
        self._session.load(path, weights)
        self.changed.emit()

    def _load_last(self) -> None:
        """Back to the model that was there before another was to be opened."""
        path, weights = self._last
        self._set_up.set_model(path, weights)
        if path:
            self._load_known(path, weights)

    def _on_loaded(self, model: SampleModel) -> None:
        self._set_up.show_model(model)
        self._last = (self._set_up.model.path, self._set_up.model.weights_name)
        self.loaded.emit(model)
        self.changed.emit()

    def _on_failed(self, failure: Failure) -> None:
        self._set_up.show_failure(failure)
        self.changed.emit()

    def _show_what_is_known(self) -> None:
        picker = self._set_up.model
        self.opening.show_known(picker.path, picker.weights_name)

    def _export(self) -> None:
        picker, model = self._set_up.model, self._session.model
        first = model.name.partition(" · ")[0] if model is not None else Path(picker.path).stem
        name = f"{first} step {model.step}" if model is not None and model.step else first
        ExportModelDialog(self._launcher, picker.path, picker.weights_name, name=name, parent=self._window).open()

    def _connect(self) -> None:
        self._set_up.model_chosen.connect(self.load)
        self._set_up.menu.known_asked.connect(self._show_what_is_known)
        self._set_up.menu.export_asked.connect(self._export)
        self._session.loading.connect(self._set_up.show_loading)
        self._session.model_loaded.connect(self._on_loaded)
        self._session.model_failed.connect(self._on_failed)
        self.opening.known.connect(self._load_known)
        self.opening.loading.connect(self._set_up.show_loading)
        self.opening.failed.connect(self._on_failed)
        self.opening.cancelled.connect(self._load_last)
