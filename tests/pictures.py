"""Small folders of pictures for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, *, classes: int = 3, per_class: int = 8, size: int = 8, seed: int = 0) -> Path:
    """`folder`/<class>/<number>.png: flat colours, one a class, with a little noise. Returns `folder`."""
    generator = np.random.default_rng(seed)
    for number in range(classes):
        place = folder / f"class {number}"
        place.mkdir(parents=True, exist_ok=True)
        colour = generator.integers(40, 216, size=3)
        for k in range(per_class):
            pixels = np.clip(colour + generator.normal(0, 12, size=(size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{k:03}.png")
    return folder
