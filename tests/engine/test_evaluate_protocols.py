"""The ways of resizing that the window offers are those that the extractors have."""

import pytest

from dit_studio.engine.evaluation.extractors import NAMES, protocols_of
from dit_studio.engine.evaluation.extractors.transformers_models import PUBLISHED
from dit_studio.engine.evaluation.preprocessing import INCEPTION_WAYS, RANDOM_64
from dit_studio.engine.evaluation.versions import versions_for
from dit_studio.evaluation_metrics import PROTOCOLS, metrics_of, needed_extractor
from dit_studio.evaluation_request import METRICS


def test_every_extractor_has_its_protocols() -> None:
    published = {name: (model.preprocessing.name,) for name, model in PUBLISHED.items()}
    assert {"random": (RANDOM_64.name,), "inception": tuple(INCEPTION_WAYS)} | published == PROTOCOLS
    assert {name: protocols_of(name) for name in NAMES} == PROTOCOLS


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_served_by_what_it_needs(metric: str) -> None:
    served_by = {name for name in NAMES if metric in metrics_of(name)}
    needed = needed_extractor(metric)  # type: ignore[arg-type]
    assert served_by == ({needed} if needed else set(NAMES))


def test_versions_are_of_everything_that_features_go_through() -> None:
    plain = {"dit-studio", "python", "torch", "numpy", "pillow"}
    assert versions_for("random").keys() == versions_for("inception").keys() == plain
    assert versions_for("clip-b32").keys() == versions_for("align").keys() == plain | {"transformers"}
