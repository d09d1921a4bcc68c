"""What was drawn before: the folders of the history, their favourites, and what was deleted of them.

<root>/20260301-142233-9f3a/   entry.json (SampleEntry), favourites.json, 000000.png …, perhaps a trajectory
                               or a sweep: sweep.json, cells/000/000000.png …
(EntryFolders has the folders themselves, and the trash.)
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dit_studio.errors import RunError
from dit_studio.files import naming_disk_errors, remove_leftovers, write_atomically
from dit_studio.jobs.entry_folders import Deletion, EntryFolders, file_size, is_plain, modified_ns
from dit_studio.jobs.sweep_entry import drawn_cells, is_being_drawn, read_sweep
from dit_studio.sample_request import SampleEntry
from dit_studio.sweep import INDEX as SWEEP
from dit_studio.sweep import SweepRecord
from dit_studio.trajectory import INDEX, PLANES

ENTRY, FAVOURITES = "entry.json", "favourites.json"
_LARGEST_JSON = 8 * 2**20  # bytes; a million classes in a request take less
_LATEST = 32_503_680_000.0  # the year 3000, which every system has words for
_MOST_MISSING = 1000  # pictures of an entry that somebody removed
_LARGEST_SIDE = 65_536  # pixels
_DRAWING_SECONDS = 60  # a folder that was written to in this time is still being drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class HistoryEntry:
    """A folder of the history as it was last read: the same object as long as nothing in it changes."""

    name: str
    path: Path
    entry: SampleEntry
    favourites: frozenset[int] = frozenset()  # numbers of images
    has_trajectory: bool = False
    sweep: SweepRecord | None = None  # then `entry` tells of its first cell, and its images are the cells drawn

    @property
    def time(self) -> float:
        """When it was drawn, in seconds since 1970."""
        return self.entry.record.time

    @property
    def parent(self) -> str:
        """The name of the entry that it goes on from; "" if it began with noise."""
        return self.entry.record.branch.entry if self.entry.record.branch else ""

    def image_file(self, image: int) -> Path:
        """Of a sweep the first image of a cell."""
        if self.sweep is not None:
            return self.path / self.sweep.plan.cells[drawn_cells(self.sweep)[image]].folder / "000000.png"
        return self.path / f"{image:06d}.png"


class SampleHistory:
    """The entries below a folder. Reading keeps what has not changed since, so that asking often is cheap."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = EntryFolders(
            root, _read_entry, indices=(ENTRY, SWEEP), again="Draw it again with the same settings."
        )

    def new_folder(self) -> Path:
        """A new, empty folder for an entry: YYYYMMDD-HHMMSS-xxxx. Raises: RunError or DiskFullError."""
        return self._folders.new()

    # ------------------------------------------------------------------------------------------------- reading

    def entries(self) -> list[HistoryEntry]:
        """All entries, the newest first. Damaged and foreign folders are passed over, and counted."""
        return sorted(self._folders.read_all(), key=lambda entry: (entry.time, entry.name), reverse=True)

    @property
    def passed_over(self) -> int:
        """Folders that `entries` could not read, the last time it was asked."""
        return self._folders.passed_over

    def entry(self, name: str) -> HistoryEntry | None:
        """One entry; None if it is gone or cannot be read."""
        return self._folders.read(name)

    def children_of(self, name: str) -> list[HistoryEntry]:
        """The branches that go on from an entry."""
        return [entry for entry in self.entries() if entry.parent == name]

    def has(self, name: str) -> bool:
        """Whether there is such an entry."""
        return is_plain(name) and (self.root / name / ENTRY).is_file()

    def size_bytes(self, name: str) -> int:
        """What an entry takes on the disk, with its trajectory."""
        return self._folders.size_bytes(name)

    # ------------------------------------------------------------------------------------------------- changing

    def set_favourite(self, name: str, image: int, on: bool) -> None:
        """Mark an image, or unmark it. Raises: RunError or DiskFullError."""
        folder = self._folders.there(name)
        images = _read_favourites(folder)
        changed = images | {image} if on else images - {image}
        if changed != images:
            write_atomically(folder / FAVOURITES, msgspec.json.encode({"images": sorted(changed)}))
            self._folders.forget(name)

    def delete(self, name: str) -> Deletion:
        """Move an entry into the trash. Its branches stay. Raises: RunError if it is being drawn or cannot be moved."""
        self._folders.there(name)
        if self._is_being_drawn(name):
            raise RunError(f"{name} is still being drawn.", remedy="Stop it, or wait a minute, and delete it then.")
        return self._folders.delete(name)

    def undo(self, deletion: Deletion) -> None:
        """Bring a deleted entry back. Raises: RunError if it is no longer in the trash."""
        self._folders.undo(deletion)

    def empty_trash(self, *, older_than_days: float = 7) -> None:
        """Remove for good what was deleted so long ago."""
        self._folders.empty_trash(older_than_days=older_than_days)

    def clear_up(self) -> None:
        """Remove what processes that were killed left half-written in the entries they were drawing."""
        for entry in self.entries():
            state = entry.sweep.state if entry.sweep else entry.entry.state
            if state == "drawing" and not self._is_being_drawn(entry.name):
                with suppress(OSError):
                    for folder in (entry.path, entry.path / "cells"):
                        remove_leftovers(folder)

    def remove_trajectory(self, name: str) -> int:
        """Free the space of a trajectory; the images stay. Gives the bytes freed. Raises: RunError."""
        folder = self._folders.there(name)
        if self._is_being_drawn(name):
            raise RunError(f"{name} is still being drawn.", remedy="Wait until it has ended.")
        freed = 0
        for file in (folder / INDEX, *(folder / f"{plane}.npy" for plane in PLANES)):
            with naming_disk_errors(file):
                freed += file_size(file)
                file.unlink(missing_ok=True)
        self._folders.forget(name)
        return freed

    def _is_being_drawn(self, name: str) -> bool:
        """Whether a process writes into the folder, as far as its files tell; killed ones leave their state."""
        entry = self.entry(name)
        if entry is not None and entry.sweep is not None:
            return is_being_drawn(entry.path)
        if entry is None or entry.entry.state != "drawing":
            return False
        newest = max((modified_ns(file) for file in entry.path.iterdir()), default=0)
        return time.time() - newest / 1e9 < _DRAWING_SECONDS


