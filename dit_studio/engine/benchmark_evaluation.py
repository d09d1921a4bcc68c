"""Figures of evaluation for the README: each beside its reference in the same run, in turn, as medians of ratios."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from dit_studio.engine.benchmark_extraction import extraction_seconds
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.evaluation.frechet import Gaussian, frechet_distance, frechet_distance_from_features
from dit_studio.engine.evaluation.maximum_mean_discrepancy import maximum_mean_discrepancy
from dit_studio.engine.evaluation.moments import Moments

Given = TypeVar("Given")
Found = TypeVar("Found")
Features = NDArray[np.float32]
Statistic = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured."""

    dimensions: int = 2048  # of Inception's pool features
    images: int = 5000  # a side, for the Fréchet distance
    rounds: int = 3  # of it and scipy's, in turn; scipy's takes half a minute
    streamed_images: int = 50_000
    embedding: int = 512
    pairs: int = 10_000  # images a side, for MMD
    dense: int = 2000  # images a side, where all of MMD's matrices are held for comparison
    extracted: tuple[tuple[str, int, int], ...] = (  # an extractor, images, pixels on a side
        ("random", 1400, 64), ("random", 350, 256), ("inception", 64, 256),
    )  # fmt: skip


SHORT = Extent(
    dimensions=64, images=300, streamed_images=3000, embedding=16, pairs=600, dense=200, extracted=(("random", 40, 16),)
)


def measure_evaluation(*, extent: Extent | None = None) -> Figures:
    """Everything that is promised of the metrics themselves. Memory is what is held beyond the features given."""
    extent = extent or Extent()
    threads = torch.get_num_threads()
    lines = [f"{threads} thread{'s' * (threads > 1)}, torch {torch.__version__}, NumPy {np.__version__}"]
    values: dict[str, float | str] = {}
    for measure in (_discrepancy, _streaming, _extraction, _frechet):
        line, measured = measure(extent)
        lines.append(f"  {line}")
        values |= measured
    return Figures(lines=lines, values=values)


def _frechet(extent: Extent) -> tuple[str, dict[str, float | str]]:
    """From features to the distance, against NumPy's covariances and scipy's square root of their product; with the
    reference factorised before, as it is from the second comparison on; and from the same covariances alone."""
    real, generated = (_decaying(extent.images, extent.dimensions, seed) for seed in (0, 1))
    known, moments = Gaussian.from_features(real), (*_moments(real), *_moments(generated))
    ways: dict[str, Callable[[], float]] = {
        "features": lambda: frechet_distance_from_features(real, generated),
        "factorised": lambda: known.distance(Gaussian.from_features(generated)),
        "covariances": lambda: frechet_distance(*moments),
    }
    if (theirs := _scipys_distance()) is not None:
        ways["numpy"] = lambda: float(_moments(real)[1][0, 0] + _moments(generated)[1][0, 0])
        ways["sqrtm"] = lambda: theirs(*moments)
    timed = [{name: _timed(way) for name, way in ways.items()} for _ in range(extent.rounds)]
    seconds = {name: median(times[name][0] for times in timed) for name in ways}
    ours = ("features", "factorised", "covariances")
    values: dict[str, float | str] = {f"frechet_{name}_seconds": seconds[name] for name in ours}
    what = f"Fréchet distance of {extent.images:,} × {extent.dimensions} features a side: {seconds['features']:.2f} s"
    if theirs is None:
        return f"{what}; scipy is not on this machine to compare with", values
    fitted = {"features": 1.0, "factorised": 0.5, "covariances": 0.0}  # what each way fits, of the two sides
    ratios = {
        name: median((times["sqrtm"][0] + share * times["numpy"][0]) / times[name][0] for times in timed)
        for name, share in fitted.items()
    }
    error = max(abs(times[name][1] / times["sqrtm"][1] - 1) for times in timed for name in ours)
    values |= {f"frechet_{name}_speedup": ratio for name, ratio in ratios.items()}
    line = (
        f"{what}, {ratios['features']:.1f} times as fast as by NumPy's covariances ({seconds['numpy']:.1f} s) and "
        f"scipy.linalg.sqrtm ({seconds['sqrtm']:.1f} s); {ratios['factorised']:.1f} times with the reference fitted "
        f"before, {ratios['covariances']:.1f} times from covariances alone; {error:.1e} (relative) apart"
    )
    return line, values | {"sqrtm_seconds": seconds["sqrtm"], "frechet_relative_error": error}


