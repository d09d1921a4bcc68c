"""How a file gets onto the disk: whole or not at all."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dit_studio.errors import DiskFullError, UnwritableError

_REPLACE_TRIES, _REPLACE_WAIT_SECONDS = 20, 0.05
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`: a temporary file beside it, fsync, rename.

    Raises: DiskFullError or UnwritableError, with the path; the old file, if any, is then still whole.
    """
    with open_atomically(path) as file:
        file.write(data)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write; when the block ends well it becomes `path`, in place of what was there.

    Raises: DiskFullError or UnwritableError, with the path; the old file, if any, is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_disk_errors(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def new_folder_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; when the block ends well it becomes `path`, in place of what was there.

    Raises: DiskFullError or UnwritableError, with the path; the old folder, if any, is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_disk_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        path.parent.mkdir(exist_ok=True)  # but not what that lies in: its disk may be gone
        temporary.mkdir()
        try:
            yield temporary
            for file in (found for found in temporary.rglob("*") if found.is_file()):
                with file.open("rb+") as written:
                    os.fsync(written.fileno())
            sync_folder(temporary)
            replaced = path.with_name(f".{path.name}.replaced")
            if path.exists():
                path.rename(replaced)
            temporary.rename(path)
            shutil.rmtree(replaced, ignore_errors=True)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Take a folder away whole: it is out of sight before the first of its files goes. Raises: UnwritableError."""
    with naming_disk_errors(path):
        if path.exists():
            hidden = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)


def set_aside(folders: Iterable[Path]) -> None:
    """Move folders into "set-aside" beside them, in place of older ones of their names. Raises: RunError."""
    for folder in folders:
        aside = folder.parent / "set-aside" / folder.name
        with naming_disk_errors(aside):
            aside.parent.mkdir(exist_ok=True)
            remove_folder(aside)
            folder.rename(aside)


def remove_leftovers(folder: Path) -> None:
    """Clear up after processes that were killed in `folder`: what was half-written or half-removed goes, and what was
    about to be replaced, but was not, comes back."""
    for replaced in folder.glob(".*.replaced"):
        original = folder / replaced.name.removeprefix(".").removesuffix(".replaced")
        if not original.exists():
            replaced.rename(original)
    for leftover in (path for ending in ("tmp", "old", "replaced") for path in folder.glob(f".*.{ending}")):
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)


@contextmanager
def naming_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a sentence about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            free = free_bytes(path)
            raise DiskFullError(
                f"There is no room to write {path}: {free / 2**20:.0f} MB are free.",
                remedy="Free some space, or choose another folder.",
                numbers={"free_bytes": free},
            ) from error
        raise UnwritableError(
            f"{path} cannot be written: {error.strerror or error}.", remedy="Choose a folder that you may write to."
        ) from error


def free_bytes(path: Path) -> int:
    """Free space, in bytes, on the disk that holds `path` or will hold it."""
    return shutil.disk_usage(_nearest_existing(path)).free


def why_not_writable(path: Path) -> str:
    """A sentence if nothing can be written in `path`, or where it would be made; empty if all is well."""
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(path)):
            return ""
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}."


def _nearest_existing(path: Path) -> Path:
    existing = path.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return existing


def sync_folder(path: Path) -> None:
    """Make renames in `path` survive a power cut, where the system can (Windows cannot open a folder)."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    """Rename; on Windows again while somebody reads the old file, which takes a moment."""
    for _ in range(_REPLACE_TRIES):
        try:
            temporary.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(_REPLACE_WAIT_SECONDS)
        else:
            return
    temporary.replace(path)
