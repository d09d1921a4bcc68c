"""The probe is as good as scikit-learn's, and says what it is worth itself."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from dit_studio.engine.evaluation import ClassProbe, class_agreement
from dit_studio.errors import DataError


def test_the_probe_is_as_good_as_scikit_learns() -> None:
    digits = load_digits()
    x, y = digits.data, digits.target
    probe = ClassProbe(x[:1000], y[:1000])
    reference = LogisticRegression(max_iter=3000).fit(x[:1000], y[:1000])
    assert probe.agreement(x[1000:], y[1000:]) > reference.score(x[1000:], y[1000:]) - 0.02
    assert probe.predict(x[:5]).shape == (5,)
    assert probe.agreement(x[1000:], (y[1000:] + 1) % 10) < 0.1


def test_agreement_stands_beside_that_of_real_images() -> None:
    digits = load_digits()
    x, y = digits.data, digits.target
    asked = y[1000:].copy()
    asked[asked == 3] = 4
    found = class_agreement(x[:1000], y[:1000], x[1000:], asked)
    assert found.of_real > 0.9
    assert 0.75 < found.share < found.of_real
    assert found.per_class.keys() == set(range(10)) - {3}
    assert found.per_class[4] < 0.7 < found.per_class[0]
    noise = np.random.default_rng(0).uniform(0, 16, (300, 64))
    assert class_agreement(x[:1000], y[:1000], noise, np.arange(300) % 10).share < 0.3


def test_a_class_without_real_images_is_named() -> None:
    x = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(DataError, match="Class 7 has too few real images for a probe: 0"):
        class_agreement(x, np.arange(20) % 2, x, np.full(20, 7))
