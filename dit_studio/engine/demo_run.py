"""The demonstration: draw landscapes, train on them, sample every class, and say in numbers how good that is."""

import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dit_studio.config import load_recipe, recipe_to_tables
from dit_studio.engine.checkpoint import load_model
from dit_studio.engine.demo import CLASS_NAMES, write_landscapes
from dit_studio.engine.device import pick_device, pick_precision
from dit_studio.engine.evaluation import ClassProbe, frechet_distance_from_features
from dit_studio.engine.export.png import encode_png
from dit_studio.engine.sampling import Samples, sample
from dit_studio.events import Event, Metrics, Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.places import resources_dir
from dit_studio.sample_request import SampleRequest

Train = Callable[[Path, dict[str, Any]], Iterator[Event]]  # a run folder and a recipe -> the events of the run

IMAGE_SIZE = 32
PER_CLASS = 300  # training images
HELD_OUT = 60  # images a class that training never sees
SAMPLES_PER_CLASS = 24
_SHOWN = 8  # of them, in the picture
_PROBE_STEPS = 12  # that tell how long a step takes
_STEPS_RANGE = (20, 6000)


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    run: Path
    picture: Path
    figures: dict[str, float | int | str]
    lines: list[str] = field(default_factory=list)


def run_demo(out: Path, *, minutes: float, train: Train) -> Iterator[Event | DemoResult]:
    """Everything in `out`: landscapes/, run/, samples.png. `train` runs a recipe and yields its events.

    Raises: StudioError.
    """
    started = time.monotonic()
    with naming_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    yield from write_landscapes(out / "landscapes", per_class=PER_CLASS, size=IMAGE_SIZE)
    yield from write_landscapes(out / "held-out", per_class=HELD_OUT, size=IMAGE_SIZE, seed=1)
    seconds_a_step = yield from _seconds_a_step(out, train)
    steps = int(np.clip(60 * minutes / seconds_a_step, *_STEPS_RANGE))
    yield from train(out / "run", _recipe(out, steps=steps))
    images, labels = yield from _draw(out / "run")
    write_atomically(out / "samples.png", encode_png(contact_sheet(images, labels)))
    figures = measure(images, labels, out / "landscapes", out / "held-out")
    seconds = time.monotonic() - started
    yield DemoResult(
        run=out / "run",
        picture=out / "samples.png",
        figures={**figures, "steps": steps, "seconds": round(seconds, 1)},
        lines=_lines(figures, out, steps, seconds),
    )


