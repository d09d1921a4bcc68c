"""The Fréchet distance and the probe, against closed forms and independent implementations."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from dit_studio.engine.evaluation import ClassProbe, frechet_distance, frechet_distance_from_features
from dit_studio.errors import ShapeError


def golden() -> tuple[np.ndarray, np.ndarray]:
    """Features for which torch-fidelity's own code gives 1.7361888092."""
    draws = np.random.RandomState(1234)
    mix = draws.randn(64, 64) / 8
    generated = np.abs(draws.randn(600, 64) @ mix).astype(np.float32).astype(float)
    real = np.abs(draws.randn(500, 64) @ mix * 1.05 + 0.05).astype(np.float32).astype(float)
    return generated, real


def test_golden_number() -> None:
    generated, real = golden()
    assert frechet_distance_from_features(real, generated) == pytest.approx(1.7361888092, rel=1e-9)


def test_closed_forms() -> None:
    a = np.arange(1.0, 65.0)
    assert frechet_distance(np.zeros(64), np.diag(a), np.zeros(64), np.diag(4 * a)) == pytest.approx(2080, rel=1e-12)
    ones = np.eye(2048)
    assert frechet_distance(np.zeros(2048), ones, np.ones(2048), ones) == pytest.approx(2048, rel=1e-9)


def test_it_agrees_with_scipys_matrix_square_root() -> None:
    generated, real = golden()
    s1, s2 = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet_distance(real.mean(0), s1, generated.mean(0), s2) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("count", [20, 64, 65, 300])
def test_few_vectors_give_what_many_dimensions_give(count: int) -> None:
    """The two ways to the overlap agree, on singular covariances too."""
    generated, real = golden()
    generated, real = generated[:count], real[:count]
    s1, s2 = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    dense = frechet_distance(real.mean(0), s1, generated.mean(0), s2)
    assert frechet_distance_from_features(real, generated) == pytest.approx(dense, rel=1e-6, abs=1e-6)
    assert abs(frechet_distance_from_features(real, real)) < 1e-9


def test_a_shift_counts_its_square_and_order_does_not_count() -> None:
    generated, real = golden()
    assert frechet_distance_from_features(real, real + 0.5) == pytest.approx(64 * 0.25, rel=1e-9)
    assert frechet_distance_from_features(real, generated) == pytest.approx(
        frechet_distance_from_features(generated, real), rel=1e-9
    )


def test_features_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 4\) and \(3, 5\)"):
        frechet_distance_from_features(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="do not fit"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(4), np.eye(3))


def test_the_probe_is_as_good_as_scikit_learns() -> None:
    digits = load_digits()
    x, y = digits.data, digits.target
    probe = ClassProbe(x[:1000], y[:1000])
    reference = LogisticRegression(max_iter=3000).fit(x[:1000], y[:1000])
    assert probe.agreement(x[1000:], y[1000:]) > reference.score(x[1000:], y[1000:]) - 0.02
    assert probe.predict(x[:5]).shape == (5,)
    assert probe.agreement(x[1000:], (y[1000:] + 1) % 10) < 0.1
