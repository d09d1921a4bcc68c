"""What every viewer shows: the steps of some images, wherever they are kept.

A step is named from 1. Its x_t is the one that the step starts from, and its x̂₀ the clean image predicted in it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.errors import DataError
from dit_studio.events import StepPoint
from dit_studio.jobs.sample_history import makes_sense
from dit_studio.sample_request import SampleEntry
from dit_studio.trajectory import Trajectory, open_trajectory
from dit_studio.ui.sample.pixels import Pixels, read_pixels

_FINALS_BYTES = 64_000_000  # finished images of an entry that are kept decoded

Floats = NDArray[np.float32]


class Film(Protocol):
    """`points`: the steps, the noisiest first; empty if only finished images are known.

    `shared_steps`: how many of the first points are a parent's past; 0 for a film that is no branch.
    """

    @property
    def points(self) -> Sequence[StepPoint]: ...
    @property
    def images(self) -> int: ...
    @property
    def labels(self) -> Sequence[int]: ...
    @property
    def seeds(self) -> Sequence[int]: ...
    @property
    def planes(self) -> Sequence[str]: ...
    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels (1 or 3) of the images in pixels."""
        ...

    @property
    def shared_steps(self) -> int: ...

    def steps_done(self, image: int) -> int:
        """How many steps of an image are there to be shown."""
        ...

    def picture(self, plane: str, image: int, step: int) -> Pixels | None:
        """A plane of trajectory.PLANES, (H, W, 3 or 1), of latents smaller than `size`; None where a step has none."""
        ...

    def final(self, image: int) -> Pixels | None:
        """The finished image, (H, W, 3 or 1); None as long as it is not finished."""
        ...

    def norms(self, image: int) -> Floats:
        """‖x_t‖ / √numbers at each step; nan where it is not there yet."""
        ...

    def moves(self, image: int) -> Floats:
        """‖x̂₀ - x̂₀ of the step before‖ / √numbers at each step; 0 at the first, nan where it is not there yet."""
        ...


