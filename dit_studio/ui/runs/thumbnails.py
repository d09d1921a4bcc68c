"""The newest picture of each run, small: read off the window's thread, one after another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

from dit_studio.events import Event

THUMBNAIL_SIZE = 40  # pixels
_BATCH = 16  # pictures
Thumbnails = dict[Path, tuple[float, QImage]]  # by the picture's path, with the time at which it was written


class ThumbnailsRead(Event, frozen=True, kw_only=True, tag="thumbnails read"):
    """These pictures are known now, or known anew."""

    paths: tuple[Path, ...]


class ReadThumbnails:
    """A job that reads pictures which are not known yet, or have been written anew, into `known`."""

    def __init__(self, paths: Sequence[Path], known: Thumbnails) -> None:
        self._paths, self._known = paths, known
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        for start in range(0, len(self._paths), _BATCH):
            batch = self._paths[start : start + _BATCH]
            changed = [path for path in batch if not self._is_cancelled and self._read(path)]
            if self._is_cancelled:
                return
            if changed:
                yield ThumbnailsRead(paths=tuple(changed))

    def cancel(self) -> None:
        self._is_cancelled = True

    def _read(self, path: Path) -> bool:
        """Whether the picture is another one now."""
        try:
            modified = path.stat().st_mtime
        except OSError:
            return self._known.pop(path, None) is not None
        if self._known.get(path, (0.0,))[0] == modified:
            return False
        self._known[path] = (modified, _first_cell(path))
        return True


def _first_cell(path: Path) -> QImage:
    """The left square of a picture, which is the first sample."""
    reader = QImageReader(str(path))
    size = reader.size()
    side = min(size.width(), size.height())
    if side > 0:
        reader.setClipRect(QRect(0, 0, side, side))
    image = reader.read()
    bound = QSize(2 * THUMBNAIL_SIZE, 2 * THUMBNAIL_SIZE)  # sharp at 200 %, too
    mode = (
        Qt.TransformationMode.FastTransformation if side < bound.width() else Qt.TransformationMode.SmoothTransformation
    )
    return image if image.isNull() else image.scaled(bound, Qt.AspectRatioMode.KeepAspectRatio, mode)
