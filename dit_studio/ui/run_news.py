"""Runs that end are told, and counted until somebody has seen them."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.run_watch import SeenRun
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import amounts

_OUTCOMES = {
    JobState.FINISHED: "has finished",
    JobState.FAILED: "has failed",
    JobState.INTERRUPTED: "was interrupted",
    JobState.STOPPED: "was stopped",
}
_FORM = "unseen_ends"  # where they are remembered
_BAD_ENDS = (JobState.FAILED, JobState.INTERRUPTED)


class Tells(Protocol):
    """What the news need of ui.notifications.Notifications."""

    def tell(self, title: str, text: str, *, is_failure: bool) -> None: ...
    def show_count(self, count: int) -> None: ...
    def close(self) -> None: ...


class RunNews(QObject):
    """`counted`: how many have ended since somebody looked, and whether one of them failed."""

    counted = Signal(int, bool)

    def __init__(
        self,
        settings: Settings,
        notifications: Tells,
        *,
        is_watched: Callable[[Path], bool],
        are_listed: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._notifications = settings, notifications
        self._is_watched, self._are_listed = is_watched, are_listed
        self._unseen = _remembered(settings)
        self.newest: Path | None = None  # that was told last

    def note(self, run: SeenRun) -> None:
        """A run has ended. Somebody who has it in view needs to be told of a failure alone."""
        state, is_watched = run.status.state, self._is_watched(run.path)
        if self._settings.now.tells_ends and (not is_watched or state is JobState.FAILED):
            self.newest = run.path
            is_failure = state in _BAD_ENDS
            self._notifications.tell(f"{run.title} {_OUTCOMES[state]}", end_words(run), is_failure=is_failure)
        if not is_watched and not self._are_listed():
            self._unseen[run.path] = state
            self._count()

    def recall(self) -> None:
        """Count what ended before this window was opened, and nobody has seen."""
        if self._unseen:
            self._count()

    def forget(self) -> None:
        """Somebody looks at the list of runs."""
        if self._unseen:
            self._unseen.clear()
            self._count()

    def _count(self) -> None:
        self._settings.save_form(_FORM, {str(path): state.value for path, state in self._unseen.items()})
        self._notifications.show_count(len(self._unseen))
        self.counted.emit(len(self._unseen), any(state in _BAD_ENDS for state in self._unseen.values()))


def _remembered(settings: Settings) -> dict[Path, JobState]:
    """Of the runs that are still there."""
    states = {state.value: state for state in _OUTCOMES}
    kept = {Path(path): states[state] for path, state in settings.form(_FORM).items() if state in states}
    return {path: state for path, state in kept.items() if RunFolder(path).is_run()}


def end_words(run: SeenRun) -> str:
    """For instance "Step 2,000 of 2,000, last loss 0.0812." with, after a failure, why."""
    status = run.status
    loss = "" if status.loss is None else f", last loss {status.loss:.4f}"
    text = f"Step {amounts.count(status.step)} of {amounts.count(status.steps)}{loss}."
    return f"{status.message} {text}" if status.message and status.state in _BAD_ENDS else text
