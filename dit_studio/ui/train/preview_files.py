"""The pictures of the previews, read from the disk one at a time and only when somebody looks."""

from collections import OrderedDict
from pathlib import Path

from PySide6.QtCore import QObject, QSize, QTimer, Signal
from PySide6.QtGui import QImage, QImageReader

from dit_studio.events import PreviewSaved

_LIMIT_BYTES = 48 * 2**20


class PreviewFiles(QObject):
    """Keeps the pictures that were looked at last, no larger than they are shown, in bounded memory."""

    loaded = Signal()

    def __init__(self, parent: QObject | None = None, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        super().__init__(parent)
        self.folder = Path()
        self._limit_bytes = limit_bytes
        self._images: OrderedDict[tuple[str, int], QImage] = OrderedDict()
        self._wanted: dict[tuple[str, int], PreviewSaved] = {}
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._load_next)

    @property
    def size_bytes(self) -> int:
        return sum(image.sizeInBytes() for image in self._images.values())

    def clear(self) -> None:
        self._images.clear()
        self.want_only([], 0)

    def forget(self, preview: PreviewSaved) -> None:
        """The file was written anew."""
        for key in [key for key in self._images if key[0] == preview.file]:
            del self._images[key]

    def get(self, preview: PreviewSaved, cell_pixels: int) -> QImage | None:
        """The picture, if it is here; null if the file cannot be read."""
        key = preview.file, _stored_size(preview, cell_pixels)
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def want_only(self, previews: list[PreviewSaved], cell_pixels: int) -> None:
        """Load these soon, in this order, instead of what was asked for before."""
        keys = {(preview.file, _stored_size(preview, cell_pixels)): preview for preview in previews}
        self._wanted = {key: preview for key, preview in keys.items() if key not in self._images}
        if self._wanted:
            self._timer.start()
        else:
            self._timer.stop()

    def read(self, preview: PreviewSaved) -> QImage:
        """The whole picture, now; null if the file cannot be read."""
        return QImage(str(self.folder / preview.file))

    def _load_next(self) -> None:
        key, preview = next(iter(self._wanted.items()))
        del self._wanted[key]
        reader = QImageReader(str(self.folder / preview.file))
        if key[1] < preview.cell_size:
            reader.setScaledSize(QSize(key[1] * preview.columns, key[1] * preview.rows))
        self._images[key] = reader.read()
        while self.size_bytes > self._limit_bytes and len(self._images) > 1:
            self._images.popitem(last=False)
        if self._wanted:
            self._timer.start()
        self.loaded.emit()


def _stored_size(preview: PreviewSaved, cell_pixels: int) -> int:
    """Side of a cell as kept in memory: a picture is shrunk, but not enlarged, to what is shown."""
    return min(preview.cell_size, max(cell_pixels, 1))
