"""Who may import whom, what the window may not load, and where a device may be named."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dit_studio"
SHARED = (
    "checkpoint_header",
    "class_names",
    "config",
    "device_names",
    "event_base",
    "events",
    "machine_events",
    "model_events",
    "errors",
    "evaluation_metrics",
    "evaluation_plan",
    "evaluation_request",
    "fields",
    "figures",
    "files",
    "findings",
    "launch_environment",
    "locks",
    "model_settings",
    "npz_count",
    "opened_models",
    "patience",
    "places",
    "plot_colours",
    "sample_request",
    "speed_settings",
    "start_model",
    "sweep",
    "sweep_text",
    "trajectory",
    "image_settings",
    "png_text",
)
MAY_IMPORT = {
    "ui": ("ui", "jobs", *SHARED),
    "jobs": ("jobs", *SHARED),
    "engine": ("engine", *SHARED),
    "event_base": (),
    "device_names": (),
    "machine_events": ("event_base",),
    "model_events": ("event_base",),
    "config": (
        "device_names",
        "errors",
        "evaluation_metrics",
        "evaluation_request",
        "fields",
        "files",
        "model_settings",
        "sample_request",
        "speed_settings",
    ),
    "speed_settings": ("errors", "fields", "model_settings"),
    "model_settings": ("errors", "fields"),
    "opened_models": ("files", "places"),
    "evaluation_metrics": ("errors", "evaluation_request"),
    "fields": ("errors",),
    "figures": ("evaluation_request",),
    "findings": ("machine_events",),
    "locks": (),
    "npz_count": (),
    "plot_colours": (),
    "patience": ("errors", "events"),
    "places": (),
    "sample_request": ("fields",),
    "evaluation_request": ("errors", "fields", "sample_request"),
    "evaluation_plan": ("errors", "evaluation_request", "sweep"),
    "checkpoint_header": ("errors", "opened_models", "sample_request"),
    "class_names": ("places",),
    "start_model": ("config", "errors", "model_settings"),
    "sweep": ("checkpoint_header", "errors", "fields", "sample_request"),
    "sweep_text": ("errors", "sweep"),
    "image_settings": ("errors", "fields", "png_text", "sample_request"),
    "png_text": ("errors",),
    "trajectory": ("errors", "events"),
    "events": ("event_base", "machine_events", "model_events"),
    "errors": (),
    "files": ("errors",),
    "launch_environment": ("errors",),
}
MAY_USE = {
    "jobs": {"msgspec", "numpy", "psutil", "tensorboardX", "wakepy"},
    "device_names": set(),
    "event_base": {"msgspec"},
    "machine_events": {"msgspec"},
    "model_events": {"msgspec"},
    "config": {"msgspec", "tomli_w"},
    "model_settings": {"msgspec"},
    "speed_settings": set(),
    "opened_models": set(),
    "fields": {"msgspec"},
    "figures": set(),
    "findings": set(),
    "launch_environment": set(),
    "locks": set(),
    "npz_count": set(),
    "plot_colours": set(),
    "patience": set(),
    "places": {"platformdirs"},
    "sample_request": {"msgspec"},
    "evaluation_metrics": set(),
    "evaluation_plan": {"msgspec"},
    "evaluation_request": {"msgspec"},
    "checkpoint_header": {"msgspec"},
    "class_names": set(),
    "start_model": {"msgspec"},
    "sweep": {"msgspec"},
    "sweep_text": set(),
    "image_settings": {"msgspec"},
    "png_text": set(),
    "trajectory": {"msgspec", "numpy"},
    "events": {"msgspec"},
    "files": set(),
}
NEVER = {
    "ui": {"torch", "diffusers", "safetensors", "PIL", "sklearn"},
    "engine": {"PySide6", "pyqtgraph", "shiboken6"},
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "resources" not in path.relative_to(PACKAGE).parts)


def _layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "dit_studio" else (module,)


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_keep_to_the_layers(path: Path) -> None:
    layer = _layer(path)
    for module in _imports(path):
        top, _, rest = module.partition(".")
        if top != "dit_studio":
            assert top not in NEVER.get(layer, ()), f"{_name(path)} imports {module}"
            if layer in MAY_USE and top not in sys.stdlib_module_names:
                assert top in MAY_USE[layer], f"{_name(path)} imports {module}"
        elif layer in MAY_IMPORT and rest and rest != "__version__":
            assert rest.partition(".")[0] in MAY_IMPORT[layer], f"{_name(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if _name(path) != "engine/device.py"], ids=_name)
def test_devices_are_named_in_one_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not {"cuda", "mps", "cuda:0", "mps:0"} & set(texts)


_OPEN_THE_WINDOW = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from dit_studio.ui import app
from dit_studio.ui.main_window import MainWindow

def visit_pages():
    window = next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))
    for page in ("sample", "runs", "settings", "train"):
        window.show_page(page)
    QTimer.singleShot(1000, window.leave)

app.make_app()
QTimer.singleShot(0, visit_pages)
assert app.run_window() == 0
loaded = [name for name in sys.modules if name.split(".")[0] == "torch" or name.startswith("dit_studio.engine")]
sys.exit(f"loaded: {loaded}" if loaded else 0)
"""


def test_the_window_loads_neither_torch_nor_the_engine(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "DIT_STUDIO_SETTINGS": str(tmp_path / "settings.json"),
        "DIT_STUDIO_RUNS": str(tmp_path / "runs"),
    }
    done = subprocess.run(
        [sys.executable, "-c", _OPEN_THE_WINDOW],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
