"""The left column of the Evaluate page in its states, for a person to look at.

python tests/ui/evaluate_setup_scenes.py FOLDER [WORD…]      only the pictures whose names hold one of the words
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(1, str(Path(__file__).parent.parent))

import msgspec
from example_runs import make_runs
from headers import write_header
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.events import Failure, JobState, ModelFileInfo, ModelFiles, SourceDescribed
from dit_studio.places import runs_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.evaluate.set_up import EvaluateSetUp
from dit_studio.ui.settings import Settings

KINDS = ("fields", "mountains", "desert", "sea", "beach", "island", "forest at dusk")
SAMPLERS = ("ddim", "ddpm", "dpm++", "unipc", "heun", "euler")


def reference(path: str = "/data/landscapes", **changes: object) -> SourceDescribed:
    """What describe_source says of a data set."""
    values: dict[str, object] = {
        "path": path, "role": "real", "source": "folder", "images": 4319, "classes": KINDS, "has_labels": True,
        "facts": (("size", "64 pixels"), ("colour", "RGB")),
    }  # fmt: skip
    return SourceDescribed(**(values | changes))  # type: ignore[arg-type]


def model(path: str = "/models/landscapes", **changes: object) -> SourceDescribed:
    """What describe_source says of a run."""
    request = SampleRequest(classes=tuple(range(len(KINDS))), sampler="unipc", steps=20, cfg=2.0)
    values: dict[str, object] = {
        "path": path, "role": "fake", "source": "model", "classes": KINDS, "samplers": SAMPLERS, "timesteps": 1000,
        "has_null_class": True, "settings": msgspec.json.encode(request).decode(), "steps": (500, 1000, 1240),
        "facts": (("model", "landscapes-B4 · step 1,240 · EMA"), ("draws", "64×64 colour")),
    }  # fmt: skip
    return SourceDescribed(**(values | changes))  # type: ignore[arg-type]


def described(path: str, role: str) -> Script:
    """The answer to describe_source, by the path alone."""
    if "broken" in path:
        return [Failure(message=f"{path} holds no images.", remedy="Choose a folder of PNG or JPEG files.")]
    if role == "real":
        return [reference(path)]
    return [model(path)] if Path(path).is_relative_to(runs_dir()) else [reference(path, role="fake", images=1000)]


def model_files(condition: str = "missing") -> ModelFiles:
    """The states of all extractors' files."""
    names = ("inception", "clip-b32", "clip-l14-336", "siglip", "align", "dinov2")
    files = (
        ModelFileInfo(
            name=name, title=name, extractor=name, is_on_hub=name != "inception", size_bytes=95_628_359, sha256="67",
            licence="Apache-2.0", url="", condition=condition,
        )
        for name in names
    )  # fmt: skip
    return ModelFiles(files=tuple(files))


def make_run_with_checkpoints() -> Path:
    """A run with three checkpoints whose heads can be read, beside others."""
    make_runs(runs_dir())
    run = runs_dir() / "landscapes-B4"
    for step in (500, 1000, 1240):
        write_header(run / "checkpoints" / f"step-{step:07d}", classes=len(KINDS))
    return run


def empty(place: Path) -> EvaluateSetUp:
    settings = Settings(place / "settings.json")
    result = EvaluateSetUp(settings, ScriptedLauncher(answers={"describe_source": described}))  # type: ignore[arg-type]
    settings.setParent(result)
    result.show_model_files(model_files())
    return result


def ready(place: Path) -> EvaluateSetUp:
    result = empty(place)
    result.set_model(str(make_run_with_checkpoints()))
    return result


def curve(place: Path) -> EvaluateSetUp:
    result = ready(place)
    result.subject.model.axes.add("checkpoint")
    result.subject.model.axes.add("cfg")
    return result


def wrong(place: Path) -> EvaluateSetUp:
    result = curve(place)
    result.set_reference("/data/broken")
    result.subject.model.axes.rows[1].put("1, x, -3")
    result.subject.model.drawing.form.set_values({"count": 0})
    result.metrics.extractor.setCurrentIndex(1)
    result.metrics.form.set_values({"count": "many"})
    return result


def images(place: Path) -> EvaluateSetUp:
    result = empty(place)
    result.set_reference("/data/landscapes")
    result.set_images(
        ["/samples/baseline", "/samples/a-longer-name-with-cfg-4", "/samples/broken"], ["baseline", "CFG 4", "broken"]
    )
    return result


def measuring(place: Path) -> EvaluateSetUp:
    result = ready(place)
    result.show_state(JobState.RUNNING, "Point 3 of 20: CFG 2, step 1,000")
    result.show_progress("Drawing: 312 / 1,000 images · 41 images/s · until 14:20", 312, 1000)
    return result


def paused(place: Path) -> EvaluateSetUp:
    result = ready(place)
    result.show_state(JobState.PAUSED, "2 of 20 points are measured and kept.")
    return result


SETUP_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "evaluate-setup-empty": empty,
    "evaluate-setup-ready": ready,
    "evaluate-setup-curve": curve,
    "evaluate-setup-wrong": wrong,
    "evaluate-setup-images": images,
    "evaluate-setup-measuring": measuring,
    "evaluate-setup-paused": paused,
}
WIDTH = 320  # pixels


def _settle(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def take(app: QApplication, name: str, folder: Path) -> None:
    """One scene in both themes, at 100 % and 200 % text; high enough for all of it."""
    for mode, scale, height in (("dark", 100, 1500), ("light", 100, 1500), ("dark", 200, 2800)):
        theme.apply_theme(app, mode, scale)
        with tempfile.TemporaryDirectory() as place:
            os.environ["DIT_STUDIO_RUNS"] = str(Path(place) / "runs")
            widget = SETUP_SCENES[name](Path(place))
            widget.resize(WIDTH, height)
            widget.show()
            _settle(500)
            widget.grab().save(str(folder / f"{name}-{mode}-{scale}.png"))
            assert isinstance(widget, EvaluateSetUp)
            widget.close_jobs()
            widget.close()
            widget.deleteLater()


def main(folder: Path, words: list[str]) -> None:
    app = make_app()
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETUP_SCENES:
        if not words or any(word in name for word in words):
            take(app, name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
