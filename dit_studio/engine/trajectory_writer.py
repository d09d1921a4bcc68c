"""A trajectory while it is drawn: in memory if it is small, in files if it is not, and whole on the disk at the end.

Files are written, not mapped: on a full disk a write fails with an error, a mapped page kills the process.
"""

import contextlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dit_studio.errors import DiskFullError
from dit_studio.events import StepPoint
from dit_studio.files import free_bytes, naming_disk_errors, sync_folder, write_atomically
from dit_studio.trajectory import INDEX, PLANES, Colours, TrajectoryIndex

_SPARE_BYTES = 256 * 2**20  # that a trajectory leaves free on a disk

Shape = tuple[int, ...]


class TrajectoryWriter:
    """The planes of a request, step by step. Nothing is visible in the folder before `finish`; a trajectory that was
    there before is gone, for the images are not its any more.

    `shapes`: of one image in each plane; `colours`: in which latents are shown.
    Raises: DiskFullError if it cannot fit; RunError if it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        points: tuple[StepPoint, ...],
        *,
        images: int,
        shapes: Mapping[str, Shape],
        budget_bytes: int,
        colours: Colours = (),
    ) -> None:
        self._colours = colours
        self._folder, self._points, self._images = folder, points, images
        self._norms = np.zeros((len(points), images), np.float32)
        self._moves = np.zeros((len(points), images), np.float32)
        self.size_bytes = trajectory_bytes(shapes, steps=len(points), images=images)
        self.in_memory = self.size_bytes <= budget_bytes
        self._has_frames = False
        with naming_disk_errors(folder):
            for name in (INDEX, *(f"{plane}.npy" for plane in PLANES)):
                (folder / name).unlink(missing_ok=True)
        self._check_room()
        self._planes: dict[str, _InMemory | _OnDisk] = {}
        try:
            for name, shape in shapes.items():
                whole = (len(points), images, *shape)
                kind = _InMemory if self.in_memory else _OnDisk
                self._planes[name] = kind(folder / f"{name}.npy", whole, plane_type(name))
        except BaseException:
            self.discard()
            raise

    def add(
        self,
        step: int,
        first_image: int,
        planes: Mapping[str, NDArray[Any]],
        *,
        norms: NDArray[np.float32],
        moves: NDArray[np.float32],
    ) -> None:
        """Keep a step (from 1) of a batch. Raises: DiskFullError or RunError."""
        for name, values in planes.items():
            self._planes[name].write(step - 1, first_image, values)
        batch = slice(first_image, first_image + len(norms))
        self._norms[step - 1, batch], self._moves[step - 1, batch] = norms, moves
        self._has_frames = True

    def finish(self, finished: int) -> None:
        """Put everything into the folder, the index last. Raises: DiskFullError or RunError; then nothing is kept."""
        if not self._has_frames:
            self.discard()
            return
        try:
            for plane in self._planes.values():
                plane.publish()
            index = TrajectoryIndex(
                points=self._points,
                images=self._images,
                finished=finished,
                planes=tuple(self._planes),
                norms=_rows(self._norms),
                moves=_rows(self._moves),
                colours=self._colours,
            )
            write_atomically(self._folder / INDEX, msgspec.json.encode(index))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Take away whatever was written."""
        for plane in self._planes.values():
            plane.discard()

    def _check_room(self) -> None:
        free, needed = free_bytes(self._folder), self.size_bytes + _SPARE_BYTES
        if free < needed:
            raise DiskFullError(
                f"The trajectory takes {self.size_bytes / 2**20:,.1f} MB and has to leave "
                f"{_SPARE_BYTES / 2**20:.0f} MB free, and {free / 2**20:,.0f} MB are free in {self._folder}.",
                remedy="Free some space, or draw fewer images or steps.",
                numbers={"free_bytes": free, "needed_bytes": needed},
            )


def trajectory_bytes(shapes: Mapping[str, Shape], *, steps: int, images: int) -> int:
    """What the planes take; `shapes` of one image in each."""
    return steps * images * sum(math.prod(shape) * plane_type(name).itemsize for name, shape in shapes.items())


def plane_type(name: str) -> np.dtype[Any]:
    return np.dtype(np.float32 if name == "x_t" else np.uint8)


class _InMemory:
    """A plane as an array, until it is published."""

    def __init__(self, path: Path, shape: Shape, dtype: np.dtype[Any]) -> None:
        self._path, self._array = path, np.zeros(shape, dtype)

    def write(self, step: int, first: int, values: NDArray[Any]) -> None:
        self._array[step, first : first + len(values)] = values

    def publish(self) -> None:
        file = _OnDisk(self._path, self._array.shape, self._array.dtype)
        try:
            for step, values in enumerate(self._array):
                file.write(step, 0, values)
            file.publish()
        except BaseException:
            file.discard()
            raise

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


class _OnDisk:
    """A plane as a .npy file under another name, until it is published."""

    def __init__(self, path: Path, shape: Shape, dtype: np.dtype[Any]) -> None:
        self._path, self._shape, self._dtype = path, shape, dtype
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._image_bytes = math.prod(shape[2:]) * dtype.itemsize
        with naming_disk_errors(path):
            self._file: BinaryIO = self._temporary.open("wb", buffering=0)
            description = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(self._file, description)
            self._header_bytes = self._file.tell()
            self._file.truncate(self._header_bytes + math.prod(shape) * dtype.itemsize)

    def write(self, step: int, first: int, values: NDArray[Any]) -> None:
        place = (step * self._shape[1] + first) * self._image_bytes
        data = np.ascontiguousarray(values, self._dtype).data.cast("B")
        with naming_disk_errors(self._path):
            self._file.seek(self._header_bytes + place)
            while data:
                data = data[self._file.write(data) :]

    def publish(self) -> None:
        with naming_disk_errors(self._path):
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
            sync_folder(self._path.parent)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)


def _rows(values: NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
