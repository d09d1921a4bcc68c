"""Small pictures of images on the disk, read when they come into sight, a few at a time."""

from collections import OrderedDict
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QImageReader

_KEPT = 2000  # pictures
_BUDGET_MS = 8  # of reading, between two turns of the event loop
_LARGEST = 16_384  # pixels a side; larger files are not opened


class Thumbnails(QObject):
    """Pictures by file; `loaded` says that some of those asked for have come."""

    loaded = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: OrderedDict[tuple[Path, int], QImage] = OrderedDict()
        self._wanted: dict[tuple[Path, int], None] = {}
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._read_some)

    def get(self, file: Path, side: int) -> QImage | None:
        """The picture, at most `side` pixels wide and high; null if it cannot be read, None while it is not read."""
        key = (file, side)
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
        else:
            self._wanted[key] = None
            self._timer.start()
        return picture

    def forget(self, folder: Path) -> None:
        """Read the pictures of a folder anew when they are next asked for."""
        for key in [key for key in self._pictures if key[0].parent == folder]:
            del self._pictures[key]

    def want_only(self, files: set[Path]) -> None:
        """Drop what was asked for and is no longer in sight."""
        self._wanted = {key: None for key in self._wanted if key[0] in files}

    def _read_some(self) -> None:
        clock = QElapsedTimer()
        clock.start()
        while self._wanted and clock.elapsed() < _BUDGET_MS:
            key, _ = self._wanted.popitem()
            self._pictures[key] = _read(*key)
        while len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        if self._wanted:
            self._timer.start()
        self.loaded.emit()


def _read(file: Path, side: int) -> QImage:
    reader = QImageReader(str(file))
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > _LARGEST:
        return QImage()
    image = reader.read()
    if image.isNull():
        return image
    grows = max(image.width(), image.height()) < side
    mode = Qt.TransformationMode.FastTransformation if grows else Qt.TransformationMode.SmoothTransformation
    return image.scaled(QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio, mode)
