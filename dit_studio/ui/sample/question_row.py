"""A question about a model that its tensors do not answer, and the place for the answer."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from dit_studio.model_events import Question
from dit_studio.ui.widgets.basics import NoScrollComboBox, WholeText, button, describe, row

PIXELS = "pixels"  # the answer to "vae" of a model without one


class QuestionRow(QWidget):
    """`changed` follows every change of the answer."""

    changed = Signal()

    def __init__(self, question: Question, answer: str, choose_folder: Callable[[str], str]) -> None:
        super().__init__()
        self.question = question
        self._choose_folder = choose_folder
        self._choices, self._text = NoScrollComboBox(), QLineEdit()
        self.editor: QWidget = self._choices if question.choices else self._text
        self._put(answer)
        self._build()
        self._choices.currentIndexChanged.connect(self.changed)
        self._text.textChanged.connect(self.changed)

    @property
    def answer(self) -> str:
        """ "" as long as there is none."""
        return self._choices.currentText() if self.question.choices else self._text.text().strip()

    def _put(self, answer: str) -> None:
        self._choices.addItems(list(self.question.choices))
        self._choices.setCurrentIndex(self._choices.findText(answer))
        self._choices.setPlaceholderText("Choose")
        self._text.setText(answer)
        self._text.setPlaceholderText("To be answered")
        self._text.setAcceptDrops(False)  # what is dropped is for the window

    def _on_folder(self) -> None:
        if path := self._choose_folder(self.answer or str(Path.home())):
            self._text.setText(path)

    def _build(self) -> None:
        asked = self.question
        describe(self.editor, asked.text, asked.why or asked.text)
        text = QLabel(asked.text, wordWrap=True)
        text.setBuddy(self.editor)
        line = row(self.editor)
        if asked.name == "vae":
            folder = button("Folder…", "Choose the folder of the VAE on this machine.")
            folder.clicked.connect(self._on_folder)
            line.addWidget(folder)
        line.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(text)
        layout.addLayout(line)
        layout.addWidget(WholeText(asked.why, role="caption"))
        (self._text if asked.choices else self._choices).hide()


def is_told_by_vae(name: str, vae: str) -> bool:
    """Whether a question about latents is answered by the VAE that was chosen: a folder, or none."""
    return name in ("latent_scale", "latent_factor") and (vae == PIXELS or (bool(vae) and Path(vae).is_dir()))
