"""Is it copying? The nearest training images beside each generated one, the closest first."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_plan import CopyList
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import EmptyState


class CopyingView(QWidget):
    """Of one point: what to make of its closest images, and these images."""

    def __init__(self, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self._empty = EmptyState(icon("image", "muted"), "Nothing to see yet", "Evaluate with the metric copying.")
        layout = QVBoxLayout(self)
        layout.addWidget(self._empty)

    def show_point(self, result: EvaluationResult | None, copies: CopyList | None) -> None:
        """Show a point; None for none."""

    def close_jobs(self) -> None:
        """End the job that reads pictures, and wait for its thread."""
