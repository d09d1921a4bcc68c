"""What a scene is painted with: colours, noise that knows no pixel, and a square canvas in relative coordinates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]


def hexadecimal(code: str) -> Array:
    """The colour "#rrggbb" as three numbers from 0 to 1."""
    return np.array([int(code[start : start + 2], 16) / 255 for start in (1, 3, 5)], np.float32)


def mix(first: ArrayLike, second: ArrayLike, share: ArrayLike) -> Array:
    """`first` where `share` is 0, `second` where it is 1."""
    first, share = np.asarray(first, np.float32), np.asarray(share, np.float32)
    mixture: Array = first + (np.asarray(second, np.float32) - first) * share
    return mixture


def smoothstep(low: float, high: float, value: ArrayLike) -> Array:
    """0 below `low`, 1 above `high`, smooth between; falling where `high` is the smaller one."""
    share = (np.asarray(value, np.float32) - np.float32(low)) / np.float32(high - low)
    share = np.clip(share, 0, 1)
    step: Array = share * share * (3 - 2 * share)
    return step


_BLOCK_SAMPLES = 8192


class Noise:
    """Gradient noise of the whole plane, between about -1 and 1.

    Source: Perlin 2002, "Improving noise", with a table of random gradients in place of the hash.
    """

    _PERIOD = 64

    def __init__(self, rng: np.random.Generator) -> None:
        angle = rng.random(self._PERIOD**2, dtype=np.float32) * np.float32(2 * np.pi)
        self._gradients = (np.cos(angle) * np.float32(1.5), np.sin(angle) * np.float32(1.5))

    def __call__(self, x: Array, y: Array | float = 0.0) -> Array:
        x, y = np.asarray(x, np.float32), np.atleast_2d(np.asarray(y, np.float32))
        height, width = np.broadcast_shapes(x.shape, y.shape)
        result = np.empty((height, width), np.float32)
        rows = max(_BLOCK_SAMPLES // width, 1)
        for start in range(0, height, rows):
            block = slice(start, start + rows)
            result[block] = self._plain(x[block] if len(x) > 1 else x, y[block] if len(y) > 1 else y)
        return result

    def _plain(self, x: Array, y: Array) -> Array:
        left, top = np.floor(x), np.floor(y)
        right_of, below = x - left, y - top
        column, row = left.astype(np.int32), top.astype(np.int32)
        across, down = _fade(right_of), _fade(below)
        upper = mix(
            self._corner(column, row, right_of, below), self._corner(column + 1, row, right_of - 1, below), across
        )
        lower = mix(
            self._corner(column, row + 1, right_of, below - 1),
            self._corner(column + 1, row + 1, right_of - 1, below - 1),
            across,
        )
        return mix(upper, lower, down)

    def _corner(self, column: NDArray[np.int32], row: NDArray[np.int32], dx: Array, dy: Array) -> Array:
        index = (row & (self._PERIOD - 1)) * self._PERIOD + (column & (self._PERIOD - 1))
        height: Array = self._gradients[0].take(index) * dx + self._gradients[1].take(index) * dy
        return height

    def fractal(self, x: Array, y: Array | float = 0.0, *, octaves: int, gain: float = 0.5) -> Array:
        """A sum of `octaves` noises, each twice as fine and `gain` times as strong as the one before."""
        y = np.asarray(y, np.float32)
        total, strength = self(x, y), 1.0
        for octave in range(1, octaves):
            strength *= gain
            shift, scale = np.float32(17.3 * octave), np.float32(2**octave)
            total = total + np.float32(strength) * self(x * scale + shift, y * scale + shift)
        return total


def _fade(share: Array) -> Array:
    faded: Array = share * share * share * (share * (share * 6 - 15) + 10)
    return faded


class Canvas:
    """A square picture whose x runs from 0 (left) to 1 (right) and whose y from 0 (top) to 1 (bottom).

    Shapes: x (1, n), y (n, 1), rgb (n, n, 3); masks broadcast to (n, n) and are 0 outside, 1 inside.
    """

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        centres = (np.arange(resolution, dtype=np.float32) + np.float32(0.5)) / np.float32(resolution)
        self.x, self.y = centres[None, :], centres[:, None]
        self.rgb = np.zeros((resolution, resolution, 3), np.float32)

    def paint(self, colour: Array, mask: Array | float = 1.0) -> None:
        """Lay `colour`, (3,) or (n, n, 3), over the picture where `mask` is."""
        share = np.asarray(mask, np.float32)[..., None] if np.ndim(mask) else np.float32(mask)
        self.rgb += (colour - self.rgb) * share

    def below(self, line: Array | float) -> Array:
        """The mask of what lies below a line, y as a function of x."""
        mask: Array = np.clip((self.y - line) * self.resolution + np.float32(0.5), 0, 1)
        return mask

    def polygons(self, outlines: Sequence[Sequence[tuple[float, float]]]) -> Array:
        """The mask of some polygons, each a list of (x, y)."""
        picture = Image.new("L", (self.resolution, self.resolution))
        draw = ImageDraw.Draw(picture)
        for outline in outlines:
            draw.polygon([(x * self.resolution - 0.5, y * self.resolution - 0.5) for x, y in outline], fill=255)
        return np.asarray(picture, np.float32) / np.float32(255)

    def shrunk(self, size: int) -> NDArray[np.uint8]:
        """The picture at `size`, which divides the resolution: (size, size, 3), each pixel a mean."""
        factor = self.resolution // size
        pixels = self.rgb.reshape(size, factor, size, factor, 3).mean(axis=(1, 3))
        levels: NDArray[np.uint8] = (np.clip(pixels, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
        return levels
