"""A folder, archive or .npz of images that is measured, with its name."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QToolButton, QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, SourceDescribed
from dit_studio.ui.evaluate.caution_lines import CautionLines
from dit_studio.ui.evaluate.source_words import cautions_of, source_line
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, WholeText, describe, row


class ImageEntry(QWidget):
    """`edited` follows every change of the name; `removed` asks to leave it out."""

    edited = Signal()
    removed = Signal()

    def __init__(self, path: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path = path
        self.answer: Event | None = None
        self.name, self.remove = QLineEdit(name), QToolButton()
        self._facts, self._warnings, self._problem = Caption(), CautionLines(), WholeText(role="problem")
        self._build()
        self.name.textEdited.connect(self.edited)
        self.remove.clicked.connect(self.removed)
        self.show_answer(None)

    @property
    def label(self) -> str:
        return self.name.text().strip() or Path(self.path).name

    def why_not(self) -> str:
        """Why it cannot be measured; "" if it can, as far as is known."""
        return f'the images "{self.label}" cannot be used.' if self._problem.text() else ""

    def show_answer(self, answer: Event | None) -> None:
        """What it turned out to be; None: nobody has looked yet."""
        self.answer = answer
        source = answer if isinstance(answer, SourceDescribed) else None
        self._facts.setText(source_line(source) if source else "" if answer else "Not looked at yet")
        self._facts.setVisible(bool(self._facts.text()))
        self._warnings.show_cautions(cautions_of(source))
        self._problem.setText(_trouble(answer))
        self._problem.setVisible(bool(self._problem.text()))

    def _build(self) -> None:
        self.name.setAcceptDrops(False)  # what is dropped is for the column
        self.name.setCursorPosition(0)
        describe(self.name, "Name of these images", "What these images are called in results and curves.")
        self.remove.setIcon(icon("close"))
        self.remove.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(self.remove, f"Leave out {self.name.text()}", "Leave these images out; their files stay.")
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        line = row(self.name, self.remove, space=4)
        line.setStretch(0, 1)
        layout.addLayout(line)
        layout.addWidget(ElidedLabel(self.path, mode=Qt.TextElideMode.ElideMiddle, role="caption"))
        for widget in (self._facts, self._warnings, self._problem):
            layout.addWidget(widget)


def _trouble(answer: Event | None) -> str:
    if isinstance(answer, Failure):
        return f"{answer.message} {answer.remedy}".strip()
    if isinstance(answer, SourceDescribed) and answer.source == "model":
        return f'{answer.path} is a model. Choose "A model" above to measure what it draws.'
    return ""
