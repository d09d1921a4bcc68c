"""Jobs that say what a test wrote down, where a process would stand."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dit_studio.events import CaughtUp, Event
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.machine_events import DeviceSummary

Step = Event | None | BaseException | threading.Event
Script = Sequence[Step]

CPU = DeviceSummary(
    backend="cpu", name="Test CPU", precision="fp32", torch_version="2.13.0", memory_used=3 * 2**30, memory_total=2**33
)


class ScriptedJob:
    """Yields a script: events and None as they are; an exception is raised; a threading.Event is waited for."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def events(self) -> Iterator[Event | None]:
        for step in self._script:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, threading.Event):
                yield from self._until(step)
            elif not self.is_cancelled:
                yield step
            if self.is_cancelled:
                return

    def cancel(self) -> None:
        self._cancelled.set()

    def _until(self, gate: threading.Event) -> Iterator[None]:
        while not gate.is_set() and not self.is_cancelled:
            yield None
            time.sleep(0.005)


class ScriptedLauncher:
    """Stands for jobs.launch.Launcher.

    `answers` holds, by the name of a job, a script or a function of its parameters that gives one; `training` a script
    for each run that is started, in order, `following` for each that is watched (without one, what its folder holds).
    """

    def __init__(
        self,
        *,
        answers: Mapping[str, Script | Callable[..., Script]] | None = None,
        training: Sequence[Script] = (),
        following: Sequence[Script] = (),
        in_process: bool = False,
    ) -> None:
        self.answers: dict[str, Script | Callable[..., Script]] = {"describe_device": [CPU], **(answers or {})}
        self.training, self.following = list(training), list(following)
        self.in_process = in_process
        self.drawing_devices = "auto"
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.trained: list[tuple[RunFolder, bool]] = []  # the run, and whether it was resumed
        self.followed: list[RunFolder] = []
        self.jobs: list[ScriptedJob] = []
        self.is_closed = False

    def call(self, job: str, **params: Any) -> ScriptedJob:
        self.calls.append((job, params))
        answer = self.answers.get(job, [])
        return self._job(answer(**params) if callable(answer) else answer)

    def train(self, folder: RunFolder, *, resume: bool = False) -> ScriptedJob:
        self.trained.append((folder, resume))
        script = self.training.pop(0)
        return self._job(_as_news(script) if resume else script)

    def follow(self, folder: RunFolder) -> ScriptedJob:
        self.followed.append(folder)
        return self._job(_as_news(self.following.pop(0)) if self.following else [*folder.read_events(), CaughtUp()])

    def close(self) -> None:
        self.is_closed = True

    def _job(self, script: Script) -> ScriptedJob:
        self.jobs.append(ScriptedJob(script))
        return self.jobs[-1]


def _as_news(script: Script) -> Script:
    """A script that does not tell what is history has none."""
    return script if any(isinstance(step, CaughtUp) for step in script) else [CaughtUp(), *script]
