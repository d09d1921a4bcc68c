"""A metric against a setting."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import EvaluationResult


class Curves(QWidget):
    """Curves over the axes of a plan."""

    point_selected = Signal(int)
    samples_asked = Signal(int)

    def show_plan(self, plan: EvaluationPlan) -> None: ...

    def add(self, index: int, result: EvaluationResult) -> None: ...

    def clear(self) -> None: ...

    def select(self, index: int) -> None: ...
