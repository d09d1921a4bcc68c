"""The left column of the Evaluate page, driven as a user would: reference, what is measured, Evaluate."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from evaluate_setup_scenes import KINDS, described, make_run_with_checkpoints, model, model_files, reference
from example_runs import make_runs
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.events import Failure, JobState, Progress
from dit_studio.places import runs_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.ui.evaluate.dialogs import SourceDialogs
from dit_studio.ui.evaluate.set_up import EvaluateSetUp
from dit_studio.ui.settings import Settings


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(answers={"describe_source": described})


@pytest.fixture
def made() -> Iterator[list[EvaluateSetUp]]:
    columns: list[EvaluateSetUp] = []
    yield columns
    for column in columns:
        column.close_jobs()


@pytest.fixture
def set_up(qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp]) -> EvaluateSetUp:
    return column_of(qtbot, settings, launcher, made)


def column_of(
    qtbot: QtBot,
    settings: Settings,
    launcher: ScriptedLauncher,
    made: list[EvaluateSetUp],
    dialogs: SourceDialogs | None = None,
) -> EvaluateSetUp:
    result = EvaluateSetUp(settings, launcher, dialogs)  # type: ignore[arg-type]
    made.append(result)
    qtbot.addWidget(result)
    result.resize(320, 900)
    result.show()
    return result


@pytest.fixture
def run() -> Path:
    return make_run_with_checkpoints()


@pytest.fixture
def ready(qtbot: QtBot, set_up: EvaluateSetUp, run: Path) -> EvaluateSetUp:
    """A run is measured against its own data set."""
    set_up.set_model(str(run))
    planned(qtbot, set_up)
    return set_up


def planned(qtbot: QtBot, column: EvaluateSetUp) -> EvaluationPlan:
    qtbot.waitUntil(lambda: column.plan() is not None)
    plan = column.plan()
    assert plan is not None
    return plan


def wait_for(qtbot: QtBot, column: EvaluateSetUp, sentence: str) -> None:
    qtbot.waitUntil(lambda: sentence in column.bar.text)


def type_into(editor: QWidget, text: str) -> None:
    editor.setFocus()
    QTest.keyClick(editor, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(editor, Qt.Key.Key_Delete)
    QTest.keyClicks(editor, text)


def press(button: QAbstractButton) -> None:
    assert button.isEnabled(), button.text()
    assert button.isVisible(), button.text()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def visible_text(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def drop(widget: QWidget, *paths: Path) -> bool:
    """Drag paths over a widget and let them go; whether it took them."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDropEvent(QPointF(9, 9), copy, mime, left, none, QEvent.Type.DragEnter)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(widget, QDropEvent(QPointF(9, 9), copy, mime, left, none))
    return True


# --------------------------------------------------------------------------------------------- a new user


def test_an_empty_page_says_what_to_do_first(qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path) -> None:
    assert set_up.plan() is None
    assert "First: the real images to measure against." in visible_text(set_up)
    assert set_up.bar.text == "Choose the reference first."
    assert not set_up.bar.buttons["evaluate"].isEnabled()
    assert "Off: choose the reference first." in set_up.bar.buttons["evaluate"].toolTip()
    assert drop(set_up.reference, tmp_path)
    wait_for(qtbot, set_up, "Choose a model to measure.")
    assert "4,319 images · 7 classes · folder" in visible_text(set_up.reference)
    make_run_with_checkpoints()
    set_up.subject.model.picker.refresh()
    box = set_up.subject.model.picker.runs
    box.setCurrentIndex(box.findText("landscapes-B4"))
    box.activated.emit(box.currentIndex())
    plan = planned(qtbot, set_up)
    assert set_up.bar.text == ""
    with qtbot.waitSignal(set_up.evaluate_asked):
        press(set_up.bar.buttons["evaluate"])
    request = plan.points[0].request
    assert (request.real, request.extractor) == (str(tmp_path), "random")


