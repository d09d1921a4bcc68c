"""Curves whose older points stand for many values, against the values themselves."""

import math
from pathlib import Path

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtWidgets import QAbstractButton, QLabel
from pytestqt.qtbot import QtBot

from dit_studio.config import Recipe
from dit_studio.events import Failure, JobState, Measured, Metrics, Progress, Resumed, Validation, Written
from dit_studio.jobs import event_log, long_history
from dit_studio.jobs.event_log import EventReader, EventWriter
from dit_studio.jobs.history_index import READING
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train import curve as curve_module
from dit_studio.ui.train import stretch
from dit_studio.ui.train.curve import Curve
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.decimation import envelope, visible
from dit_studio.ui.train.long_export import WriteTable, table_lines
from dit_studio.ui.train.plot_export import to_csv
from dit_studio.ui.train.plot_view import PlotView
from dit_studio.ui.train.plots import TrainPlots
from dit_studio.ui.train.readout import Readout
from dit_studio.ui.train.stretch import ReadStretch, StretchRead


@pytest.fixture(autouse=True)
def soon_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve, and a history, is long from some thousand values on."""
    monkeypatch.setattr(curve_module, "_MOST_VALUES", 4000)
    monkeypatch.setattr(curve_module, "_KEPT_VALUES", 2000)
    monkeypatch.setattr(stretch, "_MOST_VALUES", 1000)
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


def written(tmp_path: Path, count: int = 12_000) -> RunFolder:
    """A finished run that was resumed once, and measured now and then."""
    folder = RunFolder.create(tmp_path / "run", Recipe())
    values = noisy(count).tolist()
    with EventWriter(folder) as writer:
        for step in range(1, 5001):
            writer.append(metrics(step, 9.0 if step > 4900 else values[step - 1]))
            if step % 1000 == 0:
                writer.append(Validation(step=step, loss=values[step - 1]))
        writer.append(Resumed(step=4900))
        for step in range(4901, count + 1):
            writer.append(metrics(step, values[step - 1] if step % 777 else None))
            if step % 1500 == 0:
                writer.append(
                    Measured(step=step, metric="fd", name="FD", value=values[step - 1], low=0.1, n=100, floor_n=50)
                )
        writer.append(Validation(step=count + 1, loss=0.5))
    folder.write_status(Status(state=JobState.FINISHED, step=count, steps=count))
    return folder


def test_a_stretch_has_every_value_and_blocks_around_it(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (read,) = (event for event in ReadStretch(folder, 4600, 5200).events() if isinstance(event, StretchRead))
    loss, values, steps = read.history.loss, noisy(12_000), np.arange(1, 12_001)
    values[(steps > 4900) & (steps % 777 == 0)] = np.nan
    is_inside = (loss.x >= 4600) & (loss.x <= 5200)
    assert loss.x[is_inside].tolist() == list(range(4600, 5201))
    np.testing.assert_array_equal(loss.y[is_inside], values[4599:5200])
    assert loss.x[0] < 4600 - 256
    assert loss.x[-1] > 5200
    expected = classic_smoothing(values, 0.9)[4599:5200]
    apart = np.abs(loss.smoothed(0.9)[is_inside] - expected)
    assert np.nanmax(apart[300:]) < 1e-6


def test_the_table_of_a_long_history_is_that_of_every_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path)
    lines = list(table_lines(folder))
    monkeypatch.setattr(curve_module, "_MOST_VALUES", 100_000)
    raw = RunHistory()
    raw.add(folder.read_events())
    head, *rows = (line.split(",") for line in to_csv(raw).decode().split("\r\n")[:-1])
    places = [lines[0].split(",").index(name) for name in head if "loss t" not in name]
    kept = [index for index, name in enumerate(head) if "loss t" not in name]
    assert [[line.split(",")[place] for place in places] for line in lines[1:]] == [
        [row[index] for index in kept] for row in rows
    ]


def test_the_table_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, path = written(tmp_path), tmp_path / "curves.csv"
    *_, last = WriteTable(folder, path).events()
    assert isinstance(last, Written)
    assert path.read_bytes().count(b"\r\n") == 12_002
    stopped = WriteTable(folder, tmp_path / "other.csv")
    events = stopped.events()
    next(events)
    stopped.cancel()
    assert [type(event) for event in events] == [Failure]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curves.csv", "run"]


def test_zooming_in_draws_every_value(qtbot: QtBot, tmp_path: Path) -> None:
    folder = written(tmp_path)
    chosen = tmp_path / "table.csv"
    plots = TrainPlots(choose_file=lambda *_: chosen)
    qtbot.addWidget(plots)
    plots.resize(900, 600)
    plots.show_run(folder)
    job = OneJob(plots)
    job.received.connect(plots.add_events)
    plots.show()
    job.run(Launcher().follow(folder))
    try:
        qtbot.waitUntil(lambda: plots.history.last_step > 11_000, timeout=20_000)
        assert plots.history.loss.merged_until > 5000
        view = plots.findChildren(PlotView)[0]
        view.zoomed.emit(4880.0, 5000.0)
        qtbot.waitUntil(lambda: drawn_steps(view) >= set(range(4881, 5000)), timeout=20_000)
        view.pointed.emit(4950.0)
        readout = plots.findChildren(Readout)[0].text()
        assert f"raw {noisy(12_000)[4949]:#.4g}" in readout
        plots.fit()
        qtbot.waitUntil(lambda: max(drawn_steps(view)) > 11_000, timeout=20_000)
        button = next(b for b in plots.findChildren(QAbstractButton) if "CSV" in b.accessibleName() + b.text())
        button.click()
        qtbot.waitUntil(lambda: chosen.exists(), timeout=20_000)
        qtbot.waitUntil(lambda: "Saved table.csv." in [label.text() for label in plots.findChildren(QLabel)])
        assert len(chosen.read_bytes().splitlines()) == 12_002
    finally:
        job.close()
        plots.close_jobs()


def test_a_history_that_takes_long_to_read_says_so(qtbot: QtBot) -> None:
    plots = TrainPlots()
    qtbot.addWidget(plots)
    plots.add_events([Progress(stage=READING, done=3, total=9, unit="MB")])
    assert "Reading the history: 3 of 9 MB" in [label.text() for label in plots.findChildren(QLabel)]
    plots.add_events([metrics(1)])
    plots.show()
    qtbot.waitUntil(lambda: not any(READING in label.text() for label in plots.findChildren(QLabel)))


def drawn_steps(view: PlotView) -> set[int]:
    curves = [item.getData()[0] for item in view.box.allChildren() if isinstance(item, pg.PlotCurveItem)]
    return {int(step) for x in curves if x is not None for step in x}
