"""A model that a link brings to the Evaluate page: its reference, its checkpoints, and what does not fit."""

from collections.abc import Iterator

import pytest
from evaluate_setup_scenes import described, make_run_with_checkpoints, model, reference
from headers import write_header
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.events import SourceDescribed
from dit_studio.places import runs_dir
from dit_studio.ui.evaluate.set_up import EvaluateSetUp
from dit_studio.ui.settings import Settings

NOT_TRAINED = "The model was not trained on these images, but on"


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(answers={"describe_source": described})


@pytest.fixture
def set_up(qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher) -> Iterator[EvaluateSetUp]:
    make_run_with_checkpoints()
    result = EvaluateSetUp(settings, launcher)  # type: ignore[arg-type]
    qtbot.addWidget(result)
    result.resize(320, 900)
    result.show()
    yield result
    result.close_jobs()


def planned(qtbot: QtBot, column: EvaluateSetUp) -> EvaluationPlan:
    qtbot.waitUntil(lambda: column.plan() is not None)
    plan = column.plan()
    assert plan is not None
    return plan


def visible_text(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def test_the_reference_that_somebody_chose_offers_to_change_to_the_models_own(
    qtbot: QtBot, set_up: EvaluateSetUp
) -> None:
    set_up.reference.open_path("/data/held-out")
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    assert planned(qtbot, set_up).points[0].request.real == "/data/held-out"
    assert f"{NOT_TRAINED} landscapes." in visible_text(set_up.reference)
    QTest.mouseClick(set_up.reference.take_own, Qt.MouseButton.LeftButton)
    assert planned(qtbot, set_up).points[0].request.real == str(runs_dir() / "landscapes-B4")
    assert not set_up.reference.take_own.isVisible()
    assert NOT_TRAINED not in visible_text(set_up.reference)
    set_up.set_model(str(runs_dir() / "digits-XXS"))
    assert planned(qtbot, set_up).points[0].request.real == str(runs_dir() / "digits-XXS"), "nobody chose another"


def test_the_folder_that_the_model_was_trained_on_is_its_own(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.reference.open_path("/data/landscapes")
    set_up.set_model(str(runs_dir() / "landscapes-B4" / "checkpoints" / "step-0000500"))
    assert planned(qtbot, set_up).points[0].request.real == "/data/landscapes"
    assert not set_up.reference.take_own.isVisible()
    set_up.subject.show_mode("images")
    set_up.reference.open_path("/data/other")
    assert not set_up.reference.take_own.isVisible(), "no model is measured"


def test_the_reference_of_an_earlier_evaluation_gives_way_to_the_next_model(
    qtbot: QtBot, set_up: EvaluateSetUp
) -> None:
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.set_plan(planned(qtbot, set_up))
    set_up.set_model(str(runs_dir() / "digits-XXS"))
    assert planned(qtbot, set_up).points[0].request.real == str(runs_dir() / "digits-XXS")


def test_the_checkpoints_are_those_of_the_run_that_a_link_brings(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.subject.model.axes.add("checkpoint")
    other = runs_dir() / "landscapes-S4-cosine"
    for step in (300, 610):
        write_header(other / "checkpoints" / f"step-{step:07d}", classes=7)
    set_up.set_model(str(other))
    assert [point.label for point in planned(qtbot, set_up).points] == ["step 300", "step 610"]
    assert set_up.bar.buttons["evaluate"].isEnabled()
    set_up.set_model(str(runs_dir() / "digits-XXS"))
    assert len(planned(qtbot, set_up).points) == 1, "a run of one checkpoint has no curve over them"
    assert set_up.subject.model.axes.rows == []


def test_one_checkpoint_that_a_link_brings_is_measured_alone(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.subject.model.axes.add("checkpoint")
    assert len(planned(qtbot, set_up).points) > 1
    set_up.set_model(str(runs_dir() / "landscapes-B4" / "checkpoints" / "step-0000500"))
    assert len(planned(qtbot, set_up).points) == 1


def test_checkpoints_that_were_chosen_are_kept_for_the_same_run(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.subject.model.axes.add("checkpoint")
    set_up.subject.model.axes.rows[0].put("500, 1240")
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    assert [point.label for point in planned(qtbot, set_up).points] == ["step 500", "step 1,240"]


def test_another_run_that_is_picked_has_its_own_checkpoints_too(qtbot: QtBot, set_up: EvaluateSetUp) -> None:
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.subject.model.axes.add("checkpoint")
    box = set_up.subject.model.picker.runs
    box.setCurrentIndex(box.findText("digits-XXS"))
    box.activated.emit(box.currentIndex())
    assert set_up.subject.model.axes.rows == []
    assert len(planned(qtbot, set_up).points) == 1


def test_other_colours_and_sizes_are_said_before_anything_is_drawn(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher
) -> None:
    launcher.answers["describe_source"] = lambda path, role: [
        reference(path, size=(32, 32), colour="colour") if role == "real" else model(path, size=(8, 8), colour="grey")
    ]
    set_up.reference.open_path("/data/colourful")
    set_up.set_model(str(runs_dir() / "digits-XXS"))
    planned(qtbot, set_up)
    assert [caution.level for caution in set_up.reference.misfits.shown] == ["red", "amber"]
    text = visible_text(set_up.reference)
    assert "Red: The model draws images that are grey, the reference is in colour" in text
    assert "The model draws 8×8, the first image of the reference is 32×32: resizing alone makes a distance." in text
    set_up.subject.show_mode("images")
    set_up.reference.look()
    assert set_up.reference.misfits.shown == ()


def test_too_few_is_red_and_few_is_amber(qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher) -> None:
    for levels in (("red",), ("amber",), ()):
        launcher.answers["describe_source"] = [reference(warnings=("It is of few.",), levels=levels)]
        set_up.set_reference("/data/few")
        qtbot.waitUntil(lambda: set_up.reference.described is not None)
        assert [caution.level for caution in set_up.reference.warnings.shown] == [*levels, "amber"][:1]
        assert f"{(*levels, 'amber')[0].capitalize()}: It is of few." in visible_text(set_up.reference)


def test_saved_statistics_are_not_said_to_be_of_other_images(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher
) -> None:
    saved = SourceDescribed(path="/data/s.npz", role="real", source="statistics", images=600, has_images=False)
    launcher.answers["describe_source"] = lambda path, role: [saved] if path == saved.path else described(path, role)
    set_up.set_model(str(runs_dir() / "landscapes-B4"))
    set_up.reference.open_path("/data/other")
    assert planned(qtbot, set_up).points[0].request.real == "/data/other"
    assert set_up.reference.take_own.isVisible()
    set_up.reference.open_path(saved.path)
    qtbot.waitUntil(lambda: set_up.reference.described == saved)
    assert not set_up.reference.take_own.isVisible()
