"""Curves whose older points stand for many values, against the values themselves."""

import math
from pathlib import Path

import numpy as np
import pytest

from dit_studio.config import Recipe
from dit_studio.events import Metrics, Resumed, Validation
from dit_studio.jobs import event_log, long_history
from dit_studio.jobs.event_log import EventReader, EventWriter
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.train import curve as curve_module
from dit_studio.ui.train.curve import Curve
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.decimation import envelope, visible


@pytest.fixture(autouse=True)
def soon_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve, and a history, is long from some thousand values on."""
    monkeypatch.setattr(curve_module, "_MOST_VALUES", 4000)
    monkeypatch.setattr(curve_module, "_KEPT_VALUES", 2000)
    for module in (event_log, long_history):
        monkeypatch.setattr(module, "SHORT_BYTES", 2**19)


def noisy(count: int) -> np.ndarray:
    steps = np.arange(1, count + 1)
    return 0.1 + np.exp(-steps / 8000) + 0.1 * np.random.default_rng(0).standard_normal(count)


def grown(values: np.ndarray, *, smoothing: float | None = None) -> Curve:
    curve = Curve()
    for start in range(0, len(values), 300):
        part = values[start : start + 300]
        curve.extend(np.arange(start + 1.0, start + 1 + len(part)), part)
        if smoothing is not None:
            curve.smoothed(smoothing)
    return curve


def classic_smoothing(values: np.ndarray, amount: float) -> np.ndarray:
    """TensorBoard's loop, one value at a time."""
    last, count, result = 0.0, 0, []
    for value in values.tolist():
        if math.isfinite(value):
            last = last * amount + (1 - amount) * value
            count += 1
        result.append(last / (1 - amount**count) if math.isfinite(value) else value)
    return np.array(result)


def test_a_curve_stays_small_and_keeps_every_peak() -> None:
    values = noisy(50_000)
    values[[7, 20_000, 30_000]] = [99.0, -99.0, np.nan]
    curve = grown(values)
    assert len(curve) < 4300
    assert (np.diff(curve.x) > 0).all()
    assert curve.x[-1] == 50_000
    assert curve.nonpositive_count == np.count_nonzero(values <= 0)
    assert curve.values_between(0, 50_000) == 49_999
    _, y = envelope(curve, visible(curve.x, low=0, high=50_000), buckets=300)
    assert (np.nanmin(y), np.nanmax(y)) == (-99.0, 99.0)
    np.testing.assert_array_equal(curve.y[-2000:], values[-2000:])


def test_merged_points_are_means_and_ends_of_their_values() -> None:
    values = noisy(30_000)
    curve = grown(values)
    lows, highs = curve.ends(slice(0, curve.merged_count))
    begin = 0
    for index, end in enumerate(curve.x[: curve.merged_count].astype(int)):
        part = values[begin:end]
        np.testing.assert_allclose(curve.y[index], part.mean())
        assert (lows[index], highs[index]) == (part.min(), part.max())
        begin = end


def test_very_many_merged_points_become_half_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_module, "_MOST_MERGED", 64)
    values = noisy(60_000)
    curve = grown(values)
    assert curve.merged_count <= 64
    assert curve.values_between(0, 60_000) == 60_000
    merged = int(curve.merged_until)
    weights = np.diff(curve.x[: curve.merged_count], prepend=0)
    assert (curve.y[: curve.merged_count] * weights).sum() == pytest.approx(values[:merged].sum())


