"""The real queue's files without its process, and notifications that are only noted."""

import time
from pathlib import Path

import msgspec

from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import runs_dir


class QuietQueue(Queue):
    """A queue whose keeper is what its `Keeper` says."""

    def __init__(self, root: Path, keeper: "Keeper") -> None:
        super().__init__(root)
        self._keeper = keeper

    def keep_going(self) -> None:
        self._keeper.asked += 1
        self._keeper.is_alive = True

    def is_kept(self) -> bool:
        return self._keeper.is_alive


class Keeper:
    """Stands for the process that starts what waits; it starts nothing."""

    def __init__(self) -> None:
        self.is_alive, self.asked = True, 0

    def queue(self, root: Path) -> QuietQueue:
        return QuietQueue(root, self)


class NotedNotifications:
    """What would have been shown outside the window."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, bool]] = []
        self.counts: list[int] = []
        self.is_closed = False

    def tell(self, title: str, text: str, *, is_failure: bool) -> None:
        self.told.append((title, text, is_failure))

    def show_count(self, count: int) -> None:
        self.counts.append(count)

    def close(self) -> None:
        self.is_closed = True


def add_waiting(name: str, *, device: str = "cpu", data: str = "digits", steps: int = 100) -> RunFolder:
    """A run at the queue's end."""
    recipe = parse_recipe({"data": {"path": f"/data/{data}"}, "train": {"device": device, "steps": steps}})
    devices = tuple(device.split(","))
    return Keeper().queue(runs_dir()).add(recipe, name, devices=devices)


def begin(folder: RunFolder, *, step: int = 10, seconds: float = 5.0, age: float = 0.0) -> None:
    """As its process would write it; who calls this holds the folder's lock, or it counts as interrupted."""
    status = folder.read_status()
    folder.write_status(
        msgspec.structs.replace(
            status, state=JobState.RUNNING, step=step, seconds=seconds, loss=0.25, started=time.time() - age
        )
    )


def end(folder: RunFolder, state: JobState, message: str = "") -> None:
    folder.write_status(msgspec.structs.replace(folder.read_status(), state=state, message=message))
