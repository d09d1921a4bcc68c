"""Which runs below a folder wait or are at work; asking often is cheap, for what has not changed is not read again."""

import os
from contextlib import suppress
from pathlib import Path

from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder, Status

_Stamp = tuple[int, int, int]


class ActiveRuns:
    """The runs below `root` that are queued, or whose process is or should be at work, by their folders' names."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[_Stamp, Status]] = {}

    def read(self) -> dict[str, Status]:
        """Raises: OSError if the folder cannot be read."""
        stamps = dict(self._stamps())
        self._known = {
            run: known if (known := self._known.get(run)) and known[0] == stamp else (stamp, self._status(run))
            for run, stamp in stamps.items()
        }
        return {run: status for run, (_, status) in self._known.items() if _is_open(status)}

    def _stamps(self) -> list[tuple[str, _Stamp]]:
        """What tells that a status was written again: it is another file each time."""
        stamps = []
        with os.scandir(self._root) as entries:
            for entry in entries:
                if entry.name.startswith("."):  # being imported, or removed
                    continue
                with suppress(OSError):
                    found = os.stat(f"{entry.path}/status.json")  # noqa: PTH116  a Path for each costs more than asking
                    stamps.append((entry.name, (found.st_mtime_ns, found.st_size, found.st_ino)))
        return sorted(stamps)

    def _status(self, run: str) -> Status:
        return RunFolder(self._root / run).read_status()


def _is_open(status: Status) -> bool:
    return status.state.is_active or status.state is JobState.QUEUED
