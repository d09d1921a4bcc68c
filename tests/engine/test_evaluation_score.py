"""The Inception Score: golden figures, bounds, and what sorting by class does to it."""

import numpy as np
import pytest

from dit_studio.engine.evaluation import inception_score
from dit_studio.errors import DataError
from tests.engine.evaluation_golden import golden


def test_golden_numbers() -> None:
    logits = golden().logits
    assert inception_score(logits, splits=1) == (pytest.approx(2.6527473253, rel=1e-9), 0)
    ordered = inception_score(logits, shuffle_seed=None)
    assert ordered == (pytest.approx(2.6174215841, rel=1e-9), pytest.approx(0.0916728990, rel=1e-8))
    assert inception_score(logits) == (pytest.approx(2.6227337453, rel=1e-9), pytest.approx(0.1351987101, rel=1e-8))


def test_bounds() -> None:
    assert inception_score(np.zeros((50, 7)), splits=5).mean == pytest.approx(1, rel=1e-12)
    sure = 1000 * np.tile(np.eye(10), (20, 1))
    assert inception_score(sure, splits=1).mean == pytest.approx(10, rel=1e-12)
    assert np.isfinite(inception_score(1e6 * golden().logits, splits=500).mean)


def test_sorting_by_class_ruins_unshuffled_splits() -> None:
    """A perfect predictor of 1,000 classes: 100 as it comes, 909.57 shuffled."""
    logits = np.zeros((50_000, 1000), np.float16)
    logits[np.arange(50_000), np.repeat(np.arange(1000), 50)] = 1000
    assert inception_score(logits, shuffle_seed=None).mean == pytest.approx(100, rel=1e-9)
    assert inception_score(logits, shuffle_seed=0).mean == pytest.approx(909.57, abs=0.005)


def test_more_splits_than_images() -> None:
    with pytest.raises(DataError, match="4 images cannot be put into 10 splits"):
        inception_score(np.zeros((4, 10)))
