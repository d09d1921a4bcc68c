"""The window with the drawing of the model; it stays open beside the form and follows it."""

from collections.abc import Callable

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QDialog, QFileDialog, QScrollArea, QVBoxLayout, QWidget

from dit_studio.ui.icons import icon
from dit_studio.ui.train.architecture_parts import Architecture
from dit_studio.ui.train.architecture_view import ArchitectureView
from dit_studio.ui.widgets.basics import Caption, button, row


def ask_for_png(parent: QWidget) -> str:
    """Where to save; "" for nowhere."""
    return QFileDialog.getSaveFileName(parent, "Save the drawing", "architecture.png", "Pictures (*.png)")[0]


class ArchitectureDialog(QDialog):
    """`choose_png` is for tests to answer."""

    def __init__(self, parent: QWidget | None = None, *, choose_png: Callable[[QWidget], str] = ask_for_png) -> None:
        super().__init__(parent)
        self._choose_png = choose_png
        self.setWindowTitle("Architecture")
        self.view = ArchitectureView()
        self._area = QScrollArea(widgetResizable=True)
        self._area.setWidget(self.view)
        self._area.setAccessibleName("Drawing")
        self.note = Caption("Boxes with an accent are what the published DiT has otherwise.")
        self.save = button("Save as a picture…", "Save the drawing as PNG.", icon=icon("save"))
        self.save.clicked.connect(self._save)
        layout = QVBoxLayout(self)
        layout.addWidget(self._area, 1)
        layout.addLayout(row(self.note, None, self.save))

    def show_architecture(self, shown: Architecture) -> None:
        self.view.show_architecture(shown)

    def open_beside(self) -> None:
        """Show it, as large as the drawing where the screen has room."""
        room = self.screen().availableGeometry().size() * 0.9
        frame = QSize(48, 48 + self.save.sizeHint().height())
        self.resize((self.view.sizeHint() + frame).boundedTo(room))
        self.show()
        self.raise_()

    def _save(self) -> None:
        path = self._choose_png(self)
        if path and not self.view.to_image().save(path):
            self.note.setText(f"{path} cannot be written. Choose another place, with a name that ends in .png.")
