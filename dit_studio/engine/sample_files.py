"""Drawn images as files: PNG, a grid, and a folder that is a data set."""

import csv
import difflib
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dit_studio.engine.checkpoint import LoadedModel, ModelDescription
from dit_studio.engine.device import Precision
from dit_studio.engine.sample_checks import check_request
from dit_studio.engine.sampling import Frame, Samples, sample
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.sample_request import SampleRequest


def choose_classes(text: str, config: ModelDescription) -> tuple[int, ...]:
    """Classes from "0,3" or "cat,dog", where digits are numbers, not names; every class from nothing.

    Raises: ConfigError that names the one that is not there, and the nearest that is.
    """
    if not text:
        return tuple(range(config.num_classes))
    chosen = []
    for word in (word.strip() for word in text.split(",")):
        if word.isdecimal():
            chosen.append(int(word))
        elif word in config.class_names:
            chosen.append(config.class_names.index(word))
        else:
            near = difflib.get_close_matches(word, config.class_names, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(config.class_names) or 'no classes'}."
            raise ConfigError([Problem("sample.classes", f'The model has no class "{word}". {hint}', word)])
    return tuple(chosen)


def save_samples(
    loaded: LoadedModel, request: SampleRequest, folder: Path, *, precision: Precision | None = None
) -> Iterator[Progress]:
    """Draw a request into `folder`: 000000.png …, and labels.csv, which makes it a data set with the same classes.

    Raises: ConfigError, or RunError if the folder cannot be written.
    """
    check_request(request, loaded.config)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    names, rows = loaded.config.class_names, []
    for done in sample(loaded.model, loaded.config, request, precision=precision):
        if isinstance(done, Frame):
            made = done.first_image + done.step / done.steps * len(done.x_t)
            yield Progress(stage="Sampling", done=int(made), total=request.count, unit="images")
            continue
        if not isinstance(done, Samples):
            continue
        for k, (image, label) in enumerate(zip(done.images, done.labels, strict=True), start=done.first_image):
            file = f"{k:06d}.png"
            write_atomically(folder / file, encode_png(image.permute(1, 2, 0).numpy()))
            rows.append((file, names[label] if names else str(label)))
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("file", "label"), *rows])
    write_atomically(folder / "labels.csv", buffer.getvalue().encode())


def grid(images: Tensor, *, columns: int) -> NDArray[np.uint8]:
    """Images side by side, row by row, without gaps. Shapes: (B, C, H, W) uint8 -> (rows·H, columns·W, C)."""
    count, channels, height, width = images.shape
    rows = math.ceil(count / columns)
    cells = torch.zeros(rows * columns, channels, height, width, dtype=torch.uint8)
    cells[:count] = images
    cells = cells.reshape(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    return cells.reshape(rows * height, columns * width, channels).numpy()


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of (H, W, 3) or (H, W, 1) uint8 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()
