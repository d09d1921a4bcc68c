"""The bar below the cards: Evaluate, Pause, Go on, Stop, and how far it is."""

from typing import NamedTuple

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from dit_studio.events import JobState
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.train.state_pill import StatePill
from dit_studio.ui.widgets.basics import BusyBar, Caption, button, describe, row, set_property


class _Labels(NamedTuple):
    """What the buttons say in a state: "" is hidden, and a leading "-" is shown but off."""

    evaluate: str = ""
    go_on: str = ""
    pause: str = ""
    stop: str = ""


BUTTONS = {
    JobState.IDLE: _Labels(evaluate="Evaluate"),
    JobState.QUEUED: _Labels(evaluate="Evaluate"),
    JobState.PREPARING: _Labels(pause="Pause", stop="Stop"),
    JobState.RUNNING: _Labels(pause="Pause", stop="Stop"),
    JobState.PAUSED: _Labels(go_on="Go on", stop="Stop"),
    JobState.STOPPING: _Labels(pause="-Pause", stop="End at once"),
    JobState.STOPPED: _Labels(evaluate="Evaluate", go_on="Go on"),
    JobState.FINISHED: _Labels(evaluate="Evaluate"),
    JobState.FAILED: _Labels(evaluate="Evaluate", go_on="Go on"),
    JobState.INTERRUPTED: _Labels(evaluate="Evaluate", go_on="Go on"),
}
_TOOLTIPS = _Labels(
    evaluate="Measure what is chosen above (Ctrl+Return).",
    go_on="Go on where it was left: what is drawn and measured is not done again (Ctrl+P).",
    pause="Hold at the next step; what is measured and every whole batch of images is kept (Ctrl+P).",
    stop="End at the next step; what is measured and every whole batch of images is kept (Ctrl+.). "
    "Pressed again: end at once.",
)
# Of the page, whatever it shows; of several buttons the one that is there.
KEYS = {"Ctrl+Return": ("evaluate",), "Ctrl+P": ("pause", "go_on"), "Ctrl+.": ("stop",)}
_ONE_LINE = 400  # pixels at a font scale of 100 %
_ICONS = _Labels(evaluate="play", go_on="resume", pause="pause", stop="stop")


class EvaluateBar(QFrame):
    """What can be pressed follows from the state, and from why nothing can be measured.

    `pressed` names the button: evaluate, go_on, pause or stop.
    """

    pressed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._why_not, self._said = JobState.IDLE, "", ""
        self.buttons = {key: button(key, key) for key in _Labels._fields}
        self._pill, self._line, self._busy = StatePill(), Caption(), BusyBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        line = row(self._pill, self._line)
        line.setStretch(1, 1)
        layout.addWidget(self._busy)
        buttons = row(*self.buttons.values())
        buttons.setStretch(0, 1)
        self._rows = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._rows.setSpacing(4)
        self._rows.addLayout(line, 1)
        self._rows.addLayout(buttons)
        layout.addLayout(self._rows)
        for key, widget in self.buttons.items():
            widget.clicked.connect(lambda _checked=False, key=key: self.pressed.emit(key))
        self.show_state(JobState.IDLE)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In one line where there is room, as below all tabs of a folded page."""
        super().resizeEvent(event)
        ways = QBoxLayout.Direction
        self._rows.setDirection(ways.LeftToRight if self.width() >= theme.scaled(_ONE_LINE) else ways.TopToBottom)

    @property
    def text(self) -> str:
        """The sentence above the buttons."""
        return self._line.text()

    def show_state(self, state: JobState, words: str = "") -> None:
        """The state of the measuring, and a sentence beside it."""
        self._state, self._said = state, words
        self._pill.show_state(state)
        self._pill.setVisible(state is not JobState.IDLE)
        if not self._is_busy:
            self._busy.finish()
        self._show()

    def show_progress(self, text: str, done: int, total: int | None) -> None:
        """How far it is; the text has the rate and the end time."""
        if self._is_busy:
            self._busy.show_progress(text, done, total)

    def set_why_not(self, why_not: str) -> None:
        """Why nothing can be measured; "" if it can."""
        self._why_not = why_not
        self._show()

    @property
    def _is_busy(self) -> bool:
        return self._state.is_active and self._state is not JobState.PAUSED

    def _show(self) -> None:
        labels = BUTTONS[self._state]
        if self._state is JobState.FINISHED and self._said:  # points failed, and can be tried again
            labels = labels._replace(go_on="Go on")
        had_focus = any(widget.hasFocus() for widget in self.buttons.values())
        for key, text in labels._asdict().items():
            self._show_button(key, text)
        if had_focus:
            self._keep_focus()
        can_start = bool(BUTTONS[self._state].evaluate)
        why_not = self._why_not if can_start else ""
        self.buttons["evaluate"].setEnabled(not why_not)
        if why_not:
            self.buttons["evaluate"].setToolTip(f"{_TOOLTIPS.evaluate}\nOff: {why_not}")
        line = " ".join(words for words in (self._said, why_not) if words)
        self._line.setText(line[:1].upper() + line[1:])

    def _keep_focus(self) -> None:
        """Where the button that was pressed goes, what takes its place has the keyboard, and never Stop."""
        shown = [self.buttons[key] for key in ("pause", "go_on", "evaluate") if self.buttons[key].isVisibleTo(self)]
        if shown and not any(widget.hasFocus() for widget in shown):
            shown[0].setFocus()

    def _show_button(self, key: str, text: str) -> None:
        widget = self.buttons[key]
        label = text.removeprefix("-")
        is_primary = key == "evaluate" or (key == "go_on" and self._state is JobState.PAUSED)
        widget.setVisible(bool(text))
        widget.setEnabled(not text.startswith("-"))
        widget.setText(label)
        describe(widget, label or key.capitalize(), getattr(_TOOLTIPS, key))
        set_property(widget, "kind", "primary" if is_primary else "")
        widget.setIcon(icon(getattr(_ICONS, key), "on_accent" if is_primary else None))
