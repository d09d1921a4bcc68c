"""Images that are measured as they are: several side by side, names, a sweep's cells."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from evaluate_setup_scenes import described, reference
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher
from test_evaluate_set_up import drop, planned, press, type_into, visible_text, wait_for

from dit_studio.events import JobState
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import CellState, ModelLimits, SweepAxis, SweepRecord, plan_sweep
from dit_studio.ui.evaluate.dialogs import SourceDialogs
from dit_studio.ui.evaluate.set_up import EvaluateSetUp
from dit_studio.ui.settings import Settings

LIMITS = ModelLimits(num_classes=3, class_names=(), timesteps=1000, samplers=("ddim",), has_null_class=True)


@pytest.fixture
def set_up(qtbot: QtBot, settings: Settings, tmp_path: Path) -> Iterator[EvaluateSetUp]:
    """A reference is chosen, and images are to be."""
    launcher = ScriptedLauncher(answers={"describe_source": described})
    dialogs = SourceDialogs(folder=lambda _: str(tmp_path / "browsed"), file=lambda _: "")
    result = EvaluateSetUp(settings, launcher, dialogs)  # type: ignore[arg-type]
    qtbot.addWidget(result)
    result.resize(320, 900)
    result.show()
    result.set_reference("/data/real")
    press(result.subject.buttons["images"])
    wait_for(qtbot, result, "Choose the images to measure.")
    yield result
    result.close_jobs()


def make_sweep(folder: Path, *, drawn: int = 4) -> Path:
    """A sweep over CFG and steps, of which some cells are drawn."""
    axes = (SweepAxis(name="cfg", values=("1", "4")), SweepAxis(name="steps", values=("10", "50")))
    plan = plan_sweep(SampleRequest(), model="/models/one", weights="ema", axes=axes, limits=LIMITS)
    states = tuple(CellState(state="drawn" if number < drawn else "waiting") for number in range(len(plan.cells)))
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_bytes(msgspec.json.encode(SweepRecord(plan=plan, states=states)))
    return folder


def test_several_folders_are_measured_side_by_side(qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("baseline", "cfg4")]
    for folder in folders:
        folder.mkdir()
    assert drop(set_up.subject, *folders)
    plan = planned(qtbot, set_up)
    assert [point.label for point in plan.points] == ["baseline", "cfg4"]
    assert [point.request.fake for point in plan.points] == [str(folder) for folder in folders]
    assert plan.title == "baseline, cfg4 against real"
    assert plan.points[0].request.sample is None
    assert "1,000 images · 7 classes · folder" in visible_text(set_up.subject)


def test_names_can_be_changed_and_are_told_apart(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_images(["/a/samples", "/b/other"], ["samples", "other"])
    planned(qtbot, set_up)
    second = set_up.subject.images.entries[1]
    type_into(second.name, "samples")
    assert set_up.plan() is None
    assert 'two sets of images are called "samples"' in set_up.bar.text.lower()
    type_into(second.name, "CFG 4")
    assert [point.label for point in planned(qtbot, set_up).points] == ["samples", "CFG 4"]
    set_up.subject.images.add("/c/samples")
    assert [point.label for point in planned(qtbot, set_up).points] == ["samples", "CFG 4", "samples 2"]


def test_the_same_images_are_not_taken_twice(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_images(["/a/samples"], ["samples"])
    set_up.subject.images.add("/a/samples")
    assert len(planned(qtbot, set_up).points) == 1
    assert set_up.subject.images.message.text() == "/a/samples is there already."


def test_images_that_cannot_be_used_say_so_and_can_be_left_out(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_images(["/a/broken", "/b/good"], ["first", "second"])
    wait_for(qtbot, set_up, 'The images "first" cannot be used.')
    entry = set_up.subject.images.entries[0]
    assert "/a/broken holds no images. Choose a folder of PNG or JPEG files." in visible_text(entry)
    press(entry.remove)
    assert [point.label for point in planned(qtbot, set_up).points] == ["second"]


def test_browsing_adds_one_more(qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path) -> None:
    images = set_up.subject.images
    images._browse(images._dialogs.folder)
    assert [point.label for point in planned(qtbot, set_up).points] == ["browsed"]
    images._browse(images._dialogs.file)
    assert len(planned(qtbot, set_up).points) == 1, "nothing was chosen"
    assert planned(qtbot, set_up).points[0].request.fake == str(tmp_path / "browsed")


def test_a_model_among_the_images_says_where_it_belongs(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.subject.images._question._launcher.answers["describe_source"] = [  # type: ignore[attr-defined]
        reference("/models/one", source="model", role="fake")
    ]
    set_up.set_images(["/models/one"], ["one"])
    wait_for(qtbot, set_up, 'The images "one" cannot be used.')
    assert 'Choose "A model" above' in visible_text(set_up.subject.images)


def test_a_sweeps_cells_become_points(qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep-1", drawn=3)
    set_up.set_images(["/a/samples"], ["samples"])
    assert drop(set_up.subject, folder)
    plan = planned(qtbot, set_up)
    assert [axis.name for axis in plan.axes] == ["cfg", "steps"]
    assert len(plan.points) == 3
    assert plan.points[0].request.fake == str(folder / "cells/000")
    assert plan.title == "one: CFG scale × Steps against real"
    assert "A sweep over CFG scale × Steps: 3 of 4 cells are drawn, each is a point." in visible_text(set_up.subject)
    press(set_up.subject.images.forget_sweep)
    assert set_up.bar.text == "Choose the images to measure."


def test_a_sweep_is_shown_again_from_its_plan(qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path) -> None:
    set_up.set_sweep(make_sweep(tmp_path / "sweep"))
    plan = planned(qtbot, set_up)
    set_up.set_images(["/a/samples"], ["samples"])
    assert planned(qtbot, set_up) != plan
    set_up.set_plan(plan)
    assert planned(qtbot, set_up) == plan


def test_a_sweep_that_cannot_be_read_says_so(set_up: EvaluateSetUp, tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep")
    (folder / "sweep.json").write_text("{")
    set_up.set_sweep(folder)
    assert set_up.plan() is None
    assert set_up.bar.text == "The sweep cannot be used."
    assert "is damaged" in set_up.subject.images.message.text()


def test_a_sweep_of_which_nothing_is_drawn_has_no_points(set_up: EvaluateSetUp, tmp_path: Path) -> None:
    set_up.set_sweep(make_sweep(tmp_path / "sweep", drawn=0))
    assert set_up.plan() is None
    assert set_up.bar.text == "No cell of the sweep is drawn yet."


def test_images_are_remembered(qtbot: QtBot, set_up: EvaluateSetUp, settings: Settings) -> None:
    set_up.set_images(["/a/samples", "/b/other"], ["samples", "other"])
    plan = planned(qtbot, set_up)
    launcher = ScriptedLauncher(answers={"describe_source": described})
    again = EvaluateSetUp(settings, launcher)  # type: ignore[arg-type]
    qtbot.addWidget(again)
    again.show()
    assert planned(qtbot, again) == plan
    again.close_jobs()


def test_leaving_out_what_is_being_looked_at(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_images(["/a/one", "/b/two"], ["one", "two"])
    press(set_up.subject.images.entries[0].remove)
    set_up.show_state(JobState.IDLE)
    assert [point.label for point in planned(qtbot, set_up).points] == ["two"]
    QTest.keyClicks(set_up.subject.images.entries[0].name, "!")
    assert planned(qtbot, set_up).points[0].label.endswith("!")
