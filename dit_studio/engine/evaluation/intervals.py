"""How certain a figure is, by means that do not shift it: a bootstrap of FID, for one, doubles its bias."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dit_studio.engine.evaluation.features import check_features
from dit_studio.engine.evaluation.frechet import Gaussian
from dit_studio.engine.evaluation.kernel_sums import Kernel, KernelSums, sum_kernel
from dit_studio.errors import DataError

_NORMAL_95 = 1.959964
_STUDENT_95 = {2: 4.302653, 3: 3.182446, 4: 2.776445}  # by degrees of freedom
JACKKNIFE_GROUPS = 20


@dataclass(frozen=True, kw_only=True)
class Interval:
    """95 %, with the method in words; of how many images or groups is in it."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    value: float
    standard_error: float
    interval: Interval


# ------------------------------------------------------------------------------------------------- KID and MMD


def kernel_estimate(
    real: ArrayLike,
    generated: ArrayLike,
    kernel: Kernel,
    *,
    statistic: Callable[[KernelSums], float] = KernelSums.unbiased,
    groups: int = JACKKNIFE_GROUPS,
    seed: int = 0,
) -> Estimate:
    """A kernel distance over all pairs with the standard error of a block jackknife, from one pass over the pairs.

    Where there is no difference the jackknife says too much, never too little. Raises: ShapeError, or DataError if
    there are fewer than 2 images a group.
    """
    smaller = min(len(np.asarray(real)), len(np.asarray(generated)))
    if groups < 2 or smaller < 2 * groups:
        raise DataError(
            f"{smaller} images cannot be put into {groups} groups for a standard error.",
            remedy=f"Give at least {2 * max(groups, 2)} images.",
        )
    sums = sum_kernel(real, generated, kernel, groups=groups, seed=seed)
    without = np.array([statistic(sums.without(group)) for group in range(groups)])
    error = math.sqrt((groups - 1) / groups * ((without - without.mean()) ** 2).sum())
    value = statistic(sums)
    method = f"1.96 standard errors of a block jackknife over {groups} groups"
    half = _NORMAL_95 * error
    return Estimate(
        value=value,
        standard_error=error,
        interval=Interval(low=value - half, high=value + half, method=method),
    )


# ------------------------------------------------------------------------------------------------- shares


def share_interval(share: float, images: int) -> Interval:
    """Of a precision, recall, coverage or agreement, binomial (Wilson 1927): how it scatters with these images alone.

    It does not tell how the share depends on their number. Raises: DataError if it is no share.
    """
    if not 0 <= share <= 1 or images < 1:
        raise DataError(f"{share} of {images} images is no share.", remedy="Give 0 … 1 of at least 1 image.")
    weight = _NORMAL_95**2 / images
    middle = (share + weight / 2) / (1 + weight)
    half = _NORMAL_95 * math.sqrt(share * (1 - share) / images + weight / (4 * images)) / (1 + weight)
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half), method=f"binomial, {images:,} images")


# ------------------------------------------------------------------------------------------------- Fréchet distance


def frechet_at_sizes(real: Gaussian, generated: ArrayLike, sizes: Iterable[int], *, seed: int = 0) -> Iterator[float]:
    """The distance of subsets drawn without replacement, one after another. Shape: (n, d). Raises: DataError."""
    array, draws = check_features(generated, "generated images", least=2), np.random.default_rng(seed)
    for size in sizes:
        if not 2 <= size <= len(array):
            raise DataError(
                f"{size} of {len(array)} images cannot be drawn without replacement.",
                remedy="Take 2 or more, at most all.",
            )
        rows = np.sort(draws.choice(len(array), size, replace=False))
        yield real.distance(Gaussian.from_features(array[rows], "generated images"))


