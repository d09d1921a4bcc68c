"""What runs, how far it is and how long it will take, and the buttons that steer it."""

import time
from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QShowEvent
from PySide6.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from dit_studio.events import Event, JobState, Metrics, Progress, Resumed, Started, StateChanged
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import title_of
from dit_studio.ui.icons import icon
from dit_studio.ui.train import amounts
from dit_studio.ui.train.pace import Pace
from dit_studio.ui.train.state_pill import STATE_TEXTS, StatePill
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, button, describe, row, set_property
from dit_studio.ui.widgets.flow import FlowLayout


class Labels(NamedTuple):
    """What the buttons say in a state: "" is hidden, and a leading "-" is shown but off."""

    start: str = ""
    queue: str = "Add to queue"
    now: str = ""
    resume: str = ""
    pause: str = ""
    stop: str = ""
    save: str = ""
    preview: str = ""
    remove: str = ""
    command: str = "Copy command…"


BUTTONS = {
    JobState.IDLE: Labels(start="Start"),
    JobState.QUEUED: Labels(start="Start a new run", now="Start now", remove="Remove from queue"),
    JobState.PREPARING: Labels(pause="-Pause", stop="Stop and save", save="-Save now", preview="-Preview now"),
    JobState.RUNNING: Labels(pause="Pause", stop="Stop and save", save="Save now", preview="Preview now"),
    JobState.PAUSED: Labels(pause="Continue", stop="Stop and save", save="Save now", preview="Preview now"),
    JobState.STOPPING: Labels(pause="-Pause", stop="End at once", save="-Save now", preview="-Preview now"),
    JobState.STOPPED: Labels(start="Start a new run", resume="Resume"),
    JobState.FINISHED: Labels(start="Start a new run"),
    JobState.FAILED: Labels(start="Start a new run", resume="Resume"),
    JobState.INTERRUPTED: Labels(start="Start a new run", resume="Resume"),
}
_TOOLTIPS = Labels(
    start="Train a new run with the settings on the left (Ctrl+Return).",
    queue="Freeze the settings on the left as a run that starts once its devices are free (Ctrl+Shift+Return).",
    command="The torchrun line, or a SLURM script, that trains these settings on many devices or hosts.",
    now="Start this run at once, beside what is at work on its devices.",
    resume="Go on from the newest checkpoint of this run; in its menu (right click, menu key): resume in the queue.",
    pause="Hold after the step in progress, or go on; the model stays in memory (Ctrl+P).",
    stop="Save a checkpoint after the step in progress, then end (Ctrl+.). Pressed again: end at once, without saving.",
    save="Save a checkpoint after the step in progress, and go on.",
    preview="Sample every class after the step in progress, and go on.",
    remove="Take this run out of the queue; its folder and settings stay.",
)
_SHORTCUTS = Labels(start="Ctrl+Return", queue="Ctrl+Shift+Return", pause="Ctrl+P", stop="Ctrl+.", command="")
_ICONS = Labels(
    start="play",
    queue="queue",
    command="copy",
    now="play",
    resume="resume",
    pause="pause",
    stop="stop",
    save="save",
    preview="image",
    remove="close",
)
_ASKED = {
    "pause": "Asked: it pauses after the step in progress.",
    "continue": "Asked: it goes on.",
    "save": "Asked: it saves after the step in progress.",
    "preview": "Asked: it draws previews after the step in progress.",
}


