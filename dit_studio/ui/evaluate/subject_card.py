"""What is measured: a model with its settings, or images that are there already."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from dit_studio.errors import Problem
from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.drops import kind_of
from dit_studio.ui.evaluate.dialogs import SourceDialogs
from dit_studio.ui.evaluate.images_list import ImagesList
from dit_studio.ui.evaluate.model_subject import ModelSubject
from dit_studio.ui.evaluate.remembered import RememberedSubject
from dit_studio.ui.sample.model_picker import ModelDialogs
from dit_studio.ui.widgets.basics import Caption, describe
from dit_studio.ui.widgets.card import Card

Mode = Literal["model", "images"]
_MODES: dict[Mode, tuple[str, str]] = {
    "model": ("A model", "Draw images with a model, and measure them."),
    "images": ("Images", "Measure images that are there: folders, archives, .npz, or a sweep."),
}


class SubjectCard(QWidget):
    """`changed`: look again at `plan`. `model_chosen` carries the path of a model that a person chose."""

    changed = Signal()
    model_chosen = Signal(str)
    dropped = Signal()

    def __init__(
        self,
        launcher: Launcher,
        dialogs: SourceDialogs,
        model_dialogs: ModelDialogs | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.mode: Mode = "model"
        self.buttons = {mode: self._button(mode) for mode in _MODES}
        self.model, self.images = ModelSubject(launcher, model_dialogs), ImagesList(launcher, dialogs)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        choice, self._about = Card("Measured"), Caption()
        for press in self.buttons.values():
            choice.add_action(press)
        choice.body.addWidget(self._about)
        for widget in (choice, self.model, self.images):
            layout.addWidget(widget)
        self.setAcceptDrops(True)
        self.model.changed.connect(self.changed)
        self.images.changed.connect(self.changed)
        self.model.chosen.connect(self.model_chosen)
        self.show_mode("model")

    # --------------------------------------------------------------------------------------------- what is chosen

    @property
    def title(self) -> str:
        return self.model.title if self.mode == "model" else self.images.title

    def show_mode(self, mode: Mode) -> None:
        self.mode = mode
        for name, press in self.buttons.items():
            press.setChecked(name == mode)
        self._about.setText(_MODES[mode][1])
        self.model.setVisible(mode == "model")
        self.images.setVisible(mode == "images")

    def set_model(self, path: str) -> None:
        self.show_mode("model")
        self.model.set_model(path)

    def set_images(self, paths: Sequence[str], labels: Sequence[str]) -> None:
        self.show_mode("images")
        self.images.show_images(paths, labels)
        self.images.look()

    def add_images(self, path: str) -> None:
        """One more set of images, or a sweep in place of all."""
        self.show_mode("images")
        self.images.add(path)

    def set_sweep(self, folder: Path) -> None:
        self.show_mode("images")
        self.images.show_sweep(folder)
        self.images.look()

    def set_plan(self, plan: EvaluationPlan) -> None:
        """Take what an earlier evaluation measured."""
        first = plan.points[0].request
        place = Path(first.fake)
        if first.sample is not None or kind_of(place) in ("run", "model"):
            self.show_mode("model")
            over_training = any(axis.name == "checkpoint" for axis in plan.axes)
            self.model.show_plan(first, str(place.parent.parent) if over_training else first.fake, plan.axes)
        elif plan.axes:
            self.set_sweep(place.parent.parent)
        else:
            self.set_images([point.request.fake for point in plan.points], [point.label for point in plan.points])

    def why_not(self) -> str:
        return self.model.why_not() if self.mode == "model" else self.images.why_not()

    def plan(self, base: EvaluationRequest, title: str) -> EvaluationPlan:
        """Raises: ConfigError or DataError with what is not possible."""
        return self.model.plan(base, title) if self.mode == "model" else self.images.plan(base, title)

    def look(self) -> None:
        """Ask what the paths are."""
        if self.model.path:
            self.model.look()
        self.images.look()

    def show_problems(self, problems: list[Problem]) -> None:
        """What the engine refused, or a plan cannot have."""
        if self.mode == "model":
            self.model.show_problems(problems)
        elif problems:
            self.images.show_problem("\n".join(problem.message for problem in problems))

    def remembered(self) -> RememberedSubject:
        return RememberedSubject(mode=self.mode, model=self.model.remembered(), images=self.images.remembered())

    def restore(self, remembered: RememberedSubject) -> None:
        """Show what was chosen last, without looking at it yet."""
        self.model.restore(remembered.model)
        self.images.restore(remembered.images)
        self.show_mode("images" if remembered.mode == "images" else "model")

    def close_jobs(self) -> None:
        self.model.close_jobs()
        self.images.close_jobs()

    # --------------------------------------------------------------------------------------------- how

    def _on_mode(self, mode: Mode) -> None:
        self.show_mode(mode)
        self.changed.emit()

    def _button(self, mode: Mode) -> QToolButton:
        """Not in a QButtonGroup, which takes the button that is not checked out of Tab's way."""
        result = QToolButton()
        text, tooltip = _MODES[mode]
        result.setText(text)
        result.setCheckable(True)
        result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(result, f"Measure: {text}", tooltip)
        result.clicked.connect(lambda: self._on_mode(mode))
        return result

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.dropped.emit()
        for path in (url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()):
            if kind_of(Path(path)) in ("run", "model"):
                self.set_model(path)
                self.model_chosen.emit(path)
            else:
                self.add_images(path)
