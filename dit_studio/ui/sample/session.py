"""What the Sample page asks of the engine, and in which state that is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from dit_studio.errors import StudioError
from dit_studio.events import (
    Event,
    Failure,
    JobState,
    Notice,
    Progress,
    SampleFrame,
    SampleModel,
    SamplesDrawn,
    SamplingStarted,
    SettingsRefused,
)
from dit_studio.jobs.launch import Launcher
from dit_studio.sample_request import BranchPoint, SampleRequest
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.sample.frames import Frames

FRAMES_BYTES = 256 * 2**20  # of a trajectory in memory, here and in the worker; what is beyond goes to the disk
_INTERVAL_MS = 33


class SampleSession(QObject):
    """One model, and one generation or sweep at a time on it."""

    state_changed = Signal(object)  # JobState
    loading = Signal(str)  # what the worker does before there is a model
    waiting = Signal(str)  # what it does before the first step
    model_loaded = Signal(object)  # SampleModel
    model_failed = Signal(object)  # Failure
    begun = Signal(object)  # Frames: the film that is about to grow
    grew = Signal()  # frames or finished images came
    refused = Signal(object)  # SettingsRefused
    failed = Signal(object)  # Failure
    noticed = Signal(str, str)  # text, level
    sweep_said = Signal(list)  # the events of a sweep

    def __init__(self, launcher: Launcher, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self._describing = OneJob(self)
        self._drawing = OneJob(self, interval_ms=_INTERVAL_MS)
        self._describing.received.connect(self._on_described)
        self._drawing.received.connect(self._on_drawn)
        self._drawing.ended.connect(self._on_ended)
        self.model: SampleModel | None = None
        self.state = JobState.IDLE
        self.folder: Path | None = None  # of the entry or sweep that is drawn, or was drawn last
        self.frames: Frames | None = None
        self.done = 0  # images that are finished
        self.is_sweep = False

    @property
    def is_busy(self) -> bool:
        return self.state.is_active

    def load(self, path: str, weights: str) -> None:
        """Have a model loaded, and say what it is."""
        self.model = None
        self._describing.run(self._launcher.call("describe_sampling", model=path, weights=weights))

    def forget_model(self) -> None:
        """There is none until the next is loaded."""
        self._describing.drop()
        self.model = None

    def generate(self, request: SampleRequest, folder: Path, *, branch: BranchPoint | None = None) -> None:
        """Draw into a new entry of the history."""
        assert self.model is not None
        self._begin(folder, is_sweep=False)
        self._drawing.run(
            self._launcher.call(
                "sample",
                model=self.model.path,
                weights=self.model.weights,
                request=msgspec.to_builtins(request),
                folder=str(folder),
                branch=None if branch is None else msgspec.to_builtins(branch),
                budget_bytes=FRAMES_BYTES,
            )
        )

    def sweep(self, request: SampleRequest, axes: Sequence[dict[str, Any]], folder: Path, *, model: str) -> None:
        """Draw every cell of a sweep, from a model or, over checkpoints, from the run that they belong to."""
        assert self.model is not None
        self._begin(folder, is_sweep=True)
        self._drawing.run(
            self._launcher.call(
                "sweep",
                model=model,
                weights=self.model.weights,
                request=msgspec.to_builtins(request),
                axes=list(axes),
                folder=str(folder),
            )
        )

    def stop(self) -> None:
        """End at the next step and keep what is finished; asked again, end at once."""
        if self.is_busy:
            self._set_state(JobState.STOPPING)
            self._drawing.stop()

    def close(self) -> None:
        """End the jobs, and wait for their threads."""
        self._describing.close()
        self._drawing.close()
        if self.frames is not None:
            self.frames.close()

    # --------------------------------------------------------------------------------------------- what they say

    def _begin(self, folder: Path, *, is_sweep: bool) -> None:
        self.folder, self.done, self.is_sweep = folder, 0, is_sweep
        self._set_state(JobState.PREPARING)

    def _set_state(self, state: JobState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)

    def _on_described(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Progress():
                    self.loading.emit(event.stage)
                case SampleModel():
                    self.model = event
                    self.model_loaded.emit(event)
                case Failure():
                    self.model_failed.emit(event)

    def _on_drawn(self, events: list[Event]) -> None:
        grown = [self._take_in(event) for event in events]
        if self.is_sweep:
            self._run()
            self.sweep_said.emit(events)
        if any(grown):
            self.grew.emit()
        for event in events:  # after what was drawn before it
            self._hear_of_end(event)

    def _take_in(self, event: Event) -> bool:
        """Whether the film has grown by it."""
        match event:
            case SamplingStarted():
                self._start(event)
            case SampleFrame() if self.frames is not None:
                self.frames.add(event)
                return True
            case SamplesDrawn() if self.frames is not None:
                self.frames.finish(event)
                self.done = event.first_image + event.images
                return True
            case Progress(stage=stage) if not self.is_sweep:
                self.waiting.emit(stage)
            case Notice():
                self.noticed.emit(event.message, event.level)
        return False

    def _hear_of_end(self, event: Event) -> None:
        match event:
            case SettingsRefused():
                self._set_state(JobState.IDLE)
                self.refused.emit(event)
            case Failure(code="killed") if self.state is JobState.STOPPING:
                pass  # it was asked twice to end
            case Failure():
                self._set_state(JobState.FAILED)
                self.failed.emit(event)

    def _start(self, event: SamplingStarted) -> None:
        if self.frames is not None:
            self.frames.close()
            self.frames = None
        try:
            self.frames = Frames(event, budget_bytes=FRAMES_BYTES)
        except StudioError as error:  # no room on the temporary disk: drawn and kept, and shown when it is done
            self.noticed.emit(f"The steps cannot be shown while they are drawn: {error}", "warning")
            return
        self._run()
        self.begun.emit(self.frames)

    def _run(self) -> None:
        if self.state is JobState.PREPARING:
            self._set_state(JobState.RUNNING)

    def _on_ended(self) -> None:
        if self.state is JobState.STOPPING:
            self._set_state(JobState.STOPPED)
        elif self.state.is_active:
            self._set_state(JobState.FINISHED)
