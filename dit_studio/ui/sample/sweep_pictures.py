"""The pictures of cells on the disk, read when they come into sight, a few at a time."""

from PySide6.QtCore import QElapsedTimer, QObject, QTimer, Signal

from dit_studio.ui.sample.sweep_cells import ShownCell, small
from dit_studio.ui.sample.sweep_lens import picture_of

_BUDGET_MS = 8  # of reading, between two turns of the event loop


class CellPictures(QObject):
    """Gives cells their pictures; `read` carries each ShownCell that has one now, or a sentence why it has none."""

    read = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wanted: dict[int, ShownCell] = {}  # by the cell's index, the newest last
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._read_some)

    def want(self, shown: ShownCell) -> None:
        self._wanted[shown.cell.index] = shown
        self._timer.start()

    def forget(self) -> None:
        """What was asked for is no longer shown."""
        self._wanted.clear()
        self._timer.stop()

    def _read_some(self) -> None:
        clock = QElapsedTimer()
        clock.start()
        while self._wanted and clock.elapsed() < _BUDGET_MS:
            _, shown = self._wanted.popitem()
            picture = picture_of(shown.folder)
            shown.picture = small(picture) if picture else None
            shown.text = "" if picture else "Its images are gone, or cannot be read."
            self.read.emit(shown)
        if self._wanted:
            self._timer.start()
