"""Runs compared: the curves, over which axis, what is odd, and what is saved of them."""

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from dit_studio.config import parse_recipe
from dit_studio.events import Event, Measured, Metrics, Validation
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import change_label
from dit_studio.jobs.run_list import list_runs
from dit_studio.ui.runs.compare import ComparePanel
from dit_studio.ui.runs.differences import environment_table, sameness_words
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.overlay import LOSS, VALIDATION, measures, overlay, time_unit, to_csv
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.curves import RunHistory

_STEPS = 50


def _said(*, pace: float = 0.5, batch: int = 8, losses: bool = True) -> list[Event]:
    events: list[Event] = []
    for step in range(1, _STEPS + 1):
        loss = 1 / step if losses else None
        events.append(Metrics(step=step, loss=loss, learning_rate=1e-3, images_seen=batch * step, seconds=pace * step))
    events.append(Validation(step=25, loss=0.5))
    events.append(Measured(step=50, metric="fid", name="FID-random-64", value=12.0))
    return events


def _history(**how: float) -> RunHistory:
    history = RunHistory()
    history.add(_said(**how))  # type: ignore[arg-type]
    return history


def test_a_curve_lies_over_steps_images_or_seconds() -> None:
    history = _history(pace=0.5, batch=8)
    steps = np.arange(1.0, _STEPS + 1)
    for axis, expected in (("step", steps), ("images", 8 * steps), ("seconds", 0.5 * steps)):
        one = overlay("a", history, measure=LOSS, axis=axis, smoothing=0.0)  # type: ignore[arg-type]
        np.testing.assert_allclose(one.x, expected)
        np.testing.assert_allclose(one.y, 1 / steps)
        np.testing.assert_allclose(one.smooth, 1 / steps)
        assert one.problem == ""
    validation = overlay("a", history, measure=VALIDATION, axis="seconds", smoothing=0.9)
    assert (validation.x.tolist(), validation.y.tolist()) == ([12.5], [0.5])
    figure = overlay("a", history, measure="FID-random-64", axis="images", smoothing=0.9)
    assert (figure.x.tolist(), figure.y.tolist()) == ([400.0], [12.0])
    assert measures([history, RunHistory()]) == [LOSS, VALIDATION, "FID-random-64"]


def test_what_is_missing_or_odd_is_said() -> None:
    empty = RunHistory()
    assert overlay("a", empty, measure=VALIDATION, axis="step", smoothing=0).problem == "a has no validation loss"
    assert "being read" in overlay("a", None, measure=LOSS, axis="step", smoothing=0).problem
    silent = RunHistory()
    silent.add([Metrics(step=1, loss=1.0, learning_rate=1e-3)])
    assert overlay("a", silent, measure=LOSS, axis="images", smoothing=0).problem == "a did not write down its images"
    assert overlay("a", silent, measure=LOSS, axis="seconds", smoothing=0).problem == "a did not write down its time"
    bad = overlay("a", _history(losses=False), measure=LOSS, axis="step", smoothing=0)
    assert bad.problem == "a has 50 values that are not finite"


def test_the_unit_of_time_is_that_of_the_longest_run() -> None:
    def lasting(pace: float) -> tuple[str, float]:
        each = (_history(pace=one) for one in (0.01, pace))
        return time_unit([overlay("a", one, measure=LOSS, axis="seconds", smoothing=0) for one in each])

    assert lasting(1.0) == ("seconds", 1.0)
    assert lasting(10.0) == ("minutes", 60.0)
    assert lasting(200.0) == ("hours", 3600.0)
    assert time_unit([]) == ("seconds", 1.0)


def test_the_table_has_a_line_for_each_point() -> None:
    one = overlay('a, "b"', _history(), measure=VALIDATION, axis="seconds", smoothing=0)
    assert to_csv([one], VALIDATION, "seconds") == [
        ["run", "step", "seconds", "validation loss", "validation loss smoothed"],
        ['a, "b"', "25", "12.5", "0.5", "0.5"],
    ]
    bad = overlay("a", _history(losses=False), measure=LOSS, axis="step", smoothing=0)
    assert to_csv([bad], LOSS, "step")[1] == ["a", "1", "", ""]


