"""The Fréchet distance, against closed forms and independent implementations."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

from dit_studio.engine.evaluation import Gaussian, Moments, frechet_distance, frechet_distance_from_features
from dit_studio.errors import DataError, ShapeError
from tests.engine.evaluation_golden import digits, golden


def test_golden_number() -> None:
    generated, real, _ = golden()
    assert frechet_distance_from_features(real, generated) == pytest.approx(1.7361888092, rel=1e-9)


def test_closed_forms() -> None:
    a = np.arange(1.0, 65.0)
    assert frechet_distance(np.zeros(64), np.diag(a), np.zeros(64), np.diag(4 * a)) == pytest.approx(2080, rel=1e-12)
    ones = np.eye(2048)
    assert frechet_distance(np.zeros(2048), ones, np.ones(2048), ones) == pytest.approx(2048, rel=1e-9)


def test_it_agrees_with_scipys_matrix_square_root() -> None:
    generated, real, _ = golden()
    s1, s2 = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(real.mean(0), s1, generated.mean(0), s2) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("count", [20, 64, 65, 300])
def test_few_vectors_give_what_many_dimensions_give(count: int) -> None:
    """The two ways to the overlap agree, on singular covariances too."""
    generated, real, _ = golden()
    generated, real = generated[:count], real[:count]
    s1, s2 = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    dense = frechet_distance(real.mean(0), s1, generated.mean(0), s2)
    assert frechet_distance_from_features(real, generated) == pytest.approx(dense, rel=1e-6, abs=1e-6)
    assert abs(frechet_distance_from_features(real, real)) < 1e-9


def test_a_shift_counts_its_square_and_order_does_not_count() -> None:
    generated, real, _ = golden()
    assert frechet_distance_from_features(real, real + 0.5) == pytest.approx(64 * 0.25, rel=1e-9)
    assert frechet_distance_from_features(real, generated) == pytest.approx(
        frechet_distance_from_features(generated, real), rel=1e-9
    )


def test_features_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 4\) and \(3, 5\)"):
        frechet_distance_from_features(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="do not fit"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(4), np.eye(3))


def test_the_covariance_over_n_gives_stylegans_number() -> None:
    generated, real, _ = golden()
    moments = []
    for features in (real, generated):
        moments.append(Moments(64))
        moments[-1].add(features)
    covariances = [each.covariance(is_biased=True) for each in moments]
    distance = frechet_distance(moments[0].mean, covariances[0], moments[1].mean, covariances[1])
    assert distance == pytest.approx(1.7329331321, rel=1e-9)


def test_a_rotation_of_diagonal_covariances_changes_nothing() -> None:
    draws = np.random.default_rng(0)
    a, b, shift = draws.uniform(0.1, 3, 64), draws.uniform(0, 2, 64), draws.standard_normal(64)
    turn = np.linalg.qr(draws.standard_normal((64, 64)))[0]
    expected = (shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    turned = [turn @ np.diag(spectrum) @ turn.T for spectrum in (a, b)]
    assert frechet_distance(np.zeros(64), turned[0], shift, turned[1]) == pytest.approx(expected, rel=1e-10)


def test_torch_fidelitys_small_singular_case() -> None:
    """(4, 4, seed 1) gives NaN where the eigenvalues of the product are taken without care."""
    draws = np.random.RandomState(1)
    first, second = draws.randn(4, 4), draws.randn(4, 4)
    assert np.isfinite(frechet_distance_from_features(first, second))


@pytest.mark.parametrize("dimensions", [2**power for power in range(1, 9)])
def test_torch_fidelitys_sweep(dimensions: int) -> None:
    """Never NaN, whatever the number of vectors; scipy's square root where that is finite and of full rank."""
    draws = np.random.RandomState(2023)
    for count in (2**power for power in range(1, 16)):
        first, second = draws.randn(count, dimensions), draws.randn(count, dimensions)
        value = frechet_distance_from_features(first, second)
        s1, s2 = (np.cov(features, rowvar=False) for features in (first, second))
        dense = frechet_distance(first.mean(0), s1, second.mean(0), s2)
        assert value == pytest.approx(dense, rel=1e-6, abs=1e-6)
        if count > dimensions:
            root = scipy.linalg.sqrtm(s1 @ s2).real
            expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
            assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("count", "dimensions"), [(100, 512), (512, 512), (513, 512), (600, 512), (1000, 2048)])
def test_identical_sets_are_at_0(count: int, dimensions: int) -> None:
    """By features, by moments, and by one of each; the spectrum falls as those of networks do."""
    draws = np.random.default_rng(count)
    features = np.abs(draws.standard_normal((count, dimensions)) / np.sqrt(np.arange(1, dimensions + 1)) + 0.1)
    fitted = Gaussian.from_features(features)
    assert abs(fitted.distance(fitted)) < 1e-9
    given = Gaussian.from_moments(features.mean(0), np.cov(features, rowvar=False))
    assert abs(given.distance(given)) < 1e-9
    assert abs(given.distance(fitted)) < 1e-9


def test_features_that_never_vary_count_by_their_means() -> None:
    """Dead numbers make a covariance singular, however many images there are; equal images make it 0."""
    generated, real, _ = golden()
    expected = frechet_distance_from_features(real, generated)
    dead = [np.hstack([features, np.zeros((len(features), 5))]) for features in (real, generated)]
    assert frechet_distance_from_features(*dead) == pytest.approx(expected, rel=1e-9)
    assert abs(frechet_distance_from_features(dead[0], dead[0])) < 1e-9
    same = np.full((500, 64), 2.0)
    expected = ((real.mean(0) - 2) ** 2).sum() + real.var(0, ddof=1).sum()
    assert frechet_distance_from_features(real, same) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance_from_features(same[:10], real[:10]) > 0
    assert frechet_distance_from_features(same, same) == 0


def test_any_number_format_and_a_mapped_file_give_the_same(tmp_path: Path) -> None:
    generated, real, _ = golden()
    expected = frechet_distance_from_features(real, generated)
    np.save(tmp_path / "features.npy", real.astype(np.float32))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert frechet_distance_from_features(mapped, generated) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance_from_features(real.astype(np.float16), generated) == pytest.approx(expected, rel=1e-2)


def test_digits_are_nearer_to_digits_than_noise_is() -> None:
    half, other, blurred, noise = digits()
    distances = [frechet_distance_from_features(half, features) for features in (half, other, blurred, noise)]
    assert abs(distances[0]) < 1e-9
    assert distances == sorted(distances)


def test_what_is_not_finite_or_no_covariance_is_named() -> None:
    features = np.ones((5, 3))
    features[3, 1] = np.nan
    with pytest.raises(DataError, match="image 3 of the generated images"):
        frechet_distance_from_features(np.eye(5, 3), features)
    with pytest.raises(DataError, match="eigenvalue -1"):
        frechet_distance(np.zeros(2), np.diag([1.0, -1.0]), np.zeros(2), np.eye(2))
    with pytest.raises(DataError, match="not finite"):
        frechet_distance(np.zeros(2), np.full((2, 2), np.inf), np.zeros(2), np.eye(2))
    with pytest.raises(ShapeError, match="n ≥ 2"):
        frechet_distance_from_features(np.zeros((1, 4)), np.zeros((3, 4)))