def _extraction(extent: Extent) -> tuple[str, dict[str, float | str]]:
    """From PNG files to features: the share of it that the network alone would take; and memory, which is flat."""
    words: list[str] = []
    values: dict[str, float | str] = {}
    for name, images, size in extent.extracted:
        (whole, alone), peak_mb = _in_new_process(_extract, (name, images, size))
        few_mb = _in_new_process(_extract, (name, images // 2, size))[1]
        words.append(
            f"{name} at {size} pixels {images / whole:.0f} a second, {alone / whole:.0%} of it the network's own time, "
            f"{peak_mb:.0f} MB at most, {few_mb:.0f} with half as many"
        )
        values |= {
            f"extraction_{name}_{size}_per_second": images / whole,
            f"extraction_{name}_{size}_share": alone / whole,
            f"extraction_{name}_{size}_peak_mb": peak_mb,
            f"extraction_{name}_{size}_peak_mb_of_half": few_mb,
        }
    return f"extraction: {'; '.join(words)}", values


def _extract(what: tuple[str, int, int]) -> tuple[tuple[float, float], float]:
    name, images, size = what
    with _peak_memory() as peak_mb:
        seconds = extraction_seconds(name, images=images, size=size)
    return seconds, peak_mb() - images * 3 * size**2 / 2**20  # without the pixels that it keeps for comparison


def _streaming(extent: Extent) -> tuple[str, dict[str, float | str]]:
    """Mean and covariance of features that come in batches and are held nowhere."""
    seconds, peak_mb = _in_new_process(_stream, extent)
    state_mb = 8 * extent.dimensions**2 / 2**20
    line = (
        f"moments of {extent.streamed_images:,} × {extent.dimensions} features in {seconds:.1f} s: {peak_mb:.0f} MB at "
        f"most, of which {state_mb:.0f} are the covariance"
    )
    return line, {"moments_images": extent.streamed_images, "moments_seconds": seconds, "moments_peak_mb": peak_mb}


def _stream(extent: Extent) -> tuple[float, float]:
    left = extent.streamed_images
    batch = np.random.default_rng(0).standard_normal((1000, extent.dimensions), dtype=np.float32)
    started = time.perf_counter()
    with _peak_memory() as peak_mb:
        moments = Moments(extent.dimensions)
        while left:
            moments.add(batch[: min(left, len(batch))])
            left -= min(left, len(batch))
    return time.perf_counter() - started, peak_mb()


def _discrepancy(extent: Extent) -> tuple[str, dict[str, float | str]]:
    """MMD with the reference's median bandwidth, and on fewer images against matrices held whole."""
    few, others = (_decaying(extent.dense, extent.embedding, seed) for seed in (2, 3))
    expected = _dense_discrepancy(few, others, sigma=1.0)
    error = abs(maximum_mean_discrepancy(few, others, sigma=1.0) / expected - 1)
    seconds, peak_mb = _in_new_process(_discriminate, extent)
    line = (
        f"MMD of {extent.pairs:,} × {extent.pairs:,} × {extent.embedding} in {seconds:.1f} s, {peak_mb:.0f} MB at "
        f"most; {error:.1e} (relative) from dense float64 on {extent.dense:,}"
    )
    return line, {"mmd_seconds": seconds, "mmd_peak_mb": peak_mb, "mmd_relative_error": error}


def _discriminate(extent: Extent) -> tuple[float, float]:
    draws = np.random.default_rng(0)
    real, generated = (draws.standard_normal((extent.pairs, extent.embedding), dtype=np.float32) for _ in range(2))
    started = time.perf_counter()
    with _peak_memory() as peak_mb:
        maximum_mean_discrepancy(real, generated)
    return time.perf_counter() - started, peak_mb()


# ------------------------------------------------------------------------------------------------- references


def _moments(features: Features) -> tuple[Statistic, Statistic]:
    doubled = features.astype(np.float64)
    return doubled.mean(0), np.cov(doubled, rowvar=False)


def _scipys_distance() -> Callable[[Statistic, Statistic, Statistic, Statistic], float] | None:
    """As the published evaluators compute it; None if there is no scipy."""
    try:
        from scipy.linalg import sqrtm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None

    def distance(mu1: Statistic, sigma1: Statistic, mu2: Statistic, sigma2: Statistic) -> float:
        root = sqrtm(sigma1 @ sigma2).real
        return float(((mu1 - mu2) ** 2).sum() + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root))

    return distance


def _dense_discrepancy(real: Features, generated: Features, *, sigma: float) -> float:
    first, second = (torch.from_numpy(features).double() for features in (real, generated))

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.exp(-distances.square() / (2 * sigma**2))

    n, m = len(first), len(second)
    within1 = kernel(first, first).fill_diagonal_(0).sum() / (n * (n - 1))
    within2 = kernel(second, second).fill_diagonal_(0).sum() / (m * (m - 1))
    return float(within1 + within2 - 2 * kernel(first, second).mean())


def _decaying(count: int, dimensions: int, seed: int) -> Features:
    """Features whose spectrum falls as that of Inception's does, mixed; the two sides differ a little."""
    mixing = np.random.default_rng(100).standard_normal((dimensions, dimensions), dtype=np.float32)
    scale = (1 / np.sqrt(np.arange(1, dimensions + 1))).astype(np.float32)
    draws = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
    features: Features = (draws * scale) @ np.linalg.qr(mixing)[0] + np.float32(0.01 * seed)
    return features


# ------------------------------------------------------------------------------------------------- measuring


def _timed(work: Callable[[], float]) -> tuple[float, float]:
    started = time.perf_counter()
    value = work()
    return time.perf_counter() - started, value


def _in_new_process(work: Callable[[Given], Found], given: Given) -> Found:
    """Seconds and memory in a process that has freed nothing before, which it could take again unseen."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=torch.set_num_threads,
                             initargs=(torch.get_num_threads(),)) as process:  # fmt: skip
        return process.submit(work, given).result()


@contextmanager
def _peak_memory() -> Iterator[Callable[[], float]]:
    """How much more than at the start the process held at most, in MB, looked at every two milliseconds."""
    process, is_over = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    most = before

    def watch() -> None:
        nonlocal most
        while not is_over.wait(0.002):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: (most - before) / 2**20
    finally:
        is_over.set()
        watcher.join()
