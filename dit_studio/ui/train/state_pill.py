"""The state of a run as a coloured word."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.events import JobState
from dit_studio.ui import theme

STATE_TEXTS = {
    JobState.IDLE: "No run",
    JobState.PREPARING: "Preparing",
    JobState.RUNNING: "Running",
    JobState.PAUSED: "Paused",
    JobState.STOPPING: "Stopping, saving",
    JobState.STOPPED: "Stopped",
    JobState.FINISHED: "Finished",
    JobState.FAILED: "Failed",
    JobState.INTERRUPTED: "Interrupted",
}
STATE_COLOURS = {
    JobState.PREPARING: "info",
    JobState.RUNNING: "accent",
    JobState.PAUSED: "warning",
    JobState.STOPPING: "warning",
    JobState.FINISHED: "good",
    JobState.FAILED: "error",
    JobState.INTERRUPTED: "error",
}


class StatePill(QWidget):
    """A dot and the state in words, in the state's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.show_state(JobState.IDLE)
        theme.theme_changed.connect(self.update)

    def show_state(self, state: JobState) -> None:
        self._state = state
        self.setAccessibleName(f"State: {STATE_TEXTS[state]}")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(STATE_TEXTS[self._state]) + 32, metrics.height() + 4)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colour = QColor(getattr(theme.current(), STATE_COLOURS.get(self._state, "muted")))
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(colour)
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setBrush(colour)
        painter.drawEllipse(QRectF(10, box.center().y() - 3, 6, 6))
        painter.drawText(box.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, STATE_TEXTS[self._state])
