"""One cell of a sweep in large, with its settings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from dit_studio.ui.sample.pixels import read_pixels
from dit_studio.ui.sample.sweep_cells import ShownCell, side_by_side
from dit_studio.ui.widgets.basics import Muted, Title, button, describe, row
from dit_studio.ui.widgets.picture import Picture

_KEYS = {
    Qt.Key.Key_Left: QPoint(-1, 0),
    Qt.Key.Key_Right: QPoint(1, 0),
    Qt.Key.Key_Up: QPoint(0, -1),
    Qt.Key.Key_Down: QPoint(0, 1),
}
_MOST_IMAGES = 64  # of a cell that are read


class SweepLens(QDialog):
    """The arrow keys go to the neighbours. `moved` carries (columns, rows) to go."""

    moved = Signal(QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._settings, self._picture = Title(), Muted(), Picture()
        close = button("Close", "Close this picture (Escape).")
        close.clicked.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(self._picture, 1)
        layout.addWidget(self._settings)
        layout.addLayout(row(None, close))
        self.resize(560, 640)

    @property
    def text(self) -> str:
        return f"{self._title.text()}\n{self._settings.text()}"

    def show_cell(self, shown: ShownCell) -> None:
        self._title.setText(shown.title)
        self._settings.setText(settings_line(shown) + (f"\n{shown.text}" if shown.text else ""))
        describe(self._picture, f"Images of {shown.title}", shown.title)
        self._picture.show_image(picture_of(shown.folder) or shown.picture, f"Images of {shown.title}")
        self.setWindowTitle(shown.title)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = _KEYS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.moved.emit(step)


def settings_line(shown: ShownCell, *, leave_out: Sequence[str] = ()) -> str:
    """What the images of a cell were asked for with, without what is said already."""
    request = shown.cell.request
    parts = [
        request.sampler,
        f"{request.steps} steps",
        f"CFG {request.cfg:g}",
        f"seed {request.seed}" + (f" to {request.seed + request.count - 1}" if request.count > 1 else ""),
        {"ema": "EMA", "raw": "raw weights"}.get(shown.cell.weights, shown.cell.weights),
        Path(shown.cell.model).name,
    ]
    return " · ".join(part for part in parts if part and part not in leave_out)


def picture_of(folder: Path | None) -> QImage | None:
    """The images of a cell's folder at their own size, None if there are none of one size."""
    files = sorted(folder.glob("[0-9]*.png"))[:_MOST_IMAGES] if folder else []
    pixels = [one for file in files if (one := read_pixels(file)) is not None]
    if not pixels or any(one.shape != pixels[0].shape for one in pixels):
        return None
    return side_by_side(np.stack(pixels))