def subset_interval(values: Sequence[float], *, size: int, images: int) -> Interval:
    """Where the distance of `size` fresh images falls, from those of subsets of `size` out of `images`.

    It holds at that size alone: of more images the distance is smaller. Subsets overlap, so that their spread is too
    small by √(1 - size / images), which is corrected; and their mean scatters itself, with the set that they are drawn
    from and with how they are drawn. Raises: DataError if there are fewer than 3, or they overlap by
    more than half.
    """
    if len(values) < 3 or 2 * size > images:
        raise DataError(
            f"{len(values)} subsets of {size:,} out of {images:,} images give no interval.",
            remedy=f"Take at least 3, of at most {images // 2:,} images.",
        )
    share = size / images
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(1 - share)
    quantile = _student_95(len(values) - 1)
    half = quantile * spread * math.sqrt(1 + share + (1 - share) / len(values))
    method = f"one fresh set of {size:,} images, by Student's t ({quantile:.2f}), of {len(values)} subsets"
    return Interval(low=mean - half, high=mean + half, method=method)


def _student_95(freedom: int) -> float:
    """The quantile of Student's t for 95 %: exact below 5 degrees of freedom, else by its series, to 0.004."""
    if freedom in _STUDENT_95:
        return _STUDENT_95[freedom]
    z, v = _NORMAL_95, freedom
    second, third = 5 * z**5 + 16 * z**3 + 3 * z, 3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z
    return z + (z**3 + z) / (4 * v) + second / (96 * v**2) + third / (384 * v**3)


@dataclass(frozen=True, kw_only=True)
class SeedGroups:
    """A figure of several disjoint sets of seeds. Papers often print the lowest alone, which is no estimate."""

    mean: float
    standard_deviation: float
    lowest: float
    groups: int


def across_seeds(values: Sequence[float]) -> SeedGroups:
    """Raises: DataError below 2 groups."""
    if len(values) < 2:
        raise DataError(f"{len(values)} group of seeds has no spread.", remedy="Sample at least 2 disjoint groups.")
    spread = float(np.std(values, ddof=1))
    return SeedGroups(
        mean=float(np.mean(values)), standard_deviation=spread, lowest=float(min(values)), groups=len(values)
    )


# ------------------------------------------------------------------------------------------------- FID∞

EXTRAPOLATION_POINTS = 15
_LEAST_IMAGES, _LEAST_POINT = 5000, 2048


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """The straight line through distances over 1/N (Chong & Forsyth 2020, arXiv:1911.07023), at 1/N = 0.

    It takes off the bias of the generated side; that of a small reference stays.
    """

    value: float
    slope: float
    r_squared: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def why_no_extrapolation(images: int, dimensions: int) -> str:
    """A sentence if so many images do not carry a line; empty if they do."""
    least = max(_LEAST_IMAGES, 2 * max(_LEAST_POINT, dimensions))
    if images >= least:
        return ""
    return (
        f"No FID∞ from {images:,} images: below {least:,} the distances do not lie on a line over 1/N, "
        "and its end would mean nothing."
    )


def extrapolation_sizes(images: int, dimensions: int) -> tuple[int, ...]:
    """Where to measure, largest last. Raises: DataError if `why_no_extrapolation`."""
    if reason := why_no_extrapolation(images, dimensions):
        raise DataError(reason, remedy="Sample more images.")
    lowest = max(_LEAST_POINT, dimensions, min(_LEAST_IMAGES, images // 2))
    return tuple(int(size) for size in np.linspace(lowest, images, EXTRAPOLATION_POINTS))


def extrapolate(sizes: Sequence[int], distances: Sequence[float]) -> Extrapolation:
    """Fit the line, by least squares. Raises: DataError below 3 different sizes."""
    if len(sizes) != len(distances) or len(set(sizes)) < 3:
        raise DataError(f"{len(set(sizes))} sizes give no line.", remedy="Measure at 3 or more.")
    x, y = 1 / np.asarray(sizes, np.float64), np.asarray(distances, np.float64)
    slope, value = np.polyfit(x, y, 1)
    scatter = float(((y - y.mean()) ** 2).sum())
    r_squared = 1 - float(((y - slope * x - value) ** 2).sum()) / scatter if scatter else 1.0
    return Extrapolation(
        value=float(value), slope=float(slope), r_squared=r_squared, sizes=tuple(sizes), distances=tuple(distances)
    )
