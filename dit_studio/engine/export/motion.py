"""The frames of a film: the picked images side by side, step by step, and the finished ones at the end."""

import math
from collections.abc import Iterator

import numpy as np

from dit_studio.engine.export.film import Film, Pixels
from dit_studio.engine.export.options import FilmOptions
from dit_studio.engine.export.png import grid
from dit_studio.errors import DataError

_DEFAULT_IMAGES = 16
_DEFAULT_HEIGHT = 512
_MOST_PIXELS = 4096  # a side: what players can take


def planes_of(options: FilmOptions) -> tuple[str, ...]:
    return ("x_t", "x_start") if options.plane == "both" else (options.plane,)


def frames(film: Film, options: FilmOptions) -> Iterator[Pixels]:
    """Every frame (H, W, 3), one a step and the finished images last. Raises: DataError if they are too large."""
    images = picked(film, options.images, _DEFAULT_IMAGES)
    planes = planes_of(options)
    columns = max(1, math.ceil(math.sqrt(len(images) / len(planes))))
    scale = 0
    for step in range(1, len(film.points) + 2):
        cells = [film.frame(plane, image, step) for image in images for plane in planes]
        whole = grid(np.stack(cells), columns=columns * len(planes))
        scale = scale or options.scale or max(1, round(_DEFAULT_HEIGHT / whole.shape[0]))
        if max(whole.shape) * scale > _MOST_PIXELS:
            raise DataError(
                f"The film would be {whole.shape[1] * scale} × {whole.shape[0] * scale} pixels: "
                f"{_MOST_PIXELS} a side is the most.",
                remedy="Take a smaller scale, or fewer images.",
            )
        yield whole.repeat(scale, axis=0).repeat(scale, axis=1)


def picked(film: Film, images: tuple[int, ...] | None, default: int) -> tuple[int, ...]:
    """The images that are asked for, or the first ones. Raises: DataError if one is not finished."""
    chosen = tuple(range(min(default, film.finished))) if images is None else images
    if unfinished := [image for image in chosen if image >= film.finished]:
        raise DataError(f"Image {unfinished[0] + 1} is not finished: {film.finished} are.", remedy="Pick others.")
    if not chosen:
        raise DataError("No image is picked.", remedy="Pick at least one.")
    return chosen
