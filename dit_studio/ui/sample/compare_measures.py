"""How far two images are apart, and how they are made to lie on one another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dit_studio.events import StepPoint
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import Pixels, difference


@dataclass(frozen=True)
class Distance:
    """Mean absolute difference in 1/255, and the peak signal-to-noise ratio in dB (infinite for equal images)."""

    mean_absolute: float
    psnr: float

    def __str__(self) -> str:
        if math.isinf(self.psnr):
            return "identical"
        return f"mean |A − B| {self.mean_absolute:.2f} / 255 · PSNR {self.psnr:.1f} dB"


def distance(first: Pixels, second: Pixels) -> Distance:
    """Of two images of one shape."""
    gap = first.astype(np.float64) - second
    mean_square = float(np.mean(gap**2))
    psnr = 10 * math.log10(255**2 / mean_square) if mean_square else math.inf
    return Distance(float(np.abs(gap).mean()), psnr)


def amplified_difference(first: Pixels, second: Pixels, gain: int) -> Pixels:
    """gain · |first − second|, cut off at white. The shapes are equal."""
    return (difference(first, second).astype(np.int32) * gain).clip(0, 255).astype(np.uint8)


def fitted(first: Pixels, second: Pixels) -> tuple[Pixels, Pixels]:
    """Both in the size of the larger one and with the channels of the more colourful, by repeating pixels."""
    height, width, channels = (max(a, b) for a, b in zip(first.shape, second.shape, strict=True))
    return _grown(first, height, width, channels), _grown(second, height, width, channels)


def _grown(pixels: Pixels, height: int, width: int, channels: int) -> Pixels:
    if pixels.shape == (height, width, channels):
        return pixels
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    return np.broadcast_to(pixels[rows][:, columns], (height, width, channels)).copy()


def linked_times(*films: Film) -> list[float]:
    """The timesteps at which one of the films has a step, the noisiest first."""
    return sorted({point.t for film in films for point in film.points}, reverse=True)


def nearest_step(points: Sequence[StepPoint], t: float) -> int:
    """The step (from 1) that starts nearest to a timestep; of two as near the cleaner one. 0 if there is none."""
    return max(range(1, len(points) + 1), key=lambda step: (-abs(points[step - 1].t - t), step), default=0)
