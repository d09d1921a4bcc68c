"""What extraction costs, from files to features: how much of it is the network's own time."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine.demo import landscape
from dit_studio.engine.evaluation.extraction import extract
from dit_studio.engine.evaluation.extractors.extractor import Extractor, weights_sha256
from dit_studio.engine.evaluation.extractors.inception import OUTPUTS, Inception
from dit_studio.engine.evaluation.extractors.random_features import open_random
from dit_studio.engine.evaluation.image_sources import ImageSource, picture_source
from dit_studio.engine.evaluation.preprocessing import ADM_TF1
from dit_studio.engine.file_list import list_files
from dit_studio.engine.landscapes import KINDS

_BATCH = 32
_CPU = torch.device("cpu")


def extraction_seconds(name: str, *, images: int, size: int) -> tuple[float, float]:
    """Of the whole extraction from PNG files of landscapes, and of the network alone on pixels that are there.

    `name`: "random", or "inception", whose weights are random here and take as long as the published ones.
    """
    extractor = open_random(device=_CPU) if name == "random" else _inception()
    with tempfile.TemporaryDirectory(prefix="dit-studio-benchmark-") as folder:
        pixels = _write(Path(folder) / "images", images, size)
        extractor(pixels[:_BATCH])  # to have its kernels chosen
        before = os.environ.get("DIT_STUDIO_CACHE")
        os.environ["DIT_STUDIO_CACHE"] = str(Path(folder) / "cache")
        try:
            started = time.perf_counter()
            source = _source(Path(folder) / "images")
            for _ in extract(source, extractor, stage="", count=None, seed=0, batch_size=_BATCH):
                pass
            whole = time.perf_counter() - started
        finally:
            del os.environ["DIT_STUDIO_CACHE"]
            if before is not None:
                os.environ["DIT_STUDIO_CACHE"] = before
    started = time.perf_counter()
    for first in range(0, images, _BATCH):
        extractor(pixels[first : first + _BATCH])
    return whole, time.perf_counter() - started


def _inception() -> Extractor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Inception().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing stub
    return Extractor(
        name="inception",
        label="Inception-v3 of random weights",
        outputs=OUTPUTS,
        weights_sha256=weights_sha256(network.state_dict()),
        preprocessing=ADM_TF1,
        device=_CPU,
        network=network,
    )


def _write(folder: Path, images: int, size: int) -> NDArray[np.uint8]:
    """PNG files; and what is in them, (N, 3, H, W)."""
    folder.mkdir()
    kinds, drawn = list(KINDS), []
    for number in range(images):
        drawn.append(landscape(kinds[number % len(kinds)], seed=number, size=size))
        Image.fromarray(drawn[-1]).save(folder / f"{number:05d}.png")
    return np.ascontiguousarray(np.stack(drawn).transpose(0, 3, 1, 2))


def _source(folder: Path) -> ImageSource:
    listing = list_files(str(folder))
    while True:
        try:
            next(listing)
        except StopIteration as end:
            return picture_source(end.value)