def test_a_model_alone_is_measured_against_its_own_data_set(ready: EvaluateSetUp, run: Path) -> None:
    plan = ready.plan()
    assert plan is not None
    assert plan.title == "landscapes-B4 against landscapes"
    (point,) = plan.points
    assert (point.request.real, point.request.fake) == (str(run), str(run))
    classes = tuple(range(len(KINDS)))
    asked = SampleRequest(classes=classes, count=1000, sampler="unipc", steps=20, cfg=2.0)
    assert point.request.sample == asked, "how the run itself draws"
    assert point.request.model_weights == "ema"
    assert "landscapes-B4 · step 1,240 · EMA" in visible_text(ready)


def test_the_reference_follows_the_model_until_somebody_chooses_it(
    qtbot: QtBot, ready: EvaluateSetUp, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp]
) -> None:
    other = runs_dir() / "digits-XXS"
    ready.set_model(str(other))
    assert planned(qtbot, ready).points[0].request.real == str(other)
    ready.remember()
    again = column_of(qtbot, settings, launcher, made)
    again.set_model(str(runs_dir() / "landscapes-B4"))
    assert planned(qtbot, again).points[0].request.real == str(runs_dir() / "landscapes-B4")
    again.reference.open_path(str(other))
    again.set_model(str(runs_dir() / "landscapes-B4" / "checkpoints" / "step-0000500"))
    assert planned(qtbot, again).points[0].request.real == str(other)


def test_a_reference_that_was_chosen_is_kept(qtbot: QtBot, set_up: EvaluateSetUp, run: Path) -> None:
    set_up.set_reference("/data/other")
    set_up.set_model(str(run))
    assert planned(qtbot, set_up).points[0].request.real == "/data/other"


def test_a_reference_is_browsed_for_or_picked_among_runs(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp], tmp_path: Path
) -> None:
    make_runs(runs_dir())
    dialogs = SourceDialogs(folder=lambda _: str(tmp_path), file=lambda _: "")
    column = column_of(qtbot, settings, launcher, made, dialogs)
    known = column.reference._known
    column.reference._fill_known()
    texts = [action.text() for action in known.actions() if not action.isSeparator()]
    assert texts == [
        "Data set of flowers and 數據",
        "Data set of landscapes-S4-cosine",
        "Data set of landscapes-B4",
        "Data set of digits-XXS",
    ]
    known.actions()[2].trigger()
    assert column.reference.path == str(runs_dir() / "landscapes-B4")
    column.reference._browse(dialogs.folder)
    assert column.reference.path == str(tmp_path)
    column.reference._browse(dialogs.file)
    assert column.reference.path == str(tmp_path), "nothing was chosen"
    qtbot.waitUntil(lambda: column.reference.described is not None)
    column.reference._fill_known()
    assert known.actions()[-1].text() == str(tmp_path), "it is among the recent ones"


def test_what_was_refused_is_not_among_the_recent_ones(
    qtbot: QtBot, set_up: EvaluateSetUp, settings: Settings, tmp_path: Path
) -> None:
    (broken := tmp_path / "broken").mkdir()
    assert drop(set_up.reference, broken)
    wait_for(qtbot, set_up, "The reference cannot be used.")
    assert settings.now.recent == []
    assert drop(set_up.reference, tmp_path)
    qtbot.waitUntil(lambda: settings.now.recent == [str(tmp_path)])


def test_a_dialog_begins_where_the_last_one_was_answered(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp], tmp_path: Path
) -> None:
    begun: list[str] = []

    def choose(start: str) -> str:
        begun.append(start)
        return str(tmp_path / f"chosen {len(begun)}")

    dialogs = SourceDialogs(folder=choose, file=choose)
    column = column_of(qtbot, settings, launcher, made, dialogs)
    column.reference._browse(column.reference._dialogs.folder)
    column.subject.images._browse(column.subject.images._dialogs.folder)
    again = column_of(qtbot, settings, launcher, made, dialogs)
    again.subject.images._browse(again.subject.images._dialogs.file)
    assert begun == [str(Path.home()), str(tmp_path), str(tmp_path)]
    for one in (column, again):
        qtbot.waitUntil(lambda one=one: "looked at" not in one.bar.text)


def test_several_that_are_dropped_on_the_reference_are_for_the_window(set_up: EvaluateSetUp, tmp_path: Path) -> None:
    assert not drop(set_up.reference, tmp_path, tmp_path.parent)
    assert set_up.reference.path == ""
    with_signal: list[bool] = []
    set_up.dropped.connect(lambda: with_signal.append(True))
    assert drop(set_up.reference, tmp_path)
    assert drop(set_up.subject, tmp_path)
    assert with_signal == [True, True]


