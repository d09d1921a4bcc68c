"""The first images of a source in one picture, and single images of it fitted into squares."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine.evaluation.image_sources import ImageSource
from dit_studio.engine.export.png import grid

COLUMNS, MOST_SHOWN = 8, 64
_LARGEST = 128  # pixels a side of an image in the picture
_GREY = 128

Pixels = NDArray[np.uint8]


def samples_picture(source: ImageSource | None) -> bytes:
    """A PNG of up to 64 images in rows of 8: the first ones, or the classes in turn where they are sorted; b"" if there
    is none."""
    if source is None:
        return b""
    numbers = shown_numbers(source)
    images = read_images(source, numbers)
    if not images:
        return b""
    size = min(_LARGEST, max(max(image.shape[1:]) for image in images.values()))
    cells = np.stack([fitted(images[number], size) for number in numbers if number in images])
    buffer = io.BytesIO()
    Image.fromarray(grid(cells, columns=min(COLUMNS, len(cells)))).save(buffer, "PNG")
    return buffer.getvalue()


def shown_numbers(source: ImageSource) -> list[int]:
    """Which images stand for the source."""
    if not source.is_sorted_by_class or source.labels is None:
        return list(range(min(MOST_SHOWN, source.count)))
    of_class = [np.flatnonzero(source.labels == label) for label in np.unique(source.labels)]
    turns = [numbers[turn] for turn in range(MOST_SHOWN) for numbers in of_class if turn < len(numbers)]
    return [int(number) for number in turns[:MOST_SHOWN]]


def read_images(source: ImageSource, numbers: list[int]) -> dict[int, Pixels]:
    """Those of the numbers that can be read, each (C, H, W). Raises: DataError."""
    inside = np.array([number for number in numbers if 0 <= number < source.count], np.int64)
    if not len(inside):
        return {}
    return {
        int(number): pixels
        for batch in source.batches(batch_size=MOST_SHOWN, wanted=inside)
        for pixels, number in zip(batch.pixels, batch.numbers, strict=True)
    }


def fitted(pixels: Pixels, size: int) -> Pixels:
    """An image in a square, on grey if it is none; small ones are enlarged so that their pixels stay squares.

    Shapes: (1 or 3, H, W) -> (size, size, 3).
    """
    height, width = pixels.shape[1:]
    scale = size / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).convert("RGB")
    resized = picture.resize(shape, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX)
    cell = np.full((size, size, 3), _GREY, np.uint8)
    top, left = (size - shape[1]) // 2, (size - shape[0]) // 2
    cell[top : top + shape[1], left : left + shape[0]] = np.asarray(resized)
    return cell


def missing_cell(size: int) -> Pixels:
    """Shape: (size, size, 3)."""
    return np.full((size, size, 3), _GREY, np.uint8)
