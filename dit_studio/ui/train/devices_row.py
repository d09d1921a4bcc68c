"""The devices that a run trains on: a tick each, and for the processor how many processes."""

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QShowEvent, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from dit_studio.device_names import AUTO, PROCESSOR, is_same, kind_of, named
from dit_studio.events import Event, Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.machine_events import DeviceDescribed, DevicesListed
from dit_studio.ui.train import amounts
from dit_studio.ui.train.questions import Questions
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, Said, button, describe, row
from dit_studio.ui.widgets.editors import WideEditor

_JOB, _DELAY_MS = "list_devices", 400


@dataclass(frozen=True, kw_only=True)
class DeviceWords:
    """What the devices are for, as it is said to a person."""

    tooltip: str = (
        "Ticked devices train together, each with a share of every batch. None ticked: the best one is taken."
    )
    sharing: str = "processes share every batch."
    processes: str = "Processes that share the cores and every batch; one is usually fastest."


class DevicesRow(WideEditor):
    """Asks for this machine's devices when it is first seen. What a recipe names and is not here is shown as well."""

    def __init__(self, launcher: Launcher, parent: QWidget | None = None, *, words: DeviceWords | None = None) -> None:
        super().__init__(parent)
        self._words = words or DeviceWords()
        self._value = AUTO
        self._listed: DevicesListed | None = None
        self._lines: list[_DeviceLine] = []
        self._questions = Questions(launcher, self)
        self._questions.answered.connect(self._on_answered)
        title = QLabel("Devices")
        self._all = button("All GPUs", "Tick every GPU of this machine.")
        self._all.clicked.connect(self._tick_all)
        self._caption, self._warning = Caption("Looking for devices."), Said()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row(title, None, self._all))
        layout.addLayout(self._grid)
        layout.addWidget(self._caption)
        layout.addWidget(self._warning)
        title.setToolTip(self._words.tooltip)
        self._build()

    # --------------------------------------------------------------------------------------------- the setting

    def raw(self) -> str:
        return self._value

    def put(self, value: object) -> None:
        self._value = str(value)
        self._build()

    @property
    def said(self) -> str:
        """What is said below the ticks."""
        return f"{self._caption.text()} {self._warning.words}".strip()

    def close_job(self) -> None:
        self._questions.close()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._listed is None:
            self._questions.ask(_JOB, delay_ms=_DELAY_MS)

    # --------------------------------------------------------------------------------------------- how

    def _on_answered(self, _job: str, answer: Event) -> None:
        if isinstance(answer, DevicesListed):
            self._listed = answer
            self._build()
        elif isinstance(answer, Failure) and self._listed is None:
            self._caption.setText(f"The devices of this machine are not known: {answer.message}")

    def _build(self) -> None:
        """A line for each device that is here, and for each that is named and is not."""
        here = self._listed.devices if self._listed else ()
        names = named(self._value)
        away = [name for name in dict.fromkeys(names) if name != AUTO and not _among(name, here)]
        shown = [*here, *(DeviceDescribed(name=name, title="") for name in away)]
        if [line.device for line in self._lines] != shown:
            self._make_lines(shown)
        for line in self._lines:
            line.show_count(sum(is_same(line.device.name, name) for name in names))
        self._all.setVisible(len(_gpus(here)) > 1)
        self._say(names, away)

    def _make_lines(self, shown: list[DeviceDescribed]) -> None:
        for line in self._lines:
            line.remove()
        cores = self._listed.cores if self._listed else 1
        self._lines = [_DeviceLine(device, cores, self._words, self) for device in shown]
        before: QWidget = self._all
        for number, line in enumerate(self._lines):
            line.place(self._grid, number)
            line.changed.connect(partial(self._on_changed, line))
            for widget in line.controls:
                QWidget.setTabOrder(before, widget)
                before = widget

    def _say(self, names: tuple[str, ...], away: list[str]) -> None:
        here = self._listed.devices if self._listed else ()
        if here:
            first = f"None is ticked: the best one is taken, {here[0].name}." if names == (AUTO,) else ""
            self._caption.setText(f"{len(names)} {self._words.sharing}" if len(names) > 1 else first)
        self._caption.setVisible(bool(self._caption.text()))
        is_known = bool(here and away)
        verb = "is" if len(away) == 1 else "are"
        self._warning.say(
            f"{', '.join(away)} {verb} not on this machine. Untick what is not here, or train where it is."
            if is_known
            else "",
            is_problem=True,
        )

    def _on_changed(self, changed: "_DeviceLine") -> None:
        """Devices of another kind give way: they cannot train with the one that was ticked."""
        kind = kind_of(changed.device.name)
        counts = {
            line.device.name: line.count
            for line in self._lines
            if not changed.count or kind_of(line.device.name) == kind
        }
        self._choose([name for name, count in counts.items() for _ in range(count)])

    def _tick_all(self) -> None:
        assert self._listed is not None
        self._choose([device.name for device in _gpus(self._listed.devices)])

    def _choose(self, names: list[str]) -> None:
        value = ",".join(names) or AUTO
        if value != self._value:
            self.put(value)
            self.edited.emit()


