"""The row above the plots: how they are drawn, and what to save of them."""

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QSlider, QWidget

from dit_studio.ui.widgets.basics import Caption, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout

_POSITIONS = 300  # of the slider; a third of it divides 1 - amount by ten
_DEFAULT = 0.95  # TensorBoard has 0.6, but the loss of a diffusion model is noisier than a classifier's


class PlotControls(QWidget):
    """Smoothing, logarithmic y axis, Fit, CSV and PNG."""

    changed = Signal()
    fit_wanted = Signal()
    csv_wanted = Signal()
    png_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._amount = Caption(wraps=False)
        self._log = QCheckBox("Log y")
        self._fit = button("Fit", "Show the whole run, and follow it. A zoom or a drag switches this off.")
        self._csv = button("CSV…", "Save all curves as a table, one line a step.")
        self._png = button("PNG…", "Save a picture of the plots as you see them.")
        self._build()
        self.set_smoothing(_DEFAULT)
        self.set_following(True)
        self._slider.valueChanged.connect(self._on_slid)
        self._log.toggled.connect(self.changed)
        self._fit.clicked.connect(self.fit_wanted)
        self._csv.clicked.connect(self.csv_wanted)
        self._png.clicked.connect(self.png_wanted)

    @property
    def smoothing(self) -> float:
        """From 0, none, to 0.999."""
        return smoothing_at(self._slider.value() / _POSITIONS)

    @property
    def is_log(self) -> bool:
        return self._log.isChecked()

    @property
    def is_following(self) -> bool:
        return self._fit.isChecked()

    def set_smoothing(self, amount: float) -> None:
        self._slider.setValue(round(place_of(amount) * _POSITIONS))
        self._show_amount()

    def set_log(self, is_log: bool) -> None:
        self._log.setChecked(is_log)

    def set_following(self, is_following: bool) -> None:
        self._fit.setChecked(is_following)

    def _on_slid(self) -> None:
        self._show_amount()
        self.changed.emit()

    def _show_amount(self) -> None:
        self._amount.setText(f"{self.smoothing:.3f}")

    def _build(self) -> None:
        self._fit.setCheckable(True)
        self._slider.setRange(0, _POSITIONS)
        self._slider.setPageStep(_POSITIONS // 10)
        self._slider.setMinimumWidth(60)
        self._slider.setMaximumWidth(160)
        describe(
            self._slider,
            "Smoothing",
            "Memory of the running average, from 0 (none) to 0.999 (about the last thousand steps).",
        )
        describe(self._log, "Logarithmic y axis", "Logarithmic y axes. Values of zero or less cannot be shown there.")
        label = Caption("Smoothing", wraps=False)
        label.setBuddy(self._slider)
        smoothing = QWidget()
        smoothing.setLayout(row(label, self._slider, self._amount))
        layout = FlowLayout(self)
        for widget in (smoothing, self._log, self._fit, self._csv, self._png):
            layout.addWidget(widget)


def smoothing_at(place: float) -> float:
    """The amount at a place of the slider in [0, 1]: finer towards 1, where it matters."""
    return round(1 - 10 ** (-3 * place), 4)


def place_of(amount: float) -> float:
    """The inverse of smoothing_at."""
    return -math.log10(1 - amount) / 3
