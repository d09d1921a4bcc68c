"""Images streamed into an NPZ as evaluators of this field read it: `arr_0` uint8 (N, H, W, 3), `arr_1` int64 labels.

However many they are, a batch is all that is held.
"""

import errno
import glob
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import psutil
from numpy.typing import NDArray

from dit_studio.engine.export.film import in_colour
from dit_studio.errors import ConfigError, DiskFullError, Problem
from dit_studio.files import free_bytes, naming_disk_errors, sync_folder
from dit_studio.npz_count import partial_file

_HEADER_BYTES = 128  # of arr_0; room enough for any number of images
_SPARE_BYTES = 2**20


class NpzWriter:
    """Takes batches; `finish` makes the file whole with those that came."""

    def __init__(self, file: IO[bytes], *, planned: int, size: tuple[int, int]) -> None:
        self._file, self._size, self._planned = file, size, planned
        self._labels: list[int] = []
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._info = zipfile.ZipInfo("arr_0.npy")
        self._pixels = self._zip.open(self._info, "w", force_zip64=True)
        self._start = file.tell()
        self._pixels.write(self._header(planned))

    @property
    def images(self) -> int:
        return len(self._labels)

    def add(self, pixels: NDArray[np.uint8], labels: list[int]) -> None:
        """A batch. Shape: (N, H, W, 3 or 1); grey is written as three channels, as evaluators need it."""
        self._pixels.write(np.ascontiguousarray(in_colour(pixels)).tobytes())
        self._labels += labels  # last: images count once they are written whole

    def finish(self) -> None:
        self._pixels.close()
        if self.images != self._planned or self._info.file_size != self._bytes:
            self._correct()
        labels = io.BytesIO()
        np.save(labels, np.array(self._labels, np.int64))
        self._zip.writestr("arr_1.npy", labels.getvalue())
        self._zip.close()

    def abandon(self) -> None:
        for part in (self._pixels, self._zip):
            with suppress(OSError, ValueError):  # the disk that failed a write may fail this one, too
                part.close()

    def _header(self, images: int) -> bytes:
        """The head of an .npy of version 1.0, always of the same length."""
        shape = (images, *self._size, 3)
        words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
        text = words.ljust(_HEADER_BYTES - 11) + b"\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text

    @property
    def _bytes(self) -> int:
        """Of arr_0, with the images that came whole."""
        return _HEADER_BYTES + self.images * self._size[0] * self._size[1] * 3

    def _correct(self) -> None:
        """Fewer images came than were planned, the last of them perhaps in part: arr_0 ends with the last whole one."""
        self._file.seek(self._start)
        self._file.write(self._header(self.images))
        self._file.seek(self._start)
        checksum, left = 0, self._bytes
        while left:
            part = self._file.read(min(left, 2**20))
            if not part:
                raise OSError(errno.EIO, "the images written are not all there")
            checksum, left = zlib.crc32(part, checksum), left - len(part)
        info, end = self._info, self._start + self._bytes
        info.CRC, info.file_size, info.compress_size = checksum, self._bytes, self._bytes
        self._file.seek(info.header_offset)
        self._file.write(info.FileHeader(zip64=True))
        self._file.truncate(end)
        self._file.seek(end)
        self._zip.start_dir = end


@contextmanager
def open_npz(path: Path, *, images: int, size: tuple[int, int]) -> Iterator[NpzWriter]:
    """A writer for `path`, of images of this height and width; the file is there when the block ends.

    A block that ends early, by a stop or an error, leaves the images that came: at `path` if there was no file, else
    beside it as `partial_file`. A write that fails leaves nothing.
    Raises: DiskFullError before anything is written if there is no room, RunError.
    """
    check_target(path)
    _remove_leftovers(path)
    check_room(path, images=images, size=size)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_disk_errors(path):
        try:
            with temporary.open("w+b") as file:
                writer = NpzWriter(file, planned=images, size=size)
                try:
                    yield writer
                except OSError:
                    writer.abandon()
                    raise
                except BaseException:
                    is_whole = writer.images == images
                    _keep(writer, file, temporary, partial_file(path) if path.exists() and not is_whole else path)
                    raise
                _keep(writer, file, temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def check_target(path: Path) -> None:
    """Raises: ConfigError if a file of this name cannot be."""
    if path.is_dir():
        raise ConfigError([Problem("path", f"{path} is a folder: choose another name for the NPZ.")])


def _remove_leftovers(path: Path) -> None:
    """What processes that were killed while they wrote this file left beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        writer = leftover.name.split(".")[-2]
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            with suppress(OSError):
                leftover.unlink()


def _keep(writer: NpzWriter, file: IO[bytes], temporary: Path, path: Path) -> None:
    if not writer.images:
        writer.abandon()
        return
    try:
        writer.finish()
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        writer.abandon()
        raise
    file.close()
    temporary.replace(path)
    sync_folder(path.parent)


def check_room(path: Path, *, images: int, size: tuple[int, int]) -> None:
    """Raises: DiskFullError if the disk cannot take so many images."""
    needed = images * (size[0] * size[1] * 3 + 8) + _SPARE_BYTES
    if (free := free_bytes(path)) < needed:
        raise DiskFullError(
            f"{images:,} images take {needed / 2**20:,.0f} MB, and {free / 2**20:,.0f} MB are free for {path}.",
            remedy="Free some space, choose another disk, or draw fewer images.",
            numbers={"free_bytes": free, "needed_bytes": needed},
        )
