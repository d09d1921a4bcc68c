"""The steps and the finished images of a kept entry, with the past that a branch shares with its parent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit_studio.errors import DataError
from dit_studio.events import StepPoint
from dit_studio.sample_request import SampleEntry, SampleRecord
from dit_studio.trajectory import Trajectory, open_trajectory

Pixels = NDArray[np.uint8]
_DEEPEST = 100  # branches of branches; a circle of damaged entries ends here


@dataclass(frozen=True)
class _Part:
    """The first steps of a trajectory; of a parent's, those of one image."""

    trajectory: Trajectory
    steps: int
    image: int | None = None


@dataclass(frozen=True)
class KeptImages:
    """The finished images of an entry."""

    folder: Path
    entry: SampleEntry

    @property
    def record(self) -> SampleRecord:
        return self.entry.record

    def png(self, image: int) -> bytes:
        """The file of a finished image. Raises: DataError."""
        try:
            return (self.folder / f"{image:06d}.png").read_bytes()
        except OSError as error:
            reason = f"{self.entry.images} are there" if image >= self.entry.images else error.strerror
            raise DataError(f"Image {image + 1} of {self.folder.name} cannot be read: {reason}.") from error

    def pixels(self, image: int) -> Pixels:
        """A finished image in colour, (H, W, 3). Raises: DataError."""
        self.png(image)
        try:
            with Image.open(self.folder / f"{image:06d}.png") as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"Image {image + 1} of {self.folder.name} is damaged: {error}.") from error


@dataclass(frozen=True)
class Film:
    """The steps of an entry's images, a branch's after its parent's."""

    images: KeptImages
    points: tuple[StepPoint, ...]
    parts: tuple[_Part, ...]
    finished: int
    note: str = ""

    def frame(self, plane: str, image: int, step: int) -> Pixels:
        """A plane of a step (from 1), or the finished image one step behind the last, (H, W, 3)."""
        for part in self.parts:
            if step <= part.steps:
                place = image if part.image is None else part.image
                return self._in_full_size(in_colour(part.trajectory.pixels(plane, place, step)))
            step -= part.steps
        return self.images.pixels(image)

    def _in_full_size(self, pixels: Pixels) -> Pixels:
        """A plane of latents as large as the images: each latent a square. Shape: (H, W, 3)."""
        height, width = self.images.entry.height, self.images.entry.width
        rows, columns = max(1, height // pixels.shape[0]), max(1, width // pixels.shape[1])
        return pixels.repeat(rows, axis=0).repeat(columns, axis=1)


def open_images(folder: Path) -> KeptImages:
    """An entry of the history. Raises: DataError."""
    try:
        entry = msgspec.json.decode((folder / "entry.json").read_bytes(), type=SampleEntry)
    except OSError as error:
        raise DataError(f"{folder} is not an entry of the history: entry.json cannot be read.") from error
    except msgspec.DecodeError as error:
        raise DataError(f"The entry {folder} is damaged: {error}.", remedy="Draw it again.") from error
    return KeptImages(folder, entry)


def open_film(folder: Path, *, planes: tuple[str, ...]) -> Film:
    """The film of an entry. Raises: DataError if it keeps no steps, or not these planes of them."""
    images = open_images(folder)
    parts, note = _parts(folder, images.entry, _DEEPEST)
    for plane in planes:
        if any(plane not in part.trajectory.arrays for part in parts):
            raise DataError(f"{folder.name} keeps no {plane} of its steps.", remedy="Draw it again with guidance.")
    points = tuple(point for part in parts for point in part.trajectory.index.points[: part.steps])
    finished = min(parts[-1].trajectory.index.finished, images.entry.images)
    if not finished:
        raise DataError(f"No image of {folder.name} is finished.", remedy="Draw it again.")
    return Film(images, points, tuple(parts), finished, note)


def _parts(folder: Path, entry: SampleEntry, depth: int) -> tuple[list[_Part], str]:
    trajectory = open_trajectory(folder)
    if trajectory is None:
        raise DataError(f"{folder.name} keeps its images only, not its steps.", remedy="Draw it again.")
    own = _Part(trajectory, len(trajectory.index.points))
    branch = entry.record.branch
    if branch is None:
        return [own], ""
    missing = f"The steps before the branch are left out: {branch.entry} is gone."
    if Path(branch.entry).name != branch.entry or depth == 0:
        return [own], missing
    try:
        parent = folder.parent / branch.entry
        past, note = _parts(parent, open_images(parent).entry, depth - 1)
    except DataError:
        return [own], missing
    last = past[-1].trajectory
    if branch.image >= last.index.images or last.arrays["x_t"].shape[2:] != trajectory.arrays["x_t"].shape[2:]:
        return [own], missing
    shared = min(branch.step - 1, len(last.index.points))
    return [*past[:-1], _Part(last, shared, branch.image), own], note


def in_colour(pixels: NDArray[Any]) -> Pixels:
    """(…, 1) as three equal channels; colour as it is."""
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