def test_images_that_are_added_below_the_visible_part_are_scrolled_to(
    qtbot: QtBot, set_up: EvaluateSetUp, tmp_path: Path
) -> None:
    set_up.resize(320, 400)
    for number in range(9):
        (folder := tmp_path / str(number)).mkdir()
        set_up.take_images(str(folder))
    entry = set_up.subject.images.entries[-1]
    qtbot.waitUntil(lambda: entry.answer is not None)
    view = set_up._scrolling.viewport()
    qtbot.waitUntil(lambda: view.rect().contains(entry.mapTo(view, entry.rect().bottomLeft())))


def test_a_reference_that_cannot_be_used_says_why_and_is_looked_at_again(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher, run: Path
) -> None:
    set_up.set_model(str(run))
    set_up.set_reference("/data/broken")
    wait_for(qtbot, set_up, "The reference cannot be used.")
    assert set_up.plan() is None
    assert "/data/broken holds no images." in set_up.reference.message.text().replace("\u200b", "")
    launcher.answers["describe_source"] = lambda path, **_: [reference(path, warnings=("800 images are few.",))]
    again = next(one for one in set_up.reference.message.findChildren(QAbstractButton) if one.text() == "Look again")
    qtbot.waitUntil(again.isVisible)
    press(again)
    planned(qtbot, set_up)
    assert "800 images are few." in visible_text(set_up.reference)


def test_looking_at_a_reference_says_how_far_it_is(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher
) -> None:
    gate = threading.Event()
    progress = Progress(stage="listing files", done=300, total=None, unit="files")
    launcher.answers["describe_source"] = [progress, gate, reference()]
    set_up.set_reference("/data/large")
    qtbot.waitUntil(lambda: "Listing files: 300 files" in visible_text(set_up.reference))
    assert set_up.bar.text == "The reference is being looked at."
    gate.set()
    qtbot.waitUntil(lambda: set_up.reference.described is not None)
    assert "Listing files" not in visible_text(set_up.reference)


def test_a_worker_that_says_nothing_is_a_failure(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher
) -> None:
    launcher.answers["describe_source"] = []
    set_up.set_reference("/data/silent")
    wait_for(qtbot, set_up, "The reference cannot be used.")


# --------------------------------------------------------------------------------------------- a model and its curves


def test_one_click_gives_a_curve_over_every_checkpoint(qtbot: QtBot, ready: EvaluateSetUp, run: Path) -> None:
    press(ready.subject.model.axes.buttons["checkpoint"])
    plan = planned(qtbot, ready)
    assert [point.label for point in plan.points] == ["step 500", "step 1,000", "step 1,240"]
    assert plan.points[0].request.fake == str(run / "checkpoints" / "step-0000500")
    assert not ready.subject.model.axes.buttons["checkpoint"].isVisible()
    press(ready.subject.model.axes.buttons["cfg"])
    assert ready.subject.model.axes.rows[1].values.text() == "1, 1.5, 2, 4, 7"
    assert len(planned(qtbot, ready).points) == 15
    assert ready.subject.model.axes.count_text == "15 points · 15,000 images to draw"
    press(ready.subject.model.axes.rows[0].remove)
    plan = planned(qtbot, ready)
    assert [point.values for point in plan.points] == [("1",), ("1.5",), ("2",), ("4",), ("7",)]
    assert {point.request.fake for point in plan.points} == {str(run)}


def test_a_checkpoint_is_measured_over_the_checkpoints_of_its_run(
    qtbot: QtBot, set_up: EvaluateSetUp, run: Path
) -> None:
    set_up.set_model(str(run / "checkpoints" / "step-0000500"))
    assert planned(qtbot, set_up).title == "landscapes-B4 step 500 against landscapes"
    press(set_up.subject.model.axes.buttons["checkpoint"])
    assert len(planned(qtbot, set_up).points) == 3
    assert planned(qtbot, set_up).title == "landscapes-B4 against landscapes"


