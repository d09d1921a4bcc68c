"""The evolution sheet: rows are images, columns are timesteps; what is on it is chosen while it is seen."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QCheckBox, QDialog, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from dit_studio.trajectory import evenly_spaced_steps
from dit_studio.ui import theme
from dit_studio.ui.sample.export_choices import FEW, combo, dialog_buttons, image_choices, spin
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import to_image
from dit_studio.ui.widgets.basics import Caption, describe

_COLUMNS, _CELLS = (2, 100), (4, 2048)  # the smallest and largest choice; cells in pixels
_MOST_ROWS = 24  # of the preview


class SheetDialog(QDialog):
    """Asks how the sheet shall be. `options` is what the export job takes."""

    def __init__(self, film: Film, image: int, favourites: list[int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._film = film
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
            [
                (text, plane)
                for text, plane in (("x̂₀ (clean)", "x_start"), ("x_t (noisy)", "x_t"))
                if plane in film.planes
            ],
            "Plane",
            "The clean image that the model predicts, or the noisy one.",
        )
        self.cell = spin(*_CELLS, 96, "Cell", "Side of a picture on the sheet, in pixels.", suffix=" px")
        self.labels = QCheckBox("Timesteps, classes and seeds")
        self.format = combo([("PNG", "png"), ("PDF", "pdf")], "Format", "PNG: pixels. PDF: for print, 96 px an inch.")
        self._preview = _Preview(film)
        self._size = Caption()
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
        gap = max(1, round(cell / 32))
        width, height = (count * (cell + gap) for count in (len(steps), len(images)))
        fewer = f" The trajectory has {len(steps)} columns to show." if len(steps) < self.columns.value() else ""
        hidden = f" The preview shows the first {_MOST_ROWS} rows." if len(images) > _MOST_ROWS else ""
        self._size.setText(f"{len(images)} × {len(steps)} pictures, about {width} × {height} pixels.{fewer}{hidden}")

    def _connect(self) -> None:
        for box in (self.images, self.spacing, self.plane):
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
        layout.addWidget(dialog_buttons(self))


class _Preview(QWidget):
    """The sheet in small, drawn from what the window has."""

    def __init__(self, film: Film) -> None:
        super().__init__()
        self._film = film
        self._images: Sequence[int] = ()
        self._steps: Sequence[int] = ()
        self._plane = ""
        self._has_labels = True
        self.setMinimumSize(QSize(320, 240))
        describe(self, "Preview of the sheet", "As it will be exported, in small.")

    def show_sheet(self, images: Sequence[int], steps: Sequence[int], plane: str, *, has_labels: bool) -> None:
        self._images, self._steps, self._plane = images[:_MOST_ROWS], steps, plane
        self._has_labels = has_labels
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        painter.setFont(font)
        left, top = self._margins(QFontMetrics(font))
        side = self._side(left, top)
        paper = QRectF(0, 0, left + side * len(self._steps) + 8, top + side * len(self._images) + 8)
        painter.translate((self.width() - paper.width()) / 2, max((self.height() - paper.height()) / 2, 0))
        painter.fillRect(paper, QColor("#FFFFFF"))  # in either theme
        painter.setPen(QColor("#1A1E26"))
        for row, image in enumerate(self._images):
            for column, step in enumerate(self._steps):
                self._paint_cell(
                    painter, QRectF(left + column * side, top + row * side, side - 1, side - 1), image, step
                )
            if self._has_labels:
                place = QRectF(4, top + row * side, left - 8, side)
                painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self._name(image))
        if self._has_labels:
            self._paint_heads(painter, left, side)

    def _margins(self, metrics: QFontMetrics) -> tuple[float, float]:
        if not self._has_labels:
            return 8, 8
        widest = max((metrics.horizontalAdvance(self._name(image)) for image in self._images), default=0)
        return widest + 12, metrics.height() + 8

    def _side(self, left: float, top: float) -> float:
        across = (self.width() - left - 8) / max(len(self._steps), 1)
        down = (self.height() - top - 8) / max(len(self._images), 1)
        return max(min(across, down), 2)

    def _name(self, image: int) -> str:
        return f"seed {self._film.seeds[image]}"

    def _paint_cell(self, painter: QPainter, target: QRectF, image: int, step: int) -> None:
        is_final = step > len(self._film.points)
        pixels = self._film.final(image) if is_final else self._film.picture(self._plane, image, step)
        if pixels is None:
            painter.fillRect(target, QColor("#D8DDE6"))
            return
        picture = to_image(pixels)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, picture.width() > target.width())
        painter.drawImage(target, picture)

    def _paint_heads(self, painter: QPainter, left: float, side: float) -> None:
        heads = [
            f"{self._film.points[step - 1].t:.0f}" if step <= len(self._film.points) else "0" for step in self._steps
        ]
        metrics = painter.fontMetrics()
        widest = max((metrics.horizontalAdvance(head) for head in heads), default=0) + 4
        every = max(-(-widest // max(int(side), 1)), 1)
        for column in range(0, len(heads), every):
            place = QRectF(left + column * side - widest, 2, side + 2 * widest, metrics.height() + 2)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, heads[column])
        painter.drawText(QRectF(4, 2, left - 8, metrics.height() + 2), Qt.AlignmentFlag.AlignLeft, "t")
