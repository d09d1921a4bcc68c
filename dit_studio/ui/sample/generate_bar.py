"""The bar below the settings: Generate, Stop, and how far it is."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from dit_studio.events import JobState
from dit_studio.ui.icons import icon
from dit_studio.ui.train.state_pill import STATE_TEXTS
from dit_studio.ui.widgets.basics import BusyBar, Caption, button, row

_GENERATE = "Draw these images (Ctrl+Return)."
_STOP = "End after the step in progress and keep what is finished (Ctrl+.). Pressed again: end at once."


class GenerateBar(QFrame):
    """What can be pressed follows from the state, and from why nothing can be drawn."""

    generate_asked = Signal()
    stop_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._why_not = JobState.IDLE, ""
        self.generate = button("Generate", _GENERATE, kind="primary", icon=icon("play", "on_accent"))
        self.stop = button("Stop", _STOP, icon=icon("stop"))
        self._line, self._busy = Caption(), BusyBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        buttons = row(self.generate, self.stop)
        buttons.setStretch(0, 1)
        for widget in (self._busy, self._line):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self.generate.clicked.connect(self.generate_asked)
        self.stop.clicked.connect(self.stop_asked)
        self.show_state(JobState.IDLE)

    @property
    def text(self) -> str:
        """The sentence above the buttons."""
        return self._line.text()

    def show_state(self, state: JobState, text: str = "") -> None:
        """The state of the drawing, and a sentence in place of the usual word."""
        self._state = state
        self._said = text or ("" if state is JobState.IDLE else STATE_TEXTS[state])
        self.stop.setText("End at once" if state is JobState.STOPPING else "Stop")
        self.stop.setAccessibleName(self.stop.text())
        self.stop.setEnabled(state.is_active)
        if not state.is_active:
            self._busy.finish()
        self._show()

    def show_progress(self, text: str, done: int, total: int | None) -> None:
        self._busy.show_progress(text, done, total)
        self._line.hide()

    def set_why_not(self, why_not: str) -> None:
        """Why nothing can be drawn; "" if it can."""
        self._why_not = why_not
        self._show()

    def _show(self) -> None:
        is_off = self._state.is_active or bool(self._why_not)
        self.generate.setEnabled(not is_off)
        why_not = "" if self._state.is_active else self._why_not
        self.generate.setToolTip(f"Off: {why_not}" if why_not else _GENERATE)
        line = why_not or self._said
        self._line.setText(line[:1].upper() + line[1:])
        self._line.setVisible(bool(self._line.text()) and self._busy.isHidden())
