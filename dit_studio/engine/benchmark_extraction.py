"""What extraction costs, from files to features: how much of it is the network's own time."""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine.benchmark_folder import benchmark_folder
from dit_studio.engine.demo import landscape
from dit_studio.engine.evaluation.extraction import extract
from dit_studio.engine.evaluation.extractors.extractor import Extractor, weights_sha256
from dit_studio.engine.evaluation.extractors.inception import OUTPUTS, Inception
from dit_studio.engine.evaluation.extractors.random_features import open_random
from dit_studio.engine.evaluation.image_sources import picture_source
from dit_studio.engine.evaluation.preprocessing import ADM_TF1
from dit_studio.engine.file_list import list_files
from dit_studio.engine.generators import value_of
from dit_studio.engine.landscapes import KINDS

_BATCH = 32
_CPU = torch.device("cpu")


def extraction_seconds(name: str, *, images: int, size: int) -> tuple[float, float]:
    """Of the whole extraction from PNG files of landscapes, and of the network alone on pixels that are there.

    `name`: "random", or "inception", whose weights are random here and take as long as the published ones.
    """
    extractor = open_random(device=_CPU) if name == "random" else _inception()
    with benchmark_folder() as folder:
        pixels = _write(folder / "images", images, size)
        extractor(pixels[:_BATCH])  # to have its kernels chosen
        started = time.perf_counter()
        source = picture_source(value_of(list_files(str(folder / "images"))))
        value_of(extract(source, extractor, stage="", count=None, seed=0, batch_size=_BATCH))
        whole = time.perf_counter() - started
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
