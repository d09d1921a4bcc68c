"""Results of several evaluations side by side."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from dit_studio.evaluation_request import EvaluationResult


class Bars(QWidget):
    """A panel for each metric, a bar for each result."""

    removed = Signal(str)  # the label of a result; "": all of them

    def set_results(self, results: Sequence[tuple[str, EvaluationResult]]) -> None: ...
