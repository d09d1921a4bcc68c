"""The comparison in the centre: A and B under one zoom and one timestep."""

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QPushButton, QSlider, QVBoxLayout, QWidget

from dit_studio.ui.sample.compare import Pin
from dit_studio.ui.sample.compare_canvas import BESIDE, DIFFERENCE, SWIPE, CompareCanvas
from dit_studio.ui.sample.compare_measures import distance, fitted, linked_times, nearest_step
from dit_studio.ui.sample.pixels import Pixels
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, NoScrollComboBox, Title, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout

_MODES = (
    (SWIPE, "Swipe", "A left of a line, B right of it; drag the line."),
    (BESIDE, "Side by side", "A and B beside each other, under one zoom."),
    (DIFFERENCE, "Difference", "|A − B|, brightened: black where they agree."),
)
_GAINS = (1, 4, 16)
_PLANES = (("x_start", "Predicted clean image"), ("x_t", "Noisy image xₜ"))


class CompareView(QWidget):
    """Titles, ways to compare, the canvas, and a slider that leads both films through their timesteps."""

    closed = Signal()
    swap_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pins: tuple[Pin, Pin] | None = None
        self._times: list[float] = []
        self.canvas = CompareCanvas()
        self._titles = (ElidedLabel(), ElidedLabel())
        self._modes = QButtonGroup(self)
        self._gain = NoScrollComboBox()
        self._plane = NoScrollComboBox()
        self._number = Caption()
        self._note = Caption()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self._place = Caption()
        self._build()
        self._connect()

    def show_pins(self, first: Pin, second: Pin) -> None:
        """Compare two pins, at their end; the same two, swapped, stay where they are."""
        is_swapped = self._pins == (second, first)
        self._pins = (first, second)
        self._times = linked_times(first.film, second.film)
        for label, pin in zip(self._titles, self._pins, strict=True):
            label.setText(pin.title)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(self._times))
            if not is_swapped:
                self.slider.setValue(len(self._times))
        self.slider.setEnabled(bool(self._times))
        if not is_swapped:
            self._offer_planes()
            self.canvas.fit()
        self._show()

    def place_text(self) -> str:
        """Where both are, in words."""
        return self._place.text()

    def number_text(self) -> str:
        """How far they are apart, in words."""
        return self._number.text()

    def note_text(self) -> str:
        """What should be known of the comparison; "" if nothing."""
        return self._note.text()

    # ------------------------------------------------------------------------------------------------- showing

    def _offer_planes(self) -> None:
        assert self._pins is not None
        planes = [set(pin.film.planes) for pin in self._pins if pin.film.points]
        with QSignalBlocker(self._plane):
            self._plane.clear()
            for name, title in _PLANES:
                if planes and all(name in offered for offered in planes):
                    self._plane.addItem(title, name)
        self._plane.setEnabled(self._plane.count() > 1)
        self._plane.setVisible(self._plane.count() > 0)

    def _show(self) -> None:
        if self._pins is None:
            return
        shown = [self._pixels(pin) for pin in self._pins]
        self.canvas.show_pixels(*shown)
        first, second = shown
        together = first is not None and second is not None
        self._number.setText(str(distance(*fitted(first, second))) if together else "")  # type: ignore[arg-type]
        self._note.setText(_size_note(first, second))
        self._note.setVisible(bool(self._note.text()))
        self._place.setText(self._place_words())

    def _pixels(self, pin: Pin) -> Pixels | None:
        """A pin at the linked timestep; an image without steps is always what it became."""
        if self._is_at_end() or not pin.film.points:
            return pin.final()
        return pin.at(self._plane.currentData(), nearest_step(pin.film.points, self._time()))

    def _is_at_end(self) -> bool:
        return self.slider.value() >= len(self._times)

    def _time(self) -> float:
        return self._times[self.slider.value()]

    def _place_words(self) -> str:
        assert self._pins is not None
        if self._is_at_end():
            return "final images"
        words = [f"t = {self._time():.0f}"]
        for name, pin in zip("AB", self._pins, strict=True):
            points = pin.film.points
            if points:
                step = nearest_step(points, self._time())
                words.append(f"{name}: step {step}/{len(points)}, t = {points[step - 1].t:.0f}")
            else:
                words.append(f"{name}: final image")
        return " · ".join(words)

    # ------------------------------------------------------------------------------------------------- the user

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {
            Qt.Key.Key_Left: self.slider.value() - 1,
            Qt.Key.Key_Right: self.slider.value() + 1,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: self.slider.maximum(),
        }
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        elif event.key() in moves:
            self.slider.setValue(moves[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _on_mode(self, place: int) -> None:
        mode = _MODES[place][0]
        self._gain.setVisible(mode == DIFFERENCE)
        self.canvas.set_mode(mode)

    def _on_gain(self, place: int) -> None:
        self.canvas.set_gain(_GAINS[place])

    # ------------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self._show)
        self._plane.currentIndexChanged.connect(self._show)
        self._gain.currentIndexChanged.connect(self._on_gain)
        self._modes.idClicked.connect(self._on_mode)

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self._header())
        layout.addLayout(self._tools())
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self._note)
        describe(self.slider, "Timestep of both", "From noise (left) to the final images. ← → Home End.")
        layout.addWidget(self.slider)
        layout.addWidget(self._place)
        layout.addWidget(self._number)

    def _header(self) -> QVBoxLayout:
        swap = button("Swap", "A becomes B, and B becomes A.")
        close = button("Close", "Back to the picked image (Escape).")
        swap.clicked.connect(self.swap_asked)
        close.clicked.connect(self.closed)
        header = QVBoxLayout()
        header.setSpacing(4)
        first = row(Title("A"), self._titles[0], swap, close)
        second = row(Title("B"), self._titles[1])
        for line in (first, second):
            line.setStretch(1, 1)
            header.addLayout(line)
        return header

    def _tools(self) -> FlowLayout:
        tools = FlowLayout()
        for place, (_, text, tooltip) in enumerate(_MODES):
            tools.addWidget(self._mode_button(place, text, tooltip))
        for gain in _GAINS:
            self._gain.addItem(f"× {gain}")
        self._gain.setCurrentIndex(_GAINS.index(4))
        self._gain.hide()
        describe(self._gain, "Gain of the difference", "How many times brighter the difference is shown.")
        describe(
            self._plane,
            "Plane",
            "What is shown of each step: the clean image that the model predicts, or the noisy one.",
        )
        for widget in (self._gain, self._plane):
            tools.addWidget(widget)
        return tools

    def _mode_button(self, place: int, text: str, tooltip: str) -> QPushButton:
        result = button(text, tooltip)
        result.setCheckable(True)
        result.setChecked(place == 0)
        self._modes.addButton(result, place)
        return result


def _size_note(first: Pixels | None, second: Pixels | None) -> str:
    if first is None or second is None or first.shape[:2] == second.shape[:2]:
        return ""
    sizes = " and ".join(f"{pixels.shape[1]} × {pixels.shape[0]}" for pixels in (first, second))
    return f"A and B are {sizes} pixels: the smaller one is scaled up to the larger."
