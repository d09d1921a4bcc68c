"""The cache of encoded images: one folder per data set, VAE and options, memory-mapped when read. Needs no torch.

moments.bin   (N, flips, 2, C, h, w) float32: of the image and of its mirror image the posterior's means and deviations
index.bin     a line an image: the key of its pixels, and a checksum of what lies in moments.bin
meta.json     the shape, written last: without it the encoding was interrupted, and goes on
lock          held by who encodes

Both files only grow, the moments first. So what was encoded stays when the process is killed, and is kept as far as its
checksums are right.
"""

import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.errors import DiskFullError, RunError
from dit_studio.files import free_bytes, naming_disk_errors, sync_folder, write_atomically
from dit_studio.locks import locked
from dit_studio.places import cache_dir

VERSION = 1  # raise it when encoding changes what lands in the cache
_LINE = np.dtype([("key", "<u8"), ("check", "<u4")])

Moments = NDArray[np.float32]
Shape = tuple[int, int, int, int, int]  # of an image's moments: flips, 2, C, h, w

_log = logging.getLogger(__name__)


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    images: int
    shape: Shape


def latents_folder(key: str) -> Path:
    return cache_dir() / "latents" / key


def open_moments(key: str, shape: Shape, keys: NDArray[np.uint64]) -> Moments | None:
    """The moments of the images with these keys, in their order; None if they are not all there.

    Shape: (N, flips, 2, C, h, w), mapped and not read.
    """
    folder = latents_folder(key)
    try:
        meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
        lines = np.fromfile(folder / "index.bin", _LINE)
        expected = _Meta(version=VERSION, images=len(keys), shape=shape)
        whole = (folder / "moments.bin").stat().st_size == len(keys) * _image_bytes(shape)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        _log.warning("the latents %s are damaged and will be encoded again: %s", folder, error)
        return None
    if meta != expected or not whole or not np.array_equal(lines["key"], keys):
        return None
    return _mapped(folder, len(keys), shape)


def _mapped(folder: Path, images: int, shape: Shape) -> Moments:
    return np.memmap(folder / "moments.bin", "<f4", mode="r", shape=(images, *shape))


def _image_bytes(shape: Shape) -> int:
    return 4 * int(np.prod(shape))


@contextmanager
def writing_moments(key: str, shape: Shape) -> Iterator["MomentsWriter"]:
    """A writer that goes on behind what is there already and whole.

    Raises: RunError if another process encodes the same images, or the place is not writable.
    """
    folder = latents_folder(key)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    with locked(folder / "lock") as is_ours:
        if not is_ours:
            raise RunError(
                "These images are being encoded by another run.", remedy="Wait until it has done so, then start again."
            )
        writer = MomentsWriter(folder, shape)
        try:
            yield writer
        finally:
            writer.close()


class MomentsWriter:
    """Takes the moments of one batch after another, in the order of the images."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder, self._shape = folder, shape
        with naming_disk_errors(folder):
            (folder / "meta.json").unlink(missing_ok=True)
            self._moments: BinaryIO = _open(folder / "moments.bin")
            self._index: BinaryIO = _open(folder / "index.bin")
            self._keys = self._whole_keys()
            self._cut()

    def __len__(self) -> int:
        return len(self._keys)

    def key_of(self, image: int) -> int:
        return self._keys[image]

    def forget_from(self, image: int) -> None:
        """Drop what was encoded of this image and of those behind it."""
        with naming_disk_errors(self._folder):
            del self._keys[image:]
            self._cut()

    def check_room(self, images: int) -> None:
        """Raises: DiskFullError if so many images in all would not fit."""
        needed = max(0, images - len(self)) * _image_bytes(self._shape)
        if (free := free_bytes(self._folder)) < needed:
            raise DiskFullError(
                f"There is no room for the latents in {self._folder.parent}: {needed / 2**20:,.0f} MB are needed, "
                f"{free / 2**20:,.0f} MB are free.",
                remedy="Free some space, turn random flip off, which halves them, or set DIT_STUDIO_CACHE to a folder "
                "on another disk.",
                numbers={"free_bytes": free, "needed_bytes": needed},
            )

    def append(self, keys: list[int], moments: Moments) -> None:
        """Shape: moments (B, flips, 2, C, h, w). Raises: DiskFullError or RunError."""
        records = [np.ascontiguousarray(moment, "<f4").tobytes() for moment in moments]
        lines = np.array([(key, zlib.crc32(record)) for key, record in zip(keys, records, strict=True)], _LINE)
        with naming_disk_errors(self._folder):
            _write(self._moments, b"".join(records))
            _write(self._index, lines.tobytes())
        self._keys += keys

    def finish(self) -> None:
        """Everything is there: put it on the disk, and say so. Raises: DiskFullError or RunError."""
        with naming_disk_errors(self._folder):
            for file in (self._moments, self._index):
                os.fsync(file.fileno())
            sync_folder(self._folder)
        meta = _Meta(version=VERSION, images=len(self), shape=self._shape)
        write_atomically(self._folder / "meta.json", msgspec.json.encode(meta))

    def close(self) -> None:
        for file in (self._moments, self._index):
            with suppress(OSError):
                file.close()

    def _whole_keys(self) -> list[int]:
        """Of the first images whose moments are as they were written."""
        content = self._index.read()
        lines = np.frombuffer(content[: len(content) // _LINE.itemsize * _LINE.itemsize], _LINE)
        keys = []
        for key, check in lines.tolist():
            record = self._moments.read(_image_bytes(self._shape))
            if len(record) != _image_bytes(self._shape) or zlib.crc32(record) != check:
                break
            keys.append(int(key))
        return keys

    def _cut(self) -> None:
        """Nothing may lie behind the last image that is kept, or what follows would be out of its place."""
        for file, size in ((self._moments, _image_bytes(self._shape)), (self._index, _LINE.itemsize)):
            file.truncate(len(self._keys) * size)
            file.seek(len(self._keys) * size)


def _open(file: Path) -> BinaryIO:
    file.touch()
    opened: Any = file.open("r+b", buffering=0)
    return opened  # type: ignore[no-any-return]


def _write(file: BinaryIO, content: bytes) -> None:
    data = memoryview(content)
    while data:
        data = data[file.write(data) :]
