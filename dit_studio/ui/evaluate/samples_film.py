"""The images of a folder, an archive or a data set, one by one, as the grid of the Sample page shows them."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PySide6.QtGui import QImage

from dit_studio.events import StepPoint
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.sample.film import Floats
from dit_studio.ui.sample.pixels import Pixels, pixels_of, read_pixels

MOST = 10_000  # images that are listed
READ_SIZE = 256  # pixels, of the squares that a job reads images into
_KEPT_BYTES = 64_000_000
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class SamplesFilm:
    """A Film of finished images without steps. `files`: where they are; without them they come through a job."""

    points: Sequence[StepPoint] = ()
    planes: Sequence[str] = ()
    shared_steps = 0

    def __init__(self, path: str, count: int, pictures: SourcePictures) -> None:
        self._path, self._pictures = path, pictures
        self._files = image_files(Path(path))
        self._kept: OrderedDict[int, Pixels | None] = OrderedDict()
        self.images = min(len(self._files) if self._files else count, MOST)
        self.labels = self.seeds = range(self.images)
        first = self._read(0) if self._files else None
        self.size: tuple[int, int, int] = (READ_SIZE, READ_SIZE, 3)
        if first is not None:
            self.size = (first.shape[0], first.shape[1], first.shape[2])

    def name(self, image: int) -> str:
        """ "beach/0001.png"; "#17" of an image of an archive."""
        return self._files[image].relative_to(self._path).as_posix() if self._files else f"#{image}"

    def why_missing(self, image: int) -> str:
        """Why an image cannot be seen; "" if it can, or is still to be read."""
        if self._files:
            return "" if self.final(image) is not None else "It is gone, or cannot be read."
        found = self._pictures.get(self._path, image)
        return found if isinstance(found, str) else ""

    def steps_done(self, _image: int) -> int:
        return 0

    def picture(self, _plane: str, _image: int, _step: int) -> Pixels | None:
        return None

    def final(self, image: int) -> Pixels | None:
        if not self._files:
            found = self._pictures.get(self._path, image)
            return pixels_of(found) if isinstance(found, QImage) else None
        if image not in self._kept:
            pixels = self._read(image)
            self._kept[image] = pixels if pixels is None else _fitted(pixels, self.size)
            most = max(64, _KEPT_BYTES // max(self.size[0] * self.size[1] * self.size[2], 1))
            while len(self._kept) > most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(image)
        return self._kept[image]

    def norms(self, _image: int) -> Floats:
        return np.zeros(0, np.float32)

    def moves(self, _image: int) -> Floats:
        return np.zeros(0, np.float32)

    def _read(self, image: int) -> Pixels | None:
        return read_pixels(self._files[image])


def image_files(folder: Path) -> list[Path]:
    """The first images below a folder, in the order of their names; empty if it is none, or has none."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(files) if name.lower().endswith(_ENDINGS)]
        if len(found) >= MOST:
            break
    return found[:MOST]


def _fitted(pixels: Pixels, size: tuple[int, int, int]) -> Pixels:
    """Pixels of another shape in the middle of a black ground of this one's: the grid would stretch them."""
    height, width = pixels.shape[:2]
    if height * size[1] == width * size[0]:
        return pixels
    full_width = max(width, -(-height * size[1] // size[0]))
    full_height = max(height, -(-width * size[0] // size[1]))
    top, left = (full_height - height) // 2, (full_width - width) // 2
    result = np.zeros((full_height, full_width, pixels.shape[2]), np.uint8)
    result[top : top + height, left : left + width] = pixels
    return result
