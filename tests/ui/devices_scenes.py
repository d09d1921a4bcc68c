"""The Train page with several devices, and the command for many hosts, for screenshots.py."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QScrollArea, QWidget
from scripted import ScriptedLauncher

from dit_studio.config import dump_recipe, parse_recipe
from dit_studio.machine_events import DeviceDescribed, DevicesListed
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.command_dialog import CommandDialog
from dit_studio.ui.train.dialogs import Dialogs

_PROCESSOR = DeviceDescribed(
    name="cpu", title="AMD EPYC 9654 96-Core Processor", memory_used=31 * 10**9, memory_total=405 * 10**9
)


def _machine(gpus: int) -> DevicesListed:
    described = [
        DeviceDescribed(name=f"cuda:{number}", title="NVIDIA H200", memory_used=12 * 10**9, memory_total=150 * 10**9)
        for number in range(gpus)
    ]
    return DevicesListed(devices=(*described, _PROCESSOR), cores=96)


def _train_page(place: Path, gpus: int, device: str) -> MainWindow:
    settings = Settings(place / "settings.json")
    settings.put(page="train")
    settings.save_form("train", {"device": device})
    window = MainWindow(settings, ScriptedLauncher(answers={"list_devices": [_machine(gpus)]}))
    row = window.train_page.set_up.training.devices

    def scroll() -> None:
        area = row.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(row, 0, 0)

    for delay_ms in (600, 1300):  # once the devices are known, in either size
        timer = QTimer(window, singleShot=True, interval=delay_ms)
        timer.timeout.connect(scroll)
        timer.start()
    return window


def two_gpus(place: Path) -> QWidget:
    return _train_page(place, 2, "cuda:0,cuda:1")


def eight_gpus(place: Path) -> QWidget:
    return _train_page(place, 8, "cuda:1,cuda:8")


def processor(place: Path) -> QWidget:
    return _train_page(place, 0, "cpu,cpu")


def _command(place: Path, *, is_saved: bool) -> CommandDialog:
    recipe = parse_recipe({"data": {"path": "/shared/landscapes"}, "train": {"batch_size": 256}})
    file = place / "landscapes.toml"
    if is_saved:
        file.write_text(dump_recipe(recipe))
    dialog = CommandDialog(Settings(place / "settings.json"), Dialogs())
    dialog.hosts.setValue(4)
    dialog.devices.setValue(8)
    dialog.head.setText("node01")
    dialog.show_for(lambda: recipe, file=str(file), out="/shared/runs/landscapes-B4")
    dialog.sizeHint = dialog.size  # type: ignore[method-assign]  # the picture has the window's own size
    return dialog


def command(place: Path) -> QWidget:
    return _command(place, is_saved=True)


def command_unsaved(place: Path) -> QWidget:
    result = _command(place, is_saved=False)
    result.tabs.setCurrentIndex(1)
    return result


DEVICES_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "devices-two": two_gpus,
    "devices-eight": eight_gpus,
    "devices-processor": processor,
}
COMMAND_SCENES: dict[str, Callable[[Path], QWidget]] = {  # no main windows
    "command": command,
    "command-unsaved": command_unsaved,
}