class RunBar(QWidget):
    """The bar above the plots. `pressed` names the button, a field of Labels, or is "resume later"."""

    pressed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: RunFolder | None = None
        self._pace, self._steps, self._metrics = Pace(), 0, Metrics(step=0, loss=None, learning_rate=0.0)
        self._state, self._why_not, self._said = JobState.IDLE, "", ""
        self._why_not_resume, self._prefers_start = "", False
        self._place = ""  # in the queue
        self._name = ElidedLabel("No run yet", role="heading")
        self._pill, self._steps_label = StatePill(), Caption(wraps=False)
        self._bar = QProgressBar(textVisible=False)
        self._line, self._note = ElidedLabel(role="muted"), ElidedLabel(role="caption")
        self.buttons = {key: self._button(key) for key in Labels._fields}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        title = row(self._name, self._pill, self._steps_label)
        title.setStretch(0, 1)
        layout.addLayout(title)
        flow = FlowLayout()
        for press in self.buttons.values():
            flow.addWidget(press)
        layout.addLayout(flow)
        for widget in (self._bar, self._line, self._note):
            layout.addWidget(widget)
        self._resume_later = QAction("Resume in the queue", self)
        self._resume_later.triggered.connect(lambda: self.pressed.emit("resume later"))
        self.buttons["resume"].addAction(self._resume_later)
        self.buttons["resume"].setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.show_run(None)
        self.show_state(JobState.IDLE)

    def _button(self, key: str) -> QPushButton:
        result = button(key, getattr(_TOOLTIPS, key))
        result.clicked.connect(lambda: self.pressed.emit(key))
        return result

    # --------------------------------------------------------------------------------------------- what it shows

    @property
    def summary(self) -> str:
        """One line for the status bar: name, step, speed, time left; "" without a run."""
        if self._state is JobState.IDLE:
            return ""
        parts = [f"{self._name.text()}  {STATE_TEXTS[self._state].lower()}"]
        if self._steps_label.text():
            parts.append(self._steps_label.text())
        if self._state is JobState.RUNNING:
            parts += self._speed()[:1]
            remaining = self._pace.remaining_seconds(self._steps)
            parts += [] if remaining is None else [f"{amounts.duration(remaining)} left"]
        return " · ".join(parts)

    def show_run(self, folder: RunFolder | None) -> None:
        """Another run is shown, from its beginning."""
        self._folder = folder
        self._pace.restart()
        self._metrics = Metrics(step=0, loss=None, learning_rate=0.0)
        self._name.setText(title_of(folder) if folder else "No run yet")
        self._name.setAccessibleDescription(str(folder.path) if folder else "")
        self._steps = folder.read_status().steps if folder else 0
        self._line.setText("")
        self._prefers_start = False
        self._show_steps()

    def show_state(self, state: JobState) -> None:
        self._state, self._prefers_start = state, False
        self._pill.show_state(state)
        self._show_buttons()
        self._show_steps()
        self._show_line()

    def set_why_not_resume(self, why_not: str) -> None:
        """Why the run cannot go on, which matters once it has ended; "" if it can."""
        if why_not != self._why_not_resume:
            self._why_not_resume = why_not
            self._show_buttons()

    def prefer_start(self) -> None:
        """A new run is the way on: its settings were just mended."""
        self._prefers_start = True
        self._show_buttons()

    def set_why_not_start(self, why_not: str) -> None:
        """Why the settings do not allow a run; "" if they do."""
        self._why_not = why_not
        for key in ("start", "queue"):
            tooltip = getattr(_TOOLTIPS, key)
            self.buttons[key].setEnabled(not why_not)
            self.buttons[key].setToolTip(f"{tooltip}\nOff: {why_not}" if why_not else tooltip)
        self._show_note()

    def set_place(self, place: str) -> None:
        """Where a queued run stands, for instance "second in the queue for cuda:0"."""
        if place != self._place:
            self._place = place
            self._show_line()

    def say(self, text: str) -> None:
        """A line below, until something else happens: what was asked of the run, or changed in the settings."""
        self._said = text
        self._show_note()

    @property
    def note(self) -> str:
        return self._note.text()

    def note_asked(self, key: str) -> None:
        """Say that the press was heard; the run obeys at its next step."""
        self.say(_ASKED[key])

    def add_events(self, events: list[Event]) -> None:
        """Take in what the run says."""
        progress: Progress | None = None
        for event in events:
            match event:
                case Metrics():
                    self._pace.add(event)
                    self._metrics, progress = event, None
                case Started(steps=steps):
                    self._steps = steps
                    self._pace.restart()
                case Resumed(step=step):
                    self._metrics = Metrics(step=step, loss=None, learning_rate=0.0)
                    self._pace.restart()
                case StateChanged(state=JobState.PAUSED):
                    self._pace.restart()
                case Progress():
                    progress = event
            if not isinstance(event, Metrics | Progress) and self._state.is_active:
                self.say("")
        self._show_steps()
        if progress is None or not self._state.is_active:
            self._show_line()
        else:
            self._show_progress(progress)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._folder is not None:
            self._name.setText(title_of(self._folder))  # it may have been renamed on another page

    # --------------------------------------------------------------------------------------------- how

    def _show_note(self) -> None:
        what = "Start" if BUTTONS[self._state].start else "Add to queue"
        self._note.setText(f"{self._said} {f'{what} is off: {self._why_not}' if self._why_not else ''}".strip())

    def _show_buttons(self) -> None:
        for key, text in BUTTONS[self._state]._asdict().items():
            self._show_button(key, text)
        resume = self.buttons["resume"]
        self._resume_later.setEnabled(not self._why_not_resume)
        resume.setEnabled(not self._why_not_resume)
        resume.setToolTip(f"Off: {self._why_not_resume}" if self._why_not_resume else _TOOLTIPS.resume)
        self.set_why_not_start(self._why_not)

    def _show_button(self, key: str, text: str) -> None:
        widget = self.buttons[key]
        widget.setVisible(bool(text))
        widget.setEnabled(not text.startswith("-"))
        widget.setText(text.removeprefix("-"))
        widget.setShortcut(QKeySequence(getattr(_SHORTCUTS, key)))  # a new text forgets the shortcut
        describe(widget, text.removeprefix("-") or key.capitalize(), getattr(_TOOLTIPS, key))
        kind = self._kind(key)
        set_property(widget, "kind", kind)
        name = "play" if text == "Continue" else getattr(_ICONS, key)
        widget.setIcon(icon(name, {"primary": "on_accent", "danger": "error"}.get(kind)))

    def _kind(self, key: str) -> str:
        """What the button looks like: the one that leads on stands out, and the one that loses work warns."""
        if key == "stop" and self._state is JobState.STOPPING:
            return "danger"
        is_resume_first = bool(BUTTONS[self._state].resume) and not self._why_not_resume and not self._prefers_start
        first = "now" if self._state is JobState.QUEUED else "resume" if is_resume_first else "start"
        return "primary" if key == first else ""

    def _show_steps(self) -> None:
        step, steps = self._metrics.step, self._steps
        self._steps_label.setText(f"step {amounts.count(step)} / {amounts.count(steps)}" if steps else "")
        self._steps_label.setVisible(bool(steps))
        self._bar.setRange(0, max(1, steps))
        self._bar.setValue(min(step, steps))
        self._bar.setAccessibleName(f"Progress: step {step} of {steps}")

    def _show_progress(self, progress: Progress) -> None:
        total = f" / {amounts.count(progress.total)}" if progress.total else ""
        unit = f" {progress.unit}" if progress.unit else ""
        stage = progress.stage[:1].upper() + progress.stage[1:]
        self._line.setText(f"{stage}: {amounts.count(progress.done)}{total}{unit}")
        if self._state is JobState.PREPARING:
            self._bar.setRange(0, progress.total or 0)
            self._bar.setValue(progress.done)

    def _show_line(self) -> None:
        parts = [self._time_left()] if self._state is JobState.RUNNING else []
        if self._state in (JobState.RUNNING, JobState.STOPPING):
            parts += self._speed()
        if self._metrics.seconds >= 1:
            parts.append(f"{amounts.duration(self._metrics.seconds)} of training")
        if self._state is JobState.IDLE:
            parts = ["Choose images and a model on the left, then press Start."]
        elif self._state is JobState.QUEUED:
            parts = [f"It is {self._place}." if self._place else "It waits until its devices are free."]
        elif self._state is JobState.PREPARING and not parts:
            parts = ["The process starts and reads the data."]
        self._line.setText(" · ".join(parts))

    def _speed(self) -> list[str]:
        parts = []
        if (steps_per_second := self._pace.steps_per_second) is not None:
            parts.append(f"{amounts.rate(steps_per_second)} it/s")
        if (images_per_second := self._pace.images_per_second) is not None:
            parts.append(f"{amounts.rate(images_per_second)} images/s")
        return parts

    def _time_left(self) -> str:
        remaining = self._pace.remaining_seconds(self._steps)
        if remaining is None:
            return "estimating the time left"
        end = time.localtime(time.time() + remaining)
        clock = time.strftime("%H:%M" if remaining < 18 * 3600 else "%a %d %b %H:%M", end)
        return f"{amounts.duration(remaining)} left, until {clock}"
