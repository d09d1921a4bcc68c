"""Which model draws: a run and one of its checkpoints, or a file or folder from anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QShowEvent, QStandardItemModel
from PySide6.QtWidgets import QApplication, QCompleter, QFileDialog, QLineEdit, QMenu, QPushButton, QWidget

from dit_studio.events import Failure, SampleModel
from dit_studio.jobs.run_folder import RunFolder, checkpoint_step
from dit_studio.jobs.run_list import RunSummary, list_runs
from dit_studio.opened_models import name_of
from dit_studio.places import runs_dir
from dit_studio.ui.train.amounts import count, short
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, NoScrollComboBox, button, describe, row
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.message import MessageCard

_WEIGHTS = {"ema": "EMA", "raw": "Raw"}
_KINDS = "Models (*.safetensors *.pt *.pth *.ckpt *.bin);;All files (*)"


def _file(start: str) -> str:
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Open a model file", start, _KINDS)[0]


def _folder(start: str) -> str:
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), "Open a run or a folder with a model", start)


@dataclass(frozen=True, kw_only=True)
class ModelDialogs:
    """Each takes where to begin, and gives "" if nothing was chosen."""

    file: Callable[[str], str] = _file
    folder: Callable[[str], str] = _folder


class ModelPicker(Card):
    """`model_chosen` carries a path and "ema" or "raw"; it follows every choice of the user and no `set_model`."""

    model_chosen = Signal(str, str)

    def __init__(self, dialogs: ModelDialogs | None = None, parent: QWidget | None = None) -> None:
        super().__init__("Model", parent=parent)
        self.dialogs = dialogs or ModelDialogs()
        self._runs: list[RunSummary] = []
        self._recent: list[Path] = []  # models from outside the runs
        self._path: Path | None = None
        self._step: int | None = None  # of the model that is loaded
        self.runs, self.checkpoints, self.weights = (NoScrollComboBox() for _ in range(3))
        self._name, self._facts, self._newer = ElidedLabel(role="title"), Caption(), Caption()
        self._search = QLineEdit()
        self.runs.setEditable(True)
        self.runs.setLineEdit(self._search)
        self._busy, self.message = BusyBar(), MessageCard()
        self._build()
        self._connect()
        self._forget()
        self.refresh()

    # --------------------------------------------------------------------------------------------- what is chosen

    @property
    def path(self) -> str:
        """The run (its newest checkpoint is meant), checkpoint, file or folder; "" while none is chosen."""
        return str(self._path or "")

    @property
    def weights_name(self) -> str:
        return str(self.weights.currentData())

    def set_model(self, path: str, weights: str = "ema") -> None:
        """Show a choice, wherever it was made."""
        self._path = Path(path) if path else None
        with QSignalBlocker(self.weights):
            self.weights.setCurrentIndex(max(self.weights.findData(weights), 0))
        self._forget()
        self.refresh()

    def set_recent(self, paths: Sequence[str]) -> None:
        """Offer models from outside the runs again, below these."""
        self._recent = [Path(path) for path in paths]
        self._fill_runs()

    @property
    def is_from_a_run(self) -> bool:
        return self._run_of(self._path) is not None

    def refresh(self) -> None:
        """Look at the disk again; a model that went away meanwhile is said."""
        self._runs = list_runs(runs_dir())
        self._fill_runs()
        self._fill_checkpoints()
        if self._path is not None and not self._path.exists():
            self.message.show_failure(_gone(self._path))  # what is known of it stays
        elif not self._runs and self._path is None:
            self._show_facts("There is no run yet. Train one, or open a model's file or folder.")
        self._show_newer()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self.refresh()

    # --------------------------------------------------------------------------------------------- what is known

    def show_loading(self, text: str, done: int = 0, total: int | None = None) -> None:
        self._forget()
        self._busy.show_progress(text, done, total)

    def show_model(self, model: SampleModel) -> None:
        self.show_known(model.name or Path(model.path).name, facts_of(model), step=model.step)

    def show_known(self, name: str, facts: str, *, step: int | None = None) -> None:
        """The model's name and a line about it; `step` is that of its weights."""
        self._forget()
        self._step = step
        self._name.setText(name)
        self._show_facts(facts)
        self._name.show()
        self._show_newer()

    def show_failure(self, failure: Failure) -> None:
        self._forget()
        self.message.show_failure(failure)

    def _forget(self) -> None:
        self._busy.finish()
        self.message.clear()
        self._show_facts("")
        self._step = None
        self._show_newer()
        self._name.clear()
        self._name.hide()

    def _show_newer(self) -> None:
        """A run that goes on has saved another checkpoint than the one that was loaded as its newest."""
        run = self._run_of(self._path)
        steps = [checkpoint_step(path) for path in RunFolder(run).checkpoints()] if run and run == self._path else []
        is_newer = self._step is not None and bool(steps) and steps[-1] > self._step
        text = f"Step {count(steps[-1])} was saved since: choose “Newest” again to load it." if is_newer else ""
        self._newer.setText(text)
        self._newer.setVisible(is_newer)

    def _show_facts(self, text: str) -> None:
        self._facts.setText(text)
        self._facts.setVisible(bool(text))

    # --------------------------------------------------------------------------------------------- the lists

    def _fill_runs(self) -> None:
        run = self._run_of(self._path)
        with QSignalBlocker(self.runs):
            self.runs.clear()
            if self._path is not None and run is None:
                self._add_from_outside(self._path)
            for summary in self._runs:
                self._add_run(summary)
            others = [path for path in self._recent if path != self._path and path.exists()]
            if others and self.runs.count():
                self.runs.insertSeparator(self.runs.count())
            for path in others:
                self._add_from_outside(path)
            self.runs.setCurrentIndex(self.runs.findData(str(run or self._path)) if self._path else -1)
        self.runs.setToolTip(
            f"The runs, the newest first, then models that were opened; type to search.\n{self.path}".strip()
        )

    def _add_from_outside(self, path: Path) -> None:
        self.runs.addItem(name_of(path), str(path))
        self.runs.setItemData(self.runs.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)

    def _add_run(self, summary: RunSummary) -> None:
        folder = summary.folder
        self.runs.addItem(summary.title, str(folder.path))
        if not folder.checkpoints():
            items = self.runs.model()
            assert isinstance(items, QStandardItemModel)
            items.item(self.runs.count() - 1).setEnabled(False)
            self.runs.setItemText(self.runs.count() - 1, f"{summary.title} (no checkpoint yet)")

    def _fill_checkpoints(self) -> None:
        run = self._run_of(self._path)
        steps = [(checkpoint_step(path), path) for path in reversed(RunFolder(run).checkpoints())] if run else []
        with QSignalBlocker(self.checkpoints):
            self.checkpoints.clear()
            if steps:
                self.checkpoints.addItem("Newest", str(run))
                tooltip = f"That of step {count(steps[0][0])} now; the run may save others."
                self.checkpoints.setItemData(0, tooltip, Qt.ItemDataRole.ToolTipRole)
            for step, path in steps:
                self.checkpoints.addItem(f"Step {count(step)}", str(path))
            self.checkpoints.setCurrentIndex(self.checkpoints.findData(self.path))
        self.checkpoints.setEnabled(bool(steps))

    def _run_of(self, path: Path | None) -> Path | None:
        """The run that a path is, or is a checkpoint of."""
        known = {summary.folder.path for summary in self._runs}
        if path is None:
            return None
        return path if path in known else next((one for one in list(path.parents)[:2] if one in known), None)

    # --------------------------------------------------------------------------------------------- choices

    def choose(self, path: str) -> None:
        """As if the user had opened this path."""
        self.set_model(path, self.weights_name)
        if self._path is not None:
            self.model_chosen.emit(path, self.weights_name)

    def _on_run(self, number: int) -> None:
        if (path := self.runs.itemData(number)) and path != self.path:
            self.choose(path)

    def _on_checkpoint(self, number: int) -> None:
        if path := self.checkpoints.itemData(number):
            self.choose(path)

    def _on_weights(self) -> None:
        if self._path is not None:
            self.choose(self.path)

    def _browse(self, dialog: Callable[[str], str]) -> None:
        if path := dialog(str(self._path.parent if self._path else runs_dir())):
            self.choose(str(Path(path).absolute()))

    def _put_text_back(self) -> None:
        """What was typed to search is no name of a run."""
        self._search.setText(self.runs.itemText(self.runs.currentIndex()))
        self._search.setCursorPosition(0)

    # --------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.runs.activated.connect(self._on_run)
        self._search.editingFinished.connect(self._put_text_back)
        self.checkpoints.activated.connect(self._on_checkpoint)
        self.weights.currentIndexChanged.connect(self._on_weights)

    def _build(self) -> None:
        self._search.setFrame(False)
        self.runs.setInsertPolicy(NoScrollComboBox.InsertPolicy.NoInsert)
        self._search.setPlaceholderText("Choose a run or a model")
        self._search.setAcceptDrops(False)  # what is dropped is for the window
        self.runs.setCompleter(_completer(self.runs))
        self.checkpoints.setPlaceholderText("Checkpoint")
        for key, text in _WEIGHTS.items():
            self.weights.addItem(text, key)
        for box in (self.runs, self.checkpoints, self.weights):
            box.setSizeAdjustPolicy(NoScrollComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(6)
        describe(self.runs, "Run", "The runs, the newest first, then models that were opened; type to search.")
        describe(self.checkpoints, "Checkpoint", "The newest checkpoint, whichever that is then, or that of one step.")
        describe(
            self.weights, "Weights", "EMA: averaged over training, usually better. Raw: as the optimiser left them."
        )
        self.add_action(self._browse_button())
        self.body.addWidget(self.runs)
        line = row(self.checkpoints, self.weights)
        line.setStretch(0, 3)
        line.setStretch(1, 2)
        self.body.addLayout(line)
        for widget in (self._busy, self._name, self._facts, self._newer, self.message):
            self.body.addWidget(widget)

    def _browse_button(self) -> QPushButton:
        result = button("Open…", "Open a model's file or folder from anywhere, or drop it on the window.")
        menu = QMenu(result)
        menu.addAction("A file…").triggered.connect(lambda: self._browse(self.dialogs.file))
        menu.addAction("A folder…").triggered.connect(lambda: self._browse(self.dialogs.folder))
        result.setMenu(menu)
        return result


def _completer(box: NoScrollComboBox) -> QCompleter:
    """Finds a run by any part of its name."""
    result = QCompleter(box.model(), box)
    result.setFilterMode(Qt.MatchFlag.MatchContains)
    result.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
    result.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
    popup = result.popup()
    assert popup is not None
    popup.setAccessibleName("Runs found")
    return result


def facts_of(model: SampleModel) -> str:
    """What was understood of a model: "64 × 64 px · 7 classes · 33.0 M parameters · epsilon · cpu, bf16 · a1b2c3d4"."""
    classes = "no classes" if model.num_classes <= 1 else f"{count(model.num_classes)} classes"
    parts = [
        f"{model.image_size} × {model.image_size} px",
        classes if model.num_classes <= 1 or model.has_null_class else f"{classes}, no guidance",
        f"{short(model.parameters)} parameters",
        f"predicts {model.objective}",
        f"{model.latent_size} × {model.latent_size} latents of {_short_name(model.vae)}" if model.latent_size else "",
        f"computes as {model.dialect}" if model.origin or model.dialect != "facebook" else "",
        f"from {model.origin}" if model.origin and model.origin != model.name else "",
        ", ".join(filter(None, (model.device, model.precision))),
        f"weights {model.fingerprint[:8]}" if model.fingerprint else "",
    ]
    return " · ".join(part for part in parts if part)


def _short_name(vae: str) -> str:
    """A name on the hub as it is; of a folder its own name, after that of a model that it belongs to."""
    path = Path(vae)
    return "/".join(path.parts[-2:]) if path.is_absolute() else vae


def _gone(path: Path) -> Failure:
    return Failure(message=f"{path} is not there any more.", remedy="Choose another checkpoint or run, or open one.")
