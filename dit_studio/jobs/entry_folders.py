"""The folders of a history, an entry each: new ones, what is read of them, and the trash.

<root>/20260301-142233-9f3a/   an entry
<root>/.trash/                 deleted entries, until they have lain there for some days

Every question is answered from the disk, so that several windows can have the same history open.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from dit_studio.errors import RunError
from dit_studio.files import naming_disk_errors

TRASH = ".trash"

EntryT = TypeVar("EntryT")
_Stamp = tuple[int, ...]


@dataclass(frozen=True)
class Deletion:
    """An entry that went into the trash; `undo` takes it."""

    name: str
    trashed: Path


class EntryFolders(Generic[EntryT]):
    """The entries below a folder. Reading keeps what has not changed since, so that asking often is cheap.

    `read` gives what a folder holds, None if that is no entry, or a damaged one. `indices`: the files that are written
    anew when an entry changes; the first that is there counts. `no_entries`: other folders beside the entries.
    `again`: what to do about an entry that is lost.
    """

    def __init__(
        self,
        root: Path,
        read: Callable[[Path], EntryT | None],
        *,
        indices: tuple[str, ...],
        again: str,
        no_entries: frozenset[str] = frozenset(),
    ) -> None:
        self.root = root
        self.passed_over = 0  # folders that `read_all` could not read, the last time it was asked
        self._read_entry, self._indices, self._again, self._no_entries = read, indices, again, no_entries
        self._known: dict[str, tuple[_Stamp, EntryT | None]] = {}

    def new(self) -> Path:
        """A new, empty folder for an entry: YYYYMMDD-HHMMSS-xxxx. Raises: RunError or DiskFullError."""
        with naming_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                folder = self.root / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
                with suppress(FileExistsError):
                    folder.mkdir()
                    return folder

    # ------------------------------------------------------------------------------------------------- reading

    def read_all(self) -> list[EntryT]:
        """All entries, in no order. Damaged and foreign folders are passed over, and counted."""
        found = dict(self._read_folders())
        self._known = {name: self._known[name] for name in found}
        self.passed_over = sum(entry is None for entry in found.values())
        return [entry for entry in found.values() if entry is not None]

    def read(self, name: str) -> EntryT | None:
        """One entry; None if it is gone or cannot be read."""
        try:
            return self._read(str(self.root / name), name) if is_plain(name) else None
        except OSError:
            return None

    def forget(self, name: str) -> None:
        """Read an entry anew when it is next asked for."""
        self._known.pop(name, None)

    def there(self, name: str) -> Path:
        """The folder of an entry. Raises: RunError if another window deleted it."""
        folder = self.root / name
        if not folder.is_dir():
            raise RunError(f"{name} is gone: it was deleted, perhaps in another window.")
        return folder

    def size_bytes(self, name: str) -> int:
        """What an entry takes on the disk."""
        return sum(file_size(file) for file in (self.root / name).rglob("*"))

    def _read_folders(self) -> Iterator[tuple[str, EntryT | None]]:
        try:
            folders = [item for item in os.scandir(self.root) if not item.name.startswith(".")]
        except OSError:
            return
        for item in folders:
            with suppress(OSError):  # a folder that goes away while it is read, or that is new
                if item.name in self._no_entries or not item.is_dir():
                    continue
                if (entry := self._read(item.path, item.name)) or any(Path(item.path).iterdir()):
                    yield item.name, entry

    def _read(self, folder: str, name: str) -> EntryT | None:
        """Raises: OSError if there is no such folder."""
        stamp = self._stamp(folder)
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            known = self._known[name] = (stamp, self._read_entry(Path(folder)))
        return known[1]

    def _stamp(self, folder: str) -> _Stamp:
        """Changes with every file that comes, goes or is replaced in a folder. With thousands of folders this is what
        takes the time, hence no Path."""
        changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
        return changed, next((time for file in self._indices if (time := modified_ns(f"{folder}/{file}"))), 0)

    # ------------------------------------------------------------------------------------------------- the trash

    def delete(self, name: str) -> Deletion:
        """Move an entry into the trash. Raises: RunError if it is gone or cannot be moved."""
        folder = self.there(name)
        trashed = self.root / TRASH / f"{name}~{secrets.token_hex(4)}"
        with naming_disk_errors(folder):
            trashed.parent.mkdir(exist_ok=True)
            folder.rename(trashed)
            os.utime(trashed)  # from now on it lies there
        self.forget(name)
        return Deletion(name, trashed)

    def undo(self, deletion: Deletion) -> None:
        """Bring a deleted entry back. Raises: RunError if it is no longer in the trash."""
        folder = self.root / deletion.name
        if not deletion.trashed.is_dir() or folder.exists():
            raise RunError(f"{deletion.name} is no longer in the trash.", remedy=self._again)
        with naming_disk_errors(folder):
            deletion.trashed.rename(folder)

    def trashed(self) -> list[Path]:
        """The folders in the trash."""
        return list((self.root / TRASH).glob("*"))

    def empty_trash(self, *, older_than_days: float) -> None:
        """Remove for good what was deleted so long ago."""
        limit = time.time() - older_than_days * 86_400
        for folder in self.trashed():
            with suppress(OSError):  # another window empties the same trash
                if folder.stat().st_mtime <= limit:
                    shutil.rmtree(folder, ignore_errors=True)


def is_plain(name: str) -> bool:
    """Whether a name, perhaps from a foreign file, stays in the folder."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def modified_ns(path: str | Path) -> int:
    """0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0


def file_size(path: Path) -> int:
    """In bytes; 0 of what is no file."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
