"""One sample in large, with the whole of training behind it."""

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtWidgets import QCheckBox, QDialog, QSlider, QVBoxLayout, QWidget

from dit_studio.events import PreviewSaved
from dit_studio.ui.train.preview_files import PreviewFiles
from dit_studio.ui.train.preview_rows import cell_text
from dit_studio.ui.widgets.basics import Title, describe, row
from dit_studio.ui.widgets.picture import Picture

_FINE_FROM = 128  # pixels; cells of this size look better smooth
_KEYS = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}


class PreviewLens(QDialog):
    """← → go through the steps, ↑ ↓ through the classes."""

    moved = Signal(int)  # to the preview of this index

    def __init__(self, files: PreviewFiles, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._files = files
        self._previews: list[PreviewSaved] = []
        self._index = self._cell = 0
        self._picture = Picture()
        self._caption = Title()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._smooth = QCheckBox("Smooth")
        self._build()
        self._slider.valueChanged.connect(self._on_slid)
        self._smooth.toggled.connect(self._picture.set_smooth)

    def open_at(self, previews: list[PreviewSaved], index: int, cell: int) -> None:
        """Show a cell of a preview; the previews are those to go through."""
        self._smooth.setChecked(previews[index].cell_size >= _FINE_FROM)
        self._cell = cell
        self.show_previews(previews, index)
        self.show()
        self.raise_()
        self.activateWindow()

    def show_previews(self, previews: list[PreviewSaved], index: int) -> None:
        """The same cell of other previews."""
        self._previews, self._index = previews, index
        with QSignalBlocker(self._slider):
            self._slider.setRange(0, len(previews) - 1)
            self._slider.setValue(index)
        self._show()

    def caption(self) -> str:
        """What is shown, in words."""
        return self._caption.text()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key not in _KEYS:
            super().keyPressEvent(event)
            return
        steps, cells = _KEYS[key]
        preview = self._previews[self._index]
        self._cell = min(max(self._cell + cells, 0), preview.rows * preview.columns - 1)
        self._slider.setValue(self._index + steps)
        self._show()

    def _on_slid(self, index: int) -> None:
        self._index = index
        self._show()
        self.moved.emit(index)

    def _show(self) -> None:
        preview = self._previews[self._index]
        self._cell = min(self._cell, preview.rows * preview.columns - 1)
        image = self._files.read(preview)
        self._caption.setText(cell_text(preview, self._cell))
        self._picture.show_image(_cut(image, preview, self._cell), self._caption.text())

    def _build(self) -> None:
        self.setWindowTitle("Sample")
        self.resize(480, 560)
        describe(self._slider, "Training time", "Steps with a preview. ← → go through them, ↑ ↓ through the classes.")
        describe(self._smooth, "Smooth", "Blur the pixels into one another; off: show each as a square.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self._picture, 1)
        layout.addLayout(row(self._caption, None, self._smooth))
        layout.addWidget(self._slider)
        self._slider.setFocus()


def _cut(image: QImage, preview: PreviewSaved, cell: int) -> QImage:
    if image.isNull():
        return image
    row_index, column = divmod(cell, preview.columns)
    width, height = image.width() // preview.columns, image.height() // preview.rows
    return image.copy(column * width, row_index * height, width, height)
