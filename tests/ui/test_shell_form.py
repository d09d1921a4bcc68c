"""Forms made from the schema, editors, messages, and small widgets."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.config import SECTIONS, fields_of
from dit_studio.errors import Problem
from dit_studio.events import Failure
from dit_studio.ui import icons, theme
from dit_studio.ui.widgets.basics import ElidedLabel
from dit_studio.ui.widgets.editors import read_number
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.form import Form
from dit_studio.ui.widgets.message import MessageCard


@pytest.fixture
def form(qtbot: QtBot) -> Form:
    result = Form("train")
    qtbot.addWidget(result)
    result.show()
    return result


def _line(form: Form, name: str) -> QLineEdit:
    editor = form.editor(name)
    assert isinstance(editor, QLineEdit)
    return editor


def _shown(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


@pytest.mark.parametrize("section", SECTIONS)
def test_a_form_begins_with_the_defaults(qtbot: QtBot, section: str) -> None:
    form = Form(section)
    qtbot.addWidget(form)
    defaults = {field.name: field.default for field in fields_of(section) if field.default is not None}
    assert form.values() == defaults
    assert form.problems() == []


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("2e-4", float, 2e-4),
        ("1_000", int, 1000),
        ("20 000", int, 20_000),
        ("20,000", int, 20_000),
        ("2,00", int, "2,00"),
        ("20\u202f000", int, 20_000),
        ("1e3", int, 1000),
        ("0,5", float, 0.5),
        ("-3", int, -3),
        ("1.5", int, 1.5),
        ("ten", int, "ten"),
        ("", float, ""),
    ],
)
def test_numbers_as_people_type_them(text: str, kind: type, number: object) -> None:
    assert read_number(text, kind) == number


def test_what_is_typed_becomes_a_value(form: Form, qtbot: QtBot) -> None:
    editor = _line(form, "steps")
    editor.selectAll()
    with qtbot.waitSignal(form.changed):
        qtbot.keyClicks(editor, "1_500")
    assert form.values()["steps"] == 1500


def test_an_invalid_value_is_marked_and_left_out(form: Form) -> None:
    _line(form, "steps").setText("0")
    assert "steps" not in form.values()
    assert [problem.field for problem in form.problems()] == ["train.steps"]
    assert "Steps = 0 is not possible" in _shown(form)
    assert form.editor("steps").property("invalid")
    _line(form, "steps").setText("10")
    assert "not possible" not in _shown(form)
    assert not form.editor("steps").property("invalid")


@pytest.mark.parametrize("text", ["", "nan", "inf", "1.5", "many"])
def test_what_is_no_whole_number_is_refused(form: Form, text: str) -> None:
    _line(form, "batch_size").setText(text)
    assert [problem.field for problem in form.problems()] == ["train.batch_size"]


def test_a_problem_found_elsewhere_is_shown_until_the_next_edit(form: Form) -> None:
    form.show_problem(Problem("train.accumulate", "train.accumulate = 3 is not possible: it does not divide 64.", 3))
    assert "Accumulation = 3 is not possible" in _shown(form)
    assert form.editor("accumulate").isVisible()
    _line(form, "steps").setText("7")
    assert "Accumulation = 3" not in _shown(form)


def test_optional_settings_that_are_empty_are_left_out(qtbot: QtBot) -> None:
    form = Form("model")
    qtbot.addWidget(form)
    assert "depth" not in form.values()
    form.set_values({"depth": 7, "of_another_version": 1})
    assert form.values()["depth"] == 7
    form.set_values({"depth": None})
    assert "depth" not in form.values()


def test_set_values_is_no_edit(form: Form, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(form.changed):
        form.set_values({"steps": 5, "precision": "fp32", "compile": True})
    values = form.values()
    assert (values["steps"], values["precision"], values["compile"]) == (5, "fp32", True)


def test_advanced_settings_wait_behind_a_button(form: Form, qtbot: QtBot) -> None:
    assert not form.editor("beta1").isVisible()
    qtbot.mouseClick(form._more, Qt.MouseButton.LeftButton)
    assert form.editor("beta1").isVisible()


def test_only_the_fields_asked_for(qtbot: QtBot) -> None:
    form = Form("data", names=["image_size", "flip"])
    qtbot.addWidget(form)
    assert set(form.values()) == {"image_size", "flip"}


@pytest.mark.parametrize(
    ("name", "text", "up"),
    [
        ("steps", "20000", "21000"),
        ("batch_size", "64", "65"),
        ("learning_rate", "0.0002", "0.00021"),
        ("seed", "0", "1"),
    ],
)
def test_up_and_down_change_the_second_digit(form: Form, qtbot: QtBot, name: str, text: str, up: str) -> None:
    editor = _line(form, name)
    editor.setText(text)
    qtbot.keyClick(editor, Qt.Key.Key_Up)
    assert editor.text() == up
    qtbot.keyClick(editor, Qt.Key.Key_Down)
    assert editor.text() == text


def test_stepping_ends_at_the_limit(form: Form, qtbot: QtBot) -> None:
    editor = _line(form, "learning_rate")
    editor.setText("1")
    qtbot.keyClick(editor, Qt.Key.Key_Up)
    assert editor.text() == "1"


def test_the_wheel_changes_nothing(form: Form) -> None:
    for name in ("precision", "steps"):
        editor = form.editor(name)
        before = form.values()[name]
        for delta in (120, -120):
            event = QWheelEvent(
                QPointF(5, 5),
                QPointF(editor.mapToGlobal(QPoint(5, 5))),
                QPoint(),
                QPoint(0, delta),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,  # noqa: FBT003  Qt takes no keyword here
            )
            QApplication.sendEvent(editor, event)
        assert form.values()[name] == before


def test_every_editor_tells_its_meaning_unit_range_and_default(form: Form) -> None:
    tooltip = form.editor("warmup_steps").toolTip()
    assert "rises linearly" in tooltip
    assert "Unit: steps" in tooltip
    assert "at least 0" in tooltip
    assert "Default: 100" in tooltip
    assert form.editor("warmup_steps").accessibleName() == "Warm-up"
    assert isinstance(form.editor("precision"), QComboBox)


# ------------------------------------------------------------------------------------------------- messages


def test_a_failure_is_a_card_with_buttons_and_details(qtbot: QtBot) -> None:
    card = MessageCard()
    qtbot.addWidget(card)
    card.show_failure(
        Failure(message="No memory: 12 GB.", remedy="Take less.", details="line 1\nline 2"),
        [("batch", "Smaller batch"), ("model", "Smaller model")],
    )
    card.show()
    buttons = {button.text(): button for button in card.findChildren(QPushButton)}
    assert list(buttons) == ["Smaller batch", "Smaller model", "Details", "Copy", "Dismiss"]
    assert not card._details.isVisible()
    buttons["Details"].click()
    assert card._details.isVisible()
    buttons["Copy"].click()
    assert QGuiApplication.clipboard().text() == "No memory: 12 GB.\nTake less.\nline 1\nline 2"
    with qtbot.waitSignal(card.action) as pressed:
        buttons["Smaller model"].click()
    assert pressed.args == ["model"]
    buttons["Dismiss"].click()
    assert not card.isVisible()


def test_a_card_shows_the_newest_message_alone(qtbot: QtBot) -> None:
    card = MessageCard()
    qtbot.addWidget(card)
    card.show_failure(Failure(message="One", details="x"), [("a", "A")])
    card.show_notice("Two", level="warning")
    assert card.text() == "Two"
    assert card.property("level") == "warning"
    qtbot.waitUntil(lambda: [b.text() for b in card.findChildren(QPushButton) if b.isVisible()] == ["Dismiss"])


# ------------------------------------------------------------------------------------------------- small widgets


def test_a_long_text_is_elided_and_hovering_shows_it(qtbot: QtBot) -> None:
    label = ElidedLabel("a path that is much too long to fit")
    qtbot.addWidget(label)
    label.resize(60, 20)
    label.show()
    assert label.toolTip() == label.text()
    label.resize(600, 20)
    assert label.toolTip() == ""


def test_a_flow_layout_breaks_lines(qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    flow = FlowLayout(widget, space=8)
    for _ in range(3):
        child = QWidget()
        child.setFixedSize(QSize(50, 20))
        flow.addWidget(child)
    assert flow.heightForWidth(166) == 20
    assert flow.heightForWidth(165) == 48
    assert flow.heightForWidth(60) == 76


def test_icons_take_the_colour_of_the_theme(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "icons").mkdir()
    (tmp_path / "icons" / "box.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
        '<rect width="8" height="8" fill="currentColor"/></svg>'
    )
    monkeypatch.setattr(icons, "resources_dir", lambda: tmp_path)
    icons._source.cache_clear()
    plain, accent = icons.icon("box"), icons.icon("box", "accent")

    def colour(one: object) -> str:
        return one.pixmap(16, 16).toImage().pixelColor(8, 8).name().upper()  # type: ignore[attr-defined]

    assert (colour(plain), colour(accent)) == (theme.DARK.text, theme.DARK.accent)
    theme.apply_theme(qapp, "light")
    assert (colour(plain), colour(accent)) == (theme.LIGHT.text.upper(), theme.LIGHT.accent)
    theme.apply_theme(qapp, "dark")
    assert icons.icon("there is none").isNull()
    icons._source.cache_clear()
