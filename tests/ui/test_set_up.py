"""The left side: settings are remembered and checked, costs and checks asked, recipes opened and saved."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QLineEdit
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher
from test_data_card import summary

from dit_studio.config import Recipe, load_recipe, parse_recipe
from dit_studio.events import Check, CheckStatus, Failure, ModelSummary, Preflight
from dit_studio.model_settings import ModelConfig, resolve_model
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import set_up as set_up_module
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.set_up import SetUp, without_preset_numbers

OK = Preflight(checks=(Check(name="Disk", status=CheckStatus.OK, message="212 GB are free."),))
FULL = Preflight(
    checks=(
        Check(name="Memory", status=CheckStatus.WARNING, message="It is tight."),
        Check(name="Disk", status=CheckStatus.FAILED, message="The disk is full.", remedy="Free some space."),
    )
)
MODEL = ModelSummary(parameters=33_012_345, gflops=6.06, tokens=256, training_bytes=4_100_000_000)
MakeSetUp = Callable[..., SetUp]


def make_launcher(**answers: object) -> ScriptedLauncher:
    scripts: dict[str, object] = {"scan_data": [summary()], "describe_model": [MODEL], "preflight": [OK]}
    return ScriptedLauncher(answers=scripts | answers)  # type: ignore[arg-type]


@pytest.fixture
def make_set_up(qtbot: QtBot, settings: Settings) -> Iterator[MakeSetUp]:
    made: list[SetUp] = []

    def make(launcher: ScriptedLauncher | None = None, *, kept: Settings | None = None, **dialogs: object) -> SetUp:
        result = SetUp(kept or settings, launcher or make_launcher(), Dialogs(**dialogs))  # type: ignore[arg-type]
        qtbot.addWidget(result)
        made.append(result)
        return result

    yield make
    for set_up in made:
        set_up.close_jobs()


def line_edit(set_up: SetUp, section: str, name: str) -> QLineEdit:
    editor = set_up.forms[section].editor(name)
    assert isinstance(editor, QLineEdit)
    return editor


def type_into(qtbot: QtBot, editor: QLineEdit, text: str) -> None:
    editor.clear()
    qtbot.keyClicks(editor, text)


def problems_shown(set_up: SetUp, section: str) -> list[str]:
    labels = set_up.forms[section].findChildren(QLabel)
    return [label.text() for label in labels if label.property("role") == "problem" and label.text()]


def test_data_model_and_checks_make_start_possible(make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = make_launcher()
    set_up = make_set_up(launcher)
    assert set_up.why_not_start() == "open a folder of images first."
    set_up.data.open_path(tmp_path)
    assert set_up.why_not_start() == "the images are being looked at."
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")
    assert set_up.model.cost == "33.0 M parameters · 6.06 Gflops · 256 tokens · about 4.1 GB to train"
    assert [line.text for line in set_up.preflight.lines.lines] == ["Disk: 212 GB are free."]
    calls = dict(launcher.calls)
    assert calls["describe_model"]["num_classes"] == 10
    assert parse_recipe(calls["preflight"]["recipe"]) == set_up.recipe()


def test_a_failed_check_keeps_start_off(make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = make_launcher(preflight=[FULL])
    set_up = make_set_up(launcher)
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.why_not_start().endswith("press Check again: The disk is full."))
    assert "Failed, Disk: The disk is full. Free some space." in [
        line.accessibleName() for line in set_up.preflight.lines.lines
    ]
    launcher.answers["preflight"] = [OK]
    set_up.check_again()
    assert set_up.why_not_start() == "the checks are being made."
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")


def test_a_failed_check_is_made_again_by_the_shortcut_of_start(
    make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot
) -> None:
    launcher = make_launcher(preflight=[FULL])
    set_up = make_set_up(launcher)
    set_up.show()
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.preflight.has_failed)
    launcher.answers["preflight"] = [OK]
    set_up.activateWindow()
    qtbot.waitUntil(set_up.isActiveWindow)
    qtbot.keyClick(set_up, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")
    assert not set_up._retry.isEnabled(), "from now on it is that of Start alone"


def test_a_failed_check_is_made_again_when_somebody_comes_back(
    make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = make_launcher(preflight=[FULL])
    set_up = make_set_up(launcher)
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.preflight.has_failed)
    launcher.answers["preflight"] = [OK]
    app = QGuiApplication.instance()
    assert isinstance(app, QGuiApplication)
    app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)
    assert set_up.preflight.has_failed, "so soon nothing has changed"
    monkeypatch.setattr(set_up_module, "RECHECK_AFTER_SECONDS", 0.0)
    app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationInactive)
    assert set_up.preflight.has_failed
    app.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")


def test_one_wrong_setting_hides_no_other(make_set_up: MakeSetUp, qtbot: QtBot) -> None:
    set_up = make_set_up()
    for name, text in (("num_heads", "abc"), ("patch_size", "3"), ("hidden_size", "33")):
        type_into(qtbot, line_edit(set_up, "model", name), text)
    marks = {
        name: set_up.forms["model"]._rows[name].problem.text() for name in ("num_heads", "patch_size", "hidden_size")
    }
    assert marks["num_heads"].startswith("Heads = 'abc' is not possible")
    assert marks["patch_size"].startswith("Patch size = 3 is not possible: it does not divide")
    assert marks["hidden_size"].startswith("Width = 33 is not possible: the position embedding")
    assert len(set_up._problems) == 3
    type_into(qtbot, line_edit(set_up, "data", "image_size"), "many")
    assert set_up.forms["model"]._rows["patch_size"].problem.text() == "", "what it should divide is not known"


def test_what_is_dropped_is_for_the_window(make_set_up: MakeSetUp) -> None:
    set_up = make_set_up()
    assert [edit.accessibleName() for edit in set_up.findChildren(QLineEdit) if edit.acceptDrops()] == []


def test_what_is_changed_of_a_preset_is_told(make_set_up: MakeSetUp, qtbot: QtBot) -> None:
    set_up = make_set_up()
    assert set_up.model.changes.isHidden()
    set_up.change({"model": {"preset": "XXS/4", "patch_size": 8, "hidden_size": 32, "depth": 2}})
    assert set_up.model.changes.text() == "Width 32, depth 2, patch 8 instead of the preset's."
    for name in ("patch_size", "hidden_size", "depth"):
        line_edit(set_up, "model", name).clear()
    qtbot.waitUntil(set_up.model.changes.isHidden)


def test_all_recipes_fit_into_their_list(make_set_up: MakeSetUp, qtbot: QtBot) -> None:
    set_up = make_set_up()
    set_up.show()
    recipes = set_up.recipe_card.list
    recipes.showPopup()
    view = recipes.view()
    qtbot.waitUntil(view.isVisible)
    assert view.viewport().height() >= recipes.count() * view.sizeHintForRow(0)
    assert view.verticalScrollBar().maximum() == 0
    recipes.hidePopup()


def test_checks_that_fail_themselves_are_told(make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot) -> None:
    set_up = make_set_up(make_launcher(preflight=[Failure(message="The worker died.")]))
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.why_not_start().endswith("The worker died."))


def test_a_value_out_of_range_is_named_and_keeps_start_off(
    make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot
) -> None:
    set_up = make_set_up()
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")
    type_into(qtbot, line_edit(set_up, "train", "batch_size"), "0")
    assert set_up.why_not_start().startswith("Batch size = 0 is not possible")
    assert set_up.recipe() is None
    type_into(qtbot, line_edit(set_up, "train", "batch_size"), "8")
    qtbot.waitUntil(lambda: set_up.why_not_start() == "")


def test_a_contradiction_is_shown_at_its_field_and_goes_with_it(make_set_up: MakeSetUp, qtbot: QtBot) -> None:
    set_up = make_set_up()
    type_into(qtbot, line_edit(set_up, "data", "image_size"), "33")
    assert problems_shown(set_up, "model") == [
        "Patch size = 2 is not possible: it does not divide an image of 33 pixels; 1 would."
    ]
    type_into(qtbot, line_edit(set_up, "data", "image_size"), "36")
    assert problems_shown(set_up, "model") == []


def test_an_answer_about_older_settings_is_not_shown(make_set_up: MakeSetUp, qtbot: QtBot) -> None:
    gate = threading.Event()
    asked: list[int] = []

    def describe(recipe: dict[str, dict[str, int]], num_classes: int) -> Script:  # noqa: ARG001
        depth = recipe["model"]["depth"]
        asked.append(depth)
        cost = ModelSummary(parameters=depth, gflops=1.0, tokens=1, training_bytes=1)
        return [gate, cost] if depth == 3 else [cost]

    set_up = make_set_up(make_launcher(describe_model=describe))
    shown: list[str] = []
    set_up.readiness_changed.connect(lambda: shown.append(set_up.model.cost))
    type_into(qtbot, line_edit(set_up, "model", "depth"), "3")
    qtbot.waitUntil(lambda: asked == [3])
    type_into(qtbot, line_edit(set_up, "model", "depth"), "5")
    gate.set()
    qtbot.waitUntil(lambda: set_up.model.cost.startswith("5 parameters"))
    assert not [cost for cost in shown if cost.startswith("3 parameters")]
    assert asked == [3, 5]


def test_what_is_typed_is_back_after_a_crash(make_set_up: MakeSetUp, settings: Settings, qtbot: QtBot) -> None:
    set_up = make_set_up()
    type_into(qtbot, line_edit(set_up, "train", "steps"), "1234")
    type_into(qtbot, line_edit(set_up, "model", "hidden_size"), "96")
    type_into(qtbot, line_edit(set_up, "train", "batch_size"), "-3")
    qtbot.keyClicks(set_up.preflight.name, "my run")
    settings.flush()  # as its timer does
    again = make_set_up(kept=Settings(settings.path))
    assert line_edit(again, "train", "steps").text() == "1234"
    assert line_edit(again, "model", "hidden_size").text() == "96"
    assert line_edit(again, "train", "batch_size").text() == "-3", "also what cannot be used"
    assert again.preflight.run_name() == "my run"


def test_the_images_of_last_time_are_looked_at_again(
    make_set_up: MakeSetUp, settings: Settings, tmp_path: Path, qtbot: QtBot
) -> None:
    first = make_set_up()
    first.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: first.data.summary is not None)
    settings.flush()
    kept = Settings(settings.path)
    again = make_set_up(kept=kept)
    again.open_remembered()
    qtbot.waitUntil(lambda: again.data.summary is not None)
    assert again.data.path == str(tmp_path)
    kept.flush()


def test_a_run_is_called_by_its_images_unless_a_person_names_it(
    make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot
) -> None:
    set_up = make_set_up()
    (tmp_path / "digits").mkdir()
    set_up.data.open_path(tmp_path / "digits")
    assert set_up.preflight.run_name() == "digits"
    qtbot.keyClicks(set_up.preflight.name, "mine")
    assert set_up.preflight.run_name() == "mine"


def test_a_recipe_is_saved_and_opened(make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot) -> None:
    file = tmp_path / "kept.toml"
    set_up = make_set_up(recipe_to_save=lambda _start: str(file), recipe_to_open=lambda _start: str(file))
    type_into(qtbot, line_edit(set_up, "train", "steps"), "77")
    set_up.recipe_card._on_save()
    assert load_recipe(file).train.steps == 77
    type_into(qtbot, line_edit(set_up, "train", "steps"), "88")
    set_up.recipe_card._on_open()
    assert line_edit(set_up, "train", "steps").text() == "77"
    assert line_edit(set_up, "model", "hidden_size").text() == "", "the preset's own numbers stay the preset's"


def test_a_recipe_that_cannot_be_used_is_named(make_set_up: MakeSetUp, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[train]\nstepps = 3\n")
    set_up = make_set_up()
    before = set_up.tables()
    set_up.recipe_card.load(file)
    assert "Did you mean Steps?" in set_up.recipe_card._message.text()
    assert set_up.tables() == before


def test_settings_that_are_not_possible_are_not_saved_as_a_recipe(
    make_set_up: MakeSetUp, tmp_path: Path, qtbot: QtBot
) -> None:
    set_up = make_set_up(recipe_to_save=lambda _start: str(tmp_path / "never.toml"))
    type_into(qtbot, line_edit(set_up, "train", "steps"), "0")
    set_up.recipe_card._on_save()
    assert not (tmp_path / "never.toml").exists()
    assert "not possible" in set_up.recipe_card._message.text()


def test_a_recipe_leaves_the_images_where_it_names_none(make_set_up: MakeSetUp, tmp_path: Path) -> None:
    set_up = make_set_up()
    set_up.data.open_path(tmp_path)
    set_up.show_recipe(Recipe())
    assert set_up.data.path == str(tmp_path)


def test_numbers_of_a_preset_are_left_to_it() -> None:
    written_out = resolve_model(ModelConfig(preset="S/2", depth=5))
    values = without_preset_numbers(written_out)
    assert (values["hidden_size"], values["num_heads"], values["patch_size"]) == (None, None, None)
    assert values["depth"] == 5
