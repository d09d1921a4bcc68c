"""One's own images beside what a VAE makes of them, so that a small latent is seen for what it is."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import Reconstruction
from dit_studio.ui import theme
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.widgets.basics import BusyBar, Caption, WholeText, button, row
from dit_studio.ui.widgets.message import MessageCard

_COUNT = 8  # images
_SIDE = 128  # pixels of a picture at a font scale of 100 %
_POOR, _GOOD = 20.0, 28.0  # dB


class ReconstructionDialog(QDialog):
    """Stays open beside the form; asked again it shows the newest settings."""

    def __init__(self, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self.setWindowTitle("Reconstruction check")
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.message, self._busy, self.verdict = MessageCard(), BusyBar(), WholeText("", role="muted")
        self._area = QScrollArea(widgetResizable=True)
        self._area.setAccessibleName("Images")
        close = button("Close", "Close this window.")
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        for part in (self.verdict, self._busy, self.message):
            layout.addWidget(part)
        layout.addWidget(self._area, 1)
        layout.addLayout(row(None, close))
        self.resize(theme.scaled(3 * _SIDE + 240), theme.scaled(560))

    def ask(self, recipe: dict[str, Any]) -> None:
        """Show the recipe's images and what its VAE makes of them."""
        self.message.clear()
        self.verdict.setText("The VAE encodes and decodes some of the images; no model comes between.")
        self._area.setWidget(QWidget())
        self._busy.show_progress("Reconstructing")
        self._job.run(self._launcher.call("reconstruct", recipe=recipe, count=_COUNT))
        self.show()
        self.raise_()

    def close_job(self) -> None:
        self._job.close()

    def done(self, result: int) -> None:
        self._job.drop()
        super().done(result)

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Progress():
                    self._busy.show_progress(event.stage, event.done, event.total)
                case Failure():
                    self.message.show_failure(event)
                case Reconstruction():
                    self._show(event)

    def _on_ended(self) -> None:
        self._busy.finish()

    def _show(self, found: Reconstruction) -> None:
        self.verdict.setText(verdict(found))
        content = QWidget()
        grid = QGridLayout(content)
        for column, title in enumerate(("Original", "From its latent")):
            grid.addWidget(Caption(title), 0, column)
        size, count = found.size, len(found.numbers)
        for number in range(count):
            for column in range(2):
                start = (column * count + number) * size * size * 3
                pixels = found.data[start : start + size * size * 3]
                name = f"{'Image' if column == 0 else 'Reconstruction of image'} {found.numbers[number]}"
                grid.addWidget(_picture(pixels, size, name), number + 1, column)
            grid.addWidget(Caption(f"{found.psnr[number]:.1f} dB"), number + 1, 2)
        grid.setColumnStretch(3, 1)
        grid.setRowStretch(count + 1, 1)
        self._area.setWidget(content)


def verdict(found: Reconstruction) -> str:
    """What the figures mean for training."""
    latents = f"{found.size} × {found.size} pixels are {found.latent_size} × {found.latent_size} latents"
    figure = f"on average {found.mean_psnr:.1f} dB PSNR"
    if found.mean_psnr < _POOR:
        meaning = "A model trained on these latents draws nothing finer: take larger images, or train in pixels."
    elif found.mean_psnr < _GOOD:
        meaning = "Fine detail is lost before any model is trained; larger images keep more."
    else:
        meaning = "The VAE keeps what matters."
    return f"{latents}; {figure}. {meaning}"


def _picture(pixels: bytes, size: int, name: str) -> QLabel:
    image = QImage(pixels, size, size, 3 * size, QImage.Format.Format_RGB888).copy()
    side = theme.scaled(_SIDE)
    is_smooth = Qt.TransformationMode.SmoothTransformation if size >= side else Qt.TransformationMode.FastTransformation
    label = QLabel()
    label.setPixmap(QPixmap.fromImage(image).scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, is_smooth))
    label.setAccessibleName(name)
    label.setToolTip(f"{name}, {size} × {size} pixels")
    return label
