"""The state of a run as a coloured word."""

from PySide6.QtWidgets import QWidget

from dit_studio.events import JobState
from dit_studio.ui.widgets.pill import Pill

STATE_TEXTS = {
    JobState.IDLE: "No run",
    JobState.QUEUED: "Queued",
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
    JobState.QUEUED: "info",
    JobState.PREPARING: "info",
    JobState.RUNNING: "accent",
    JobState.PAUSED: "warning",
    JobState.STOPPING: "warning",
    JobState.FINISHED: "good",
    JobState.FAILED: "error",
    JobState.INTERRUPTED: "error",
}


class StatePill(Pill):
    """A dot and the state in words, in the state's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.show_state(JobState.IDLE)

    def show_state(self, state: JobState) -> None:
        self.show_text(STATE_TEXTS[state], STATE_COLOURS.get(state, "muted"))
