"""What is pinned for a comparison: two images or trajectories, A and B."""

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import Pixels, to_image
from dit_studio.ui.widgets.basics import Caption, Title, WholeText, button, describe, row, set_property

_PICTURE = 64  # pixels at 100 % text
NAMES = ("A", "B")


@dataclass(frozen=True, eq=False)
class Pin:
    """An image of a film, and what a person calls it."""

    film: Film
    image: int
    title: str

    def final(self) -> Pixels | None:
        """The finished image; while there is none, the clean image that was predicted last."""
        final = self.film.final(self.image)
        return final if final is not None else self.at("x_start", self.film.steps_done(self.image))

    def at(self, plane: str, step: int) -> Pixels | None:
        return self.film.picture(plane, self.image, step)


class ComparePanel(QWidget):
    """Pins A and B. Pinning fills A, then B, then B again: A is what others are held against."""

    changed = Signal()
    open_asked = Signal()  # show the comparison in the centre; both are pinned

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pins: list[Pin | None] = [None, None]
        self._slots = [_Slot(name) for name in NAMES]
        self._hint = WholeText(role="muted")
        self.open_button = button("Compare", "Show A and B in the centre: swiped, side by side or their difference.")
        self._swap = button("Swap", "A becomes B, and B becomes A.")
        self._clear = button("Clear", "Take both away.")
        self._build()
        self._show()

    @property
    def pins(self) -> tuple[Pin | None, Pin | None]:
        return self._pins[0], self._pins[1]

    def pin(self, film: Film, image: int, title: str) -> None:
        """Pin an image of a film, with all its steps if it has any."""
        self._pins[1 if self._pins[0] else 0] = Pin(film, image, title)
        self._show()

    def swap(self) -> None:
        self._pins.reverse()
        self._show()

    def clear(self) -> None:
        self._pins = [None, None]
        self._show()

    def take_away(self, place: int) -> None:
        """Unpin A (0) or B (1)."""
        self._pins[place] = None
        self._show()

    def _show(self) -> None:
        for slot, pin in zip(self._slots, self._pins, strict=True):
            slot.show_pin(pin)
        pinned = sum(pin is not None for pin in self._pins)
        self.open_button.setEnabled(pinned == 2)
        self._swap.setEnabled(pinned == 2)
        self._clear.setEnabled(pinned > 0)
        self._hint.setText(
            ("Pin two images: C in the history, or Pin below the picture.", "Pin one more image.", "")[pinned]
        )
        self._hint.setVisible(pinned < 2)
        self.changed.emit()

    def _build(self) -> None:
        set_property(self.open_button, "kind", "primary")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for place, slot in enumerate(self._slots):
            slot.removed.connect(partial(self.take_away, place))
            layout.addWidget(slot)
        layout.addWidget(self._hint)
        layout.addWidget(self.open_button)
        layout.addLayout(row(self._swap, self._clear, None))
        layout.addStretch(1)
        self.open_button.clicked.connect(self.open_asked)
        self._swap.clicked.connect(self.swap)
        self._clear.clicked.connect(self.clear)


class _Slot(QFrame):
    """One of the two: its picture and its title."""

    removed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setProperty("panel", "card")
        self._picture = _Picture()
        self._title = WholeText()
        self._detail = Caption()
        self._remove = QToolButton()
        self._remove.setIcon(icon("close"))
        describe(self._remove, f"Unpin {name}", f"Take {name} away.")
        self._remove.clicked.connect(self.removed)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addLayout(row(Title(name), None, self._remove))
        words.addWidget(self._title)
        words.addWidget(self._detail)
        words.addStretch(1)
        layout = row(self._picture)
        layout.addLayout(words, 1)
        layout.setContentsMargins(8, 8, 8, 8)
        self.setLayout(layout)

    def show_pin(self, pin: Pin | None) -> None:
        self._remove.setVisible(pin is not None)
        self._picture.show_pixels(pin.final() if pin else None)
        self._title.setText(pin.title if pin else "Nothing pinned")
        steps = len(pin.film.points) if pin else 0
        self._detail.setText(f"{steps} steps" if steps else "The image alone" if pin else "")
        self.setAccessibleName(f"{self._name}: {self._title.text()}")


class _Picture(QWidget):
    """A pinned image, or an empty frame."""

    def __init__(self) -> None:
        super().__init__()
        self._pixels: Pixels | None = None
        describe(self, "Pinned image", "The finished image.")
        theme.theme_changed.connect(self._resize)
        self._resize()

    def show_pixels(self, pixels: Pixels | None) -> None:
        self._pixels = pixels
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._pixels is None:
            painter.setPen(QPen(QColor(theme.current().edge), 1, Qt.PenStyle.DashLine))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            return
        image = to_image(self._pixels)
        size = image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, image.width() > self.width())
        painter.drawImage(
            QRectF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2, *size.toTuple()), image
        )

    def _resize(self) -> None:
        self.setFixedSize(QSize(theme.scaled(_PICTURE), theme.scaled(_PICTURE)))