@pytest.mark.parametrize("amount", [0.9, 0.99, 0.999])
@pytest.mark.parametrize("is_smoothed_early", [False, True])
def test_smoothing_looks_like_tensorboards(amount: float, is_smoothed_early: bool) -> None:
    """Merged before it was smoothed, or smoothed while it grew: the eye sees a share of the height of the plot."""
    values = noisy(30_000)
    values[500:600] = np.nan
    curve = grown(values, smoothing=amount if is_smoothed_early else None)
    expected = classic_smoothing(values, amount)[curve.x.astype(int) - 1]
    smooth = curve.smoothed(amount)
    is_finite = np.isfinite(expected) & np.isfinite(smooth)
    apart = np.abs(smooth - expected)[is_finite]
    spread = 0.1 * math.sqrt((1 - amount) / (1 + amount))  # of the smoothed noise
    height = np.nanmax(values) - np.nanmin(values)
    assert apart.max() < max(4 * spread, 0.02 * height)
    assert (
        np.abs(smooth - expected)[-1000:].max() < 1e-3
    )  # the newest are exact as far as the memory of what was merged


def test_cutting_takes_back_what_was_merged() -> None:
    values = noisy(30_000)
    curve = grown(values)
    curve.cut(10_000)
    assert 10_000 - 256 <= curve.x[-1] <= 10_000
    curve.extend(np.arange(10_001.0, 10_101.0), np.full(100, 5.0))
    assert curve.values_between(10_001, 20_000) == 100
    assert curve.smoothed(0.0)[-1] == 5.0


def test_places_lie_on_the_values_that_were_said() -> None:
    history = RunHistory()
    for first in range(1, 30_001, 500):
        history.add([metrics(step) for step in range(first, first + 500)])
    assert history.images_seen.merged_count > 50
    steps = np.array([1000.0, 12_345.0, 29_999.0])
    np.testing.assert_allclose(history.positions(steps, "images"), 64 * steps, rtol=1e-6)
    np.testing.assert_allclose(history.steps_at(0.5 * steps, "seconds"), steps, rtol=1e-6)


# ------------------------------------------------------------------------------------------------- from a file


def metrics(step: int, loss: float | None = 0.5) -> Metrics:
    return Metrics(
        step=step, loss=loss, learning_rate=1e-4, images_seen=64 * step, seconds=0.5 * step, bands=(0.1, None)
    )


def test_a_history_in_blocks_draws_what_the_raw_one_does(tmp_path: Path) -> None:
    values = noisy(12_000)
    values[[3000, 3001, 3002, 7000]] = np.nan
    folder = RunFolder.create(tmp_path / "run", Recipe())
    with EventWriter(folder) as writer:
        for step, loss in enumerate(values[:9000].tolist(), 1):
            writer.append(metrics(step, loss if math.isfinite(loss) else None))
            if step % 1000 == 0:
                writer.append(Validation(step=step, loss=loss))
        writer.append(Resumed(step=8765))
        for step in range(8766, 12_001):
            writer.append(metrics(step, float(values[step - 1])))
    told = [event for event in EventReader(folder).history() if event is not None]
    assert not all(isinstance(event, Metrics | Validation | Resumed) for event in told)
    blocks, raw = RunHistory(), RunHistory()
    blocks.add(told)
    raw.add(folder.read_events())

    assert blocks.last_step == raw.last_step == 12_000
    assert [flag for flag in blocks.flags if flag.kind != "not finite"] == [
        flag for flag in raw.flags if flag.kind != "not finite"
    ]
    assert {flag.step for flag in blocks.flags if flag.kind == "not finite"} == {3001, 7001}
    assert blocks.validation.y.tolist() == raw.validation.y.tolist()
    assert len(blocks.bands) == len(raw.bands)
    assert blocks.loss.values_between(0, 12_000) == 12_000 - 4
    steps = np.linspace(1, 12_000, 77)
    np.testing.assert_allclose(blocks.positions(steps, "images"), raw.positions(steps, "images"))
    for low, high in ((0, 12_000), (2000, 4000), (8000, 9500)):
        (least, greatest), (raw_least, raw_greatest) = (
            (np.nanmin(y), np.nanmax(y))
            for history in (blocks, raw)
            for _, y in [envelope(history.loss, visible(history.loss.x, low=low, high=high), buckets=50)]
        )
        assert least <= raw_least + 1e-12
        assert greatest >= raw_greatest - 1e-12
