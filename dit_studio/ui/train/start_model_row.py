"""Below the setting of the start model: choose one, and take its numbers into the form."""

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.events import Event, Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import ModelOpened
from dit_studio.ui.icons import icon
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.questions import Questions
from dit_studio.ui.widgets.basics import Said, button, row

_JOB, _DELAY_MS = "open_model", 400


class StartModelRow(QWidget):
    """`chosen` carries a path; `described` the start model's description as JSON, once it is read, and what of it the
    form takes."""

    chosen = Signal(str)
    described = Signal(str, str)  # the description; "all" or "shape"

    def __init__(self, launcher: Launcher, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dialogs = dialogs
        self._path, self._taken = "", ""
        self._is_unanswered = False  # the model does not tell everything
        self._questions = Questions(launcher, self)
        self._said = Said()
        self.file = button("File…", "Fine-tune a published .pt or a .safetensors file.", icon=icon("folder"))
        folder = button("Folder…", "Fine-tune a run, a checkpoint or a diffusers folder.", icon=icon("folder"))
        self.file.clicked.connect(lambda: self._choose(self._dialogs.model_file))
        folder.clicked.connect(lambda: self._choose(self._dialogs.model_folder))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row(self.file, folder, None))
        layout.addWidget(self._said)
        self._questions.answered.connect(self._on_answered)

    @property
    def words(self) -> str:
        return self._said.words

    def look_at(self, path: str, *, takes: Literal["all", "shape", "nothing"] = "all") -> None:
        """Read what the model is, soon; an empty path is none. A recipe names its own images, and takes the shape; what
        is remembered takes nothing."""
        if path == self._path:
            return
        self._path, self._taken, self._is_unanswered = path, takes, False
        self._questions.withdraw(_JOB)
        self._said.say("Looking at the model." if path else "")
        if path:
            self._ask()

    def showEvent(self, event: QShowEvent) -> None:
        """What was not told may have been answered on the Sample page meanwhile."""
        super().showEvent(event)
        if self._is_unanswered:
            self._is_unanswered = False
            self._ask()

    def close_job(self) -> None:
        self._questions.close()

    def _choose(self, dialog: Callable[[str], str]) -> None:
        if path := dialog(self._path):
            self.chosen.emit(path)

    def _ask(self) -> None:
        self._questions.ask(_JOB, delay_ms=_DELAY_MS, path=self._path, answers={})

    def _on_answered(self, _job: str, answer: Event) -> None:
        if isinstance(answer, ModelOpened) and answer.description:
            self._said.say(f"{answer.title}: its size, kind and objective are filled in; the classes may be others.")
            if self._taken != "nothing":
                self.described.emit(answer.description, self._taken)
        elif isinstance(answer, ModelOpened):
            self._is_unanswered = True
            asked = "; ".join(question.text for question in answer.questions if question.is_open)
            does_not = f"{answer.title} does not tell everything: {asked}"
            self._said.say(f"{does_not} Open it on the Sample page, and come back.")
        elif isinstance(answer, Failure):
            self._said.say(f"{answer.message} {answer.remedy}".strip(), is_problem=True)
