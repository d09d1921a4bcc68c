"""The left column of the Sample page, its sheets and its sweeps in their states, for a person to look at.

python tests/ui/sample_setup_scenes.py FOLDER [WORD…]      only the pictures whose names hold one of the words
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from example_runs import make_runs
from model_answers import HEADS, OBJECTIVE, SCALE, VAE, opened, weights_file
from PIL import Image
from PySide6.QtWidgets import QApplication, QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.class_names import imagenet_names
from dit_studio.events import (
    CellDrawn,
    CellFailed,
    CellStarted,
    Event,
    Failure,
    JobState,
    SampleFrame,
    SampleModel,
)
from dit_studio.image_settings import FoundSettings, RefusedSetting
from dit_studio.model_events import ExportChecked
from dit_studio.places import runs_dir
from dit_studio.sample_request import ModelReference, SampleRequest
from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.sample.export_model_dialog import ExportModelDialog
from dit_studio.ui.sample.model_sheet import ModelSheet
from dit_studio.ui.sample.restore_sheet import RestoreSheet
from dit_studio.ui.sample.set_up import SampleSetUp
from dit_studio.ui.sample.sweep_tab import SweepTab
from dit_studio.ui.settings import Settings

KINDS = ("fields", "mountains", "desert", "sea", "beach", "island", "forest at dusk")


def example_model(names: tuple[str, ...] = KINDS, **changes: object) -> SampleModel:
    """A model with a coloured thumbnail a class."""
    hues = np.linspace(40, 220, max(len(names), 1)).astype(np.uint8)
    ramp = np.linspace(0.4, 1, 16)[None, :, None, None]
    pixels = (np.stack([hues, 255 - hues, np.full_like(hues, 120)], axis=-1)[:, None, None, :] * ramp).repeat(
        16, axis=2
    )
    values: dict[str, object] = {
        "path": "/models/landscapes",
        "name": "landscapes · step 20,000 · EMA",
        "step": 20_000,
        "fingerprint": "a1b2c3d4e5f60718",
        "class_names": names,
        "num_classes": max(len(names), 1),
        "has_null_class": bool(names),
        "image_size": 64,
        "timesteps": 1000,
        "objective": "epsilon",
        "samplers": ("ddim", "ddpm", "dpm++", "unipc", "heun", "euler"),
        "parameters": 33_012_345,
        "device": "cpu",
        "precision": "bf16",
        "thumbnail_size": 16 if names else 0,
        "data": pixels.astype(np.uint8).tobytes() if names else b"",
    }
    return SampleModel(**(values | changes))  # type: ignore[arg-type]


def _set_up(place: Path) -> SampleSetUp:
    make_runs(runs_dir())
    return empty(place)


def empty(place: Path) -> SampleSetUp:
    settings = Settings(place / "settings.json")
    result = SampleSetUp(settings)
    settings.setParent(result)
    return result


def ready(place: Path) -> QWidget:
    result = _set_up(place)
    result.set_model(str(runs_dir() / "landscapes-B4"))
    result.show_model(example_model())
    return result


def drawing(place: Path) -> QWidget:
    result = ready(place)
    assert isinstance(result, SampleSetUp)
    result.show_state(JobState.RUNNING)
    result.show_progress("Step 17 of 50 · 4 images", 17, 50)
    result.show_branch("Branch from image 3 at step 17 · t = 640; Generate goes on from there.")
    return result


def wrong(place: Path) -> QWidget:
    result = ready(place)
    assert isinstance(result, SampleSetUp)
    result.options.set_values({"steps": 100_000, "cfg": -1, "seed": 3, "cfg_from": 400, "cfg_to": 300})
    result.options.form.changed.emit()
    result.classes.set_classes((1, 12))
    return result


def thousand(place: Path) -> QWidget:
    result = _set_up(place)
    names = tuple(f"kind of thing number {number}" for number in range(1000))
    result.show_model(example_model(names, thumbnail_size=0, data=b"", has_null_class=False))
    result.classes.search.setText("thing number 1")
    return result


def foreign(place: Path) -> QWidget:
    """A published model, its class found by another name than its own."""
    result = _set_up(place)
    file = weights_file(place)
    result.set_model(str(file))
    published = {
        "name": "DiT-XL-2-256x256", "step": 0, "image_size": 256, "latent_size": 32, "parameters": 675_129_632,
        "origin": file.name, "vae": "stabilityai/sd-vae-ft-ema", "thumbnail_size": 0, "data": b"",
    }  # fmt: skip
    result.show_model(example_model(imagenet_names(), **published))
    result.classes.search.setText("red panda")
    return result


def failed(place: Path) -> QWidget:
    result = _set_up(place)
    result.set_model(str(runs_dir() / "landscapes-B4"))
    result.show_failure(
        Failure(
            message=f"{runs_dir()}/landscapes-B4/checkpoints/step-0001240 holds no ema.safetensors.",
            remedy="Choose another checkpoint.",
        )
    )
    return result


FOUND = FoundSettings(
    settings={"sampler": "unipc", "steps": 20, "cfg": 7.0, "seed": 41, "count": 4, "classes": (3, 5), "eta": 0.0},
    refused=(
        RefusedSetting(name="cfg_from", value="-5", message="cfg_from = -5 is not possible: it takes a whole number."),
    ),
    unknown=("lora", "hires"),
    image=2,
    model=ModelReference(
        path="/data/runs/20260101-120000-landscapes/checkpoints/step-0020000",
        name="landscapes · step 20,000 · EMA",
        fingerprint="ffff",
        class_names=KINDS,
    ),
)


def restored(place: Path) -> QWidget:
    Image.fromarray(_landscape(3, 0)).save(place / "000002.png")
    return RestoreSheet(place / "000002.png", FOUND, SampleRequest(classes=(0, 1), cfg=4, count=4), example_model())


def _landscape(seed: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    y, x = np.mgrid[0:32, 0:32] / 32
    wave = 0.5 + 0.2 * np.sin(6 * x + seed) + 0.02 * side
    picture = np.where((y < wave)[..., None], [90 + 20 * side, 140, 220 - 9 * seed], [70, 120 + 9 * seed, 60])
    return picture.astype(np.uint8)


def tab(place: Path, *, axes: tuple[tuple[str, str], ...]) -> SweepTab:
    settings = Settings(place / "settings.json")
    result = SweepTab(settings)
    settings.setParent(result)
    result.show_model(example_model(), "/models/landscapes", "ema")
    result.set_base(SampleRequest(classes=(0, 1), cfg=4, steps=50))
    for line, (name, values) in zip(result.panel.rows, axes, strict=False):
        line.put(name, values)
        line.edited.emit()
    return result


def sweep_empty(place: Path) -> QWidget:
    return tab(place, axes=())


def sweep_wrong(place: Path) -> QWidget:
    result = tab(place, axes=(("cfg", "1, -4, nan"), ("class", "sea, seaside, 12"), ("steps", "10, 100000")))
    result.panel.images.setText("0")
    result.panel.images.textEdited.emit("0")
    return result


def drawn_cell(index: int, folder: str, *, images: int = 4) -> CellDrawn:
    data = np.stack([_landscape(index + 3 * image, index % 4) for image in range(images)])
    return CellDrawn(
        index=index, folder=folder, images=images, height=32, width=32, channels=3, seconds=3.1, data=data.tobytes()
    )


def sweep_drawing(place: Path) -> QWidget:
    result = tab(place, axes=(("cfg", "1, 4, 7, 12"), ("sampler", "ddim, dpm++, unipc"), ("weights", "ema, raw")))
    result.begin(place)
    result.show_state(JobState.RUNNING)
    events: list[Event] = []
    for index in range(6):
        events += [CellStarted(index=index), drawn_cell(index, f"cells/{index:03d}")]
    message = "The values became NaN at step 12 of 50."
    events += [CellStarted(index=6), CellFailed(index=6, message=message, remedy="Take more steps.")]
    events += [CellStarted(index=7), SampleFrame(first_image=0, images=4, step=17, norms=(), moves=())]
    result.add_events(events)
    result.grid.view.setCurrentIndex(result.grid.view.model().index(1, 2))
    return result


def model_sheet(place: Path) -> QWidget:
    file = place / "DiT-XL-2-256x256.pt"
    sheet = ModelSheet(file, lambda _start: "")
    warning = "The weights are stored as float16; they are converted to float32."
    sheet.show_opened(opened(str(file), OBJECTIVE, HEADS, VAE, SCALE, warnings=(warning,)), {"vae": "someone/vae"})
    return sheet


def export_model(place: Path, *, form: int = 0) -> QWidget:
    def checked(format: str, **_: str) -> Script:  # noqa: A002
        return [_CHECKED[format]]

    launcher = ScriptedLauncher(answers={"check_export": checked})
    dialog = ExportModelDialog(launcher, "/runs/x", "ema", name="landscapes-B4 · step 20,000")  # type: ignore[arg-type]
    dialog.form.setCurrentIndex(form)
    dialog.path.setText(str(place / "landscapes.pt"))
    (place / "landscapes.pt").write_bytes(b"old")
    return dialog


def export_refused(place: Path) -> QWidget:
    return export_model(place, form=2)


_CHECKED = {
    "facebook": ExportChecked(
        format="facebook",
        notes=(
            "Outputs will differ a little: the published code computes the timestep's frequencies over 128, and every "
            "norm's eps is 1e-6.",
            "The file holds tensors alone: not the number of heads (12), the classes' names, the noise schedule or the "
            "VAE.",
        ),
        size_bytes=522_000_000,
    ),
    "diffusers": ExportChecked(
        format="diffusers",
        problems=(
            "Its blocks are cross-attention, and diffusers' DiT knows adaln-zero alone.",
            "It has QK-norm, and diffusers' DiT has not.",
        ),
    ),
}


SETUP_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "setup-empty": empty,
    "setup-ready": ready,
    "setup-drawing": drawing,
    "setup-wrong": wrong,
    "setup-thousand": thousand,
    "setup-foreign": foreign,
    "setup-failed": failed,
    "restore": restored,
    "model-sheet": model_sheet,
    "model-export": export_model,
    "model-export-refused": export_refused,
    "sweep-empty": sweep_empty,
    "sweep-wrong": sweep_wrong,
    "sweep-drawing": sweep_drawing,
}
SIZES = {"setup": (300, 760), "sweep": (660, 700)}


def take(app: QApplication, name: str, folder: Path) -> None:
    """One scene in both themes, at 100 % and 200 % text."""
    for mode, scale in (("dark", 100), ("light", 100), ("dark", 200)):
        theme.apply_theme(app, mode, scale)
        with tempfile.TemporaryDirectory() as place:
            os.environ["DIT_STUDIO_RUNS"] = str(Path(place) / "runs")
            widget = SETUP_SCENES[name](Path(place))
            if size := SIZES.get(name.partition("-")[0]):
                widget.resize(*size)
            widget.show()
            for _ in range(5):
                app.processEvents()
            widget.grab().save(str(folder / f"{name}-{mode}-{scale}.png"))
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
