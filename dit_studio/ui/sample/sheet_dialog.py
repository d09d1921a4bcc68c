"""The evolution sheet: rows are images, columns are timesteps; what is on it is chosen while it is seen."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from dit_studio.trajectory import evenly_spaced_steps
from dit_studio.ui.sample.export_choices import FEW, combo, dialog_buttons, image_choices, plane_choices, spin
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.sheet_preview import MOST_ROWS, RowName, SheetPreview, paper_size
from dit_studio.ui.widgets.basics import WholeText, describe, set_property

_COLUMNS, _CELLS = (2, 100), (4, 2048)  # the smallest and largest choice; cells in pixels
_MOST_PIXELS = 200_000_000  # of a PNG


class SheetDialog(QDialog):
    """Asks how the sheet shall be. `options` is what the export job takes; `kinds` are the classes of the images."""

    def __init__(
        self,
        film: Film,
        image: int,
        favourites: list[int],
        parent: QWidget | None = None,
        *,
        kinds: Sequence[str] = (),
    ) -> None:
        super().__init__(parent)
        self._film = film
        shown = kinds or [str(label) for label in film.labels]
        self._names = [RowName(kind, f"seed {seed}") for kind, seed in zip(shown, film.seeds, strict=True)]
        self.images = combo(
            image_choices(film, image, favourites),
            "Images",
            "Which images are rows of the sheet.",
        )
        self._pick_a_sheetful()
        self.columns = spin(*_COLUMNS, 10, "Columns", "Timesteps shown, the noisiest first; the last is the image.")
        self.spacing = combo(
            [("Even in t", "t"), ("Even in log-SNR", "log-snr")], "Spacing", "How the timesteps are chosen."
        )
        self.plane = combo(
            plane_choices(film), "Plane", "The clean image x̂₀ that the model predicts in a step, or the noisy one."
        )
        self.cell = spin(*_CELLS, 96, "Cell", "Side of a picture on the sheet, in pixels.", suffix=" px")
        self.labels = QCheckBox("Timesteps, classes and seeds")
        self.format = combo([("PNG", "png"), ("PDF", "pdf")], "Format", "PNG: pixels. PDF: for print, 96 px an inch.")
        self._preview = SheetPreview(film, self._names)
        self._size, self._buttons = WholeText(role="caption"), dialog_buttons(self)
        self._build()
        self._connect()
        self._show()

    @property
    def ending(self) -> str:
        """ "png" or "pdf"."""
        return str(self.format.currentData())

    def options(self) -> dict[str, Any]:
        return {
            "images": self.images.currentData(),
            "columns": self.columns.value(),
            "spacing": self.spacing.currentData(),
            "plane": self.plane.currentData(),
            "cell": self.cell.value(),
            "labels": self.labels.isChecked(),
        }

    def size_text(self) -> str:
        """How large the sheet becomes, in words."""
        return self._size.text()

    def steps(self) -> list[int]:
        """The steps shown in the columns."""
        return evenly_spaced_steps(self._film.points, self.columns.value(), self.spacing.currentData())

    def _pick_a_sheetful(self) -> None:
        """The first ten, all if there are fewer."""
        sizes = [len(self.images.itemData(place)) for place in range(self.images.count())]
        fitting = [place for place, size in enumerate(sizes) if size <= FEW]
        self.images.setCurrentIndex(max(fitting, key=lambda place: (sizes[place], place), default=0))

    def _show(self) -> None:
        images, steps, cell = self.images.currentData(), self.steps(), self.cell.value()
        self._preview.show_sheet(images, steps, self.plane.currentData(), has_labels=self.labels.isChecked())
        names = [self._names[image] for image in images] if self.labels.isChecked() else []
        width, height = paper_size(len(images), len(steps), cell, names)
        is_too_large = self.ending == "png" and width * height > _MOST_PIXELS
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not is_too_large)
        set_property(self._size, "role", "problem" if is_too_large else "caption")
        fewer = f" The trajectory has {len(steps)} columns to show." if len(steps) < self.columns.value() else ""
        hidden = f" The preview shows the first {MOST_ROWS} rows." if len(images) > MOST_ROWS else ""
        size = f"{len(images)} × {len(steps)} pictures, about {width} × {height} pixels."
        self._size.setText(_too_large(width * height) if is_too_large else f"{size}{fewer}{hidden}")

    def _connect(self) -> None:
        for box in (self.images, self.spacing, self.plane, self.format):
            box.currentIndexChanged.connect(self._show)
        for number in (self.columns, self.cell):
            number.valueChanged.connect(self._show)
        self.labels.toggled.connect(self._show)

    def _build(self) -> None:
        self.setWindowTitle("Evolution sheet")
        self.labels.setChecked(True)
        describe(self.labels, "Labels", "Write timesteps above and classes and seeds beside the pictures.")
        form = QFormLayout()
        form.setSpacing(8)
        editors = (self.images, self.columns, self.spacing, self.plane, self.cell, self.labels, self.format)
        for editor in editors:
            form.addRow(editor.accessibleName(), editor)
        body = QHBoxLayout()
        body.setSpacing(16)
        body.addLayout(form)
        body.addWidget(self._preview, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(16)
        layout.addLayout(body, 1)
        layout.addWidget(self._size)
        layout.addWidget(self._buttons)


def _too_large(pixels: int) -> str:
    return (
        f"The sheet would have {pixels / 1e6:,.0f} million pixels: {_MOST_PIXELS / 1e6:.0f} million are the most. "
        "Take smaller cells, fewer images or fewer columns, or write a PDF."
    )