def _read_entry(folder: Path) -> HistoryEntry | None:
    if sweep := read_sweep(folder):
        record, entry = sweep
        return HistoryEntry(
            name=folder.name, path=folder, entry=entry, favourites=_read_favourites(folder), sweep=record
        )
    try:
        entry = msgspec.json.decode(_read_json(folder / ENTRY), type=SampleEntry)
    except (OSError, ValueError, RecursionError):
        return None
    if not makes_sense(entry, folder):
        return None
    return HistoryEntry(
        name=folder.name,
        path=folder,
        entry=entry,
        favourites=_read_favourites(folder),
        has_trajectory=(folder / INDEX).is_file(),
    )


def makes_sense(entry: SampleEntry, folder: Path) -> bool:
    """Whether what is said can be: the window shows it without looking again. Pictures may have been lost."""
    record, branch = entry.record, entry.record.branch
    return (
        bool(record.request.classes)
        and min(record.request.classes) >= 0
        and 0 <= entry.images <= min(record.request.count, _pictures(folder) + _MOST_MISSING)
        and 0 <= record.time <= _LATEST
        and 0 <= entry.seconds <= _LATEST
        and 0 <= min(entry.height, entry.width) <= max(entry.height, entry.width) <= _LARGEST_SIDE
        and (branch is None or (branch.image >= 0 and branch.step >= 1))
    )


def _pictures(folder: Path) -> int:
    """How many images there are in a folder. With thousands of folders this takes time, hence no Path."""
    with os.scandir(folder) as files:
        return sum(file.name.endswith(".png") for file in files)


def _read_favourites(folder: Path) -> frozenset[int]:
    try:
        images = msgspec.json.decode(_read_json(folder / FAVOURITES), type=dict[str, list[int]])
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(image for image in images.get("images", ()) if image >= 0)


def _read_json(path: Path) -> bytes:
    """The bytes of a file of sensible size. Raises: OSError, ValueError."""
    with path.open("rb") as file:
        data = file.read(_LARGEST_JSON + 1)
    if len(data) > _LARGEST_JSON:
        raise ValueError(f"{path} is larger than {_LARGEST_JSON} bytes")
    return data
