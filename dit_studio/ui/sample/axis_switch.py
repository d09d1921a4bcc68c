"""The choice of what the slider's axis means."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QToolButton, QWidget

from dit_studio.ui.sample.track import Axis
from dit_studio.ui.widgets.basics import describe, row

_TOOLTIPS: dict[Axis, str] = {
    "t": "Place the steps by their time t.",
    "log-SNR": "Place the steps by log-SNR = log(signal² / noise²): where half is noise, it is 0.",
}


class AxisSwitch(QWidget):
    """ "t" or "log-SNR"."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {axis: self._button(axis) for axis in _TOOLTIPS}
        self._group = QButtonGroup(self)
        for press in self.buttons.values():
            self._group.addButton(press)
        self.buttons["t"].setChecked(True)
        self.setLayout(row(*self.buttons.values(), space=2))

    def _button(self, axis: Axis) -> QToolButton:
        result = QToolButton()
        result.setText(axis)
        result.setCheckable(True)
        result.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        describe(result, f"Axis: {axis}", _TOOLTIPS[axis])
        result.clicked.connect(lambda: self.chosen.emit(axis))
        return result
