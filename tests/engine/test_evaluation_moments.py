"""Streaming moments: any batches, any merging and any stop give NumPy's mean and covariance."""

import itertools

import numpy as np
import pytest

from dit_studio.engine.evaluation import Moments
from dit_studio.errors import DataError, ShapeError

FEATURES = np.random.default_rng(0).standard_normal((700, 12)) * np.arange(1, 13) + 1000


def moments(features: np.ndarray) -> Moments:
    made = Moments(features.shape[1])
    made.add(features)
    return made


@pytest.mark.parametrize("size", [1, 7, 64, 512, 700])
def test_any_batches_give_numpys(size: int) -> None:
    made = Moments(12)
    for first in range(0, 700, size):
        made.add(FEATURES[first : first + size])
    assert made.n == 700
    np.testing.assert_allclose(made.mean, FEATURES.mean(0), rtol=1e-13)
    np.testing.assert_allclose(made.covariance(), np.cov(FEATURES, rowvar=False), rtol=0, atol=1e-10)
    np.testing.assert_allclose(made.covariance(is_biased=True), np.cov(FEATURES, rowvar=False, ddof=0), atol=1e-10)


def test_merging_is_associative_and_takes_empty_ones() -> None:
    parts = [FEATURES[:1], FEATURES[1:5], FEATURES[5:5], FEATURES[5:600], FEATURES[600:]]
    for order in itertools.permutations(range(5)):
        merged = moments(parts[order[0]])
        right = moments(parts[order[3]])
        right.merge(moments(parts[order[4]]))
        for part in order[1:3]:
            merged.merge(moments(parts[part]))
        merged.merge(right)
        np.testing.assert_allclose(merged.covariance(), np.cov(FEATURES, rowvar=False), atol=1e-10)


def test_a_saved_state_goes_on() -> None:
    first = moments(FEATURES[:300].astype(np.float32))
    resumed = Moments.from_state(first.state())
    resumed.add(FEATURES[300:])
    first.add(FEATURES[300:])
    assert resumed.n == 700
    np.testing.assert_array_equal(resumed.covariance(), first.covariance())
    np.testing.assert_allclose(resumed.covariance(), resumed.covariance().T, rtol=1e-12)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(DataError, match="at least 2 images; there are 1"):
        moments(FEATURES[:1]).covariance()
    with pytest.raises(ShapeError, match="12"):
        moments(FEATURES).add(np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="5 numbers"):
        moments(FEATURES).merge(Moments(5))
    with pytest.raises(DataError, match="not whole: 'mean'"):
        Moments.from_state({"n": np.array(3)})
    with pytest.raises(DataError, match="do not fit"):
        Moments.from_state({"n": np.array(3), "mean": np.zeros(3), "m2": np.zeros((2, 2))})
