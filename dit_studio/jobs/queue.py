"""The queue of runs below the folder of runs: `queue.json`, in the order in which they are to start.

A queued run is a run folder in the state "queued": its settings are frozen in its run.toml.
"""

from pathlib import Path

import msgspec

from dit_studio.config import Recipe
from dit_studio.jobs.run_folder import RunFolder


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A run that waits."""

    run: str  # the folder's name, below the folder of runs
    devices: tuple[str, ...]  # that it takes; entries of other devices do not wait for it
    is_held: bool = False  # it keeps its place, and does not start
    resume: bool = False  # it goes on from its newest checkpoint
    added: float = 0.0  # wall clock, seconds since 1970


class Queue:
    """What waits below `root`. Any process may change it; each change is whole, and asking twice is asking once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> list[QueueEntry]:
        """In order of start."""
        raise NotImplementedError

    def add(self, recipe: Recipe, name: str, *, devices: tuple[str, ...]) -> RunFolder:
        """A new run at the queue's end. Raises: RunError or DiskFullError."""
        raise NotImplementedError

    def add_again(self, folder: RunFolder, *, devices: tuple[str, ...]) -> None:
        """A run that ended early goes on when its turn comes. Raises: RunError if it cannot go on."""
        raise NotImplementedError

    def hold(self, run: str, *, is_held: bool) -> None:
        """Keep an entry from starting, or let it go."""
        raise NotImplementedError

    def move(self, run: str, *, by: int) -> None:
        """Further to the front (below 0) or to the end."""
        raise NotImplementedError

    def remove(self, run: str) -> None:
        """Take an entry out. A run that never began goes back to idle and keeps its folder and settings."""
        raise NotImplementedError

    def keep_going(self) -> None:
        """See to it that a process of its own starts what waits, one run at a time on each device; it outlives us."""
        raise NotImplementedError

    def is_kept(self) -> bool:
        """That process is alive."""
        raise NotImplementedError