def test_three_axes_are_the_most(qtbot: QtBot, ready: EvaluateSetUp) -> None:
    axes = ready.subject.model.axes
    for name in ("cfg", "steps", "sampler"):
        press(axes.buttons[name])
    assert not axes.buttons["checkpoint"].isEnabled()
    assert axes.buttons["checkpoint"].toolTip() == "Off: a curve goes over at most 3 settings."
    assert len(planned(qtbot, ready).points) == 5 * 4 * 6


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cfg", "1, x", "CFG scale = x is not possible: it takes a number from 0 to 100."),
        ("cfg", "", "The sweep over cfg has no values."),
        ("steps", "50, 2000", "Steps = 2000 is not possible: it takes a whole number from 1 to 1000"),
        ("sampler", "ddim, ddim", "sampler = ddim is there twice."),
        ("checkpoint", "500, 77", "Checkpoint = 77 is not possible: it takes a checkpoint of the run"),
    ],
)
def test_a_value_that_is_not_possible_is_said_at_its_axis(
    ready: EvaluateSetUp, name: str, text: str, said: str
) -> None:
    press(ready.subject.model.axes.buttons[name])
    (row,) = ready.subject.model.axes.rows
    type_into(row.values, text)
    assert ready.plan() is None
    assert said.lower() in visible_text(row).lower()
    assert row.values.property("invalid")
    assert said.lower() in ready.bar.text.lower()
    type_into(row.values, {"cfg": "1", "steps": "9", "sampler": "ddim", "checkpoint": "500"}[name])
    assert ready.plan() is not None
    assert not row.values.property("invalid")


def test_a_setting_that_is_not_possible_is_said_at_its_field(ready: EvaluateSetUp) -> None:
    press(ready.subject.model.axes.buttons["cfg"])
    type_into(ready.subject.model.axes.rows[0].values, "1, -1")
    editor = ready.subject.model.drawing.form.editor("steps")
    type_into(editor, "5000")
    assert ready.plan() is None
    assert editor.property("invalid")
    assert ready.subject.model.axes.rows[0].values.property("invalid"), "all that is wrong is shown at once"
    assert ready.bar.text == "Steps = 5000 is not possible: it takes a whole number from 1 to 1000."


def test_a_model_without_guidance_has_no_curve_over_it(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher, run: Path
) -> None:
    one = model(has_null_class=False, classes=(), steps=(500,), settings="")
    launcher.answers["describe_source"] = lambda path, role: [one if role == "fake" else reference(path)]
    set_up.set_model(str(run))
    request = planned(qtbot, set_up).points[0].request
    assert request.sample is not None
    assert (request.sample.cfg, request.sample.classes) == (1, (0,))
    assert not set_up.subject.model.axes.buttons["cfg"].isEnabled()
    assert "no guidance" in set_up.subject.model.axes.buttons["cfg"].toolTip()


def test_another_models_samplers_are_taken_with_its_settings(
    qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher, run: Path
) -> None:
    flow = model(samplers=("flow-euler",), settings="")
    noise = model()
    answers = iter([flow, noise])
    launcher.answers["describe_source"] = lambda path, role: [next(answers) if role == "fake" else reference(path)]
    set_up.set_model(str(run))
    request = planned(qtbot, set_up).points[0].request
    assert request.sample is not None
    assert request.sample.sampler == "flow-euler"
    set_up.set_model(str(run / "checkpoints" / "step-0000500"))
    request = planned(qtbot, set_up).points[0].request
    assert request.sample is not None
    assert request.sample.sampler == "unipc"


def test_text_that_is_dropped_is_no_reference(set_up: EvaluateSetUp) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl("https://example.org/images.zip")])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDropEvent(QPointF(9, 9), copy, mime, left, none, QEvent.Type.DragEnter)
    QApplication.sendEvent(set_up.reference, enter)
    assert not enter.isAccepted()


def test_what_the_user_typed_is_not_replaced_by_the_runs_settings(
    qtbot: QtBot, set_up: EvaluateSetUp, run: Path
) -> None:
    type_into(set_up.subject.model.drawing.form.editor("steps"), "33")
    set_up.set_model(str(run))
    request = planned(qtbot, set_up).points[0].request
    assert request.sample is not None
    assert request.sample.steps == 33


