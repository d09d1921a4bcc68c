"""Reading what runs have said, and what they ran on, off the window's thread."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dit_studio.events import Event
from dit_studio.jobs.event_log import EventReader
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.train.curves import RunHistory

_CHUNK = 8192  # events
_NOT_OF_THE_MACHINE = ("pid", "time")  # other ones each time


@dataclass(frozen=True, kw_only=True)
class RunPast:
    """Everything a comparison needs of a run."""

    history: RunHistory
    environment: dict[str, str]


class PastRead(Event, frozen=True, kw_only=True, tag="past read"):
    path: Path
    past: RunPast


class ReadPasts:
    """A job that reads some runs, one after another."""

    def __init__(self, folders: Sequence[RunFolder]) -> None:
        self._folders = folders
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        for folder in self._folders:
            history, said = RunHistory(), EventReader(folder).history()
            while chunk := list(itertools.islice(said, _CHUNK)):
                if self._is_cancelled:
                    return
                history.add([event for event in chunk if event is not None])
            yield PastRead(path=folder.path, past=RunPast(history=history, environment=read_environment(folder)))

    def cancel(self) -> None:
        self._is_cancelled = True


def read_environment(folder: RunFolder) -> dict[str, str]:
    """What the run ran on: versions, device, precision; empty if that was not written down."""
    try:
        found = msgspec.json.decode((folder.path / "environment.json").read_bytes(), type=dict[str, object])
    except (OSError, ValueError):
        return {}
    return {name: _text(value) for name, value in found.items() if name not in _NOT_OF_THE_MACHINE}


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
