"""The numbers behind the plots, against plain loops."""

import math

import numpy as np
import pytest

from dit_studio.events import CheckpointSaved, Failure, Metrics, Resumed, Validation
from dit_studio.ui.train.axes import log_ticks, number_text
from dit_studio.ui.train.curve import Curve
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.decimation import envelope, robust_range, sampled, visible
from dit_studio.ui.train.plot_export import to_csv


def classic_smoothing(values: list[float], amount: float) -> list[float]:
    """TensorBoard's loop, one value at a time."""
    finite = [value for value in values if math.isfinite(value)]
    if len(set(finite)) <= 1:
        return values
    last, count, result = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            result.append(value)
            continue
        last = last * amount + (1 - amount) * value
        count += 1
        result.append(last / (1 - amount**count))
    return result


def noisy(count: int, *, gaps: bool = False) -> np.ndarray:
    values = np.random.default_rng(0).lognormal(0.0, 0.5, count)
    if gaps:
        values[[0, 3, 4, count // 2]] = np.nan
    return values


def curve_of(values: np.ndarray) -> Curve:
    curve = Curve()
    curve.extend(np.arange(1.0, len(values) + 1), values)
    return curve


@pytest.mark.parametrize("amount", [0.0, 0.6, 0.98, 0.999])
@pytest.mark.parametrize("gaps", [False, True])
def test_smoothing_is_that_of_tensorboard(amount: float, gaps: bool) -> None:
    values = noisy(5000, gaps=gaps)
    expected = classic_smoothing(values.tolist(), amount)
    np.testing.assert_allclose(curve_of(values).smoothed(amount), expected, rtol=1e-9)


def test_smoothing_piece_by_piece_is_smoothing_at_once() -> None:
    values = noisy(3000, gaps=True)
    curve = Curve()
    for start in range(0, 3000, 7):
        piece = values[start : start + 7]
        curve.extend(np.arange(start, start + len(piece), dtype=float), piece)
        curve.smoothed(0.99)
    np.testing.assert_allclose(curve.smoothed(0.99), curve_of(values).smoothed(0.99), rtol=1e-9)


def test_a_constant_stays_as_it_is() -> None:
    assert (curve_of(np.full(300, 0.1)).smoothed(0.9) == 0.1).all()


def test_smoothing_forgets_what_was_cut() -> None:
    curve = curve_of(noisy(400))
    curve.smoothed(0.9)
    curve.cut(100)
    curve.extend(np.array([101.0, 102.0]), np.array([5.0, 6.0]))
    expected = classic_smoothing([*noisy(400)[:100], 5.0, 6.0], 0.9)
    np.testing.assert_allclose(curve.smoothed(0.9), expected, rtol=1e-9)


def test_a_point_that_is_not_newer_replaces_the_rest() -> None:
    curve = curve_of(np.array([1.0, 2.0, 3.0, -1.0]))
    assert curve.nonpositive_count == 1
    curve.append(3.0, 9.0)
    assert curve.x.tolist() == [1.0, 2.0, 3.0]
    assert curve.y.tolist() == [1.0, 2.0, 9.0]
    assert curve.nonpositive_count == 0


def test_the_nearest_point_is_read_out() -> None:
    curve = curve_of(np.array([10.0, 20.0, 30.0]))
    assert [curve.at(step, curve.y) for step in (-5, 1.4, 1.6, 3, math.inf)] == [10.0, 10.0, 20.0, 30.0, 30.0]
    assert math.isnan(Curve().at(1, np.empty(0)))


def test_an_envelope_keeps_every_peak_and_few_points() -> None:
    y = noisy(100_000)
    y[54_321], y[777] = 99.0, -99.0
    curve = curve_of(y)
    few_x, few_y = envelope(curve, visible(curve.x, low=0, high=100_000), buckets=500)
    assert len(few_x) <= 1000
    assert (np.diff(few_x) >= 0).all()
    assert few_y.max() == 99.0
    assert few_y.min() == -99.0


def test_an_envelope_does_not_change_behind_the_newest_bucket() -> None:
    curve = curve_of(noisy(9000))
    before = envelope(curve, slice(0, 8500), buckets=600)[1]
    after = envelope(curve, slice(0, 9000), buckets=600)[1]
    np.testing.assert_array_equal(before[:-2], after[: len(before) - 2])


def test_an_envelope_of_nothing_but_gaps_is_a_gap() -> None:
    curve = curve_of(np.full(64, np.nan))
    assert np.isnan(envelope(curve, slice(0, 64), buckets=8)[1]).all()


def test_sampling_ends_with_the_newest_point() -> None:
    x, y = np.arange(1000.0), noisy(1000)
    few_x, few_y = sampled(x, y, slice(0, 1000), buckets=100)
    assert len(few_x) <= 100
    assert (few_x[-1], few_y[-1]) == (999.0, y[-1])


def test_the_range_ignores_outliers_but_shows_the_newest() -> None:
    values = np.concatenate([np.linspace(1.0, 2.0, 1000), [1e6], [2.5]])
    low, high = robust_range(values) or (0, 0)
    assert low >= 1.0
    assert high == 2.5
    assert robust_range(np.array([np.nan])) is None


def test_visible_takes_one_more_on_each_side() -> None:
    assert visible(np.arange(10.0), low=3.5, high=5.5) == slice(3, 7)


@pytest.mark.parametrize(
    ("value", "spacing", "text"),
    [
        (0.0, 1.0, "0"),
        (12_000, 2000, "12k"),
        (1500, 500, "1.5k"),
        (2_000_000, 1e6, "2M"),
        (0.1, 0.02, "0.10"),
        (2e-4, 1e-4, "2e-4"),
        (1.5e-4, 5e-5, "1.5e-4"),
        (300, 20, "300"),
        (-40, 20, "-40"),
        (2e11, 1e11, "200G"),
        (1.5e12, 5e11, "1.5e12"),
        (1e17, 1e17, "1e17"),
        (-4e28, 2e28, "-4e28"),
        (2e26, 0.0, "2e26"),
        (1e300, 5e299, "1.0e300"),
    ],
)
def test_ticks_are_short(value: float, spacing: float, text: str) -> None:
    assert number_text(value, spacing) == text


@pytest.mark.parametrize(("low", "high"), [(-3.0, 2.0), (-1.2, -0.3), (-0.35, -0.30), (0.0, 12.0)])
def test_a_logarithmic_axis_always_has_ticks_in_sight(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)


# ------------------------------------------------------------------------------------------------- a run


def metrics(first: int, last: int, *, loss: float | None = 0.5) -> list[Metrics]:
    return [
        Metrics(step=step, loss=loss, learning_rate=1e-4, images_seen=64 * step, seconds=0.5 * step, bands=(0.1, None))
        for step in range(first, last + 1)
    ]


def test_resuming_cuts_what_is_overwritten() -> None:
    history = RunHistory()
    history.add([*metrics(1, 100), Validation(step=100, loss=0.4), CheckpointSaved(step=100, file="c")])
    history.add([*metrics(101, 130), Validation(step=125, loss=0.3), Failure(message="killed", step=130)])
    history.add([Resumed(step=100), *metrics(101, 110, loss=0.7)])
    assert history.loss.x.tolist() == list(range(1, 111))
    assert history.loss.y[-1] == 0.7
    assert history.validation.x.tolist() == [100.0]
    assert [flag.kind for flag in history.flags] == ["checkpoint", "resume"]


def test_a_band_without_a_sample_leaves_no_point() -> None:
    history = RunHistory()
    history.add(metrics(1, 5))
    assert [len(curve) for curve in history.bands] == [5, 0]


def test_a_row_of_bad_losses_has_one_flag() -> None:
    history = RunHistory()
    history.add([*metrics(1, 3), *metrics(4, 5, loss=None)])
    history.add(metrics(6, 6, loss=None))
    history.add([*metrics(7, 7), *metrics(8, 8, loss=None)])
    assert [(flag.kind, flag.step) for flag in history.flags] == [("not finite", 4), ("not finite", 8)]


def test_steps_and_other_axes_translate_both_ways() -> None:
    history = RunHistory()
    history.add(metrics(1, 100))
    steps = np.array([1.0, 50.0, 100.0])
    for axis, expected in (("step", steps), ("images", steps * 64), ("seconds", steps / 2)):
        positions = history.positions(steps, axis)
        np.testing.assert_allclose(positions, expected)
        np.testing.assert_allclose(history.steps_at(positions, axis), steps)


def test_the_table_has_a_line_a_step_and_empty_cells() -> None:
    history = RunHistory()
    history.add([*metrics(1, 2), Validation(step=2, loss=0.25), *metrics(3, 3, loss=None)])
    head, *lines = to_csv(history).decode().splitlines()
    names = head.split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["loss"] for row in rows] == ["0.5", "0.5", ""]
    assert [row["validation_loss"] for row in rows] == ["", "0.25", ""]
    assert rows[0]["loss t 0–499"] == "0.1"
