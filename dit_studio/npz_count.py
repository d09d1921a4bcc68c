"""What is there of an NPZ whose drawing was stopped, told without reading its images."""

import re
import zipfile
import zlib
from pathlib import Path

_SHAPE = re.compile(rb"'shape': \((\d+),")
_HEAD_BYTES = 256


def partial_file(path: Path) -> Path:
    """Where the finished images of a stopped drawing go if there was a file at `path` before."""
    return path.with_name(f"{path.stem}.partial.npz")


def images_in(path: Path) -> int:
    """How many images an NPZ holds; 0 if there is none, or it is no NPZ of images."""
    try:
        with zipfile.ZipFile(path) as whole, whole.open("arr_0.npy") as images:
            found = _SHAPE.search(images.read(_HEAD_BYTES))
    except (OSError, KeyError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return 0
    return int(found[1]) if found else 0


class StoppedNpz:
    """Made before an NPZ is drawn, it can say afterwards what a stop left of it."""

    def __init__(self, path: Path) -> None:
        self._files = (path, partial_file(path))
        self._before = [_stamp(file) for file in self._files]

    def file(self) -> Path | None:
        """The file that was written since; None if there is none."""
        for file, before in zip(self._files, self._before, strict=True):
            if _stamp(file) not in (before, None):
                return file
        return None

    def sentence(self, planned: int = 0) -> str:
        """ "stopped: a.npz holds 1,234 of 50,000 images."; what was there before is not touched by a stop."""
        file = self.file()
        if file is None:
            return f"stopped: {self._files[0].name} was not written."
        of = f" of {planned:,}" if planned else ""
        beside = f" {self._files[0].name} is as it was." if file != self._files[0] else ""
        return f"stopped: {file.name} holds {images_in(file):,}{of} images.{beside}"


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
