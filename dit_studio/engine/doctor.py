"""Is everything there? What `dit-studio doctor` says."""

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from dit_studio import __version__
from dit_studio.engine import device as devices
from dit_studio.engine.plan import matmul_rate
from dit_studio.events import Check, CheckStatus
from dit_studio.files import free_bytes, why_not_writable
from dit_studio.places import cache_dir, runs_dir

_PACKAGES = ("torch", "diffusers", "safetensors", "numpy", "pillow", "PySide6-Essentials", "pyqtgraph")
_ROOM_BYTES = 2 * 10**9


def examine() -> Iterator[Check]:
    """One line for each thing that training or the window needs."""
    yield _ok("DiT Studio", f"{__version__} on Python {platform.python_version()}, {platform.platform()}.")
    for name in _PACKAGES:
        yield _package(name)
    yield from _device()
    for name, path in (("Runs", runs_dir()), ("Cache", cache_dir())):
        yield _folder(name, path)
    yield _window()


def _package(name: str) -> Check:
    try:
        return _ok(name, f"{importlib.metadata.version(name)}.")
    except importlib.metadata.PackageNotFoundError:
        needed = CheckStatus.FAILED if name != "PySide6-Essentials" else CheckStatus.WARNING
        return Check(name=name, status=needed, message="is not installed.", remedy=f"pip install {name}")


def _device() -> Iterator[Check]:
    device = devices.pick_device()
    precision = devices.pick_precision(device)
    total, free = devices.memory_total(device) / 1e9, devices.memory_free(device) / 1e9
    rate = matmul_rate(device, precision.dtype) / 1e9
    yield _ok("Device", f"{devices.describe(device)}, {precision.name}, {free:.1f} of {total:.1f} GB free.")
    yield _ok("Speed", f"{rate:,.0f} Gflop/s in {precision.name} products, {torch.get_num_threads()} threads.")
    if hint := devices.missing_accelerator_hint():
        yield Check(name="Device", status=CheckStatus.WARNING, message=hint)


def _folder(name: str, path: Path) -> Check:
    if problem := why_not_writable(path):
        return Check(name=name, status=CheckStatus.FAILED, message=problem, remedy="Choose another one in Settings.")
    free = free_bytes(path)
    message = f"{path}, {free / 1e9:.1f} GB free."
    if free < _ROOM_BYTES:
        return Check(name=name, status=CheckStatus.WARNING, message=message, remedy="Free some space.")
    return _ok(name, message)


def _window() -> Check:
    """Whether a window can open here; asked of another process, as Qt ends the one that it cannot work in."""
    if importlib.util.find_spec("PySide6") is None:
        return Check(
            name="Window", status=CheckStatus.WARNING, message="PySide6 is missing: no window, all else works."
        )

    code = "from PySide6.QtWidgets import QApplication; print(QApplication([]).platformName())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0:
        return _ok("Window", f"Qt opens on the platform {done.stdout.strip()}.")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return Check(
        name="Window",
        status=CheckStatus.WARNING,
        message=f"No window can open here: {lines[0] if lines else 'Qt does not start'}",
        remedy="Start it where there is a display, or do without: every job works from the command line.",
    )


def _ok(name: str, message: str) -> Check:
    return Check(name=name, status=CheckStatus.OK, message=message)
