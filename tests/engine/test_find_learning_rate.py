"""The range test: what it suggests, beside training at fixed rates; and that nothing is left of it."""

import gc
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dit_studio.engine.find_learning_rate import _parts, find_learning_rate
from dit_studio.engine.training import train
from dit_studio.errors import DataError
from dit_studio.events import Event, Validation
from dit_studio.findings import has_run_away, rate_found
from dit_studio.machine_events import RateFound, RateTried
from tests.engine.digits import write_digits


@pytest.fixture(autouse=True)
def _little_to_collect() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    return {
        "data": {"path": write_digits(tmp_path / "digits", first=0, count=300), "image_size": 8, "color": "grey"},
        "model": {"hidden_size": 32, "depth": 2, "num_heads": 2, "patch_size": 4, "learn_sigma": False},
        "train": {"batch_size": 32},
    }


def _found(events: Sequence[Event]) -> RateFound:
    assert isinstance(events[-1], RateFound)
    return events[-1]


def _loss_after(tables: dict[str, Any], place: Path, rate: float, *, steps: int) -> float:
    """Of a run at this rate from its first step on, on the images held out."""
    settings = {
        "steps": steps, "learning_rate": rate, "warmup_steps": 0, "validate_every": steps, "preview_every": 0,
        "ema_decay": 0.0, "checkpoint_every": 0,
    }  # fmt: skip
    place.mkdir()
    events = train(
        recipe={**tables, "train": {**tables["train"], **settings}}, folder=str(place), next_command=lambda _: None
    )
    losses = [event.loss for event in events if isinstance(event, Validation)]
    return math.inf if losses[-1] is None else losses[-1]


def test_the_suggestion_learns_nearly_as_well_as_the_best_fixed_rate(tables: dict[str, Any], tmp_path: Path) -> None:
    found = _found(list(find_learning_rate(tables)))
    assert found.learning_rate is not None
    assert found.lowest is not None
    assert found.diverged is not None
    assert found.learning_rate < found.lowest < found.diverged
    rates = [1e-5, 1e-3, 3e-3, 1e-2, 3e-2, found.learning_rate]
    losses = [_loss_after(tables, tmp_path / f"{number}", rate, steps=120) for number, rate in enumerate(rates)]
    assert losses[-1] < 1.15 * min(losses), dict(zip(rates, losses, strict=True))
    assert losses[0] > 2 * min(losses), "a rate far below does not learn"


def test_the_curve_rises_evenly_and_ends_where_the_loss_runs_away(tables: dict[str, Any]) -> None:
    tried = [event for event in find_learning_rate(tables, 60) if isinstance(event, RateTried)]
    rates = [one.learning_rate for one in tried]
    assert rates[0] == pytest.approx(1e-7)
    np.testing.assert_allclose(np.diff(np.log10(rates)), 7 / 59, rtol=1e-6)
    assert has_run_away(tried)
    assert not has_run_away(tried[:-1])
    jumps = np.abs(np.diff([one.loss or 0.0 for one in tried[:20]]))
    assert jumps.max() < 1e-3, "where nothing is learned yet, no draw of a batch moves the loss"


def test_the_smoothed_loss_is_the_weighted_mean_of_those_before(tables: dict[str, Any]) -> None:
    tried = [event for event in find_learning_rate(tables, 40) if isinstance(event, RateTried)][:25]
    losses = np.array([one.loss for one in tried])
    for number, one in enumerate(tried, start=1):
        weights = 0.8 ** np.arange(number)[::-1]
        assert one.smoothed == pytest.approx(np.average(losses[:number], weights=weights))


def _state() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), torch.get_num_threads(), str(np.random.get_state())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_everything_is_as_it_was(tables: dict[str, Any], tmp_path: Path, *, is_cancelled: bool) -> None:
    before, files = _state(), _files(tmp_path)
    test = find_learning_rate(tables, 20)
    tried = []
    for event in test:
        tried += [event] if isinstance(event, RateTried) else []
        if is_cancelled and len(tried) == 4:
            test.close()
    assert len(tried) == 4 if is_cancelled else len(tried) > 10
    assert _state() == before
    assert _files(tmp_path) == files, "no run is written"


def _files(place: Path) -> list[Path]:
    """Without the decoded images that are kept for the run."""
    return sorted(path for path in place.rglob("*") if "cache" not in path.parts)


def test_without_images_there_is_a_sentence() -> None:
    with pytest.raises(DataError, match="no images to learn from"):
        list(find_learning_rate({}))


def test_one_device_takes_the_batch_of_several_in_parts() -> None:
    assert _parts(32, at_least=1) == 1
    assert _parts(32, at_least=3) == 4
    assert _parts(7, at_least=2) == 7
    assert _parts(1, at_least=4) == 1


# ------------------------------------------------------------------------------------------------- what it means


def _curve(loss_at: Any, *, until: float = 1.0) -> list[RateTried]:
    rates = [rate for rate in np.geomspace(1e-7, 1.0, 141).tolist() if rate <= until * 1.001]
    losses = [loss_at(math.log10(rate)) for rate in rates]
    return [
        RateTried(step=step, learning_rate=rate, loss=loss, smoothed=loss)
        for step, (rate, loss) in enumerate(zip(rates, losses, strict=True))
    ]


def _sigmoid(place: float) -> float:
    return 1 - 0.8 / (1 + math.exp(-4 * (place + 3))) + 3 * max(0.0, place + 1) ** 2


def test_the_steepest_place_is_suggested() -> None:
    found = rate_found(_curve(_sigmoid))
    assert found.learning_rate == pytest.approx(1e-3, rel=0.15)
    assert found.lowest == pytest.approx(0.1, rel=0.5)
    assert found.diverged is not None


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    found = rate_found(_curve(lambda place: 0.5 + max(0.0, place + 1)))
    assert found.learning_rate is None
    assert "The loss never fell by more than 1%: it began at 0.5, and 0.5 was the lowest." in found.reason


def test_a_test_that_was_ended_early_says_so() -> None:
    found = rate_found(_curve(_sigmoid, until=1e-2))
    assert found.learning_rate == pytest.approx(1e-3, rel=0.15)
    assert "ended at a rate of 0.01, before the loss ran away" in found.reason
    assert "ended at a rate of 1e-06" in rate_found(_curve(_sigmoid, until=1e-6)).reason
    assert rate_found([]).reason == "The test was ended before anything could be seen."


def test_what_is_not_a_number_has_run_away() -> None:
    tried = [*_curve(_sigmoid, until=0.1), RateTried(step=200, learning_rate=0.2, loss=None, smoothed=None)]
    assert has_run_away(tried)
    assert rate_found(tried).diverged == 0.2
    assert "from the first steps on" in rate_found(tried[-1:]).reason
