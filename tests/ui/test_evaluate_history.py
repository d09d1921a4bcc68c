"""The history on the right of the Evaluate page: found, opened, compared, gone on with, deleted and brought back."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from evaluate_right_scenes import make_evaluations
from evaluation_results import one_plan, one_result, record_of, write_entry
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from pytestqt.qtbot import QtBot

from dit_studio.evaluation_plan import LOCK
from dit_studio.evaluation_request import MetricResult
from dit_studio.jobs.evaluation_history import EvaluationHistory
from dit_studio.locks import locked
from dit_studio.ui import theme
from dit_studio.ui.evaluate.history import EvaluationsPanel
from dit_studio.ui.evaluate.history_rows import EvaluationRow, figures_of, matches, state_text
from dit_studio.ui.widgets.row_painting import line_height


@pytest.fixture
def history(tmp_path: Path) -> EvaluationHistory:
    """Newest first: d (a curve, stopped), c (a curve of which 2 points failed), b (4 sources), a (one)."""
    return make_evaluations(tmp_path / "evaluations")


@pytest.fixture
def panel(qtbot: QtBot, history: EvaluationHistory) -> Iterator[EvaluationsPanel]:
    panel = EvaluationsPanel(history)
    qtbot.addWidget(panel)
    panel.resize(284, 620)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.hide()


def names(panel: EvaluationsPanel) -> str:
    return "".join(row.name for row in panel.list.rows.rows)


def spoken(panel: EvaluationsPanel, name: str) -> str:
    text: str = panel.list.rows.index_of(name).data(Qt.ItemDataRole.AccessibleTextRole)
    return text


def texts(panel: EvaluationsPanel) -> str:
    """Every label in sight."""
    return "\n".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def press(qtbot: QtBot, panel: EvaluationsPanel, key: Qt.Key, *, on: str) -> None:
    panel.select(on)
    qtbot.keyClick(panel.list, key)


def click(qtbot: QtBot, panel: EvaluationsPanel, name: str) -> None:
    """Press the button that a screen reader calls so."""
    (found,) = [
        item for item in panel.findChildren(QAbstractButton) if item.accessibleName() == name and item.isVisible()
    ]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


def menu_texts(panel: EvaluationsPanel) -> list[str]:
    menu = panel.list.menu()
    found = [action.text() for action in menu.actions() if action.text()]
    menu.deleteLater()
    return found


def test_rows_say_what_was_found_the_newest_first(panel: EvaluationsPanel) -> None:
    assert names(panel) == "dcba"
    assert "drawn against digits, FD-random-500 8.000, random, 500 images" in spoken(panel, "a")
    assert "4 points, best FD-random-500 1.600 of real half" in spoken(panel, "b")
    assert "20 points, best FD-random-500 8.000 at step 1,000, CFG 2" in spoken(panel, "c")
    assert spoken(panel, "c").endswith("2 points failed")
    assert "6 min ago, stopped at 7 of 20 points" in spoken(panel, "d")
    assert "4 evaluations" in texts(panel)


def test_a_tooltip_tells_what_failed(panel: EvaluationsPanel) -> None:
    text = panel.list.rows.index_of("c").data(Qt.ItemDataRole.ToolTipRole)
    assert "Reference: /data/digits" in text
    assert "step-0000400 is no longer there. Put it back" in text


def test_an_empty_history_says_what_it_is_for(qtbot: QtBot, tmp_path: Path) -> None:
    panel = EvaluationsPanel(EvaluationHistory(tmp_path / "nothing"))
    qtbot.addWidget(panel)
    panel.show()
    assert "Every evaluation is kept here" in texts(panel)
    assert not panel.buttons["compare"].isVisible()
    panel.hide()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sources", "b"),
        ("CHECKPOINT cfg", "dc"),
        ("stopped", "d"),
        ("failed", "c"),
        ("noise", "b"),
        ("digits random", "dcba"),
        ("kid-subsets", ""),
    ],
)
def test_every_word_must_be_somewhere(panel: EvaluationsPanel, words: str, found: str) -> None:
    QTest.keyClicks(panel.search, words)
    assert names(panel) == found


def test_no_match_can_be_left(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    QTest.keyClicks(panel.search, "landscapes")
    assert "None of 4 evaluations is like that." in texts(panel)
    click(qtbot, panel, "Show all")
    assert names(panel) == "dcba"


@pytest.mark.parametrize(
    ("key", "signal"),
    [
        (Qt.Key.Key_Return, "opened"),
        (Qt.Key.Key_Enter, "opened"),
        (Qt.Key.Key_C, "compare_asked"),
        (Qt.Key.Key_R, "settings_asked"),
        (Qt.Key.Key_E, "export_asked"),
        (Qt.Key.Key_G, "go_on_asked"),
    ],
)
def test_keys_ask_the_page(qtbot: QtBot, panel: EvaluationsPanel, key: Qt.Key, signal: str) -> None:
    with qtbot.waitSignal(getattr(panel, signal)) as asked:
        press(qtbot, panel, key, on="d")
    assert asked.args == ["d"]


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("Compare", "compare_asked"),
        ("Go on", "go_on_asked"),
        ("Use these settings", "settings_asked"),
        ("Export", "export_asked"),
    ],
)
def test_buttons_do_the_same(qtbot: QtBot, panel: EvaluationsPanel, name: str, signal: str) -> None:
    panel.select("d")
    with qtbot.waitSignal(getattr(panel, signal)) as asked:
        click(qtbot, panel, name)
    assert asked.args == ["d"]


def test_a_double_click_opens(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    place = panel.list.visualRect(panel.list.rows.index_of("b")).center()
    with qtbot.waitSignal(panel.opened) as asked:
        qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
        qtbot.mouseDClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert asked.args == ["b"]


def test_what_is_whole_cannot_be_gone_on_with(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    panel.select("a")
    assert not panel.buttons["go on"].isEnabled()
    assert "Go on with the missing points" not in menu_texts(panel)
    with qtbot.assertNotEmitted(panel.go_on_asked):
        qtbot.keyClick(panel.list, Qt.Key.Key_G)
    panel.select("c")  # of which points failed
    assert panel.buttons["go on"].isEnabled()
    assert "Go on with the missing points" in menu_texts(panel)


def test_what_is_measured_now_says_so(panel: EvaluationsPanel, history: EvaluationHistory) -> None:
    with locked(history.root / "d" / LOCK):
        panel.refresh()
        assert "running at 7 of 20 points" in spoken(panel, "d")
        panel.select("d")
        assert not panel.buttons["go on"].isEnabled()
    panel.refresh()
    assert "stopped at 7 of 20 points" in spoken(panel, "d")


def test_what_is_measured_now_is_not_deleted(qtbot: QtBot, panel: EvaluationsPanel, history: EvaluationHistory) -> None:
    with locked(history.root / "d" / LOCK), qtbot.waitSignal(panel.said) as said:
        press(qtbot, panel, Qt.Key.Key_Delete, on="d")
    assert said.args[1] == "error"
    assert "d is still being measured" in said.args[0]
    assert names(panel) == "dcba"


def test_delete_and_undo(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    with qtbot.waitSignal(panel.deleted) as deleted:
        press(qtbot, panel, Qt.Key.Key_Delete, on="c")
    assert deleted.args == ["c"]
    assert names(panel) == "dba"
    assert "Deleted 1 evaluation." in texts(panel)
    assert [row.name for row in panel.list.selected_rows()] == ["b"]
    click(qtbot, panel, "Undo")
    assert names(panel) == "dcba"
    assert [row.name for row in panel.list.selected_rows()] == ["c"]
    assert "Deleted" not in texts(panel)


def test_several_are_deleted_and_brought_back_together(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    panel.select("d")
    qtbot.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert menu_texts(panel) == ["Compare 2 evaluations", "Delete 2 evaluations"]
    assert not panel.buttons["export"].isEnabled()
    click(qtbot, panel, "Delete")
    assert names(panel) == "ba"
    qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert names(panel) == "dcba"


def test_several_are_compared_one_after_the_other(qtbot: QtBot, panel: EvaluationsPanel) -> None:
    asked: list[str] = []
    panel.compare_asked.connect(asked.append)
    panel.select("b")
    qtbot.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(panel.list, Qt.Key.Key_C)
    assert asked == ["b", "a"]


def test_undo_says_when_the_trash_was_emptied(
    qtbot: QtBot, panel: EvaluationsPanel, history: EvaluationHistory
) -> None:
    press(qtbot, panel, Qt.Key.Key_Delete, on="c")
    history.empty_trash(older_than_days=0)
    with qtbot.waitSignal(panel.said) as said:
        panel.undo()
    assert "c is no longer in the trash" in said.args[0]


def test_the_folder_is_shown_on_demand(qtbot: QtBot, history: EvaluationHistory) -> None:
    shown: list[Path] = []
    panel = EvaluationsPanel(history, show_path=shown.append)
    qtbot.addWidget(panel)
    panel.refresh()
    panel.select("b")
    menu = panel.list.menu()
    (action,) = [item for item in menu.actions() if item.text() == "Open folder"]
    assert isinstance(action, QAction)
    action.trigger()
    menu.deleteLater()
    assert shown == [history.root / "b"]


def test_a_damaged_folder_is_counted(panel: EvaluationsPanel, history: EvaluationHistory) -> None:
    (history.root / "broken").mkdir()
    (history.root / "broken" / "evaluation.json").write_bytes(b"{")
    panel.refresh()
    assert "4 evaluations · 1 folder could not be read" in texts(panel)


def test_what_is_shown_and_selected_survives_a_refresh(panel: EvaluationsPanel, history: EvaluationHistory) -> None:
    panel.select("b")
    panel.mark_shown("b")
    write_entry(history.root, "e", record_of(one_plan(), time=2e9), {0: one_result()})
    panel.refresh()
    assert names(panel) == "edcba"
    assert [row.name for row in panel.list.selected_rows()] == ["b"]


def test_the_shown_one_is_marked(panel: EvaluationsPanel) -> None:
    panel.mark_shown("c")
    edges = [panel.list.visualRect(panel.list.rows.index_of(name)).topLeft() + QPoint(1, 9) for name in "cb"]
    picture = panel.list.viewport().grab().toImage()
    is_marked = [picture.pixelColor(edge) == QColor(theme.current().accent) for edge in edges]
    assert is_marked == [True, False]


def test_the_shown_one_is_what_the_buttons_are_about_until_another_is_selected(panel: EvaluationsPanel) -> None:
    assert not panel.buttons["compare"].isEnabled()
    panel.mark_shown("c")
    assert [row.name for row in panel.list.selected_rows()] == ["c"]
    assert panel.buttons["compare"].isEnabled()
    panel.select("b")
    panel.mark_shown("d")
    assert [row.name for row in panel.list.selected_rows()] == ["b"]


def test_rows_are_higher_with_large_text(qapp: QApplication, panel: EvaluationsPanel) -> None:
    before = panel.list.visualRect(panel.list.rows.index(0)).height()
    theme.apply_theme(qapp, "light", 200)
    try:
        panel.list.doItemsLayout()
        assert panel.list.visualRect(panel.list.rows.index(0)).height() > 1.7 * before
    finally:
        theme.apply_theme(qapp, "dark", 100)


def test_large_text_takes_a_second_line_only_where_it_needs_one(qapp: QApplication, panel: EvaluationsPanel) -> None:
    theme.apply_theme(qapp, "light", 200)
    try:
        heights = []
        for width in (1400, 300):
            panel.resize(width, 900)
            panel.list.doItemsLayout()
            heights.append([panel.list.visualRect(panel.list.rows.index(row)).height() for row in range(2)])
        line = line_height(1)
        assert all(height < 4.5 * line for height in heights[0]), "three lines or four, and what is around them"
        assert all(narrow > wide + line for wide, narrow in zip(*heights, strict=True))
    finally:
        theme.apply_theme(qapp, "dark", 100)


def test_pictures_on_buttons_grow_with_the_text(qapp: QApplication, panel: EvaluationsPanel) -> None:
    before = panel.buttons["delete"].iconSize()
    theme.apply_theme(qapp, "light", 200)
    try:
        assert panel.buttons["delete"].iconSize() == 2 * before
    finally:
        theme.apply_theme(qapp, "dark", 100)


def test_an_entry_of_one_point_that_failed(history: EvaluationHistory) -> None:
    write_entry(history.root, "f", record_of(one_plan(), failed=(0,)), {})
    entry = history.entry("f")
    assert entry is not None
    row = EvaluationRow(entry, "finished")
    assert (figures_of(entry), state_text(row), row.can_go_on) == ("", "failed", True)
    assert matches(row, "failed drawn")


def test_a_figure_that_could_not_be_had_is_said(history: EvaluationHistory) -> None:
    lost = MetricResult(metric="fid", name="FD-random-500", why_no_value="too few images")
    write_entry(history.root, "f", record_of(one_plan()), {0: msgspec.structs.replace(one_result(), results=(lost,))})
    entry = history.entry("f")
    assert entry is not None
    assert figures_of(entry) == "FD-random-500: no value"


def test_results_are_named_so_that_evaluations_can_be_compared(history: EvaluationHistory) -> None:
    assert [label for label, _ in history.results("a")] == ["drawn against digits"]
    labels = [label for label, _ in history.results("b")]
    assert labels == [f"digits: 4 sources · {name}" for name in ("real half", "model", "copies", "noise")]
    of_curves = [{label for label, _ in history.results(name)} for name in ("c", "d")]
    assert [len(labels) for labels in of_curves] == [18, 7]
    assert not of_curves[0] & of_curves[1]  # though both have the same title


def test_what_did_not_change_is_not_read_again(history: EvaluationHistory) -> None:
    entries = history.entries()
    assert [entry is other for entry, other in zip(entries, history.entries(), strict=True)] == [True] * 4
