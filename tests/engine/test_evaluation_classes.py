"""Classes that are no small whole numbers cost agreement at most, and one metric that fails costs no other."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dit_studio.engine.evaluation import class_agreement, measurements
from dit_studio.engine.evaluation.extractors import open_extractor
from dit_studio.engine.evaluation.finite import check_finite
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.sides import Side
from dit_studio.errors import DataError
from dit_studio.evaluation_request import Copy, Copying, EvaluationResult, Metric, MetricResult, NearImage
from tests.engine.digits import shuffled_digits
from tests.engine.test_evaluate import measured

METRICS = {"metrics": ["fid", "kid", "agreement", "copying"], "has_floor": False}
IMAGES, CLASSES = shuffled_digits()


def write(file: Path, labels: NDArray[np.generic], *, first: int = 0) -> str:
    np.savez(file, arr_0=IMAGES[first : first + len(labels), :, :, None], arr_1=labels)
    return str(file)


def agreement(result: EvaluationResult) -> MetricResult:
    """Of a result in which everything else is as it should be."""
    assert result.value("fid") is not None
    assert result.value("kid") is not None
    assert result.copying is not None
    return next(found for found in result.results if found.metric == "agreement")


@pytest.mark.parametrize("labels", [np.full(120, -1), np.full(120, 2**63 + 5, np.uint64)])
def test_a_reference_without_a_single_class_costs_agreement_alone(tmp_path: Path, labels: NDArray[np.generic]) -> None:
    real = write(tmp_path / "real.npz", labels)
    found = agreement(measured(real, write(tmp_path / "fake.npz", CLASSES[200:320], first=200), **METRICS))
    assert found.value is None
    assert "Not one image of the reference has a class" in found.why_no_value


def test_images_without_a_class_are_left_out_of_agreement(tmp_path: Path) -> None:
    labels = CLASSES[:240].copy()
    labels[:20] = -1
    asked = CLASSES[300:420].copy()
    asked[-10:] = -3
    real, fake = write(tmp_path / "real.npz", labels), write(tmp_path / "fake.npz", asked, first=300)
    found = agreement(measured(real, fake, **METRICS))
    assert (found.n_real, found.n_fake) == (220, 110)
    assert "30 images without a class, whose label is negative, left out" in found.estimator
    real = write(tmp_path / "some.npz", labels[20:], first=20)
    fake = write(tmp_path / "asked.npz", asked[:-10], first=300)
    assert agreement(measured(real, fake, **METRICS)).value == found.value


def test_large_labels_are_numbered(tmp_path: Path) -> None:
    figures = []
    for scale in (1, 10**10):
        real = write(tmp_path / "real.npz", CLASSES[:240] * scale)
        found = agreement(measured(real, write(tmp_path / "f.npz", CLASSES[300:420] * scale, first=300), **METRICS))
        assert f"{3 * scale}" in found.details
        figures.append((found.value, found.interval, list(found.details.values())))
    assert figures[0] == figures[1]


def test_classes_are_numbered_over_both_sides() -> None:
    real = np.repeat(np.eye(3), 40, axis=0)
    labels = np.repeat([7, 10**12, 12], 40)
    found = class_agreement(real, labels, real[40:], labels[40:])
    assert (found.share, found.per_class) == (1.0, {10**12: 1.0, 12: 1.0})


def test_a_metric_that_fails_in_an_unforeseen_way_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> MetricResult:
        raise RuntimeError("LAPACK: failed\nto converge.")

    monkeypatch.setitem(measurements._MEASURES, "kid", fail)
    monkeypatch.setattr("dit_studio.engine.evaluation.one_evaluation.find_copies", fail)
    real, fake = (write(tmp_path / f"{first}.npz", CLASSES[:40], first=first) for first in (0, 40))
    result = measured(real, fake, **METRICS)
    assert result.value("fid") is not None
    said = next(found for found in result.results if found.metric == "kid").why_no_value
    assert said == "It could not be computed: RuntimeError: LAPACK: failed to converge."
    assert result.why_no_copying == said


def overflowing(first: int) -> Side:
    """Finite features, whose third powers squared are not."""
    features = np.random.default_rng(first).uniform(1e37, 3e38, (120, 4)).astype(np.float32)
    return Side(n=120, features={"features": features}, numbers=np.arange(120), hashes=np.arange(120, dtype=np.uint64))


@pytest.mark.parametrize("metric", ["fid", "kid", "mmd", "precision", "coverage"])
def test_features_that_overflow_give_figures_that_can_be_written(metric: Metric) -> None:
    pair = Pair(overflowing(0), overflowing(120), open_extractor("random", device=torch.device("cpu")))
    found = measure(metric, pair)
    assert msgspec.json.decode(msgspec.json.encode(found), type=MetricResult) == found
    assert metric != "kid" or "came out as" in found.why_no_value


def test_a_distance_that_is_not_finite_is_named() -> None:
    near = NearImage(image="a.png", number=0, distance=float("inf"))
    copies = (Copy(image="b.png", number=0, nearest=(near,), is_closer=False),)
    found = Copying(
        share_closer=0.0, threshold=1.0, expected=0.05, floor=None, is_suspicious=False, exact=0, copies=copies
    )
    with pytest.raises(DataError, match="Its copies came out as inf"):
        check_finite(found)
