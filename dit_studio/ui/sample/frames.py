"""The film of what is being drawn: it grows with every frame that comes from the worker."""

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dit_studio.errors import DiskFullError
from dit_studio.events import SampleFrame, SamplesDrawn, SamplingStarted, StepPoint
from dit_studio.ui.sample.film import Floats
from dit_studio.ui.sample.pixels import Pixels
from dit_studio.ui.train.amounts import memory


class Frames:
    """A live Film. All its room is taken at the start: in memory within the budget, otherwise in a temporary folder
    that `close` removes. Raises: DiskFullError if there is no room for that."""

    def __init__(self, started: SamplingStarted, *, budget_bytes: int) -> None:
        self.points: Sequence[StepPoint] = started.points
        self.labels: Sequence[int] = started.labels
        self.seeds: Sequence[int] = started.seeds
        self.planes: Sequence[str] = started.planes
        self.size = (started.height, started.width, started.channels)
        self._plane_size = (started.plane_height or started.height, started.plane_width or started.width, self.size[2])
        self.images = len(started.labels)
        self.shared_steps = 0
        frames = len(self.points) * self.images
        self.size_bytes = frames * math.prod(self._plane_size) * len(self.planes)
        finals_bytes = self.images * math.prod(self.size)
        self._folder = None if self.size_bytes <= budget_bytes else _folder(self.size_bytes + finals_bytes)
        steps = len(self.points)
        self._arrays = {plane: self._array(plane, (steps, self.images, *self._plane_size)) for plane in self.planes}
        self._finals = self._array("finals", (self.images, *self.size))
        self._is_final = np.zeros(self.images, bool)
        self._done = np.zeros(self.images, np.int64)
        self._norms = np.full((self.images, len(self.points)), np.nan, np.float32)
        self._moves = np.full((self.images, len(self.points)), np.nan, np.float32)

    @property
    def is_in_memory(self) -> bool:
        return self._folder is None

    @property
    def frames_done(self) -> int:
        """Of all images together."""
        return int(self._done.sum())

    @property
    def memory_text(self) -> str:
        """What its steps take: "39 MB in memory", or "1.2 GB on the disk"."""
        return f"{memory(self.size_bytes)} {'in memory' if self.is_in_memory else 'on the disk'}"

    def add(self, frame: SampleFrame) -> None:
        """Take in a step of a batch."""
        images = slice(frame.first_image, frame.first_image + frame.images)
        planes = np.frombuffer(frame.data, np.uint8).reshape(len(self.planes), frame.images, *self._plane_size)
        for plane, pixels in zip(self.planes, planes, strict=True):
            self._arrays[plane][frame.step - 1, images] = pixels
        self._norms[images, frame.step - 1] = frame.norms
        self._moves[images, frame.step - 1] = frame.moves
        self._done[images] = np.maximum(self._done[images], frame.step)

    def finish(self, drawn: SamplesDrawn) -> None:
        """Take in finished images."""
        images = slice(drawn.first_image, drawn.first_image + drawn.images)
        self._finals[images] = np.frombuffer(drawn.data, np.uint8).reshape(drawn.images, *self.size)
        self._is_final[images] = True

    def steps_done(self, image: int) -> int:
        return int(self._done[image])

    def picture(self, plane: str, image: int, step: int) -> Pixels | None:
        if plane not in self._arrays or not 1 <= step <= self._done[image]:
            return None
        if plane == "x_start" and step == len(self.points) and self._plane_size != self.size and self._is_final[image]:
            return self.final(image)  # the last x̂₀ of latents, decoded
        return np.asarray(self._arrays[plane][step - 1, image])

    def final(self, image: int) -> Pixels | None:
        return self._finals[image] if self._is_final[image] else None

    def norms(self, image: int) -> Floats:
        return np.asarray(self._norms[image])

    def moves(self, image: int) -> Floats:
        return np.asarray(self._moves[image])

    def close(self) -> None:
        """Give the room back; the film has no pictures of its steps any more."""
        self._arrays = {}
        self._finals, self._is_final = self._finals[:0], np.zeros(self.images, bool)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        if self._folder is None:
            return np.zeros(shape, np.uint8)
        return np.memmap(self._folder / f"{name}.bin", np.uint8, mode="w+", shape=shape)


def _folder(size_bytes: int) -> Path:
    """A new temporary folder on a disk with room for so much."""
    place = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(place).free
    if free_bytes < size_bytes:  # a mapped file that finds no room ends the whole program
        raise DiskFullError(
            f"The steps of these images take {memory(size_bytes)}, and {place} has {memory(free_bytes)} free.",
            remedy="Draw fewer images or steps at once, or free some room.",
        )
    return Path(tempfile.mkdtemp(prefix="dit-studio-frames-"))
