"""What was drawn before: the folders of the history, their favourites, and what was deleted of them.

<root>/20260301-142233-9f3a/   entry.json (SampleEntry), favourites.json, 000000.png …, perhaps a trajectory
                               or a sweep: sweep.json, cells/000/000000.png …
<root>/.trash/                 deleted entries, until they have lain there for some days

Every question is answered from the disk, so that several windows can have the same history open.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dit_studio.errors import RunError
from dit_studio.files import naming_disk_errors, remove_leftovers, write_atomically
from dit_studio.jobs.sweep_entry import drawn_cells, is_being_drawn, read_sweep
from dit_studio.sample_request import SampleEntry
from dit_studio.sweep import INDEX as SWEEP
from dit_studio.sweep import SweepRecord
from dit_studio.trajectory import INDEX, PLANES

ENTRY, FAVOURITES = "entry.json", "favourites.json"
_TRASH = ".trash"
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


@dataclass(frozen=True)
class Deletion:
    """An entry that went into the trash; `SampleHistory.undo` takes it."""

    name: str
    trashed: Path


_Stamp = tuple[int, int]


class SampleHistory:
    """The entries below a folder. Reading keeps what has not changed since, so that asking often is cheap."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.passed_over = 0  # folders that `entries` could not read, the last time it was asked
        self._known: dict[str, tuple[_Stamp, HistoryEntry | None]] = {}

    def new_folder(self) -> Path:
        """A new, empty folder for an entry: YYYYMMDD-HHMMSS-xxxx. Raises: RunError or DiskFullError."""
        with naming_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                folder = self.root / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
                with suppress(FileExistsError):
                    folder.mkdir()
                    return folder

    # ------------------------------------------------------------------------------------------------- reading

    def entries(self) -> list[HistoryEntry]:
        """All entries, the newest first. Damaged and foreign folders are passed over, and counted."""
        found = dict(self._read_folders())
        self._known = {name: self._known[name] for name in found}
        self.passed_over = sum(entry is None for entry in found.values())
        entries = [entry for entry in found.values() if entry is not None]
        return sorted(entries, key=lambda entry: (entry.time, entry.name), reverse=True)

    def entry(self, name: str) -> HistoryEntry | None:
        """One entry; None if it is gone or cannot be read."""
        try:
            return self._read(str(self.root / name), name) if _is_plain(name) else None
        except OSError:
            return None

    def children_of(self, name: str) -> list[HistoryEntry]:
        """The branches that go on from an entry."""
        return [entry for entry in self.entries() if entry.parent == name]

    def has(self, name: str) -> bool:
        """Whether there is such an entry."""
        return _is_plain(name) and (self.root / name / ENTRY).is_file()

    def size_bytes(self, name: str) -> int:
        """What an entry takes on the disk, with its trajectory."""
        return sum(_size(file) for file in (self.root / name).rglob("*"))

    def _read_folders(self) -> Iterator[tuple[str, HistoryEntry | None]]:
        try:
            folders = [item for item in os.scandir(self.root) if not item.name.startswith(".")]
        except OSError:
            return
        for item in folders:
            with suppress(OSError):  # a folder that goes away while it is read, or that is new
                if item.is_dir() and ((entry := self._read(item.path, item.name)) or any(Path(item.path).iterdir())):
                    yield item.name, entry

    def _read(self, folder: str, name: str) -> HistoryEntry | None:
        """Raises: OSError if there is no such folder."""
        stamp = _stamp(folder)
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            known = self._known[name] = (stamp, _read_entry(Path(folder)))
        return known[1]

    # ------------------------------------------------------------------------------------------------- changing

    def set_favourite(self, name: str, image: int, on: bool) -> None:
        """Mark an image, or unmark it. Raises: RunError or DiskFullError."""
        folder = self._there(name)
        images = _read_favourites(folder)
        changed = images | {image} if on else images - {image}
        if changed != images:
            write_atomically(folder / FAVOURITES, msgspec.json.encode({"images": sorted(changed)}))
            self._known.pop(name, None)

    def delete(self, name: str) -> Deletion:
        """Move an entry into the trash. Its branches stay. Raises: RunError if it is being drawn or cannot be moved."""
        folder = self._there(name)
        if self._is_being_drawn(name):
            raise RunError(f"{name} is still being drawn.", remedy="Stop it, or wait a minute, and delete it then.")
        trashed = self.root / _TRASH / f"{name}~{secrets.token_hex(4)}"
        with naming_disk_errors(folder):
            trashed.parent.mkdir(exist_ok=True)
            folder.rename(trashed)
            os.utime(trashed)  # from now on it lies there
        self._known.pop(name, None)
        return Deletion(name, trashed)

    def undo(self, deletion: Deletion) -> None:
        """Bring a deleted entry back. Raises: RunError if it is no longer in the trash."""
        folder = self.root / deletion.name
        if not deletion.trashed.is_dir() or folder.exists():
            raise RunError(
                f"{deletion.name} is no longer in the trash.", remedy="Draw it again with the same settings."
            )
        with naming_disk_errors(folder):
            deletion.trashed.rename(folder)

    def empty_trash(self, *, older_than_days: float = 7) -> None:
        """Remove for good what was deleted so long ago."""
        limit = time.time() - older_than_days * 86_400
        for trashed in (self.root / _TRASH).glob("*"):
            with suppress(OSError):  # another window empties the same trash
                if trashed.stat().st_mtime <= limit:
                    shutil.rmtree(trashed, ignore_errors=True)

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
        folder = self._there(name)
        if self._is_being_drawn(name):
            raise RunError(f"{name} is still being drawn.", remedy="Wait until it has ended.")
        freed = 0
        for file in (folder / INDEX, *(folder / f"{plane}.npy" for plane in PLANES)):
            with naming_disk_errors(file):
                freed += _size(file)
                file.unlink(missing_ok=True)
        self._known.pop(name, None)
        return freed

    def _there(self, name: str) -> Path:
        """The folder of an entry. Raises: RunError if another window deleted it."""
        folder = self.root / name
        if not folder.is_dir():
            raise RunError(f"{name} is gone: it was deleted, perhaps in another window.")
        return folder

    def _is_being_drawn(self, name: str) -> bool:
        """Whether a process writes into the folder, as far as its files tell; killed ones leave their state."""
        entry = self.entry(name)
        if entry is not None and entry.sweep is not None:
            return is_being_drawn(entry.path)
        if entry is None or entry.entry.state != "drawing":
            return False
        newest = max((_modified_ns(file) for file in entry.path.iterdir()), default=0)
        return time.time() - newest / 1e9 < _DRAWING_SECONDS


def _is_plain(name: str) -> bool:
    """Whether a name, perhaps from a foreign file, stays in the folder."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def _stamp(folder: str) -> _Stamp:
    """Changes with every file that comes, goes or is replaced in a folder. With thousands of folders this is what takes
    the time, hence no Path."""
    changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
    return changed, _modified_ns(f"{folder}/{ENTRY}") or _modified_ns(f"{folder}/{SWEEP}")


def _modified_ns(path: str | Path) -> int:
    """0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0


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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
