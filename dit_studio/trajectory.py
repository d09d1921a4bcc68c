"""A kept trajectory: every step of every image of one request, as plain arrays in a folder.

x_t.npy           (steps, images, C, H, W) float32   from which a branch goes on; C is the model's channels
x_start.npy       (steps, images, H, W, 3 or 1) uint8   the clean image predicted at that step, after guidance; of a
                  model in latents each of them as a pixel, in the colour that it stands for
conditional.npy, unconditional.npy   like x_start, without guidance; only where there was any. Outside the guidance
                  interval the first is x_start, and the second black
trajectory.json   `TrajectoryIndex`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.errors import DataError
from dit_studio.events import StepPoint

PLANES = ("x_t", "x_start", "conditional", "unconditional")
INDEX = "trajectory.json"
NOISE_RANGE = 3.0  # x_t is shown from -3 (black) to +3 (white), at every step

Colours = tuple[tuple[float, ...], ...]  # of latents: for each colour a number for each channel, and one to be added


class TrajectoryIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What the arrays hold. Images from `finished` on were stopped half-way; their last steps are zero."""

    points: tuple[StepPoint, ...]
    images: int
    finished: int
    planes: tuple[str, ...]
    norms: tuple[tuple[float, ...], ...] = ()  # (steps, images), as in SampleFrame
    moves: tuple[tuple[float, ...], ...] = ()
    colours: Colours = ()  # how latents are shown; empty: the model draws pixels


@dataclass(frozen=True)
class Trajectory:
    """The arrays of a folder, mapped and not read."""

    index: TrajectoryIndex
    arrays: dict[str, NDArray[Any]]

    def noise(self, image: int, step: int) -> NDArray[np.float32]:
        """x_t at the start of a step (from 1). Shape: (C, H, W)."""
        return np.array(self.arrays["x_t"][step - 1, image])

    def pixels(self, plane: str, image: int, step: int) -> NDArray[np.uint8]:
        """A plane as it is shown. Shape: (H, W, 3 or 1)."""
        values: NDArray[Any] = self.arrays[plane][step - 1, image]
        return noise_to_pixels(values[None], self.index.colours)[0] if plane == "x_t" else np.asarray(values)


def open_trajectory(folder: Path) -> Trajectory | None:
    """The trajectory kept in a folder, None if there is none. Raises: DataError if it is damaged."""
    if not (folder / INDEX).is_file():
        return None
    try:
        index = msgspec.json.decode((folder / INDEX).read_bytes(), type=TrajectoryIndex)
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in index.planes}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The trajectory in {folder} cannot be read: {error}.", remedy="Draw it again.") from error
    for name, array in arrays.items():
        if name not in PLANES or array.ndim != 5 or array.shape[:2] != (len(index.points), index.images):
            raise DataError(f"The trajectory in {folder} is damaged: {name} is {array.shape}.", remedy="Draw it again.")
    return Trajectory(index, arrays)


def evenly_spaced_steps(points: Sequence[StepPoint], columns: int, spacing: str) -> list[int]:
    """Steps for the columns of a sheet, evenly spaced in t ("t") or in log-SNR ("log-snr"): the first step first, the
    finished image (one step more than there are) last. Where steps are few, there are fewer columns; a step at t = 0 is
    left to the finished image."""
    steps = [step for step, point in enumerate(points, start=1) if point.t > 0] or [1]
    places = [-points[step - 1].t if spacing == "t" else points[step - 1].log_snr for step in steps]
    wanted = min(columns - 1, len(steps))
    end = 0.0 if spacing == "t" else places[-1]
    parts = wanted if spacing == "t" else max(1, wanted - 1)
    chosen: list[int] = []
    for k in range(wanted):
        target = places[0] + (end - places[0]) * k / parts
        nearest = min(range(len(steps)), key=lambda index: abs(places[index] - target))
        lowest, highest = (chosen[-1] + 1 if chosen else 0), len(steps) - (wanted - k)
        chosen.append(min(max(nearest, lowest), highest))
    return [*(steps[index] for index in chosen), len(points) + 1]


def labelled_columns(columns: int, every: int) -> list[int]:
    """The columns whose label is shown where there is room above every so many: the first, and always the last."""
    last = columns - 1
    return [*(column for column in range(0, last, every) if last - column >= every), last]


def latents_to_pixels(latents: NDArray[np.floating], colours: Colours) -> NDArray[np.uint8]:
    """Each latent in the colour that it stands for. Shapes: (B, C, h, w) -> (B, h, w, 3 or 1)."""
    weights = np.array(colours, np.float32)
    shown = np.tensordot(latents.astype(np.float32), weights[:, :-1], axes=(1, 1)) + weights[:, -1]
    return np.ascontiguousarray((127.5 * shown + 128).clip(0, 255).astype(np.uint8))


def noise_to_pixels(x_t: NDArray[np.floating], colours: Colours = ()) -> NDArray[np.uint8]:
    """x_t on a fixed scale, so that the noise is seen to go: -3 is black, +3 white. Of more than three channels the
    first three are shown; latents in their `colours`. Shapes: (B, C, H, W) -> (B, H, W, 3 or 1)."""
    if colours:
        return latents_to_pixels(x_t, colours)
    channels = 1 if x_t.shape[1] == 1 else 3
    shown = x_t[:, :channels].transpose(0, 2, 3, 1)
    return ((shown + NOISE_RANGE) * (255 / (2 * NOISE_RANGE))).clip(0, 255).astype(np.uint8)
