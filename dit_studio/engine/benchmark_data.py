"""How fast the cache of decoded images fills, and how much memory that takes."""

import shutil
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from dit_studio.config import DataConfig
from dit_studio.engine.benchmark_folder import benchmark_folder
from dit_studio.engine.data import load

_SIDE = 512
_IMAGE_SIZE = 64


def measure_cache(files: int = 600) -> dict[str, float]:
    """Fill a cache at 64 × 64 from `files` JPEG files of 512 × 512, then from four times as many, all in a temporary
    folder.

    Gives images_per_second (of the larger), seconds_second_start (the larger, from its cache), file_kilobytes (mean),
    and memory_growth_bytes and memory_growth_bytes_4x: how far the process grew at most while it filled each.
    """
    with benchmark_folder() as folder:
        return _measure(folder, files)


def _measure(folder: Path, files: int) -> dict[str, float]:
    size_bytes = write_images(folder / "warm-up", 16)
    _run(load(_config(folder / "warm-up")))
    size_bytes = write_images(folder / "once", files)
    growth, _ = _run(load(_config(folder / "once")))
    (folder / "four times").mkdir()
    for number, file in enumerate([*(folder / "once").iterdir()] * 4):
        shutil.copyfile(file, folder / "four times" / f"{number}.jpg")
    growth_4x, seconds = _run(load(_config(folder / "four times")))
    _, second_start = _run(load(_config(folder / "four times")))
    return {
        "images_per_second": 4 * files / seconds,
        "seconds_second_start": second_start,
        "file_kilobytes": size_bytes / files / 1000,
        "memory_growth_bytes": growth,
        "memory_growth_bytes_4x": growth_4x,
    }


def _config(folder: Path) -> DataConfig:
    return DataConfig(path=str(folder), image_size=_IMAGE_SIZE)


def write_images(folder: Path, count: int) -> int:
    """Smooth noise in several scales, as natural images have it; gives the bytes written."""
    folder.mkdir()
    random = np.random.default_rng(0)
    size_bytes = 0
    for number in range(count):
        layers = [
            np.asarray(
                Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
                    (_SIDE, _SIDE), Image.Resampling.BICUBIC
                ),
                dtype=np.float32,
            )
            * weight
            for side, weight in ((8, 0.45), (32, 0.3), (128, 0.15), (_SIDE, 0.1))
        ]
        file = folder / f"{number}.jpg"
        Image.fromarray(np.sum(layers, axis=0).astype(np.uint8)).save(file, quality=90)
        size_bytes += file.stat().st_size
    return size_bytes


def _run(filling: Generator[object, None, object]) -> tuple[int, float]:
    """The largest growth of the process in bytes, and the seconds it took."""
    process = psutil.Process()
    start_bytes, largest, start = process.memory_info().rss, 0, time.perf_counter()
    for _ in filling:
        largest = max(largest, process.memory_info().rss)
    seconds = time.perf_counter() - start
    return max(0, max(largest, process.memory_info().rss) - start_bytes), seconds
