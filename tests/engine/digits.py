"""Real digits, scikit-learn's, as folders of PNG files to measure."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def shuffled_digits(seed: int = 0) -> tuple[Pixels, Labels]:
    """All 1,797 of them. Shapes: (n, 8, 8), (n,)."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.images))
    return (digits.images[order] * 255 / 16).round().astype(np.uint8), digits.target[order].astype(np.int64)


def write_images(folder: Path, images: Pixels, labels: Labels | None = None) -> str:
    """000.png …, in a folder a class if there are labels. Gives the folder's name."""
    for number, image in enumerate(images):
        place = folder if labels is None else folder / str(labels[number])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:03}.png")
    return str(folder)


def write_digits(folder: Path, *, first: int, count: int) -> str:
    """Some of the shuffled digits, by class."""
    images, labels = shuffled_digits()
    return write_images(folder, images[first : first + count], labels[first : first + count])


def write_noise(folder: Path, *, count: int) -> str:
    return write_images(folder, np.random.default_rng(1).integers(0, 256, (count, 8, 8), dtype=np.uint8))