def _recipe(out: Path, *, steps: int) -> dict[str, Any]:
    tables = recipe_to_tables(load_recipe(resources_dir() / "recipes" / "demo-landscapes.toml"))
    tables["data"]["path"] = str(out / "landscapes")
    tables["train"] |= {"steps": steps, "preview_every": -(-steps // 8), "checkpoint_every": -(-steps // 3)}
    return tables


def _seconds_a_step(out: Path, train: Train) -> Generator[Progress, None, float]:
    """Measured on a few steps of a run that is thrown away."""
    tables = _recipe(out, steps=_PROBE_STEPS)
    tables["train"] |= {"preview_every": 0, "validate_every": 0}
    yield Progress(stage="Measuring this machine", done=0, total=_PROBE_STEPS, unit="steps")

    folder = Path(tempfile.mkdtemp(prefix="dit-studio-probe-"))
    try:
        times = [event.seconds for event in train(folder / "run", tables) if isinstance(event, Metrics)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return float(np.median(np.diff(times)))


def _draw(run: Path) -> Generator[Progress, None, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Samples of every class from the averaged weights: images (N, 3, H, W) uint8, labels (N,) as in CLASS_NAMES."""
    device = pick_device()
    loaded = load_model(run, device=device)
    classes = tuple(loaded.config.class_names.index(name) for name in CLASS_NAMES)
    request = SampleRequest(classes=classes, count=len(classes) * SAMPLES_PER_CLASS, steps=50, cfg=2.0, batch_size=56)
    images: list[torch.Tensor] = []
    labels: list[int] = []
    for done in sample(loaded.model, loaded.config, request, precision=pick_precision(device)):
        if isinstance(done, Samples):
            images.append(done.images)
            labels += [classes.index(label) for label in done.labels]
            yield Progress(stage="Sampling", done=len(labels), total=request.count, unit="images")
    return torch.cat(images).numpy(), np.array(labels)


# ------------------------------------------------------------------------------------------------- figures


def measure(
    images: NDArray[np.uint8], labels: NDArray[np.int64], real: Path, held_out: Path
) -> dict[str, float | int | str]:
    """How good samples (N, 3, H, W) are, each figure beside the same of real images that training never saw."""
    train_images, train_labels = _read(real)
    fresh_images, fresh_labels = _read(held_out)
    probe = ClassProbe(pixel_features(train_images, side=16), train_labels)
    coarse = pixel_features(train_images, side=8)
    noise = np.random.default_rng(0).integers(0, 256, size=fresh_images.shape, dtype=np.uint8)
    return {
        "classified_as_asked": probe.agreement(pixel_features(images, side=16), labels),
        "classified_as_asked_real": probe.agreement(pixel_features(fresh_images, side=16), fresh_labels),
        "frechet_pixels": frechet_distance_from_features(coarse, pixel_features(images, side=8)),
        "frechet_pixels_real": frechet_distance_from_features(coarse, pixel_features(fresh_images, side=8)),
        "frechet_pixels_noise": frechet_distance_from_features(coarse, pixel_features(noise, side=8)),
        "samples": len(images),
    }


def pixel_features(images: NDArray[np.uint8], *, side: int) -> NDArray[np.float64]:
    """Colours averaged over a grid of `side` × `side` cells. Shapes: (N, 3, H, W) -> (N, 3·side²), in [0, 1]."""
    count, channels, height, width = images.shape
    cells = images.reshape(count, channels, side, height // side, side, width // side)
    means: NDArray[np.float64] = cells.mean(axis=(3, 5), dtype=np.float64).reshape(count, -1) / 255
    return means


def _read(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, labels = [], []
    for label, name in enumerate(CLASS_NAMES):
        for file in sorted((folder / name).glob("*.png")):
            with Image.open(file) as picture:
                images.append(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
            labels.append(label)
    return np.stack(images), np.array(labels)


def _lines(figures: dict[str, float | int | str], out: Path, steps: int, seconds: float) -> list[str]:
    share, real = (100 * float(figures[key]) for key in ("classified_as_asked", "classified_as_asked_real"))
    distance, best, noise = (float(figures[f"frechet_pixels{kind}"]) for kind in ("", "_real", "_noise"))
    return [
        f"{share:.0f} % of {figures['samples']} samples are what was asked for, by a linear classifier fitted to the "
        f"training images; of fresh landscapes it names {real:.0f} %.",
        f"Fréchet distance of 8×8 pixels to the training images: {distance:.2f}; "
        f"fresh landscapes {best:.2f}, noise {noise:.2f}. (Not FID: no Inception features.)",
        f"{steps} steps, {seconds:.0f} s in all. Picture: {out / 'samples.png'}",
    ]


# ------------------------------------------------------------------------------------------------- the picture


def contact_sheet(images: NDArray[np.uint8], labels: NDArray[np.int64], *, scale: int = 3) -> NDArray[np.uint8]:
    """A row a class with its name at the left. Shapes: (N, 3, H, W) -> (height, width, 3)."""
    side, gap, margin, caption = images.shape[-1] * scale, 4, 16, 130
    rows, columns = len(CLASS_NAMES), min(_SHOWN, int(np.bincount(labels).max()))
    size = (caption + columns * (side + gap) + 2 * margin, rows * (side + gap) + 2 * margin)
    sheet = Image.new("RGB", size, "#14161A")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, name in enumerate(CLASS_NAMES):
        top = margin + row * (side + gap)
        pen.text((margin, top + side // 2), name.replace("-", " "), fill="#E7EAF0", font=font, anchor="lm")
        for column, image in enumerate(images[labels == row][:columns]):
            cell = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(cell, (margin + caption + column * (side + gap), top))
    return np.asarray(sheet)
