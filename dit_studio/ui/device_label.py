"""The device in the status bar: what it is, how numbers are kept on it, and how full its memory is."""

import time

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.events import Event, Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.machine_events import DeviceSummary
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.widgets.basics import ElidedLabel

_FIRST_MS = 200  # after the window is shown
_AGAIN_MS = 10_000
_CHEAP_SECONDS = 0.5  # a question that took longer, the engine being loaded, is not repeated


def device_text(device: DeviceSummary) -> str:
    """For instance "CUDA · NVIDIA H200 · bf16 · 12.1 / 139 GB · torch 2.13.0"."""
    parts = [device.backend.upper(), device.name, device.precision]
    if device.memory_total:
        parts.append(f"{_gigabytes(device.memory_used)} / {_gigabytes(device.memory_total)} GB")
    parts.append(f"torch {device.torch_version}")
    return " · ".join(part for part in parts if part)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f}" if size_bytes < 1e11 else f"{size_bytes / 1e9:.0f}"


class DeviceLabel(ElidedLabel):
    """Asks for the device when it is shown, and from time to time while it can be seen."""

    hinted = Signal(str)  # what the user should know of this device, once
    described = Signal(object)  # DeviceSummary

    def __init__(self, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__("checking the device…", parent, role="caption")
        self.setAccessibleName("Device")
        self._launcher = launcher
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.ask)
        self._asked_at = 0.0
        self._answers = 0
        self._is_worth_asking = True
        self._hint = ""

    def start(self) -> None:
        """Ask soon, so that the window is painted first."""
        self._timer.start(_FIRST_MS)

    def close_job(self) -> None:
        self._timer.stop()
        self._job.close()

    def ask(self) -> None:
        """Ask now, or later if nobody can see the answer."""
        self._timer.stop()
        if not self.isVisible():
            self._timer.start(_AGAIN_MS)
            return
        self._asked_at = time.monotonic()
        self._job.run(self._launcher.call("describe_device"))

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DeviceSummary):
                self._show(event)
            elif isinstance(event, Failure):
                self._is_worth_asking = event.code == "killed"  # by another question that was withdrawn
                if not self._answers:
                    self.setText("the device is unknown")
                    self.setToolTip(event.message)

    def _show(self, device: DeviceSummary) -> None:
        self._answers += 1
        self.setText(device_text(device))
        self.described.emit(device)
        if device.hint and device.hint != self._hint:
            self._hint = device.hint
            self.hinted.emit(device.hint)

    def _on_ended(self) -> None:
        is_cheap = time.monotonic() - self._asked_at < _CHEAP_SECONDS
        if self._is_worth_asking and (self._answers < 2 or is_cheap):  # the first answer waits for the engine to load
            self._timer.start(_AGAIN_MS)
