"""Below the setting of the start model: choose one, and take its numbers into the form."""

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, ModelOpened
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import BREAK, WholeText, breakable, button, row, set_property

_DELAY_MS = 400


class StartModelRow(QWidget):
    """`chosen` carries a path; `described` the start model's description as JSON, once it is read, and what of it the
    form takes."""

    chosen = Signal(str)
    described = Signal(str, str)  # the description; "all" or "shape"

    def __init__(self, launcher: Launcher, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._launcher, self._dialogs = launcher, dialogs
        self._path, self._taken = "", ""
        self._is_unanswered = False  # the model does not tell everything
        self._job = OneJob(self)
        self._soon = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._words = WholeText("", role="caption")
        self.file = button("File…", "Fine-tune a published .pt or a .safetensors file.", icon=icon("folder"))
        folder = button("Folder…", "Fine-tune a run, a checkpoint or a diffusers folder.", icon=icon("folder"))
        self.file.clicked.connect(lambda: self._choose(self._dialogs.model_file))
        folder.clicked.connect(lambda: self._choose(self._dialogs.model_folder))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row(self.file, folder, None))
        layout.addWidget(self._words)
        self._words.hide()
        self._soon.timeout.connect(self._ask)
        self._job.received.connect(self._on_received)

    @property
    def words(self) -> str:
        return self._words.text().replace(BREAK, "")

    def look_at(self, path: str, *, takes: Literal["all", "shape", "nothing"] = "all") -> None:
        """Read what the model is, soon; an empty path is none. A recipe names its own images, and takes the shape; what
        is remembered takes nothing."""
        if path == self._path:
            return
        self._path, self._taken, self._is_unanswered = path, takes, False
        self._job.drop()
        self._soon.stop()
        self._say("Looking at the model." if path else "")
        if path:
            self._soon.start()

    def showEvent(self, event: QShowEvent) -> None:
        """What was not told may have been answered on the Sample page meanwhile."""
        super().showEvent(event)
        if self._is_unanswered:
            self._is_unanswered = False
            self._soon.start()

    def close_job(self) -> None:
        self._soon.stop()
        self._job.close()

    def _choose(self, dialog: Callable[[str], str]) -> None:
        if path := dialog(self._path):
            self.chosen.emit(path)

    def _ask(self) -> None:
        self._job.run(self._launcher.call("open_model", path=self._path, answers={}))

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, ModelOpened) and event.description:
                self._say(f"{event.title}: its size, kind and objective are filled in; the classes may be others.")
                if self._taken != "nothing":
                    self.described.emit(event.description, self._taken)
            elif isinstance(event, ModelOpened):
                self._is_unanswered = True
                asked = "; ".join(question.text for question in event.questions if question.is_open)
                self._say(f"{event.title} does not tell everything: {asked} Open it on the Sample page, and come back.")
            elif isinstance(event, Failure):
                self._say(f"{event.message} {event.remedy}".strip(), role="problem")

    def _say(self, words: str, *, role: str = "caption") -> None:
        self._words.setText(breakable(words))
        set_property(self._words, "role", role)
        self._words.setVisible(bool(words))
