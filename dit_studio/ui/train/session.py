"""The run that is shown: its folder, the thread that listens to it, and its state, from which every button derives."""

import os
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from dit_studio.config import Recipe
from dit_studio.errors import RunError, StudioError
from dit_studio.events import CaughtUp, Command, Event, Failure, JobState, StateChanged
from dit_studio.files import set_aside
from dit_studio.jobs import end_now
from dit_studio.jobs.launch import Job, Launcher
from dit_studio.jobs.run_folder import RunFolder, new_run_path
from dit_studio.places import runs_dir
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.resuming import why_not_resume

_BEFORE_THE_STOP = (JobState.PREPARING, JobState.RUNNING, JobState.PAUSED)


class RunSession(QObject):
    """Starts, resumes, follows and commands one run at a time."""

    run_changed = Signal(object)  # RunFolder: from now on events of this run come, from its first
    received = Signal(list)
    state_changed = Signal(object)  # JobState

    def __init__(self, launcher: Launcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = JobState.IDLE
        self.folder: RunFolder | None = None
        self.failure: Failure | None = None  # why the run ended, if it failed or was interrupted
        self.earlier_failure: Failure | None = None  # why it ended before it was resumed in vain
        self._launcher = launcher
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._is_history = False  # what is heard was said before this run was shown
        self._is_ours = False  # started by this window
        self._is_stop_asked = False

    @property
    def is_reading(self) -> bool:
        """What is heard was said before this run was shown."""
        return self._is_history

    @property
    def why_not_resume(self) -> str:
        """The sentence that says why the run cannot go on; "" if it can."""
        if self.folder is None:
            return "There is no run."
        return why_not_resume(self.folder, self.state, self.recipe() if self.state.can_resume else None)

    def recipe(self) -> Recipe | None:
        """The settings of the run that is shown; None if they cannot be read."""
        try:
            return self.folder.recipe() if self.folder else None
        except StudioError:
            return None

    # --------------------------------------------------------------------------------------------- which run

    def start(self, recipe: Recipe, name: str) -> RunFolder:
        """Train a new run below `runs_dir()`. Raises: RunError or DiskFullError if its folder cannot be made."""
        self._refuse_to_leave_a_run_in_this_process()
        folder = RunFolder.create(new_run_path(runs_dir(), name), recipe)
        self._show(folder, self._launcher.train(folder), JobState.PREPARING)
        return folder

    def begin(self, folder: RunFolder, *, resume: bool) -> None:
        """Train a run whose folder is there, which waited until now. Raises: RunError if it is at work already."""
        self._refuse_to_leave_a_run_in_this_process()
        _refuse_if_at_work(folder)
        self._show(folder, self._launcher.train(folder, resume=resume), JobState.PREPARING, has_history=True)

    def resume(self, path: Path, *, checkpoint: Path | None = None) -> None:
        """Go on from the newest checkpoint, or from an older one: the newer ones are then set aside.

        Raises: RunError if `path` is no run, is at work already, or has no checkpoint.
        """
        self._refuse_to_leave_a_run_in_this_process()
        folder = RunFolder.open(path)
        _refuse_if_at_work(folder)
        if not folder.checkpoints():
            raise RunError(
                f"{folder.name} has no checkpoint to go on from.", remedy="Start a new run with its settings."
            )
        if checkpoint is not None:
            set_aside(newer_checkpoints(folder, checkpoint))
        is_shown = self.folder is not None and self.folder.path == path
        earlier = (self.earlier_failure or self.failure) if is_shown else None
        self._show(folder, self._launcher.train(folder, resume=True), JobState.PREPARING, has_history=True)
        self.earlier_failure = earlier

    def attach(self, path: Path) -> None:
        """Show a run, whoever started it, with its whole history. Raises: RunError if `path` is none."""
        if self.folder is not None and self.folder.path == path and self.state.is_active:
            return  # it is shown
        self._refuse_to_leave_a_run_in_this_process()
        folder = RunFolder.open(path)
        state = folder.observed_status().state
        self._show(folder, self._launcher.follow(folder), state, has_history=True, is_ours=False)

    def _refuse_to_leave_a_run_in_this_process(self) -> None:
        if self.state.is_active and self._launcher.in_process and self.folder is not None:
            raise RunError(f"{self.folder.name} trains inside this window's process.", remedy="Stop it first.")

    def _show(
        self, folder: RunFolder, job: Job, state: JobState, *, has_history: bool = False, is_ours: bool = True
    ) -> None:
        self._job.drop()
        self.folder, self.failure, self.earlier_failure = folder, None, None
        self._is_history, self._is_ours, self._is_stop_asked = has_history, is_ours, False
        self.state, before = state, self.state
        self.run_changed.emit(folder)
        if state is not before:
            self.state_changed.emit(state)
        self._job.run(job)

    # --------------------------------------------------------------------------------------------- what it is told

    def pause(self) -> None:
        self._send(Command.PAUSE)

    def resume_running(self) -> None:
        self._send(Command.RESUME)

    def save_now(self) -> None:
        self._send(Command.SAVE)

    def preview_now(self) -> None:
        self._send(Command.PREVIEW)

    def stop(self) -> None:
        """Save a checkpoint and end, at the next step."""
        if self.state.is_active:
            self._send(Command.STOP)
            self._is_stop_asked = True
            self._set_state(JobState.STOPPING)

    @property
    def why_not_end_now(self) -> str:
        """The sentence that says why the run cannot be killed from here; "" if it can."""
        return end_now.why_not_end_now(self.folder) if self.folder else "There is no run."

    def end_now(self) -> bool:
        """Kill the run's processes; False if there are none here that could be killed."""
        if self.folder is None or self.why_not_end_now:
            return False
        if self.folder.read_status().pid == os.getpid():
            self._job.drop()
            self._set_state(JobState.INTERRUPTED)
            return True
        return end_now.end_now(self.folder)

    def close(self) -> None:
        """Stop listening, and wait for the threads; a run in a process of its own goes on."""
        self._job.close()

    def _send(self, command: Command) -> None:
        if self.folder is not None and self.state.is_active:
            self.folder.send(command)

    # --------------------------------------------------------------------------------------------- what it says

    def _on_received(self, events: list[Event]) -> None:
        state = self.state
        for event in events:
            if isinstance(event, Failure):
                self.failure = None if event.code == "finished" and self._is_history else event
            elif isinstance(event, StateChanged):
                self._note_failure_before(event.state)
                state = state if self._is_history else self._state_after(event, state)
            elif isinstance(event, CaughtUp):
                self._is_history = False
                state = self._state_by_status(state)
        self.state, before = state, self.state
        self.received.emit(events)
        if state is not before:
            self.state_changed.emit(state)

    def _note_failure_before(self, state: JobState) -> None:
        """A failure is over once the run is at work again; until then it is only the earlier one."""
        if state is JobState.PREPARING:
            self.earlier_failure = self.earlier_failure or self.failure
        elif state in _BEFORE_THE_STOP:
            self.earlier_failure = None
        if state in _BEFORE_THE_STOP:
            self.failure = None

    def _state_by_status(self, state: JobState) -> JobState:
        """The state once the history has been told, in which the newest change may have been."""
        if self.folder is None or self._is_stop_asked:
            return state
        found = self.folder.observed_status().state
        is_news = found.is_active or not self._is_ours  # our process may have to begin yet
        return found if is_news and found is not JobState.IDLE else state

    def _state_after(self, event: StateChanged, state: JobState) -> JobState:
        if not self._is_stop_asked or event.state not in _BEFORE_THE_STOP:
            self._is_stop_asked = self._is_stop_asked and event.state.is_active
            return event.state
        try:
            self._send(Command.STOP)  # asked before the process was there to hear it
        except StudioError:
            return event.state
        return state

    def _on_ended(self) -> None:
        if self.state.is_active and self.folder is not None:  # it ended without saying how
            state = self.folder.observed_status().state
            self._set_state(JobState.INTERRUPTED if state.is_active or state is JobState.IDLE else state)

    def _set_state(self, state: JobState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)


def _refuse_if_at_work(folder: RunFolder) -> None:
    status = folder.read_status()
    if folder.is_alive(status):
        worker = f": {status.worker}" if status.state.is_active else ""
        raise RunError(f"{folder.name} is at work already{worker}.", remedy="Watch it, or stop it first.")


def newer_checkpoints(folder: RunFolder, checkpoint: Path) -> list[Path]:
    """The checkpoints of later steps than this one."""
    ordered = folder.checkpoints()
    names = [path.name for path in ordered]
    if checkpoint.name not in names:
        raise RunError(f"{checkpoint} is not a checkpoint of {folder.name}.", remedy="Choose one of the list.")
    return ordered[names.index(checkpoint.name) + 1 :]