def test_environments_differ_in_lines() -> None:
    one, other = {"torch": "2.13", "device": "H200"}, {"torch": "2.13", "device": "cpu", "threads": "2"}
    assert environment_table([one, other], only_differences=True) == [
        ("environment.device", ["H200", "cpu"]),
        ("environment.threads", ["?", "2"]),
    ]
    assert environment_table([one, one], only_differences=True) == []
    assert len(environment_table([one, one], only_differences=False)) == 2


def test_where_no_difference_is_found_only_what_is_known_is_said() -> None:
    recipe, machine = parse_recipe({}), {"device": "cpu"}
    assert environment_table([machine, {}, machine], only_differences=True) == []
    both = [recipe, recipe]
    same, not_known = "These runs have the same settings", "What b ran on is not known."
    assert sameness_words("ab", both, [machine, machine]) == f"{same} and ran on the same machine."
    assert sameness_words("ab", both, [machine, None]) == f"{same}."  # still being read
    assert sameness_words("ab", both, [machine, {}]) == f"{same}. {not_known}"
    assert sameness_words("ab", [recipe, None], [machine, {}]) == f"The settings of b cannot be read. {not_known}"
    assert sameness_words("abc", [None] * 3, [machine] * 3) == "The settings of a, b and c cannot be read."


def test_a_run_whose_settings_cannot_be_read_makes_no_differences(
    panel: ComparePanel, rows: list[RunRow], qtbot: QtBot
) -> None:
    for row in rows[:2]:
        (row.path / "environment.json").unlink()
    (rows[0].path / "run.toml").write_text("[train]\nsteps = 0\n")
    broken, *others = sorted(list_runs(rows[0].path.parent), key=lambda run: run.title)
    panel.show_runs([RunRow(summary=summary) for summary in (broken, others[0])])
    qtbot.waitUntil(lambda: len(_curves(panel)) == 2)
    assert panel._nothing.isVisible()
    assert panel._nothing.text() == "The settings of a cannot be read. What a and b ran on is not known."
    panel.only_differences.click()
    assert panel.table.isVisible()
    assert panel._unread.text() == "The settings of a cannot be read."


def test_the_axis_stays_whole_above_a_long_note(panel: ComparePanel, rows: list[RunRow], qtbot: QtBot) -> None:
    for number, row in enumerate(rows):
        change_label(row.summary.folder, title=f"{number} is a run whose name is far too long for a single line of it")
    panel.show_runs([RunRow(summary=summary) for summary in list_runs(rows[0].path.parent)])
    qtbot.waitUntil(lambda: len(_curves(panel)) == 3)
    panel.controls.axis.setCurrentIndex(panel.controls.axis.findData("seconds"))
    panel.controls.measure.setCurrentText(VALIDATION)
    panel._note.setText(panel._note.text() * 4)
    panel.resize(700, 300)
    plot, note = panel.plot, panel._note
    assert plot is not None

    def is_whole() -> bool:
        above, below = plot.mapTo(panel, plot.rect().bottomLeft()), note.mapTo(panel, note.rect().topLeft())
        return above.y() < below.y() and plot.height() >= plot.minimumHeight() > 0

    qtbot.waitUntil(is_whole)
    assert note.height() >= note.heightForWidth(note.width())


def test_paths_that_differ_at_their_ends_look_different(panel: ComparePanel, rows: list[RunRow], qtbot: QtBot) -> None:
    """A line of a cell is cut in its middle, and not wrapped before its last word."""
    panel.show_runs(rows)
    qtbot.waitUntil(lambda: len(_curves(panel)) == 3)
    assert not panel.table.wordWrap()
    assert panel.table.textElideMode() == Qt.TextElideMode.ElideMiddle