class KeptFilm:
    """An entry of the history, or any folder with a trajectory. Raises: DataError if it cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trajectory = open_trajectory(folder)
        self._finals: OrderedDict[int, Pixels | None] = OrderedDict()
        entry = _read_entry(folder)
        kept = self._trajectory.index.images if self._trajectory else 0
        self.images = max(kept, entry.images if entry else 0)
        self.points: Sequence[StepPoint] = self._trajectory.index.points if self._trajectory else ()
        self.planes: Sequence[str] = self._trajectory.index.planes if self._trajectory else ()
        self.labels = [entry.record.label_of(image) if entry else 0 for image in range(self.images)]
        self.seeds = [(entry.record.request.seed if entry else 0) + image for image in range(self.images)]
        self.size = _size(self._trajectory, entry)
        self.shared_steps = 0
        index = self._trajectory.index if self._trajectory else None
        shape = (len(self.points), self.images)
        self._norms = _table(index.norms if index else (), shape)
        self._norms[self._norms == 0] = np.nan  # steps that were not drawn
        self._moves = _table(index.moves if index else (), shape)
        self._moves[np.isnan(self._norms)] = np.nan

    def steps_done(self, image: int) -> int:
        if self._trajectory is None or image >= self._trajectory.index.images:
            return 0
        if image < self._trajectory.index.finished:
            return len(self.points)
        return int(np.isfinite(self.norms(image)).sum())

    def picture(self, plane: str, image: int, step: int) -> Pixels | None:
        if self._trajectory is None or plane not in self.planes or not 1 <= step <= self.steps_done(image):
            return None
        is_last_of_latents = self._trajectory.index.colours and plane == "x_start" and step == len(self.points)
        if is_last_of_latents and (decoded := self.final(image)) is not None:
            return decoded
        return self._trajectory.pixels(plane, image, step)

    def final(self, image: int) -> Pixels | None:
        if image in self._finals:
            self._finals.move_to_end(image)
            return self._finals[image]
        pixels = read_pixels(self._folder / f"{image:06d}.png")
        self._finals[image] = pixels
        height, width, channels = self.size
        while len(self._finals) > max(64, _FINALS_BYTES // max(height * width * channels, 1)):
            self._finals.popitem(last=False)
        return pixels

    def norms(self, image: int) -> Floats:
        return np.asarray(self._norms[:, image])

    def moves(self, image: int) -> Floats:
        return np.asarray(self._moves[:, image])


class JoinedFilm:
    """A branch with the past of its parent before it: image `image` of the parent up to `step`, then its own steps."""

    def __init__(self, past: Film, image: int, step: int, own: Film) -> None:
        self.past, self._image, self._own = past, image, own
        self.shared_steps = min(step - 1, len(past.points))

    @property
    def points(self) -> Sequence[StepPoint]:
        return [*self.past.points[: self.shared_steps], *self._own.points]

    @property
    def images(self) -> int:
        return self._own.images

    @property
    def labels(self) -> Sequence[int]:
        return self._own.labels

    @property
    def seeds(self) -> Sequence[int]:
        return self._own.seeds

    @property
    def planes(self) -> Sequence[str]:
        return list(dict.fromkeys([*self._own.planes, *self.past.planes]))

    @property
    def size(self) -> tuple[int, int, int]:
        return self._own.size

    def steps_done(self, image: int) -> int:
        return self.shared_steps + self._own.steps_done(image)

    def picture(self, plane: str, image: int, step: int) -> Pixels | None:
        if step <= self.shared_steps:
            return self.past.picture(plane, self._image, step)
        return self._own.picture(plane, image, step - self.shared_steps)

    def final(self, image: int) -> Pixels | None:
        return self._own.final(image)

    def norms(self, image: int) -> Floats:
        return np.concatenate([self.past.norms(self._image)[: self.shared_steps], self._own.norms(image)])

    def moves(self, image: int) -> Floats:
        own = self._own.moves(image).copy()
        if self.shared_steps and own.size and not np.isnan(own[0]):
            own[0] = self._move_at_fork(image)
        return np.concatenate([self.past.moves(self._image)[: self.shared_steps], own])

    def _move_at_fork(self, image: int) -> float:
        """How far x̂₀ moved from the parent's last shared step to the branch's first, from their pixels."""
        before = self.picture("x_start", image, self.shared_steps)
        after = self.picture("x_start", image, self.shared_steps + 1)
        if before is None or after is None or before.shape != after.shape:
            return float("nan")
        return float(np.sqrt(np.mean(((after.astype(np.float32) - before) / 127.5) ** 2)))


class ForkedFilm:
    """Both futures of a branch over one slider: the branch's images, and after them the parent's image as it became.

    The parent's steps are those nearest in t to the branch's own.
    """

    def __init__(self, branch: JoinedFilm, parent: Film, image: int) -> None:
        self._branch, self._parent, self._image = branch, parent, image
        self.points: Sequence[StepPoint] = branch.points
        times = np.array([point.t for point in parent.points])
        self._steps = [int(np.abs(times - point.t).argmin()) + 1 for point in self.points]
        self.images = branch.images + 1
        self.labels = [*branch.labels, parent.labels[image]]
        self.seeds = [*branch.seeds, parent.seeds[image]]
        self.planes = branch.planes
        self.size = branch.size
        self.shared_steps = branch.shared_steps

    def is_parent(self, image: int) -> bool:
        """Whether it is the parent's image."""
        return image == self.images - 1

    def lacks(self, image: int, step: int) -> bool:
        """Whether it is the parent's image, and the parent was stopped before it came so far."""
        return self.is_parent(image) and self.parent_step(step) > self._parent.steps_done(self._image)

    def parent_step(self, step: int) -> int:
        """The step of the parent's film that is shown at a step of this one."""
        return self._steps[step - 1]

    def steps_done(self, image: int) -> int:
        return len(self.points) if self.is_parent(image) else self._branch.steps_done(image)

    def picture(self, plane: str, image: int, step: int) -> Pixels | None:
        if self.is_parent(image):
            return self._parent.picture(plane, self._image, self.parent_step(step))
        return self._branch.picture(plane, image, step)

    def final(self, image: int) -> Pixels | None:
        return self._parent.final(self._image) if self.is_parent(image) else self._branch.final(image)

    def norms(self, image: int) -> Floats:
        return self._of_parent(self._parent.norms(self._image)) if self.is_parent(image) else self._branch.norms(image)

    def moves(self, image: int) -> Floats:
        return self._of_parent(self._parent.moves(self._image)) if self.is_parent(image) else self._branch.moves(image)

    def _of_parent(self, values: Floats) -> Floats:
        return np.asarray(values[np.array(self._steps) - 1])


def is_parent(film: Film | None, image: int) -> bool:
    """Whether an image is that of a parent beside its branch."""
    return isinstance(film, ForkedFilm) and film.is_parent(image)


def why_missing(film: Film, image: int, step: int) -> str:
    """Why there is no picture of a step, in words; "" if the film does not know."""
    if isinstance(film, ForkedFilm) and film.lacks(image, step):
        return "the parent ended before this step"
    return "not drawn yet" if step > film.steps_done(image) else ""


def _read_entry(folder: Path) -> SampleEntry | None:
    path = folder / "entry.json"
    if not path.is_file():
        return None
    remedy = "Delete it, or draw again."
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=SampleEntry)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"The entry {folder.name} cannot be read: {error}.", remedy=remedy) from error
    if not makes_sense(entry, folder):
        raise DataError(f"The entry {folder.name} is damaged: it cannot be as it says.", remedy=remedy)
    return entry


def _table(rows: tuple[tuple[float, ...], ...], shape: tuple[int, int]) -> Floats:
    """Rows as (steps, images), with nan for images that were not kept. Raises: DataError if they do not fit."""
    result = np.full(shape, np.nan, np.float32)
    if rows:
        try:
            values = np.array(rows, np.float32)
            result[:, : values.shape[1]] = values
        except (ValueError, IndexError) as error:
            raise DataError(f"The curves of the trajectory are damaged: {error}.", remedy="Draw it again.") from error
    return result


def _size(trajectory: Trajectory | None, entry: SampleEntry | None) -> tuple[int, int, int]:
    if trajectory and "x_start" in trajectory.arrays:
        height, width, channels = trajectory.arrays["x_start"].shape[2:]
        if trajectory.index.colours and entry:  # a pixel of a plane is a latent
            height, width = entry.height, entry.width
        return height, width, channels
    return (entry.height, entry.width, 3) if entry else (1, 1, 3)