def test_a_model_that_cannot_be_used_says_why(qtbot: QtBot, set_up: EvaluateSetUp, launcher: ScriptedLauncher) -> None:
    set_up.set_reference("/data/landscapes")
    qtbot.waitUntil(lambda: set_up.reference.described is not None)
    launcher.answers["describe_source"] = [Failure(message="step-0000500 is damaged.", remedy="Take another.")]
    set_up.set_model("/models/damaged")
    wait_for(qtbot, set_up, "The model cannot be used.")
    assert set_up.subject.model.picker.message.text() == "step-0000500 is damaged."
    launcher.answers["describe_source"] = [reference("/models/none", role="fake")]
    set_up.set_model("/models/none")
    qtbot.waitUntil(lambda: "is no model" in set_up.subject.model.picker.message.text())


def test_an_axis_that_is_added_before_the_model_is_known_gets_its_values_then(
    qtbot: QtBot, set_up: EvaluateSetUp, run: Path
) -> None:
    press(set_up.subject.model.axes.buttons["sampler"])
    assert set_up.subject.model.axes.rows[0].values.text() == ""
    set_up.set_model(str(run))
    assert len(planned(qtbot, set_up).points) == 6


# --------------------------------------------------------------------------------------------- what is going on


def test_the_buttons_follow_the_state_alone(qtbot: QtBot, ready: EvaluateSetUp) -> None:
    shown = {
        JobState.IDLE: ["Evaluate"],
        JobState.QUEUED: ["Evaluate"],
        JobState.PREPARING: ["Pause", "Stop"],
        JobState.RUNNING: ["Pause", "Stop"],
        JobState.PAUSED: ["Go on", "Stop"],
        JobState.STOPPING: ["Pause", "End at once"],
        JobState.STOPPED: ["Evaluate", "Go on"],
        JobState.FINISHED: ["Evaluate"],
        JobState.FAILED: ["Evaluate", "Go on"],
        JobState.INTERRUPTED: ["Evaluate", "Go on"],
    }
    for state in JobState:
        ready.show_state(state)
        assert [one.text() for one in ready.bar.buttons.values() if one.isVisible()] == shown[state]
    ready.show_state(JobState.STOPPING)
    assert not ready.bar.buttons["pause"].isEnabled()
    ready.show_state(JobState.RUNNING)
    for key, signal in (("pause", ready.pause_asked), ("stop", ready.stop_asked)):
        with qtbot.waitSignal(signal):
            press(ready.bar.buttons[key])
    ready.show_state(JobState.PAUSED, "2 of 20 points are measured.")
    assert "2 of 20 points are measured." in visible_text(ready.bar)
    with qtbot.waitSignal(ready.go_on_asked):
        press(ready.bar.buttons["go_on"])


def test_progress_is_shown_while_something_is_measured(ready: EvaluateSetUp) -> None:
    ready.show_progress("Drawing: 3 / 100", 3, 100)
    assert "Drawing" not in visible_text(ready.bar), "nothing goes on"
    ready.show_state(JobState.RUNNING, "Point 1 of 20")
    ready.show_progress("Drawing: 3 / 100 images · 12 images/s · until 14:20", 3, 100)
    assert "until 14:20" in visible_text(ready.bar)
    assert "Point 1 of 20" in visible_text(ready.bar)
    ready.show_state(JobState.PAUSED)
    assert "until 14:20" not in visible_text(ready.bar), "a pause has no end time"


def test_what_the_engine_refuses_is_shown_at_its_field(ready: EvaluateSetUp) -> None:
    ready.show_problems(
        [
            ("request.steps", "request.steps = 20 is not possible here."),
            ("sweep.cfg", "cfg = 9 is not possible."),
            ("evaluate.metrics", "FD is not possible."),
            ("evaluate.real", "The reference is gone."),
            ("evaluation.count", "evaluation.count = 7 is too few."),
        ]
    )
    assert ready.subject.model.drawing.form.editor("steps").property("invalid")
    assert "CFG" in visible_text(ready.subject.model.axes)
    assert "FD is not possible." in visible_text(ready.metrics)
    assert "Images (N) = 7 is too few." in visible_text(ready.metrics)
    assert ready.reference.message.text() == "The reference is gone."
    type_into(ready.metrics.form.editor("seed"), "3")
    assert "FD is not possible." not in visible_text(ready.metrics), "until the next edit"


