"""What is overlaid, over which axis, how smooth, and the buttons that save it."""

from collections.abc import Sequence
from typing import Any, cast

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QSlider, QWidget

from dit_studio.ui.runs.overlay import LOSS
from dit_studio.ui.train.curves import XAxis
from dit_studio.ui.train.plot_controls import place_of, smoothing_at
from dit_studio.ui.widgets.basics import Caption, NoScrollComboBox, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout

AXES: dict[XAxis, str] = {"step": "By step", "images": "By images seen", "seconds": "By training time"}
_POSITIONS = 300  # of the slider
_SMOOTHING = 0.9


class CompareControls(QWidget):
    """`changed`: something of it, to be drawn and remembered. The buttons `csv` and `png` stand elsewhere."""

    changed = Signal()
    csv_wanted = Signal()
    png_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.measure, self.axis = NoScrollComboBox(), NoScrollComboBox()
        describe(self.measure, "Curve", "What is drawn of each run.")
        describe(self.axis, "Axis", "What the curves are drawn over: optimiser steps, images, or seconds of training.")
        for key, text in AXES.items():
            self.axis.addItem(text, key)
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0, _POSITIONS)
        self.smoothing.setPageStep(_POSITIONS // 10)
        self.smoothing.setMinimumWidth(60)
        self.smoothing.setMaximumWidth(120)
        describe(self.smoothing, "Smoothing", "Memory of the running average of the training loss, from 0 to 0.999.")
        self.csv = button("CSV…", "Save these curves as a table, one line a point.")
        self.png = button("PNG…", "Save a picture of these curves.")
        self.show_measures([LOSS])
        self.restore({})
        self._lay_out()
        for combo in (self.measure, self.axis):
            combo.currentIndexChanged.connect(self._on_changed)
        self.smoothing.valueChanged.connect(self._on_changed)
        self.csv.clicked.connect(self.csv_wanted)
        self.png.clicked.connect(self.png_wanted)

    @property
    def chosen_measure(self) -> str:
        return self.measure.currentText() or LOSS

    @property
    def chosen_axis(self) -> XAxis:
        return cast(XAxis, self.axis.currentData())

    @property
    def amount(self) -> float:
        """Of smoothing."""
        return smoothing_at(self.smoothing.value() / _POSITIONS)

    def show_measures(self, names: Sequence[str]) -> None:
        """Offer these curves; the one that is shown stays, if it is among them."""
        shown = self.measure.currentText()
        if names == [self.measure.itemText(place) for place in range(self.measure.count())]:
            return
        with QSignalBlocker(self.measure):
            self.measure.clear()
            self.measure.addItems(list(names))
            self.measure.setCurrentIndex(max(0, self.measure.findText(shown)))

    def restore(self, values: dict[str, Any]) -> None:
        """Axis and smoothing as they were remembered."""
        amount = values.get("smoothing", _SMOOTHING)
        is_amount = isinstance(amount, float | int) and 0 <= amount < 1
        with QSignalBlocker(self.axis), QSignalBlocker(self.smoothing):
            self.axis.setCurrentIndex(max(0, self.axis.findData(values.get("axis", "step"))))
            self.smoothing.setValue(round(place_of(min(amount, 0.999) if is_amount else _SMOOTHING) * _POSITIONS))
        self._show_amount()

    def values(self) -> dict[str, Any]:
        """What is remembered."""
        return {"axis": self.chosen_axis, "smoothing": self.amount}

    def _on_changed(self) -> None:
        self._show_amount()
        self.changed.emit()

    def _show_amount(self) -> None:
        self.smoothing.setEnabled(self.chosen_measure == LOSS)

    def _lay_out(self) -> None:
        label = Caption("Smoothing", wraps=False)
        label.setBuddy(self.smoothing)
        smoothing = QWidget()
        smoothing.setLayout(row(label, self.smoothing))
        layout = FlowLayout(self)
        for widget in (self.measure, self.axis, smoothing):
            layout.addWidget(widget)
