"""The left column of the Sample page, driven as a user would: model, classes, settings, Generate."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_runs import make_runs
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from sample_setup_scenes import KINDS, example_model

from dit_studio.class_names import imagenet_names
from dit_studio.events import Failure, JobState
from dit_studio.places import runs_dir
from dit_studio.sample_request import SampleOptions, SampleRequest
from dit_studio.ui import theme
from dit_studio.ui.sample.model_picker import ModelDialogs, ModelPicker
from dit_studio.ui.sample.options import DEFAULTS
from dit_studio.ui.sample.set_up import SampleSetUp
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.basics import WholeText


@pytest.fixture
def set_up(qtbot: QtBot, settings: Settings) -> SampleSetUp:
    result = SampleSetUp(settings)
    qtbot.addWidget(result)
    result.resize(300, 760)
    result.show()
    return result


@pytest.fixture
def ready(set_up: SampleSetUp) -> SampleSetUp:
    set_up.show_model(example_model())
    return set_up


@pytest.fixture
def _look_restored(qapp: QApplication) -> Iterator[None]:
    yield
    theme.apply_theme(qapp, "dark")


def type_into(qtbot: QtBot, column: SampleSetUp, name: str, text: str) -> None:
    editor = column.options.form.editor(name)
    editor.setFocus()
    qtbot.keyClick(editor, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(editor, text)


def press(qtbot: QtBot, button: QAbstractButton) -> None:
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


# --------------------------------------------------------------------------------------------- Generate


def test_there_is_nothing_to_generate_without_a_model(set_up: SampleSetUp) -> None:
    assert set_up.request() is None
    assert not set_up.bar.generate.isEnabled()
    assert set_up.bar.text == "Choose a model first."


def test_generate_asks_for_what_is_set(qtbot: QtBot, ready: SampleSetUp) -> None:
    type_into(qtbot, ready, "steps", "20")
    type_into(qtbot, ready, "seed", "7")
    with qtbot.waitSignal(ready.generate_asked):
        press(qtbot, ready.bar.generate)
    asked = {**DEFAULTS, "steps": 20, "seed": 7}
    assert ready.request() == SampleRequest(classes=tuple(range(len(KINDS))), **asked)


def test_the_buttons_follow_the_state(qtbot: QtBot, ready: SampleSetUp) -> None:
    for state in JobState:
        ready.show_state(state)
        assert ready.bar.generate.isEnabled() is not state.is_active
        assert ready.bar.stop.isEnabled() is state.is_active
    ready.show_state(JobState.STOPPING)
    assert ready.bar.stop.text() == "End at once"
    with qtbot.waitSignal(ready.stop_asked):
        press(qtbot, ready.bar.stop)


def test_a_sentence_says_how_it_ended(ready: SampleSetUp) -> None:
    ready.show_state(JobState.RUNNING)
    ready.show_progress("Step 3 of 50", 3, 50)
    ready.show_state(JobState.STOPPED, "stopped; 2 finished and kept")
    assert ready.bar.text == "Stopped; 2 finished and kept"


# --------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("steps", "0", "Steps = 0 is not possible: it takes a whole number from 1 to 1000."),
        ("steps", "100000", "Steps = 100000 is not possible: it takes a whole number from 1 to 1000."),
        ("steps", "2000", "Steps = 2000 is not possible: it takes a whole number from 1 to 1000."),
        ("cfg", "-1", "CFG scale = -1.0 is not possible: it takes a number from 0 to 100."),
        ("cfg", "nan", "CFG scale = nan is not possible: it takes a number from 0 to 100."),
        ("count", "none", "Count = 'none' is not possible: it takes a whole number from 1 to 10,000,000."),
        ("seed", "-3", "Seed = -3 is not possible"),
    ],
)
def test_a_setting_that_is_not_possible_says_so_beside_it(
    qtbot: QtBot, ready: SampleSetUp, name: str, text: str, said: str
) -> None:
    type_into(qtbot, ready, name, text)
    assert ready.request() is None
    assert not ready.bar.generate.isEnabled()
    assert said in ready.options.form.editor(name).accessibleDescription()
    assert said in ready.why_not()
    assert said in ready.bar.text
    type_into(qtbot, ready, name, "3")
    assert ready.request() is not None
    assert ready.bar.generate.isEnabled()


def test_only_the_samplers_that_serve_the_model_are_offered(ready: SampleSetUp) -> None:
    ready.show_model(example_model(samplers=("flow-euler", "heun"), objective="flow"))
    box = ready.options.form.editor("sampler")
    assert [box.itemText(number) for number in range(box.count())] == ["flow-euler", "heun"]  # type: ignore[attr-defined]
    request = ready.request()
    assert request is not None
    assert request.sampler == "flow-euler"
    ready.set_request(SampleRequest(sampler="ddim"))
    assert box.accessibleDescription() == "ddim is not possible: it does not serve this model. flow-euler is kept."


def test_a_model_without_a_null_class_says_why_there_is_no_cfg(ready: SampleSetUp) -> None:
    cfg = ready.options.form.editor("cfg")
    assert cfg.isVisible()
    ready.show_model(example_model(has_null_class=False))
    assert not cfg.isVisible()
    assert "there is no CFG" in visible_text(ready)
    request = ready.request()
    assert request is not None
    assert request.cfg == 1
    ready.show_model(example_model())
    request = ready.request()
    assert request is not None
    assert request.cfg == 4


def test_eta_is_for_ddim_alone(qtbot: QtBot, ready: SampleSetUp) -> None:
    box = ready.options.form.editor("sampler")
    type_into(qtbot, ready, "eta", "2")
    assert ready.request() is None
    qtbot.keyClicks(box, "unipc")
    request = ready.request()
    assert request is not None, "what is not shown is not wrong"
    assert (request.sampler, request.eta) == ("unipc", 0)


def test_an_interval_that_ends_before_it_begins(qtbot: QtBot, ready: SampleSetUp) -> None:
    type_into(qtbot, ready, "cfg_from", "400")
    type_into(qtbot, ready, "cfg_to", "300")
    assert ready.why_not() == "Guide to t = 300 is not possible: guidance starts at t = 400. Choose 400 or more."
    assert ready.options.form.editor("cfg_to").isVisible(), "what is wrong is not folded away"


def test_the_cost_is_said(qtbot: QtBot, ready: SampleSetUp) -> None:
    assert ready.options.cost() == "4 images × 50 steps × 2 (guidance) = 400 passes · trajectory ≈ 17 MB"
    type_into(qtbot, ready, "cfg", "1")
    assert ready.options.cost().startswith("4 images × 50 steps = 200 passes")
    qtbot.keyClicks(ready.options.form.editor("sampler"), "heun")
    assert ready.options.cost().startswith("4 images × 99 evaluations = 396 passes")


def test_fewer_images_than_classes_are_said(qtbot: QtBot, ready: SampleSetUp) -> None:
    assert "Only the first of the 7 classes are drawn; 7 images show each." in visible_text(ready)
    type_into(qtbot, ready, "count", "7")
    assert "Only the first" not in visible_text(ready)
    type_into(qtbot, ready, "count", "2")
    ready.classes.none_button.click()
    assert "Only the first" not in visible_text(ready)


def test_dice_and_a_new_seed_each_time(qtbot: QtBot, ready: SampleSetUp) -> None:
    press(qtbot, ready.options.dice)
    first = ready.next_request()
    assert first is not None
    assert first == ready.next_request(), "the same until it is asked otherwise"
    qtbot.mouseClick(ready.options.new_each_time, Qt.MouseButton.LeftButton)
    if not ready.options.new_each_time.isChecked():
        ready.options.new_each_time.click()
    seeds = {request.seed for _ in range(5) if (request := ready.next_request())}
    assert len(seeds) > 1


def test_tab_goes_through_the_settings_as_they_stand(ready: SampleSetUp) -> None:
    options = ready.options
    more = next(one for one in options.findChildren(QAbstractButton) if one.text() == "More settings")
    more.click()
    first = options.form.editor("sampler")
    first.setFocus()
    reached: list[QWidget | None] = [first]
    while reached[-1] is not ready.bar.generate:
        QTest.keyClick(ready.windowHandle(), Qt.Key.Key_Tab)
        reached.append(QApplication.focusWidget())
    editors = {name: options.form.editor(name) for name in SampleOptions.__struct_fields__}
    seed = [editors["seed"], options.dice, options.new_each_time]
    advanced = [editors[name] for name in ("eta", "cfg_channels", "cfg_from", "cfg_to", "batch_size")]
    basic = [first, editors["steps"], editors["cfg"], *seed, editors["count"], more]
    assert reached == [*basic, *advanced, ready.bar.generate]


def test_what_the_engine_refuses_is_said_at_its_field(ready: SampleSetUp) -> None:
    ready.show_problems([("request.batch_size", "64 do not fit."), ("classes", "Class 9 is not there.")])
    assert ready.options.form.editor("batch_size").accessibleDescription() == "64 do not fit."
    assert "Class 9 is not there." in visible_text(ready)


def test_what_was_typed_is_remembered(qtbot: QtBot, ready: SampleSetUp, settings: Settings) -> None:
    type_into(qtbot, ready, "steps", "0")
    type_into(qtbot, ready, "seed", "99")
    ready.classes.set_classes((1, 2))
    ready.classes.view.setFocus()
    ready.classes.view.setCurrentIndex(ready.classes.view.model().index(5, 0))
    qtbot.keyClick(ready.classes.view, Qt.Key.Key_Space)
    again = SampleSetUp(settings)
    qtbot.addWidget(again)
    again.show_model(example_model())
    assert "Steps = 0" in again.why_not()
    assert again.options.form.values()["seed"] == 99
    assert again.classes.classes() == (1, 2, 5)


def test_a_request_is_shown_as_it_is(ready: SampleSetUp) -> None:
    wanted = SampleRequest(
        classes=(2, 5), sampler="unipc", steps=12, cfg=2.5, seed=4, count=3, cfg_from=10, cfg_to=700, batch_size=2
    )
    ready.set_request(wanted)
    assert ready.request() == wanted
    ready.set_request(SampleRequest(classes=(1,)))
    assert ready.request() == SampleRequest(classes=(1,)), "nothing of the one before is left"


def test_a_request_that_comes_before_its_model_waits_for_it(set_up: SampleSetUp) -> None:
    set_up.set_request(SampleRequest(classes=(3,), steps=7))
    set_up.show_loading("Loading")
    assert set_up.request() is None
    set_up.show_model(example_model())
    assert set_up.request() == SampleRequest(classes=(3,), steps=7)


def test_a_request_whose_model_is_opened_too_keeps_its_numbers(ready: SampleSetUp) -> None:
    ready.set_request(SampleRequest(classes=(1,)))
    ready.show_loading("Loading")
    ready.show_model(example_model(("city", "harbour", "mountains")))
    assert ready.request() == SampleRequest(classes=(1,)), "not those of the same names, which were another model's"


def test_a_branch_is_said_and_can_be_cancelled(qtbot: QtBot, ready: SampleSetUp) -> None:
    ready.show_branch("Branch from image 3 at step 17 · t = 640")
    assert ready.branch.isVisible()
    assert ready.options.form.editor("count").isEnabled()
    with qtbot.waitSignal(ready.branch_cancelled):
        press(qtbot, ready.branch.cancel)
    assert not ready.branch.isVisible()


# --------------------------------------------------------------------------------------------- classes


@pytest.mark.usefixtures("_look_restored")
def test_the_banner_of_a_branch_is_as_high_as_its_text(qapp: QApplication, ready: SampleSetUp) -> None:
    text = "Branch from image 1 (beach) at step 36. Change the class, CFG or seed; Generate goes on from there."
    ready.show_branch(text)
    qapp.processEvents()
    alone = ready.branch.height()
    for percent in (150, 100):
        theme.apply_theme(qapp, "dark", percent)
        ready.resize(600, 760)
        ready.resize(240, 760)
        ready.resize(300, 760)
        ready.show_branch("Short.")
        ready.show_branch(text)
        (label,) = ready.branch.findChildren(WholeText)
        lines = label.fontMetrics().boundingRect(0, 0, label.width(), 9999, Qt.TextFlag.TextWordWrap, text).height()
        qapp.processEvents()
        assert label.height() <= lines + 2
    assert ready.branch.height() == alone


def test_space_ticks_and_typing_searches(qtbot: QtBot, ready: SampleSetUp) -> None:
    picker = ready.classes
    press(qtbot, picker.none_button)
    assert picker.classes() == ()
    assert ready.why_not() == "No class is ticked: tick one or more, or “Every class”."
    picker.view.setFocus()
    qtbot.keyClick(picker.view, Qt.Key.Key_B)
    qtbot.keyClicks(picker.search, "each")
    assert picker.search.text() == "beach"
    qtbot.keyClick(picker.search, Qt.Key.Key_Down)
    qtbot.keyClick(picker.view, Qt.Key.Key_Space)
    assert picker.classes() == (4,)
    picker.search.clear()
    qtbot.keyClicks(picker.search, "6")
    press(qtbot, picker.shown_button)
    assert picker.classes() == (4, 6)
    picker.every.click()
    assert picker.classes() == tuple(range(7))


def test_a_click_ticks(qtbot: QtBot, ready: SampleSetUp) -> None:
    view = ready.classes.view
    place = view.visualRect(view.model().index(2, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert ready.classes.classes() == (0, 1, 3, 4, 5, 6)
    assert not ready.classes.every.isChecked()


def test_a_thousand_classes(qtbot: QtBot, set_up: SampleSetUp) -> None:
    set_up.show_model(example_model(tuple(f"thing {n}" for n in range(1000)), thumbnail_size=0, data=b""))
    assert set_up.classes.classes() == (0,)
    qtbot.keyClicks(set_up.classes.search, "thing 99")
    press(qtbot, set_up.classes.shown_button)
    assert set_up.classes.classes() == (0, 99, *range(990, 1000))
    set_up.grab()


def test_a_class_of_imagenet_is_found_by_another_name(qtbot: QtBot, set_up: SampleSetUp) -> None:
    set_up.show_model(example_model(imagenet_names(), thumbnail_size=0, data=b""))
    press(qtbot, set_up.classes.none_button)
    qtbot.keyClicks(set_up.classes.search, "Red Panda")
    press(qtbot, set_up.classes.shown_button)
    assert set_up.classes.classes() == (387,)
    tooltip = set_up.classes.view.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tooltip.startswith("lesser panda, red panda, ")


@pytest.mark.usefixtures("_look_restored")
def test_how_many_classes_are_ticked_is_never_cut(qapp: QApplication, set_up: SampleSetUp) -> None:
    theme.apply_theme(qapp, "dark", 150)
    set_up.show_model(example_model(tuple(f"kind {number}" for number in range(1000)), thumbnail_size=0, data=b""))
    set_up.classes.every.click()
    qapp.processEvents()
    (label,) = [one for one in set_up.classes.findChildren(QLabel) if one.text().startswith("1,000 of 1,000")]
    assert label.contentsRect().width() >= label.fontMetrics().horizontalAdvance(label.text())


def test_a_class_that_the_model_lacks_is_named(ready: SampleSetUp) -> None:
    ready.set_request(SampleRequest(classes=(1, 12)))
    assert ready.classes.classes() == (1,)
    assert "Class 12 is not in this model: it has 0 to 6. The others are ticked." in visible_text(ready)
    ready.set_request(SampleRequest(classes=(8, 12)))
    assert ready.classes.classes() == ()
    assert "Classes 8, 12 are not in this model: it has 0 to 6. Tick another." in visible_text(ready)


def test_ticks_follow_the_names_to_another_model(ready: SampleSetUp) -> None:
    ready.classes.set_classes((3, 4))
    ready.show_model(example_model(("beach", "city", "sea")))
    assert ready.classes.classes() == (0, 2)


def test_a_model_without_classes_has_no_list(ready: SampleSetUp) -> None:
    ready.show_model(example_model((), num_classes=1))
    assert not ready.classes.isVisible()
    request = ready.request()
    assert request is not None
    assert request.classes == (0,)


# --------------------------------------------------------------------------------------------- the model


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    make_runs(runs_dir())
    (runs_dir() / "landscapes-B4" / "checkpoints" / "step-0000500").mkdir()
    return runs_dir()


@pytest.fixture
def picker(qtbot: QtBot, runs: Path) -> ModelPicker:
    dialogs = ModelDialogs(file=lambda _start: str(runs.parent / "dit.pt"), folder=lambda _start: "")
    result = ModelPicker(dialogs)
    qtbot.addWidget(result)
    result.show()
    return result


def test_a_run_and_one_of_its_checkpoints(qtbot: QtBot, picker: ModelPicker, runs: Path) -> None:
    run = runs / "landscapes-B4"
    with qtbot.waitSignal(picker.model_chosen) as chosen:
        picker.runs.setFocus()
        line = picker.runs.lineEdit()
        assert line is not None
        qtbot.keyClick(picker.runs, Qt.Key.Key_Down)
    first = Path(chosen.args[0])
    assert first.parent == runs
    picker.set_model(str(run))
    assert [picker.checkpoints.itemText(n) for n in range(3)] == ["Newest", "Step 1,240", "Step 500"]
    with qtbot.waitSignal(picker.model_chosen) as chosen:
        picker.checkpoints.setFocus()
        qtbot.keyClick(picker.checkpoints, Qt.Key.Key_End)
    assert chosen.args == [str(run / "checkpoints" / "step-0000500"), "ema"]
    with qtbot.waitSignal(picker.model_chosen) as chosen:
        qtbot.keyClicks(picker.weights, "Raw")
    assert chosen.args == [str(run / "checkpoints" / "step-0000500"), "raw"]


def test_a_run_is_found_by_a_part_of_its_name(qtbot: QtBot, picker: ModelPicker) -> None:
    line = picker.runs.lineEdit()
    assert line is not None
    qtbot.keyClicks(line, "scapes-b4")
    completer = picker.runs.completer()
    assert completer is not None
    assert [completer.completionModel().index(0, 0).data()] == ["landscapes-B4"]
    line.clear()
    qtbot.keyClicks(line, "landscapes-b4")
    with qtbot.waitSignal(picker.model_chosen) as chosen:
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert Path(chosen.args[0]).name == "landscapes-B4"
    popup = completer.popup()
    assert popup is not None
    popup.hide()


def test_what_is_typed_and_no_run_gives_way_to_the_run(qtbot: QtBot, picker: ModelPicker, runs: Path) -> None:
    picker.set_model(str(runs / "landscapes-B4"))
    line = picker.runs.lineEdit()
    assert line is not None
    with qtbot.waitActive(picker):
        picker.activateWindow()
    picker.runs.setFocus()
    line.selectAll()
    with qtbot.assertNotEmitted(picker.model_chosen):
        qtbot.keyClicks(line, "nothing of the kind")
        picker.checkpoints.setFocus()
    assert picker.runs.currentText() == "landscapes-B4"


def test_a_file_from_anywhere(qtbot: QtBot, picker: ModelPicker, runs: Path) -> None:
    (runs.parent / "dit.pt").write_bytes(b"x")
    browse = next(button for button in picker.findChildren(QAbstractButton) if button.text() == "Open…")
    with qtbot.waitSignal(picker.model_chosen) as chosen:
        browse.menu().actions()[0].trigger()  # type: ignore[attr-defined]
    assert chosen.args == [str(runs.parent / "dit.pt"), "ema"]
    assert picker.runs.currentText() == "dit.pt"
    assert not picker.checkpoints.isEnabled()


def test_a_checkpoint_that_went_away_is_said(picker: ModelPicker, runs: Path) -> None:
    checkpoint = runs / "landscapes-B4" / "checkpoints" / "step-0000500"
    picker.set_model(str(checkpoint))
    picker.show_model(example_model())
    shutil.rmtree(checkpoint)
    picker.refresh()
    assert picker.message.text() == f"{checkpoint} is not there any more."
    assert "33.0 M parameters" in visible_text(picker), "what is loaded is still known"


def test_a_newer_checkpoint_is_said(picker: ModelPicker, runs: Path) -> None:
    picker.set_model(str(runs / "landscapes-B4"))
    picker.show_model(example_model(step=1240))
    assert "saved since" not in visible_text(picker)
    (runs / "landscapes-B4" / "checkpoints" / "step-0002000").mkdir()
    picker.refresh()
    assert "Step 2,000 was saved since" in visible_text(picker)


def test_what_was_understood_of_a_model(picker: ModelPicker) -> None:
    picker.show_loading("Loading the model")
    picker.show_model(example_model())
    shown = visible_text(picker)
    assert "landscapes · step 20,000 · EMA" in shown
    assert "64 × 64 px · 7 classes · 33.0 M parameters · predicts epsilon · cpu, bf16 · weights a1b2c3d4" in shown
    picker.show_failure(Failure(message="It is damaged.", remedy="Choose another."))
    assert "33.0 M" not in visible_text(picker)
    assert picker.message.text() == "It is damaged."


def visible_text(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())
