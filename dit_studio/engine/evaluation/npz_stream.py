"""Arrays of an .npz file: what there is, small ones whole, large ones a batch at a time. Pickles are refused."""

import math
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dit_studio.errors import DataError

_SUFFIX = ".npy"
_SKIPPED_BYTES = 2**26  # at once
_REPAIR = "Copy or download it again."


class ArrayHead(NamedTuple):
    """What the head of an array says of it; an array of Python objects has the dtype "object"."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool = False

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def no_images(path: Path, shape: tuple[int, ...]) -> DataError:
    """What to raise where the array of images is there, but empty."""
    return DataError(
        f'{path} holds no images: its array "arr_0" has the shape {shape}.', remedy="Choose an .npz of images."
    )


def array_heads(path: Path) -> dict[str, ArrayHead]:
    """The arrays of the file by name, "arr_0" for instance, without their numbers.

    Raises: DataError if the file is missing, damaged or no .npz.
    """
    with _open_archive(path) as archive:
        names = [info.filename for info in archive.infolist() if info.filename.endswith(_SUFFIX)]
        heads = {}
        for name in names:
            with _open_member(path, archive, name) as member:
                heads[name.removesuffix(_SUFFIX)] = _read_head(path, name, member)
    return heads


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One array, whole. Raises: DataError as `array_heads`, and if it is not there, cut short, or holds pickles."""
    with _open_archive(path) as archive, _open_array(path, archive, name) as (member, head):
        values = _values(path, name, member, head.dtype, math.prod(head.shape))
        return values.reshape(head.shape, order="F" if head.is_fortran else "C")


def stream_array(path: Path, name: str, *, batch_size: int, start: int = 0) -> Generator[NDArray[Any], None, None]:
    """Batches along the first axis, from row `start`; no more than one is held. The last may be smaller.

    Of a compressed file all before `start` is read: an empty batch comes after each 64 MB of it, so that one can stop.
    Shapes: (≤ batch_size, …). Raises: DataError as `read_array`, and if its rows do not lie one after the other.
    """
    with _open_archive(path) as archive, _open_array(path, archive, name) as (member, head):
        if not head.shape or (head.is_fortran and len(head.shape) > 1):
            raise DataError(
                f'"{name}" in {path} cannot be read row by row: its shape is {head.shape}'
                f"{', in Fortran order' if head.is_fortran else ''}.",
                remedy="Save it with numpy.savez from an array in C order.",
            )
        rows, row_shape = head.shape[0], head.shape[1:]
        for size_bytes in _steps(start * math.prod(row_shape) * head.dtype.itemsize):
            with _naming_damage(path):
                member.seek(size_bytes, 1)
            if size_bytes == _SKIPPED_BYTES:
                yield np.empty((0, *row_shape), head.dtype)
        for first in range(start, rows, batch_size):
            count = min(batch_size, rows - first)
            values = _values(path, name, member, head.dtype, count * math.prod(row_shape))
            yield values.reshape(count, *row_shape)


def check_whole(path: Path, name: str) -> None:
    """Without reading its numbers. Raises: DataError as `read_array`."""
    with _open_archive(path) as archive, _open_array(path, archive, name):
        pass


def _steps(size_bytes: int) -> Iterator[int]:
    for left in range(size_bytes, 0, -_SKIPPED_BYTES):
        yield min(left, _SKIPPED_BYTES)


# ------------------------------------------------------------------------------------------------- the archive


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _naming_damage(path):
        archive = zipfile.ZipFile(path)
    with closing(archive):
        yield archive


@contextmanager
def _open_member(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    with _naming_damage(path):
        member = archive.open(name)
    with closing(member):
        yield member


@contextmanager
def _open_array(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[tuple[IO[bytes], ArrayHead]]:
    """The array's bytes after its head, and its head, once it is known to be plain and whole."""
    names = [info.filename.removesuffix(_SUFFIX) for info in archive.infolist()]
    if name not in names:
        there = ", ".join(f'"{other}"' for other in names[:12]) or "nothing"
        raise DataError(f'{path} has no array "{name}": it holds {there}.', remedy="Choose another file.")
    with _open_member(path, archive, name + _SUFFIX) as member:
        head = _read_head(path, name + _SUFFIX, member)
        if head.dtype.hasobject:
            raise DataError(
                f'"{name}" in {path} holds pickled Python objects, which could run code and are never opened.',
                remedy="Save it again as an array of numbers.",
            )
        size_bytes = archive.getinfo(name + _SUFFIX).file_size - member.tell()
        if size_bytes != head.size_bytes:
            raise _cut_short(path, name, size_bytes, head.size_bytes)
        yield member, head


def _read_head(path: Path, name: str, member: IO[bytes]) -> ArrayHead:
    with _naming_damage(path):
        try:
            version = npy.read_magic(member)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(member)
        except (ValueError, KeyError, SyntaxError, TypeError) as error:
            raise DataError(f'"{name}" in {path} is no NumPy array: {error}.', remedy=_REPAIR) from error
    if any(side < 0 for side in shape):
        raise DataError(f'"{name}" in {path} has the impossible shape {shape}.', remedy=_REPAIR)
    return ArrayHead(shape, dtype, is_fortran)


def _values(path: Path, name: str, member: IO[bytes], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """The next `count` numbers, in memory that may be written."""
    values = np.empty(count, dtype)
    left = values.view(np.uint8).data
    while left.nbytes:
        with _naming_damage(path):
            part = member.read(min(left.nbytes, 2**24))
        if not part:
            raise _cut_short(path, name, values.nbytes - left.nbytes, values.nbytes)
        left[: len(part)] = part
        left = left[len(part) :]
    return values


def _cut_short(path: Path, name: str, there: int, needed: int) -> DataError:
    return DataError(f'"{name}" in {path} is cut short: {there:,} of {needed:,} bytes are there.', remedy=_REPAIR)


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.", remedy="Check the path, or choose another file.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is damaged, or no .npz file: {error}.", remedy=_REPAIR) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", remedy="Choose another file.") from error
