"""The cache of decoded images: one folder per data set and options, memory-mapped when read.

It is written by appending to a file, not through a memory map: on a full disk a write fails with an error, a
mapped page kills the process.
"""

import array
import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import psutil
from numpy.lib import format as npy
from numpy.typing import NDArray

from dit_studio.engine.image_files import Pixels
from dit_studio.engine.left_out import LeftOut
from dit_studio.errors import DiskFullError
from dit_studio.events import FileProblem
from dit_studio.files import free_bytes, naming_disk_errors, remove_folder, sync_folder
from dit_studio.places import cache_dir

VERSION = 1  # raise it when decoding changes what lands in the cache
_ABANDONED_SECONDS = 3600

_log = logging.getLogger(__name__)


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    class_names: tuple[str, ...]
    left_out: int
    problems: tuple[FileProblem, ...]


@dataclass(frozen=True)
class CachedImages:
    """What was decoded: images (N, C, H, W), labels (N,), keys (N,); a key is equal for equal pixels."""

    images: Pixels
    labels: NDArray[np.int64]
    keys: NDArray[np.uint64]
    class_names: tuple[str, ...]
    left_out: LeftOut


def open_cache(key: str) -> CachedImages | None:
    """The images under this key, or None if there are none or they are damaged."""
    folder = _folder(key)
    try:
        meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        keys = np.load(folder / "keys.npy", allow_pickle=False)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        _check(meta, images, labels, keys)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
        _log.warning("the cache %s is damaged and will be filled again: %s", folder, error)
        return None
    return CachedImages(images, labels, keys, meta.class_names, LeftOut(meta.problems, count=meta.left_out))


def _check(meta: _Meta, images: Pixels, labels: NDArray[Any], keys: NDArray[Any]) -> None:
    """Raises: ValueError."""
    if meta.version != VERSION or images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError("another format")
    if labels.shape != images.shape[:1] or labels.dtype != np.int64 or keys.shape != labels.shape:
        raise ValueError("its parts do not fit together")
    if not len(labels) or labels.min() < 0 or labels.max() >= max(1, len(meta.class_names)):
        raise ValueError("labels without a class")


def forget(key: str) -> None:
    """Take a cache away, so that it is filled anew."""
    remove_folder(_folder(key))


class CacheWriter:
    """Takes one image after the other; nothing but labels and keys stays in memory."""

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self._folder = folder
        self._shape = shape
        self._labels = array.array("q")
        self._keys = array.array("Q")
        self._file: BinaryIO = (folder / "images.npy").open("wb")
        self._header_bytes = self._write_header()

    def append(self, pixels: Pixels, *, label: int, key: int) -> None:
        self._file.write(pixels.tobytes())
        self._labels.append(label)
        self._keys.append(key)

    def __len__(self) -> int:
        return len(self._labels)

    def finish(self, class_names: Sequence[str], left_out: LeftOut) -> None:
        """Write what describes the images; classes without an image are dropped."""
        labels = np.array(self._labels, np.int64)
        kept, labels = np.unique(labels, return_inverse=True)
        names = tuple(class_names[index] for index in kept) if class_names else ()
        meta = _Meta(version=VERSION, class_names=names, left_out=left_out.count, problems=left_out.problems)
        np.save(self._folder / "labels.npy", labels.astype(np.int64))
        np.save(self._folder / "keys.npy", np.array(self._keys, np.uint64))
        (self._folder / "meta.json").write_bytes(msgspec.json.encode(meta))
        assert self._write_header() == self._header_bytes  # NumPy leaves room for a longer first axis
        self.close()

    def close(self) -> None:
        self._file.close()

    def _write_header(self) -> int:
        """Put the header at the start of the file; gives its length."""
        self._file.seek(0)
        description = {"descr": "|u1", "fortran_order": False, "shape": (len(self), *self._shape)}
        npy.write_array_header_1_0(self._file, description)
        return self._file.tell()


@contextmanager
def new_cache(key: str, shape: tuple[int, int, int], *, expected: int) -> Iterator[CacheWriter]:
    """A writer of images of this shape (C, H, W); when the block ends well, the cache is there, else nothing is.

    Two processes may fill the same cache at once: the first to end wins, both are right.
    Raises: DiskFullError, before the work if `expected` images cannot fit; RunError if the place is not writable.
    """
    folder = _folder(key)
    with naming_disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        _check_room(folder, expected * int(np.prod(shape)))
        temporary = Path(tempfile.mkdtemp(prefix=f".{key}.{os.getpid()}.", dir=folder.parent))
        try:
            with contextlib.closing(CacheWriter(temporary, shape)) as writer:
                yield writer
            _publish(temporary, folder, key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _folder(key: str) -> Path:
    return cache_dir() / "datasets" / key


def _check_room(folder: Path, needed: int) -> None:
    if (free := free_bytes(folder)) < needed:
        raise DiskFullError(
            f"There is no room for the decoded images in {folder.parent}: {needed / 2**20:,.0f} MB are needed, "
            f"{free / 2**20:,.0f} MB are free.",
            remedy="Free some space, choose a smaller image size, or set DIT_STUDIO_CACHE to a folder on another disk.",
            numbers={"free_bytes": free, "needed_bytes": needed},
        )


def _publish(temporary: Path, folder: Path, key: str) -> None:
    for file in temporary.iterdir():
        with file.open("rb+") as written:
            os.fsync(written.fileno())
    try:
        temporary.rename(folder)
    except OSError:
        if open_cache(key) is not None:  # another process was faster
            return
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    sync_folder(folder.parent)


def _remove_abandoned(parent: Path) -> None:
    """Delete what processes that were killed left half-written."""
    for folder in parent.glob(".*.*.*"):
        process = folder.name.split(".")[2]
        with contextlib.suppress(OSError):
            is_old = time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
            if is_old and process.isdecimal() and not psutil.pid_exists(int(process)):
                shutil.rmtree(folder, ignore_errors=True)