# --------------------------------------------------------------------------------------------- what is remembered


def test_everything_comes_back_at_the_next_start(
    qtbot: QtBot, ready: EvaluateSetUp, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp]
) -> None:
    press(ready.subject.model.axes.buttons["cfg"])
    type_into(ready.subject.model.axes.rows[0].values, "1, 3")
    type_into(ready.subject.model.drawing.form.editor("count"), "64")
    type_into(ready.metrics.form.editor("seed"), "9")
    press(ready.metrics.boxes["mmd"])
    plan = planned(qtbot, ready)
    ready.remember()
    again = column_of(qtbot, settings, launcher, made)
    assert planned(qtbot, again) == plan
    assert "mmd" not in plan.points[0].request.metrics
    assert plan.points[0].request.seed == 9


def test_what_is_remembered_is_looked_at_only_when_it_is_seen(
    qtbot: QtBot, ready: EvaluateSetUp, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp]
) -> None:
    ready.remember()
    launcher.calls.clear()
    again = EvaluateSetUp(settings, launcher)  # type: ignore[arg-type]
    made.append(again)
    qtbot.addWidget(again)
    assert launcher.calls == []
    again.show()
    planned(qtbot, again)


def test_settings_that_someone_damaged_are_passed_over(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, made: list[EvaluateSetUp]
) -> None:
    settings.save_form(
        "evaluation",
        {"reference": 7, "subject": {"mode": [], "model": {"axes": "xy", "drawing": 3}, "images": None}, "metrics": 5},
    )
    column = column_of(qtbot, settings, launcher, made)
    assert column.plan() is None


def test_the_settings_of_an_earlier_evaluation(qtbot: QtBot, ready: EvaluateSetUp) -> None:
    press(ready.subject.model.axes.buttons["checkpoint"])
    press(ready.subject.model.axes.buttons["cfg"])
    ready.metrics.extractor.setCurrentIndex(ready.metrics.extractor.findData("inception"))
    ready.metrics.protocol.setCurrentIndex(1)
    press(ready.metrics.boxes["is"])
    type_into(ready.metrics.form.editor("count"), "500")
    plan = planned(qtbot, ready)
    first = plan.points[0].request
    assert (first.extractor, first.protocol, first.count) == ("inception", "clean", 500)
    ready.set_images(["/samples/a"], ["a"])
    ready.set_reference("/data/other")
    ready.metrics.extractor.setCurrentIndex(0)
    type_into(ready.metrics.form.editor("count"), "")
    assert planned(qtbot, ready) != plan
    ready.set_plan(plan)
    assert planned(qtbot, ready) == plan


def test_a_plan_that_goes_over_a_models_runs_own_settings_is_shown(qtbot: QtBot, ready: EvaluateSetUp) -> None:
    plan = planned(qtbot, ready)
    point = msgspec.structs.replace(
        plan.points[0], request=msgspec.structs.replace(plan.points[0].request, sample=None)
    )
    ready.set_plan(msgspec.structs.replace(plan, points=(point,)))
    assert ready.subject.mode == "model"
    assert planned(qtbot, ready).points[0].request.fake == point.request.fake


# --------------------------------------------------------------------------------------------- dropped


def test_the_first_images_that_are_dropped_are_the_reference_and_the_next_are_measured(
    qtbot: QtBot, set_up: EvaluateSetUp
) -> None:
    set_up.take_images("/data/real")
    set_up.take_images("/data/drawn")
    request = planned(qtbot, set_up).points[0].request
    assert (request.real, request.fake) == ("/data/real", "/data/drawn")


def test_a_run_that_is_dropped_below_the_reference_is_measured(
    qtbot: QtBot, set_up: EvaluateSetUp, run: Path, tmp_path: Path
) -> None:
    assert drop(set_up.subject, run)
    assert planned(qtbot, set_up).points[0].request.fake == str(run)
    assert drop(set_up.subject, tmp_path)
    assert set_up.subject.mode == "images"
    assert planned(qtbot, set_up).points[0].request.fake == str(tmp_path)


def test_files_of_models_that_are_there_are_no_problem(ready: EvaluateSetUp) -> None:
    ready.show_model_files(model_files("verified"))
    assert ready.plan() is not None
