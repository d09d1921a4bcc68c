"""KID, MMD and CMMD: golden figures, dense computations, and what is known of their expectation."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel

from dit_studio.engine.evaluation import cmmd, kernel_inception_distance, maximum_mean_discrepancy, measurements
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, open_extractor
from dit_studio.engine.evaluation.features import unit_rows
from dit_studio.engine.evaluation.kernel_inception_distance import kernel_distances_of_subsets, subset_size_used
from dit_studio.engine.evaluation.kernel_sums import Kernel, cubic_kernel, gaussian_kernel, sum_kernel
from dit_studio.engine.evaluation.maximum_mean_discrepancy import median_distance
from dit_studio.engine.evaluation.sides import Side
from dit_studio.errors import DataError, ShapeError
from tests.engine.evaluation_golden import digits, golden


@pytest.mark.parametrize(
    ("kernel", "mean", "spread"),
    [(cubic_kernel, 0.0274433575, 0.0139705721), (gaussian_kernel(10), 0.0008457654, 0.0005372491)],
)
def test_golden_subsets(kernel: Kernel, mean: float, spread: float) -> None:
    generated, real, _ = golden()
    values = kernel_distances_of_subsets(real, generated, subsets=100, size=200, kernel=kernel)
    assert (values.mean(), values.std()) == (pytest.approx(mean, rel=1e-6), pytest.approx(spread, rel=1e-6))


def test_golden_all_pairs() -> None:
    generated, real, _ = golden()
    assert kernel_inception_distance(real, generated[:500]) == pytest.approx(0.0304635452, rel=1e-8)
    assert kernel_inception_distance(real, real) == pytest.approx(-0.0185510498, rel=1e-8)
    mean = kernel_distances_of_subsets(real, generated, subsets=100, size=200).mean()
    assert kernel_inception_distance(real, generated, subsets=100, subset_size=200) == mean


def test_golden_cmmd_and_mmd() -> None:
    generated, real, _ = golden()
    ours, theirs = unit_rows(real), unit_rows(generated)
    assert cmmd(real, generated) == pytest.approx(0.0109376573, rel=1e-7)
    assert 1000 * maximum_mean_discrepancy(ours, theirs, sigma=10) == pytest.approx(-0.0020604625, rel=1e-6)
    pooled = median_distance(np.concatenate([theirs, ours]))
    assert pooled == pytest.approx(0.8415089944, rel=1e-6)
    assert median_distance(ours) == pytest.approx(0.8406512876, rel=1e-6)
    assert maximum_mean_discrepancy(ours, theirs, sigma=pooled) == pytest.approx(-1.7468990532e-4, rel=1e-6)
    assert maximum_mean_discrepancy(ours, theirs) == pytest.approx(-1.7486422644e-4, rel=1e-6)


@pytest.mark.parametrize("block", [1, 33, 500, 2048])
@pytest.mark.parametrize("groups", [1, 7])
def test_blocks_and_groups_give_the_dense_value(block: int, groups: int) -> None:
    generated, real, _ = golden()
    real, generated = real[:60], generated[:83]
    sums = sum_kernel(real, generated, gaussian_kernel(5.0), groups=groups, block=block)
    within1, within2, across = (
        rbf_kernel(x, y, gamma=0.02) for x, y in ((real, real), (generated, generated), (real, generated))
    )
    biased = within1.mean() + within2.mean() - 2 * across.mean()
    unbiased = (within1.sum() - 60) / (60 * 59) + (within2.sum() - 83) / (83 * 82) - 2 * across.mean()
    assert sums.biased() == pytest.approx(biased, abs=1e-12)
    assert sums.unbiased() == pytest.approx(unbiased, abs=1e-12)


def test_leaving_a_group_out_is_as_never_having_had_it() -> None:
    generated, real, _ = golden()
    sums = sum_kernel(real[:60], generated[:80], cubic_kernel, groups=4, seed=3)
    kept1 = np.concatenate(np.array_split(np.random.default_rng(3).permutation(60), 4)[:3])
    kept2 = np.concatenate(np.array_split(np.random.default_rng(4).permutation(80), 4)[:3])
    expected = kernel_inception_distance(real[:60][kept1], generated[:80][kept2])
    assert sums.without(3).unbiased() == pytest.approx(expected, rel=1e-10)


def test_a_set_against_itself() -> None:
    real = golden().real
    assert maximum_mean_discrepancy(real, real, is_biased=True) == pytest.approx(0, abs=1e-13)
    assert maximum_mean_discrepancy(real, real) < 0


def test_the_unbiased_estimate_is_0_on_average() -> None:
    draws = np.random.default_rng(0)
    values = [
        maximum_mean_discrepancy(draws.standard_normal((40, 6)), draws.standard_normal((50, 6)), sigma=2.0)
        for _ in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)


def test_the_bandwidth_is_of_the_reference_alone_and_of_a_seeded_part_of_it() -> None:
    draws = np.random.default_rng(0)
    real = draws.standard_normal((900, 8))
    pairs = torch.pdist(torch.from_numpy(real)).numpy()
    assert median_distance(real) == pytest.approx(np.median(pairs), rel=1e-6)
    assert median_distance(real, most=300) == pytest.approx(np.median(pairs), rel=0.02)
    assert median_distance(real, most=300) == median_distance(real, most=300)
    assert median_distance(real, most=300, seed=1) != median_distance(real, most=300)
    far = draws.standard_normal((100, 8)) + 50
    assert maximum_mean_discrepancy(real, far) == maximum_mean_discrepancy(real, far, sigma=median_distance(real))


def test_digits_are_nearer_to_digits_than_noise_is() -> None:
    half, other, blurred, noise = digits()
    for metric in (kernel_inception_distance, maximum_mean_discrepancy, cmmd):
        values = [metric(half, features) for features in (other, blurred, noise)]
        assert values == sorted(values)
        assert values[2] > 5 * abs(values[0])


def test_what_cannot_be_compared_is_said() -> None:
    real = golden().real
    assert subset_size_used(500, 600) == 500
    assert len(kernel_distances_of_subsets(real[:20], real[20:50], subsets=3)) == 3  # clamped to 20
    with pytest.raises(DataError, match="0 subsets"):
        kernel_distances_of_subsets(real, real, subsets=0)
    with pytest.raises(ShapeError, match="64 and 63"):
        kernel_inception_distance(real, real[:, 1:])
    with pytest.raises(ShapeError, match="n ≥ 2"):
        kernel_inception_distance(real, real[:1])
    with pytest.raises(DataError, match="bandwidth of 0"):
        maximum_mean_discrepancy(real, real, sigma=0)
    with pytest.raises(DataError, match="Most images of the reference are equal"):
        maximum_mean_discrepancy(np.ones((5, 3)), real[:, :3])
    with pytest.raises(DataError, match="image 1 is zero"):
        cmmd(np.array([[1.0, 0.0], [0.0, 0.0]]), np.eye(2))


@pytest.mark.parametrize("most", [50_000, 90])
def test_kernel_figures_are_of_all_images_of_unequal_sides(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    real, fake = draws.standard_normal((150, 6)), draws.standard_normal((60, 6)) + 0.5
    monkeypatch.setattr(measurements, "MOST_IN_KERNELS", most)
    extractor = open_extractor("random", device=torch.device("cpu"))
    sides = (Side(n=len(features), features={MAIN_OUTPUT: features}) for features in (real, fake))
    pair = measurements.Pair(*sides, extractor)
    found = measurements.measure("kid", pair)
    assert (found.n_real, found.n_fake) == (min(150, most), 60)
    assert ("at most 90 images of each side" in found.estimator) == (most == 90)
    within, other, across = ((x @ y.T / 6 + 1) ** 3 for x, y in ((real, real), (fake, fake), (real, fake)))
    expected = (within.sum() - within.trace()) / (150 * 149) + (other.sum() - other.trace()) / (60 * 59)
    expected -= 2 * across.mean()
    if most > 150:
        assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.interval is not None
    assert found.interval.low < expected < found.interval.high
