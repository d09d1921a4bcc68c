"""Standard errors and intervals hold what they say, on data whose scatter is known."""

import math

import numpy as np
import pytest

from dit_studio.engine.evaluation import Gaussian, kernel_inception_distance
from dit_studio.engine.evaluation.intervals import (
    across_seeds,
    extrapolate,
    extrapolation_sizes,
    frechet_at_sizes,
    kernel_estimate,
    share_interval,
    subset_interval,
    why_no_extrapolation,
)
from dit_studio.engine.evaluation.kernel_sums import KernelSums, cubic_kernel, gaussian_kernel
from dit_studio.errors import DataError


@pytest.mark.parametrize(("shift", "least", "most"), [(0.6, 0.8, 1.25), (0.0, 0.9, 2.2)])
def test_the_jackknife_says_how_much_fresh_sets_scatter(shift: float, least: float, most: float) -> None:
    """Where there is a difference it is right; where there is none it says more, as a degenerate statistic's does."""
    draws = np.random.default_rng(0)
    estimates = [
        kernel_estimate(
            draws.standard_normal((120, 5)), draws.standard_normal((150, 5)) + shift, gaussian_kernel(2.5), groups=20
        )
        for _ in range(150)
    ]
    scatter = np.std([estimate.value for estimate in estimates])
    error = math.sqrt(np.mean([estimate.standard_error**2 for estimate in estimates]))
    assert least < error / scatter < most


def test_the_estimate_is_the_metric_whatever_the_groups() -> None:
    draws = np.random.default_rng(0)
    real, generated = draws.standard_normal((90, 4)), draws.standard_normal((70, 4)) + 0.3
    estimate = kernel_estimate(real, generated, cubic_kernel, groups=10)
    assert estimate.value == pytest.approx(kernel_inception_distance(real, generated), rel=1e-12)
    assert estimate.interval.low < estimate.value < estimate.interval.high
    assert "10 groups" in estimate.interval.method
    biased = kernel_estimate(real, generated, cubic_kernel, statistic=KernelSums.biased, groups=10)
    assert biased.value > estimate.value
    with pytest.raises(DataError, match="70 images cannot be put into 40 groups"):
        kernel_estimate(real, generated, cubic_kernel, groups=40)


def test_shares_have_wilsons_interval() -> None:
    interval = share_interval(0.5, 100)
    assert (interval.low, interval.high) == (pytest.approx(0.403832, abs=1e-6), pytest.approx(0.596168, abs=1e-6))
    none = share_interval(0, 20)
    assert (none.low, none.high) == (0, pytest.approx(0.161125, abs=1e-6))
    assert share_interval(1, 20).high == 1
    with pytest.raises(DataError, match="is no share"):
        share_interval(1.35, 100)


def test_subsets_without_replacement_say_how_fresh_sets_of_that_size_scatter() -> None:
    draws = np.random.default_rng(0)
    spread = 1 / np.arange(1, 9)
    real = Gaussian.from_moments(np.zeros(8), np.diag(spread**2))
    fresh = [real.distance(Gaussian.from_features(draws.standard_normal((200, 8)) * spread)) for _ in range(300)]
    pool = draws.standard_normal((1000, 8)) * spread
    values = list(frechet_at_sizes(real, pool, [200] * 60))
    interval = subset_interval(values, size=200, images=1000)
    assert "200 images" in interval.method
    inside = np.mean([interval.low <= value <= interval.high for value in fresh])
    assert inside > 0.85
    assert np.mean(values) > real.distance(Gaussian.from_features(pool))  # fewer images, more bias
    assert list(frechet_at_sizes(real, pool, [200, 300])) == list(frechet_at_sizes(real, pool, [200, 300]))
    assert next(frechet_at_sizes(real, pool, [1000])) == pytest.approx(real.distance(Gaussian.from_features(pool)))
    with pytest.raises(DataError, match="2,000 out of 3,000 images give no interval"):
        subset_interval(values, size=2000, images=3000)
    with pytest.raises(DataError, match="1001 of 1000 images"):
        next(frechet_at_sizes(real, pool, [1001]))


def test_five_subsets_cover_one_fresh_set() -> None:
    draws, real, inside = np.random.default_rng(3), Gaussian.from_moments(np.zeros(4), np.eye(4)), []
    for _ in range(300):
        values = list(
            frechet_at_sizes(real, draws.standard_normal((100, 4)), [50] * 5, seed=int(draws.integers(2**31)))
        )
        fresh = real.distance(Gaussian.from_features(draws.standard_normal((50, 4))))
        interval = subset_interval(values, size=50, images=100)
        inside.append(interval.low <= fresh <= interval.high)
    assert 0.9 < np.mean(inside) < 0.99
    assert "Student's t (2.78)" in interval.method


@pytest.mark.parametrize(("values", "quantile"), [(6, 2.571), (11, 2.228), (61, 2.000)])
def test_students_t_is_as_in_tables(values: int, quantile: float) -> None:
    numbers = np.arange(values, dtype=float)
    interval = subset_interval(list(numbers), size=1, images=2)
    half = np.std(numbers, ddof=1) / math.sqrt(0.5) * math.sqrt(1.5 + 0.5 / values)
    assert (interval.high - interval.low) / 2 / half == pytest.approx(quantile, abs=0.004)


def test_seed_groups_give_mean_spread_and_the_lowest_apart() -> None:
    groups = across_seeds([2.0, 3.0, 4.0])
    assert (groups.mean, groups.standard_deviation, groups.lowest, groups.groups) == (3, 1, 2, 3)
    with pytest.raises(DataError, match="1 group"):
        across_seeds([2.0])


def test_extrapolation_finds_the_end_of_a_line() -> None:
    sizes = extrapolation_sizes(50_000, 2048)
    assert (sizes[0], sizes[-1], len(sizes)) == (5000, 50_000, 15)
    line = extrapolate(sizes, [3 + 700 / size for size in sizes])
    assert line.value == pytest.approx(3, rel=1e-9)
    assert line.slope == pytest.approx(700, rel=1e-9)
    assert line.r_squared == pytest.approx(1, abs=1e-12)
    rough = extrapolate(sizes, [3 + (-1) ** index for index in range(15)])
    assert rough.r_squared < 0.1
    assert extrapolate(sizes, [3.0] * 15).r_squared == 1


def test_extrapolation_takes_off_the_bias_of_few_images() -> None:
    """The true distance is 0; that of all images is not."""
    draws = np.random.default_rng(0)
    pool = draws.standard_normal((3000, 40))
    real = Gaussian.from_moments(np.zeros(40), np.eye(40))
    sizes = tuple(int(size) for size in np.linspace(600, 3000, 15))
    line = extrapolate(sizes, list(frechet_at_sizes(real, pool, sizes)))
    assert line.r_squared > 0.9
    assert abs(line.value) < 0.25 * line.distances[-1]


def test_too_few_images_for_an_extrapolation_are_said() -> None:
    assert extrapolation_sizes(5000, 2048)[0] == 2500
    assert not why_no_extrapolation(5000, 2048)
    assert "No FID∞ from 4,999 images: below 5,000" in why_no_extrapolation(4999, 2048)
    assert "below 8,192" in why_no_extrapolation(6000, 4096)
    with pytest.raises(DataError, match="Sample more images"):
        extrapolation_sizes(100, 64)
    with pytest.raises(DataError, match="1 sizes give no line"):
        extrapolate([5, 5], [1, 1])
