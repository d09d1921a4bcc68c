"""Where a head looks, as light over an image."""

import numpy as np
from numpy.typing import NDArray

from dit_studio.ui.sample.pixels import Pixels

_DIMMED = 0.35  # what is left of the image's light where nobody looks
_LOOKED = (255, 214, 92)  # light against any dimmed image, and seen by the colour-blind


def heat_over(pixels: Pixels, weights: NDArray[np.float32]) -> Pixels:
    """The image dimmed, and coloured where a head looks; the brightest is the most of this map.

    Shapes: pixels (H, W, 3 or 1), weights (grid, grid) -> (H, W, 3), enlarged where a patch is less than a pixel.
    """
    shown = _enlarged(pixels, len(weights)).astype(np.float32)
    height, width = shown.shape[:2]
    rows, columns = (np.arange(side) * len(weights) // side for side in (height, width))
    strength = (weights / max(float(weights.max()), 1e-12))[rows][:, columns][..., None]
    light = shown.mean(axis=-1, keepdims=True) / 255  # the image stays visible in the coloured patches
    coloured = np.array(_LOOKED, np.float32) * (0.55 + 0.45 * light)
    result: Pixels = (shown * _DIMMED * (1 - strength) + coloured * strength).clip(0, 255).astype(np.uint8)
    return result


def _enlarged(pixels: Pixels, grid: int) -> Pixels:
    times = -(-grid // pixels.shape[0])
    return pixels.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else pixels
