"""Entries of the history made up for tests: images that come out of noise, without a model."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.export.png import encode_png
from dit_studio.events import StepPoint
from dit_studio.sample_request import BranchPoint, ModelReference, SampleEntry, SampleRecord, SampleRequest
from dit_studio.trajectory import TrajectoryIndex

NAMES = ("sea", "a mountain with a very long name at dusk", "лес", "πεδίο")


def final_images(images: int, *, size: int = 16, channels: int = 3) -> NDArray[np.uint8]:
    """Rings, each of its own colour. Shape: (images, size, size, channels)."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    ring = np.cos(np.hypot(x, y) / size * 9)[None, :, :, None]
    colour = np.random.default_rng(1).uniform(0.3, 1, (images, 1, 1, channels))
    return (127.5 + 127.5 * ring * colour).astype(np.uint8)


def write_entry(
    folder: Path, *, images: int = 4, steps: int = 12, size: int = 16, channels: int = 3,
    branch: BranchPoint | None = None, first_t: float = 999.0, finished: int | None = None, trajectory: bool = True,
) -> Path:  # fmt: skip
    """An entry with a trajectory of evenly spaced steps down to t = 0. Returns `folder`."""
    folder.mkdir(parents=True)
    finished = images if finished is None else finished
    request = SampleRequest(classes=(0, 1, 2, 3), count=images, seed=40, steps=steps)
    model = ModelReference(path="/runs/x", name="rings · step 2,000 · EMA", class_names=NAMES)
    record = SampleRecord(request=request, model=model, branch=branch)
    final = final_images(images, size=size, channels=channels)
    for image in range(finished):
        (folder / f"{image:06d}.png").write_bytes(encode_png(final[image], record, image))
    entry = SampleEntry(record=record, state="finished", images=finished, height=size, width=size)
    (folder / "entry.json").write_bytes(msgspec.json.encode(entry))
    if trajectory:
        _write_trajectory(folder, final, steps, first_t, finished)
    return folder


def _write_trajectory(folder: Path, final: NDArray[np.uint8], steps: int, first_t: float, finished: int) -> None:
    times = np.linspace(first_t, 0, steps)
    signal = np.cos(times / 1000 * np.pi / 2).clip(0.02, 0.9998)
    noise = np.random.default_rng(0).normal(size=(steps, *final.shape))
    clean = final / 127.5 - 1
    weight = signal[:, None, None, None, None]
    x_t = weight * clean + np.sqrt(1 - weight**2) * noise
    x_start = (127.5 * (clean * weight**0.5 + 0.15 * (1 - weight) * noise) + 128).clip(0, 255)
    np.save(folder / "x_t.npy", x_t.transpose(0, 1, 4, 2, 3).astype(np.float32))
    np.save(folder / "x_start.npy", x_start.astype(np.uint8))
    points = tuple(
        StepPoint(t=float(t), sigma=float(np.sqrt(1 / s**2 - 1)), log_snr=float(np.log(s**2 / (1 - s**2))))
        for t, s in zip(times, signal, strict=True)
    )
    index = TrajectoryIndex(points=points, images=len(final), finished=finished, planes=("x_t", "x_start"))
    (folder / "trajectory.json").write_bytes(msgspec.json.encode(index))
