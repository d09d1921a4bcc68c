"""A generated image and a training image side by side in large."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from dit_studio.evaluation_request import NearImage
from dit_studio.ui.evaluate.copying_rows import CopyRow, distance_text
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, Title, WholeText, button, describe, row
from dit_studio.ui.widgets.picture import Picture

_KEYS = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}


class CopyingLens(QDialog):
    """↑ ↓ go through the generated images, ← → through the training images nearest to one."""

    def __init__(self, pictures: SourcePictures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._rows: Sequence[CopyRow] = ()
        self._place = self._near = 0
        self._drawn, self._trained = _Half("Generated"), _Half("Training image")
        self._about = WholeText(role="muted")
        self._build()
        pictures.loaded.connect(self._show)

    @property
    def text(self) -> str:
        """What is said of the two images."""
        return f"{self._drawn.text}\n{self._trained.text}\n{self._about.text()}"

    def open_at(self, rows: Sequence[CopyRow], place: int, near: int) -> None:
        """Show a row, and one of its training images, from 0."""
        self._rows, self._place, self._near = rows, place, near
        self.show()
        self.raise_()
        self.activateWindow()
        self._show()

    def sizeHint(self) -> QSize:
        return QSize(720, 480)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _KEYS and self._rows:
            self._go(*_KEYS[key])
        else:
            super().keyPressEvent(event)

    def _go(self, rows: int, near: int) -> None:
        self._place = min(max(self._place + rows, 0), len(self._rows) - 1)
        count = len(self._rows[self._place].copy.nearest)
        self._near = 0 if rows else min(max(self._near + near, 0), max(count - 1, 0))
        self._show()

    def _show(self) -> None:
        if not self._rows or not self.isVisible():
            return
        shown = self._rows[self._place]
        nearest = shown.copy.nearest
        self._drawn.show_picture(self._pictures.get(shown.fake_path, shown.copy.number), shown.copy.image)
        if nearest:
            near = nearest[min(self._near, len(nearest) - 1)]
            self._trained.show_picture(self._pictures.get(shown.real_path, near.number), near.image)
            self._about.setText(_about(shown, near, self._near))
        self.setWindowTitle(f"{shown.rank}. {shown.copy.image}")

    def _build(self) -> None:
        self.resize(self.sizeHint())  # Qt itself would take the least height
        close = button("Close", "Close this window (Escape).")
        close.clicked.connect(self.accept)
        halves = QHBoxLayout()
        halves.setSpacing(16)
        halves.addWidget(self._drawn, 1)
        halves.addWidget(self._trained, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(halves, 1)
        layout.addWidget(self._about)
        keys = Caption("↑ ↓ other generated images, ← → other training images", wraps=True)
        bottom = row(keys, close)
        bottom.setStretch(0, 1)
        layout.addLayout(bottom)
        describe(self, "A generated image beside a training image", "")


class _Half(QWidget):
    """One of the two images, with its name."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title, self._picture = Title(title), Picture()
        self._name = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        layout.addWidget(self._picture, 1)
        layout.addWidget(self._name)

    @property
    def text(self) -> str:
        return f"{self._title.text()}: {self._name.text()}"

    def show_picture(self, found: QImage | str | None, name: str) -> None:
        missing = found if isinstance(found, str) else "Reading…"
        image = found if isinstance(found, QImage) else None
        self._picture.show_image(image, f"{self._title.text()} {name}", missing=missing)
        self._name.setText(name)


def _about(shown: CopyRow, near: NearImage, place: int) -> str:
    which = "The nearest training image" if place == 0 else f"Training image {place + 1} by nearness"
    closer = " It is closer than training images are to each other." if shown.copy.is_closer and place == 0 else ""
    return f"{which}, at a feature distance of {distance_text(near)}.{closer}"
