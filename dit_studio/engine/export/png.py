"""Images as PNG files, with their settings inside."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dit_studio.image_settings import write_text
from dit_studio.sample_request import SampleRecord

_LONG_TEXT = 1024  # is compressed


def encode_png(pixels: NDArray[np.uint8], record: SampleRecord | None = None, image: int | None = 0) -> bytes:
    """A PNG of (H, W, 3) or (H, W, 1) uint8 pixels; with a record, as its image of that number, or as all (None)."""
    height, width = pixels.shape[:2]
    buffer = io.BytesIO()
    as_picture(pixels).save(buffer, "PNG", pnginfo=png_info(record, image, size=(width, height)))
    return buffer.getvalue()


def png_info(record: SampleRecord | None, image: int | None = None, *, size: tuple[int, int] | None = None) -> PngInfo:
    """The texts of a record for Pillow."""
    info = PngInfo()
    if record is not None:
        for key, text in write_text(record, image, size=size).items():
            info.add_text(key, text, zip=len(text) > _LONG_TEXT)
    return info


def as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """(H, W, 3 or 1) pixels for Pillow."""
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)


def grid(images: NDArray[np.uint8], *, columns: int, gap: int = 0) -> NDArray[np.uint8]:
    """Images side by side, row by row, on white if there is a gap, else on black.

    Shapes: (N, H, W, C) -> (rows·H + gaps, columns·W + gaps, C).
    """
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height + gap, width + gap, channels), 255 if gap else 0, np.uint8)
    cells[:count, :height, :width] = images
    cells = cells.reshape(rows, columns, height + gap, width + gap, channels).swapaxes(1, 2)
    whole = cells.reshape(rows * (height + gap), columns * (width + gap), channels)
    return np.ascontiguousarray(whole[: len(whole) - gap, : whole.shape[1] - gap])
