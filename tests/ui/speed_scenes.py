"""The Speed page in its states."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QTabWidget, QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.model_events import AttentionTimed, FamilyTimed
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings
from dit_studio.ui.speed.page import SpeedPage


def timed(name: str, batch: int, seconds: float | None, **changes: object) -> AttentionTimed:
    values: dict[str, object] = {
        "name": name, "batch": batch, "tokens": 64, "heads": 6, "head_size": 64, "seconds": seconds,
        "backward_seconds": None if seconds is None else 2.9 * seconds,
        "memory_bytes": None if seconds is None else round(4e8 * seconds), "difference": 3e-7,
    }  # fmt: skip
    return AttentionTimed(**(values | changes))  # type: ignore[arg-type]


ATTENTION: Script = [
    row
    for batch, plain in ((10, 0.0021), (50, 0.0108), (100, 0.0214), (200, 0.0439))
    for row in (
        timed("plain", batch, plain, difference=0.0),
        timed("sdpa math", batch, 1.1 * plain),
        timed("sdpa flash", batch, 0.46 * plain),
        timed("grouped 2", batch, 0.52 * plain),
        timed("window 7", batch, 0.71 * plain),
        timed("xformers", batch, None, difference=None, note="It is not installed here."),
    )
]
FAMILY: Script = [
    FamilyTimed(name="S/2", parameters=32_956_800, gflops=6.06, images_per_second=19.4, memory_bytes=310_000_000),
    FamilyTimed(name="B/4", parameters=130_300_000, gflops=5.56, images_per_second=16.1, memory_bytes=720_000_000),
    FamilyTimed(name="L/2", parameters=458_000_000, gflops=80.71, images_per_second=1.3, memory_bytes=2_400_000_000),
    FamilyTimed(
        name="XL/2", parameters=675_129_632, gflops=118.64, images_per_second=None, memory_bytes=None,
        note="It needs 3.6 GB, and 2.1 GB are free.",
    ),
]  # fmt: skip


def _page(place: Path, name: str) -> tuple[MainWindow, SpeedPage]:
    settings = Settings(place / "settings.json")
    settings.put(page=name)
    launcher = ScriptedLauncher(answers={"time_attention": ATTENTION, "time_family": FAMILY})
    window = MainWindow(settings, launcher)  # type: ignore[arg-type]
    page = window.page("speed")
    assert isinstance(page, SpeedPage)
    return window, page


def speed_empty(place: Path) -> QWidget:
    return _page(place, "speed")[0]


def speed_attention(place: Path) -> QWidget:
    window, page = _page(place, "speed")
    page.attention.measure()
    return window


def speed_family(place: Path) -> QWidget:
    window, page = _page(place, "speed")
    tabs = page.findChild(QTabWidget)
    assert tabs is not None
    tabs.setCurrentIndex(1)
    page.family.measure()
    return window


SPEED_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "speed-empty": speed_empty,
    "speed-attention": speed_attention,
    "speed-family": speed_family,
}