@pytest.fixture
def rows(tmp_path: Path) -> list[RunRow]:
    for name, pace in (("a", 0.5), ("b", 5.0), ("c", 0.0)):
        folder = RunFolder.create(tmp_path / "runs" / name, parse_recipe({"train": {"seed": int(pace)}}))
        with EventWriter(folder) as writer:
            for event in _said(pace=pace):
                writer.append(event)
        environment = {"torch": "2.13.0", "device": f"GPU of {name}", "pid": 7}
        (folder.path / "environment.json").write_bytes(msgspec.json.encode(environment))
    return [RunRow(summary=summary) for summary in sorted(list_runs(tmp_path / "runs"), key=lambda run: run.title)]


@pytest.fixture
def panel(qtbot: QtBot, settings: Settings, tmp_path: Path) -> Iterator[ComparePanel]:
    result = ComparePanel(settings, save=lambda _panel, name, _kinds: str(tmp_path / name))
    qtbot.addWidget(result)
    result.resize(1000, 400)
    result.show()
    yield result
    result.close_job()


def _curves(panel: ComparePanel) -> list[list[float]]:
    return [] if panel.plot is None else [item.getOriginalDataset()[0].tolist() for item in panel.plot.listDataItems()]


def test_the_axis_is_switched_and_remembered(
    panel: ComparePanel, rows: list[RunRow], qtbot: QtBot, settings: Settings
) -> None:
    panel.show_runs(rows)
    qtbot.waitUntil(lambda: len(_curves(panel)) == 3)
    assert _curves(panel)[0][-1] == 50
    panel.controls.axis.setCurrentIndex(panel.controls.axis.findData("seconds"))
    assert [curve[-1] for curve in _curves(panel)] == pytest.approx([25 / 60, 250 / 60])  # minutes
    assert panel._note.text() == "c did not write down its time."
    panel.controls.smoothing.setValue(0)
    assert settings.form("compare") == {"axis": "seconds", "smoothing": 0.0}
    panel.controls.measure.setCurrentText("FID-random-64")
    assert [len(curve) for curve in _curves(panel)] == [1, 1]
    assert not panel.controls.smoothing.isEnabled()


def test_machines_are_compared_too(panel: ComparePanel, rows: list[RunRow], qtbot: QtBot) -> None:
    panel.show_runs(rows)
    qtbot.waitUntil(lambda: len(_curves(panel)) == 3)
    model = panel.table.model()
    lines = {model.index(line, 0).data(): model.index(line, 2).data() for line in range(model.rowCount())}
    assert lines == {"train.seed": "5", "environment.device": "GPU of b"}


def test_curves_are_saved(panel: ComparePanel, rows: list[RunRow], qtbot: QtBot, tmp_path: Path) -> None:
    panel.show_runs(rows)
    qtbot.waitUntil(lambda: len(_curves(panel)) == 3)
    panel.controls.csv.click()
    with (tmp_path / "comparison.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert len(lines) == 1 + 3 * _STEPS
    assert lines[1][:3] == ["a", "1", "1"]
    panel.controls.png.click()
    picture = QImage(str(tmp_path / "comparison.png"))
    assert picture.width() == 2 * panel._picture.width()
    colours = {picture.pixelColor(x, y).rgb() for x in range(0, picture.width(), 3) for y in range(picture.height())}
    assert len(colours) > 10
    assert "comparison.png" in panel._note.text()


def test_what_was_said_since_is_read_again(panel: ComparePanel, rows: list[RunRow], qtbot: QtBot) -> None:
    panel.show_runs(rows[:2])
    qtbot.waitUntil(lambda: len(_curves(panel)) == 2)
    with EventWriter(rows[0].summary.folder) as writer:
        writer.append(Metrics(step=60, loss=0.01, learning_rate=1e-3))
    panel.read_again()
    qtbot.waitUntil(lambda: _curves(panel)[0][-1] == 60)
