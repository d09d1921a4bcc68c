"""The choice of what the slider's axis means."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QToolButton, QWidget

from dit_studio.ui.sample.track import Axis
from dit_studio.ui.widgets.basics import describe, row

_TOOLTIPS: dict[Axis, str] = {
    "t": "Place the steps by their time t (A).",
    "log-SNR": "Place the steps by log-SNR = log(signal² / noise²): where half is noise, it is 0 (A).",
}


class AxisSwitch(QWidget):
    """ "t" or "log-SNR"."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {axis: self._button(axis) for axis in _TOOLTIPS}
        self._check("t")
        self.setLayout(row(*self.buttons.values(), space=2))

    def choose_next(self) -> None:
        """The other one."""
        self._choose("log-SNR" if self.buttons["t"].isChecked() else "t")

    def _choose(self, axis: Axis) -> None:
        self._check(axis)
        self.chosen.emit(axis)

    def _check(self, axis: Axis) -> None:
        """Not by a QButtonGroup, which takes the button that is not checked out of Tab's way."""
        for name, press in self.buttons.items():
            press.setChecked(name == axis)

    def _button(self, axis: Axis) -> QToolButton:
        result = QToolButton()
        result.setText(axis)
        result.setCheckable(True)
        result.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        describe(result, f"Axis: {axis}", _TOOLTIPS[axis])
        result.clicked.connect(lambda: self._choose(axis))
        return result
