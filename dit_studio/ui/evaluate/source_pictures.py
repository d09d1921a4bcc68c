"""Images of folders, archives and data sets by their numbers, read by a job as they come into sight."""

from collections import OrderedDict

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage

from dit_studio.events import Failure, Pictures
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.one_job import OneJob

MISSING = "It cannot be read."
_KEPT_BYTES = 128_000_000
_AT_ONCE = 128  # images of a job: about 24 rows of five
_WAITING = 4 * _AT_ONCE  # images asked for; older ones have gone out of sight

_Key = tuple[str, int]  # path of the source, number of the image


class SourcePictures(QObject):
    """Images fitted into squares of `size` pixels; `loaded` says that some of those asked for have come."""

    loaded = Signal()
    failed = Signal(str)  # why none of a source can be read, and what to do

    def __init__(self, launcher: Launcher, *, size: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._launcher, self._size = launcher, size
        self._kept: OrderedDict[_Key, QImage | str] = OrderedDict()
        self._wanted: OrderedDict[_Key, None] = OrderedDict()  # the newest last
        self._asked: list[_Key] = []
        self._why = ""
        self._job = OneJob(self, interval_ms=30)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._read_some)

    def get(self, path: str, number: int) -> QImage | str | None:
        """The image, or why there is none; None while it is not read, which then happens soon."""
        key = (path, number)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._asked:
            self._wanted[key] = None
            self._wanted.move_to_end(key)
            while len(self._wanted) > _WAITING:
                self._wanted.popitem(last=False)
            self._timer.start()
        return None

    def retry(self) -> None:
        """Read those that could not be read again when they are next asked for."""
        for key in [key for key, found in self._kept.items() if isinstance(found, str)]:
            del self._kept[key]

    def close(self) -> None:
        """End the job, and wait for its thread."""
        self._timer.stop()
        self._wanted.clear()
        self._job.close()

    def _read_some(self) -> None:
        if self._job.is_running or not self._wanted:
            return
        path = next(reversed(self._wanted))[0]
        asked = [key for key in reversed(self._wanted) if key[0] == path][:_AT_ONCE]
        for key in asked:
            del self._wanted[key]
        self._asked, self._why = asked, ""
        self._job.run(
            self._launcher.call("pictures", path=path, numbers=sorted(number for _, number in asked), size=self._size)
        )

    def _on_received(self, events: list[object]) -> None:
        for event in events:
            if isinstance(event, Pictures):
                self._take(event)
            elif isinstance(event, Failure):
                self._why = event.message
                self.failed.emit(f"{event.message} {event.remedy}".strip())

    def _take(self, pictures: Pictures) -> None:
        side = pictures.size
        area = 3 * side * side
        for place, number in enumerate(pictures.numbers):
            pixels = pictures.data[place * area : (place + 1) * area]
            if number not in pictures.missing and len(pixels) == area:
                image = QImage(pixels, side, side, 3 * side, QImage.Format.Format_RGB888)
                self._kept[(pictures.path, number)] = image.copy()

    def _on_ended(self) -> None:
        for key in self._asked:
            self._kept.setdefault(key, self._why or MISSING)
        self._asked = []
        while len(self._kept) > max(_KEPT_BYTES // (3 * self._size**2), _AT_ONCE):
            self._kept.popitem(last=False)
        self.loaded.emit()
        self._timer.start()
