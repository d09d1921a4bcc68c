"""Pixels between numpy and Qt."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

Pixels = NDArray[np.uint8]  # (H, W, 3 or 1)


def to_image(pixels: Pixels) -> QImage:
    """An image for painting at once: it is valid as long as the array is."""
    height, width, channels = pixels.shape
    layout = QImage.Format.Format_Grayscale8 if channels == 1 else QImage.Format.Format_RGB888
    if pixels.flags.c_contiguous:
        return QImage(pixels.data, width, height, width * channels, layout)
    return QImage(np.ascontiguousarray(pixels).data, width, height, width * channels, layout).copy()


def read_pixels(path: Path) -> Pixels | None:
    """The pixels of an image file; None if there is none that can be read."""
    image = QImage(str(path))
    return None if image.isNull() else pixels_of(image)


def pixels_of(image: QImage) -> Pixels:
    """The pixels of an image; grey ones have one channel."""
    is_gray = image.isGrayscale() and image.depth() <= 8
    image = image.convertToFormat(QImage.Format.Format_Grayscale8 if is_gray else QImage.Format.Format_RGB888)
    channels = 1 if is_gray else 3
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * channels].reshape(image.height(), image.width(), channels).copy()


def difference(first: Pixels, second: Pixels, *, times: int = 1) -> Pixels:
    """`times` · |first - second|: black where they agree. The shapes are equal."""
    return (np.abs(first.astype(np.int16) - second.astype(np.int16)) * times).clip(0, 255).astype(np.uint8)
