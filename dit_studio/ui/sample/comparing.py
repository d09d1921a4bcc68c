"""The comparison of two images: their pins on the right, the two of them in the centre."""

from PySide6.QtCore import QObject, Signal

from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.ui.sample.compare import ComparePanel
from dit_studio.ui.sample.compare_view import CompareView
from dit_studio.ui.sample.lineage import own_film


class Comparing(QObject):
    """Pins images of the history; `shown` asks for room in the centre, `closed` gives it back."""

    shown = Signal()
    closed = Signal()

    def __init__(self, history: SampleHistory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self.pins, self.view = ComparePanel(), CompareView()
        self.pins.open_asked.connect(self.show)
        self.pins.changed.connect(self._on_pins_changed)
        self.view.closed.connect(self.closed)
        self.view.swap_asked.connect(self.pins.swap)

    def pin(self, name: str, image: int) -> bool:
        """Pin an image of an entry; False if that is not on the disk yet. Raises: DataError if it cannot be read."""
        found = self._history.entry(name)
        if found is None:
            return False
        film = own_film(self._history, name)
        self.pins.pin(film, image, f"{found.entry.record.class_of(image)} · seed {film.seeds[image]}")
        self.show()
        return True

    def show(self) -> None:
        """The comparison, if two are pinned."""
        first, second = self.pins.pins
        if first is not None and second is not None:
            self.view.show_pins(first, second)
            self.shown.emit()
            self.view.canvas.setFocus()

    def _on_pins_changed(self) -> None:
        if not self.view.isVisible():
            return
        if all(self.pins.pins):
            self.show()
        else:
            self.closed.emit()
