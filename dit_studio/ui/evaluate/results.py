"""The figures of the evaluation that is shown."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.ui.evaluate.figures import figure_text
from dit_studio.ui.widgets.basics import WholeText


class Results(QWidget):
    """A card for one point; for many a table above the card of the selected one."""

    point_selected = Signal(int)
    samples_asked = Signal(int)
    copying_asked = Signal(int)
    retry_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = WholeText()
        layout = QVBoxLayout(self)
        layout.addWidget(self._text)

    def show_plan(self, plan: EvaluationPlan, folder: Path | None) -> None:  # noqa: ARG002
        self._text.setText(plan.title)

    def start(self, index: int) -> None:
        self._text.setText(str(index))

    def progress(self, index: int, text: str, done: int, total: int | None) -> None:
        self._text.setText(text)

    def add(self, index: int, result: EvaluationResult, samples: str) -> None:
        self._text.setText("\n".join(f"{found.name} {figure_text(found)}" for found in result.results))

    def fail(self, index: int, message: str, remedy: str) -> None:
        self._text.setText(f"{message} {remedy}")

    def clear(self) -> None:
        self._text.setText("")

    def select(self, index: int) -> None:
        self._text.setText(str(index))
