"""What the Evaluate page asks of the engine, and in which state that is."""

import time
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal

from dit_studio.errors import StudioError
from dit_studio.evaluation_plan import EvaluationPlan, EvaluationRecord
from dit_studio.evaluation_request import decode_result
from dit_studio.events import (
    Event,
    Failure,
    JobState,
    Notice,
    PointDone,
    PointFailed,
    PointStarted,
    Progress,
    SettingsRefused,
)
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.evaluate.remaining import Remaining
from dit_studio.ui.one_job import OneJob


class EvaluationSession(QObject):
    """One plan at a time. A pause ends the job and keeps what there is; going on is the same job on the same folder."""

    state_changed = Signal(object)  # JobState
    progressed = Signal(str, int, object)  # what goes on in words, how much is done, of how much (None: unknown)
    point_started = Signal(int)
    point_progressed = Signal(int, str, int, object)  # the point, its stage, how much is done, of how much
    point_done = Signal(int, object, str)  # the point, its EvaluationResult, where its images are
    point_failed = Signal(int, str, str)  # the point, why, what to do
    refused = Signal(object)  # SettingsRefused
    failed = Signal(object)  # Failure
    noticed = Signal(str, str)  # text, level

    def __init__(self, launcher: Launcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.state = JobState.IDLE
        self.folder: Path | None = None
        self.plan: EvaluationPlan | None = None
        self._point = 0
        self._failed: set[int] = set()
        self._is_pausing = False
        self._remaining = Remaining(0)

    @property
    def is_busy(self) -> bool:
        """Whether a plan is being measured, or paused."""
        return self.state.is_active

    @property
    def failures(self) -> str:
        """A sentence about points that could not be measured; "" if there is none."""
        if not self._failed or self.plan is None:
            return ""
        which = f"{len(self._failed)} of {len(self.plan.points)} points" if len(self.plan.points) > 1 else "It"
        return f"{which} could not be measured; the results say why."

    def evaluate(self, plan: EvaluationPlan, folder: Path) -> None:
        """Measure every point into a new entry of the history."""
        self._begin(plan, folder, msgspec.to_builtins(plan))

    def go_on(self, record: EvaluationRecord, folder: Path) -> None:
        """Measure what an entry lacks."""
        self._begin(record.plan, folder, {})

    def pause(self) -> None:
        """End at the next step; everything computed is kept."""
        if self.state in (JobState.PREPARING, JobState.RUNNING):
            self._is_pausing = True
            self._set_state(JobState.STOPPING)
            self._job.stop()

    def stop(self) -> None:
        """End at the next step and keep what is measured; asked again, end at once."""
        if self.state is JobState.PAUSED:
            self._set_state(JobState.STOPPED)
        elif self.is_busy:
            self._is_pausing = False
            self._set_state(JobState.STOPPING)
            self._job.stop()

    def close(self) -> None:
        """End the job, and wait for its thread."""
        self._job.close()

    # --------------------------------------------------------------------------------------------- what it says

    def _begin(self, plan: EvaluationPlan, folder: Path, params: object) -> None:
        self.plan, self.folder, self._point, self._failed, self._is_pausing = plan, folder, 0, set(), False
        self._remaining = Remaining(len(plan.points))
        self._set_state(JobState.PREPARING)
        self._job.run(self._launcher.call("evaluate_plan", plan=params, folder=str(folder)))

    def _set_state(self, state: JobState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case PointStarted(index=index):
                self._start(index)
            case Progress():
                self._show(event)
            case PointDone():
                self._finish(event)
            case PointFailed(index=index, message=message, remedy=remedy):
                self._remaining.finish(index, now=time.monotonic())
                self._failed.add(index)
                self.point_failed.emit(index, message, remedy)
            case Notice(message=message, level=level):
                self._remaining.take_up()
                self.noticed.emit(message, level)
            case SettingsRefused():
                self.plan = None
                self._set_state(JobState.IDLE)
                self.refused.emit(event)
            case Failure(code="killed") if self.state is JobState.STOPPING:
                pass  # it was asked twice to end
            case Failure():
                self._set_state(JobState.FAILED)
                self.failed.emit(event)

    def _start(self, index: int) -> None:
        self._point = index
        self._remaining.start(index, now=time.monotonic())
        if self.state is JobState.PREPARING:
            self._set_state(JobState.RUNNING)
        self.point_started.emit(index)

    def _show(self, event: Progress) -> None:
        self.point_progressed.emit(self._point, event.stage, event.done, event.total)
        self.progressed.emit(*self._remaining.words(event, now=time.monotonic(), clock=time.time()))

    def _finish(self, event: PointDone) -> None:
        """A result that cannot be read is one that failed."""
        self._remaining.finish(event.index, now=time.monotonic())
        try:
            result = decode_result(event.result)
        except StudioError as error:
            self._failed.add(event.index)
            self.point_failed.emit(event.index, error.message, error.remedy)
            return
        self.point_done.emit(event.index, result, event.samples)

    def _on_ended(self) -> None:
        if self.state is JobState.STOPPING:
            self._set_state(JobState.PAUSED if self._is_pausing else JobState.STOPPED)
        elif self.state.is_active:
            is_nothing_measured = self.plan is not None and len(self._failed) == len(self.plan.points)
            self._set_state(JobState.FAILED if is_nothing_measured else JobState.FINISHED)
