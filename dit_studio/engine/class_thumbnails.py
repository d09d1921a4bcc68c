"""A small picture of every class of a model, from what its run has at hand: its training images, else a preview."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine.cache import CachedImages, open_cache
from dit_studio.engine.checkpoint import Progressed
from dit_studio.events import Event, PreviewSaved, decode

SIZE = 48  # pixels

Pixels = NDArray[np.uint8]


def class_thumbnails(file: Path, class_names: tuple[str, ...]) -> Pixels:
    """Of the run that a weight file belongs to.

    Shape: (classes, S, S, 3), black for a class without a picture, or (0, S, S, 3) where there are none at all.
    """
    folder = file.absolute().parent
    run = folder.parent.parent
    if not class_names or folder.parent.name != "checkpoints":
        return _none()
    found = _from_training_images(folder, class_names)
    return _from_previews(run, class_names) if found is None else found


def _from_training_images(folder: Path, class_names: tuple[str, ...]) -> Pixels | None:
    """The first image of each class, if they are decoded already."""
    cached = _training_images(folder)
    if cached is None or cached.class_names != class_names:
        return None
    labels, first = np.unique(cached.labels, return_index=True)
    result = _black(len(class_names))
    for label, index in zip(labels, first, strict=True):
        result[label] = _scaled(np.asarray(cached.images[index]).transpose(1, 2, 0))
    return result


def _training_images(folder: Path) -> CachedImages | None:
    """Those that the run of a checkpoint folder was trained on."""
    try:
        state = msgspec.json.decode((folder / "state.json").read_bytes(), type=Progressed)
    except (OSError, msgspec.DecodeError):
        return None
    return open_cache(state.data_fingerprint) if state.data_fingerprint else None


def _from_previews(run: Path, class_names: tuple[str, ...]) -> Pixels:
    """Each class from the top row of the newest preview that can be read."""
    for preview in reversed(_previews(run)):
        try:
            with Image.open(run / preview.file) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError):  # removed, or half a file
            continue
        result, side = _black(len(class_names)), preview.cell_size
        for column, name in enumerate(preview.labels):
            cell = pixels[:side, column * side : (column + 1) * side]
            if name in class_names and cell.size:
                result[class_names.index(name)] = _scaled(cell)
        return result
    return _none()


def _previews(run: Path) -> list[PreviewSaved]:
    try:
        lines = (run / "events.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    events = [_event(line) for line in lines if b'"preview"' in line]
    return [event for event in events if isinstance(event, PreviewSaved)]


def _event(line: bytes) -> Event | None:
    try:
        return decode(line)
    except msgspec.DecodeError:  # the last line may be half written
        return None


def _scaled(pixels: Pixels) -> Pixels:
    """Shapes: (H, W, 3 or 1) -> (S, S, 3). Enlarged pixels stay squares."""
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    method = Image.Resampling.NEAREST if picture.width < SIZE else Image.Resampling.BOX
    return np.asarray(picture.resize((SIZE, SIZE), method))


def _black(classes: int) -> Pixels:
    return np.zeros((classes, SIZE, SIZE, 3), np.uint8)


def _none() -> Pixels:
    return _black(0)