class _Processes(QSpinBox):
    """The wheel scrolls the panel behind it."""

    def __init__(self, cores: int, meaning: str) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setRange(1, max(1, cores))
        self.setPrefix("× ")
        describe(self, "Processes on the processor", f"{meaning}\nUnit: processes\nTakes 1 to {cores} (cores)")

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class _DeviceLine(QObject):
    """A tick, what the device is, and of the processor how many processes. `changed` follows a person alone."""

    changed = Signal()

    def __init__(self, device: DeviceDescribed, cores: int, words: DeviceWords, parent: QWidget) -> None:
        super().__init__(parent)
        self.device = device
        self.tick = QCheckBox(device.name)
        describe(self.tick, _spoken(device), f"{_described(device)}\n{words.tooltip}")
        self._title = ElidedLabel(_in_short(device), role="caption")
        self.processes = _Processes(cores, words.processes) if device.name == PROCESSOR and device.title else None
        self.tick.clicked.connect(self.changed)
        if self.processes is not None:
            self.processes.valueChanged.connect(self.changed)

    @property
    def controls(self) -> list[QWidget]:
        return [self.tick, *([self.processes] if self.processes is not None else [])]

    @property
    def count(self) -> int:
        """Processes on this device."""
        if not self.tick.isChecked():
            return 0
        return self.processes.value() if self.processes is not None else 1

    def show_count(self, count: int) -> None:
        self.tick.setChecked(count > 0)
        if self.processes is not None:
            with QSignalBlocker(self.processes):
                self.processes.setMaximum(max(self.processes.maximum(), count))
                self.processes.setValue(max(1, count))
            self.processes.setVisible(count > 0)

    def place(self, grid: QGridLayout, number: int) -> None:
        for column, widget in enumerate((self.tick, self._title)):
            grid.addWidget(widget, number, column)
            widget.show()
        if self.processes is not None:
            grid.addWidget(self.processes, number, 2)

    def remove(self) -> None:
        for widget in (*self.controls, self._title):
            widget.hide()
            widget.deleteLater()
        self.deleteLater()


def _among(name: str, devices: tuple[DeviceDescribed, ...]) -> bool:
    return any(is_same(name, device.name) for device in devices)


def _gpus(devices: tuple[DeviceDescribed, ...]) -> list[DeviceDescribed]:
    return [device for device in devices if device.name != PROCESSOR]


def _described(device: DeviceDescribed) -> str:
    """For instance "NVIDIA H200 · 12.1 GB of 150.1 GB in use"."""
    if not device.title:
        return "not on this machine"
    total = amounts.memory(device.memory_total)
    memory = f"{amounts.memory(device.memory_used)} of {total} in use" if device.memory_used else total
    return f"{device.title} · {memory}" if device.memory_total else device.title


def _in_short(device: DeviceDescribed) -> str:
    """For instance "NVIDIA H200 · 12 / 150 GB"."""
    if not device.title or not device.memory_total:
        return _described(device)
    used = f"{device.memory_used / 1e9:.0f} / " if device.memory_used else ""
    return f"{device.title} · {used}{device.memory_total / 1e9:.0f} GB"


def _spoken(device: DeviceDescribed) -> str:
    return f"{device.name}, {_described(device).replace(' · ', ', ')}"
