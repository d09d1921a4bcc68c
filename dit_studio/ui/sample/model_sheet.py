"""A model of another program is opened: what its tensors say, and the questions that they leave."""

from collections.abc import Callable, Mapping
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from dit_studio.model_events import ModelOpened
from dit_studio.ui import theme
from dit_studio.ui.sample.question_row import QuestionRow, is_told_by_vae
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, Rule, Title, WholeText, button, row
from dit_studio.ui.widgets.scrolling import Scrolling

_WIDTH, _HEIGHT = 480, 620  # pixels, where the screen has them
_FORMATS = {
    "published": "A state in the names of the published code",
    "training checkpoint": "A checkpoint of the published training script",
    "diffusers": "A folder of diffusers",
    "studio": "A model of DiT Studio",
}


class ModelSheet(QDialog):
    """`answered` carries the answers by their names; whoever asked says `show_opened`, or why it cannot be."""

    answered = Signal(dict)

    def __init__(self, path: Path, choose_folder: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choose_folder = choose_folder
        self.rows: list[QuestionRow] = []
        self._title, self._kind = Title("What is known of a model"), Caption()
        self._path = ElidedLabel(str(path), mode=Qt.TextElideMode.ElideMiddle, role="muted")
        self._facts, self._questions, self._warnings = QGridLayout(), QVBoxLayout(), WholeText(role="caption")
        self._heading = Title("What the file does not tell")
        self._asked = QWidget()
        self._problem, self._busy = WholeText(role="problem"), BusyBar()
        self.open_button = button("Open", "Use the model with these answers; they are remembered.", kind="primary")
        self.cancel = button("Cancel", "Change nothing (Escape).")
        self._build()

    @property
    def problem(self) -> str:
        """Why it cannot be opened with these answers; "" if nothing was said."""
        return self._problem.text()

    def answers(self) -> dict[str, str]:
        return {line.question.name: line.answer for line in self.rows}

    def show_progress(self, text: str, done: int = 0, total: int | None = None) -> None:
        """The file is being read."""
        self._problem.hide()
        self._asked.setEnabled(False)
        self.open_button.setEnabled(False)
        self._busy.show_progress(text, done, total)

    def show_problem(self, text: str) -> None:
        """Say why it cannot be opened; another answer may do."""
        self._busy.finish()
        self._problem.setText(text)
        self._problem.show()
        self._asked.setEnabled(True)
        self._show_readiness()

    def show_opened(self, opened: ModelOpened, answers: Mapping[str, str]) -> None:
        """What was read, and the questions: answered as before, or as is likely."""
        self._busy.finish()
        self._title.setText(opened.title)
        self._kind.setText(f"{_FORMATS.get(opened.format, opened.format)}.")
        for place, (name, value) in enumerate(opened.facts):
            self._add_fact(place, name, value)
        for question in opened.questions:
            self._add(QuestionRow(question, answers.get(question.name) or question.likely, self._choose_folder))
        self._warnings.setText("\n".join(opened.warnings))
        self._warnings.setVisible(bool(opened.warnings))
        self._asked.setVisible(bool(self.rows))
        self._asked.setEnabled(True)
        self._guide_tab()
        self._show_readiness()

    def _add_fact(self, place: int, name: str, value: str) -> None:
        told = QLabel(value, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._facts.addWidget(Caption(name, wraps=False), place, 0, Qt.AlignmentFlag.AlignTop)
        self._facts.addWidget(told, place, 1)

    def _add(self, line: QuestionRow) -> None:
        line.changed.connect(self._show_readiness)
        self.rows.append(line)
        self._questions.addWidget(line)

    def _show_readiness(self) -> None:
        answers = self.answers()
        vae = answers.get("vae", "")
        missing = [
            line.question for line in self.rows if not line.answer and not is_told_by_vae(line.question.name, vae)
        ]
        self.open_button.setEnabled(not missing and self._busy.isHidden())
        why = (
            f"Answer first: {missing[0].text}" if missing else "Use the model with these answers; they are remembered."
        )
        self.open_button.setToolTip(why)

    def _guide_tab(self) -> None:
        """The questions first, then the buttons."""
        last: QWidget = self._asked
        for line in self.rows:
            QWidget.setTabOrder(last, line.editor)
            last = line.editor
        if self.rows:
            self.rows[0].editor.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        room = self.screen().availableSize()
        self.resize(min(theme.scaled(_WIDTH), room.width()), min(theme.scaled(_HEIGHT), round(0.9 * room.height())))

    def _build(self) -> None:
        self.setWindowTitle("A model of another program")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for label in (self._warnings, self._problem):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.hide()
        self._asked.hide()
        self.open_button.setEnabled(False)
        self.open_button.setDefault(True)
        self.open_button.clicked.connect(lambda: self.answered.emit(self.answers()))
        self.cancel.clicked.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(8)
        self._title.setWordWrap(True)
        for widget in (self._title, self._path, self._kind):
            layout.addWidget(widget)
        layout.addWidget(Scrolling(self._content()), 1)
        layout.addWidget(self._problem)
        layout.addWidget(self._busy)
        layout.addLayout(row(None, self.cancel, self.open_button))

    def _content(self) -> QWidget:
        self._facts.setContentsMargins(0, 0, 0, 0)
        self._facts.setHorizontalSpacing(16)
        self._facts.setVerticalSpacing(4)
        self._facts.setColumnStretch(1, 1)
        asked = QVBoxLayout(self._asked)
        asked.setContentsMargins(0, 0, 0, 0)
        asked.setSpacing(12)
        asked.addWidget(Rule())
        asked.addWidget(self._heading)
        asked.addLayout(self._questions)
        self._questions.setSpacing(16)
        result = QWidget()
        layout = QVBoxLayout(result)
        layout.setContentsMargins(0, 8, 8, 8)
        layout.setSpacing(12)
        layout.addLayout(self._facts)
        layout.addWidget(self._warnings)
        layout.addWidget(self._asked)
        layout.addStretch(1)
        return result
