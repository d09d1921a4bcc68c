"""What a GIF or an MP4 of a trajectory shows, and how fast."""

from typing import Any

from PySide6.QtWidgets import QDialog, QDoubleSpinBox, QFormLayout, QVBoxLayout, QWidget

from dit_studio.ui.sample.export_choices import combo, dialog_buttons, image_choices, inset, plane_choices, spin
from dit_studio.ui.sample.film import Film
from dit_studio.ui.widgets.basics import Caption, describe

_TARGET_HEIGHT = 512  # pixels that the suggested scale leads to


class MovieDialog(QDialog):
    """Asks how the film shall be. `options` is what the export job takes."""

    ending = ""  # the kind of export says it

    def __init__(self, film: Film, image: int, favourites: list[int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._film = film
        height = film.size[0]
        self.images = combo(
            image_choices(film, image, favourites),
            "Images",
            "Which images are shown, side by side.",
        )
        planes = plane_choices(film)
        self.plane = combo(
            [*planes, ("Both, side by side", "both")] if len(planes) > 1 else planes,
            "Plane",
            "The clean image that the model predicts, the noisy one, or both.",
        )
        self.fps = spin(1, 50, 15, "Speed", "Steps shown in a second.", suffix=" steps/s")
        self.scale = spin(
            1, 64, min(max(_TARGET_HEIGHT // height, 1), 64), "Scale", "Pixels of the film for each pixel.", suffix=" ×"
        )
        self.hold = QDoubleSpinBox(minimum=0, maximum=60, value=1.5, singleStep=0.5, decimals=1, suffix=" s")
        inset(self.hold)
        self._length = Caption()
        self._build()
        self._show()

    def options(self) -> dict[str, Any]:
        return {
            "images": self.images.currentData(),
            "plane": self.plane.currentData(),
            "fps": self.fps.value(),
            "scale": self.scale.value(),
            "hold_seconds": self.hold.value(),
        }

    def length_text(self) -> str:
        """How long the film becomes, in words."""
        return self._length.text()

    def _show(self) -> None:
        frames = len(self._film.points) + 1
        seconds = frames / self.fps.value() + self.hold.value()
        height, width, _ = self._film.size
        scale = self.scale.value()
        self._length.setText(
            f"{frames} frames, {seconds:.1f} s; each picture {width * scale} × {height * scale} pixels."
        )

    def _build(self) -> None:
        self.setWindowTitle("Film of the trajectory")
        describe(self.hold, "Hold", "How long the finished image stays, in seconds.")
        form = QFormLayout()
        form.setSpacing(8)
        for editor in (self.images, self.plane, self.fps, self.scale, self.hold):
            form.addRow(editor.accessibleName(), editor)
        for number in (self.fps, self.scale, self.hold):
            number.valueChanged.connect(self._show)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(16)
        layout.addLayout(form)
        layout.addWidget(self._length)
        layout.addWidget(dialog_buttons(self))
