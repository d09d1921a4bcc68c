"""FID∞ is the end of a line: where the distances do not lie on one, that is said."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dit_studio.engine.evaluation import measurements
from dit_studio.engine.evaluation.extractors import open_extractor
from dit_studio.engine.evaluation.fit_caution import fit_caution
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.sides import Side
from dit_studio.evaluation_request import MetricResult
from tests.engine.digits import write_digits
from tests.engine.test_evaluate import measured


def result(r_squared: float, *, value: float | None = 3.0) -> MetricResult:
    return MetricResult(metric="fid-infinity", name="FD-random∞", value=value, details={"r_squared": r_squared})


@pytest.mark.parametrize(("r_squared", "is_said"), [(0.999, False), (0.9, False), (0.8994, True), (0.0, True)])
def test_a_fit_below_the_limit_is_cautioned_of(r_squared: float, is_said: bool) -> None:
    said = fit_caution([result(r_squared)])
    assert [(caution.level, caution.metric) for caution in said] == [("amber", "fid-infinity")] * is_said
    for caution in said:
        assert caution.message.startswith(f"R² is {r_squared:.2f}, below 0.9: the distances do not lie on a line over")


def test_others_have_no_fit() -> None:
    assert fit_caution([MetricResult(metric="fid", name="FID", value=1.0), result(0.1, value=None)]) == ()


def test_sides_that_hardly_differ_have_no_line() -> None:
    """A fixed offset dwarfs the bias of few images, which the line is of."""
    draws, sizes = np.random.default_rng(0), ((6000, 0.0), (5000, 3.0))
    real, fake = (Side(n=n, features={"features": draws.standard_normal((n, 2)) + shift}) for n, shift in sizes)
    found = measure("fid-infinity", Pair(real, fake, open_extractor("random", device=torch.device("cpu"))))
    assert found.details["r_squared"] < 0.9
    assert len(fit_caution([found])) == 1


def test_an_evaluation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measurements._MEASURES, "fid-infinity", lambda *_: result(0.2))
    real, fake = (write_digits(tmp_path / str(first), first=first, count=10) for first in (0, 10))
    cautions = measured(real, fake, metrics=["fid-infinity"], has_floor=False).cautions
    assert any(caution.message.startswith("R² is 0.20") for caution in cautions)
