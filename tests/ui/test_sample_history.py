"""The history in the right column: found, opened, marked, deleted and brought back by a user."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot
from sample_history_scenes import LANDSCAPES, make_entry, make_history, make_sweep, record_of

from dit_studio.jobs.sample_history import ENTRY, SampleHistory
from dit_studio.sample_request import BranchPoint, SampleEntry
from dit_studio.ui import theme
from dit_studio.ui.sample.history import HistoryPanel
from dit_studio.ui.sample.history_words import time_in_words
from dit_studio.ui.sample.lineage import film_of
from dit_studio.ui.widgets.row_painting import cut_to
from dit_studio.ui.widgets.rows_model import ROW


@pytest.fixture
def history(tmp_path: Path) -> SampleHistory:
    return make_history(tmp_path / "samples")


@pytest.fixture
def panel(qtbot: QtBot, history: SampleHistory) -> Iterator[HistoryPanel]:
    panel = HistoryPanel(history, confirm=lambda _question, _action: True)
    qtbot.addWidget(panel)
    panel.resize(260, 900)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.hide()


def names(panel: HistoryPanel) -> str:
    return "".join(row.name for row in panel.list.rows.rows)


def texts(panel: HistoryPanel) -> str:
    """Every label in sight."""
    return "\n".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def press(qtbot: QtBot, panel: HistoryPanel, key: Qt.Key, *, on: str = "") -> None:
    if on:
        panel.select(on)
    qtbot.keyClick(panel.list, key)


def click_button(qtbot: QtBot, panel: HistoryPanel, text: str) -> None:
    (found,) = [item for item in panel.findChildren(QPushButton) if item.text() == text and item.isVisible()]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


def click(qtbot: QtBot, panel: HistoryPanel, place: QPoint) -> None:
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)


def thumbnail(panel: HistoryPanel, name: str, image: int) -> QPoint:
    index = panel.list.rows.index_of(name)
    places = panel.list.paints.places(panel.list.visualRect(index), index.data(Qt.ItemDataRole.UserRole))
    return places.thumbnails[image].center()


def star(panel: HistoryPanel, name: str) -> QPoint:
    index = panel.list.rows.index_of(name)
    rect: QRect = panel.list.visualRect(index)
    return panel.list.paints.places(rect, index.data(Qt.ItemDataRole.UserRole)).star.center()


def test_branches_stand_below_what_they_go_on_from(panel: HistoryPanel) -> None:
    shown = [(row.name, row.depth, row.branch) for row in panel.list.rows.rows]
    assert shown == [
        ("a", 0, ""),
        ("b", 1, "↳ from step 17 · class 7 → 3 · t = 640"),
        ("c", 2, "↳ from step 25 · sampler ddim → unipc · steps 50 → 20 · cfg 4 → 7 · t = 400"),
        ("d", 0, ""),
        ("e", 0, ""),
        ("f", 0, ""),
        ("g", 0, "↳ from t = 300 of an entry that was deleted"),
    ]


def test_a_row_says_its_settings_and_the_footer_what_cannot_be_read(panel: HistoryPanel) -> None:
    assert panel.list.rows.rows[0].title == "7 · cfg 4 · seed 12 · ddim 50 · digits"
    assert panel.list.rows.rows[3].title == "7 classes · cfg 4 · seed 1 · ddim 50 · landscapes"
    assert "7 entries · 1 folder could not be read" in texts(panel)
    spoken = panel.list.rows.index(4).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "3 of 8 images" in spoken
    assert "stopped" in spoken
    assert "forest at dusk" in panel.list.rows.index(3).data(Qt.ItemDataRole.ToolTipRole)


@pytest.mark.parametrize(
    ("key", "signal", "said"),
    [
        (Qt.Key.Key_Return, "opened", ["d"]),
        (Qt.Key.Key_Enter, "opened", ["d"]),
        (Qt.Key.Key_R, "restore_asked", ["d"]),
        (Qt.Key.Key_C, "compare_asked", ["d", 1]),
    ],
)
def test_keys_ask_the_page(qtbot: QtBot, panel: HistoryPanel, key: Qt.Key, signal: str, said: list[object]) -> None:
    with qtbot.waitSignal(getattr(panel, signal)) as blocker:
        press(qtbot, panel, key, on="d")
    assert blocker.args == said


def test_a_double_click_opens(qtbot: QtBot, panel: HistoryPanel) -> None:
    place = panel.list.visualRect(panel.list.rows.index_of("b")).center()
    click(qtbot, panel, place)
    with qtbot.waitSignal(panel.opened) as blocker:
        qtbot.mouseDClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert blocker.args == ["b"]


def test_the_image_that_was_picked_is_compared_and_marked(
    qtbot: QtBot, panel: HistoryPanel, history: SampleHistory
) -> None:
    click(qtbot, panel, thumbnail(panel, "a", 2))
    with qtbot.waitSignal(panel.compare_asked) as blocker:
        press(qtbot, panel, Qt.Key.Key_C)
    assert blocker.args == ["a", 2]
    press(qtbot, panel, Qt.Key.Key_Left)
    press(qtbot, panel, Qt.Key.Key_F)
    assert history.entry("a").favourites == {0, 1}  # type: ignore[union-attr]
    for _ in range(5):
        press(qtbot, panel, Qt.Key.Key_Right)
    assert panel.picked_image("a") == 3


def test_the_star_marks_and_unmarks(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    spoken = panel.list.rows.index_of("b")
    assert "favourite" not in spoken.data(Qt.ItemDataRole.AccessibleTextRole)
    bare = panel.list.viewport().grab().toImage().pixelColor(star(panel, "b"))
    click(qtbot, panel, star(panel, "b"))
    assert history.entry("b").favourites == {0}  # type: ignore[union-attr]
    assert spoken.data(Qt.ItemDataRole.AccessibleTextRole).endswith("1 favourite")
    assert (
        panel.list.viewport().grab().toImage().pixelColor(star(panel, "b")) == QColor(theme.current().warning) != bare
    )
    click(qtbot, panel, star(panel, "b"))
    assert history.entry("b").favourites == frozenset()  # type: ignore[union-attr]
    assert "favourite" not in spoken.data(Qt.ItemDataRole.AccessibleTextRole)


def test_only_favourites_are_shown_on_request(qtbot: QtBot, panel: HistoryPanel) -> None:
    click_button(qtbot, panel, "★")
    assert names(panel) == "ad"
    press(qtbot, panel, Qt.Key.Key_F, on="a")
    assert names(panel) == "d"


def test_typing_finds_and_a_wrong_term_is_said(qtbot: QtBot, panel: HistoryPanel) -> None:
    qtbot.keyClicks(panel.search, "cfg>4 stps<30")
    assert names(panel) == "c"
    assert 'There is no "stps" to search by: did you mean "steps"?' in texts(panel)
    assert "1 of 7 entries" in texts(panel)
    panel.search.clear()
    assert len(names(panel)) == 7
    assert "There is no" not in texts(panel)


def test_a_branch_found_without_its_parent_keeps_its_words(qtbot: QtBot, panel: HistoryPanel) -> None:
    qtbot.keyClicks(panel.search, "class:3")
    assert [(row.name, row.depth) for row in panel.list.rows.rows] == [("b", 0), ("c", 1)]
    qtbot.keyClicks(panel.search, " unipc")
    (row,) = panel.list.rows.rows
    assert (row.depth, row.branch[:13]) == (0, "↳ from step 2")


def test_nothing_found_offers_all(qtbot: QtBot, panel: HistoryPanel) -> None:
    qtbot.keyClicks(panel.search, "elephant")
    assert "None of 7 entries is like that." in texts(panel)
    click_button(qtbot, panel, "Show all")
    assert len(names(panel)) == 7


def test_delete_and_undo(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    with qtbot.waitSignal(panel.deleted) as blocker:
        press(qtbot, panel, Qt.Key.Key_Delete, on="d")
    assert blocker.args == ["d"]
    assert names(panel) == "abcefg"
    assert panel.list.current_row().name == "e"  # type: ignore[union-attr]
    assert "Deleted 1 entry." in texts(panel)
    click_button(qtbot, panel, "Undo")
    assert names(panel) == "abcdefg"
    assert panel.list.current_row().name == "d"  # type: ignore[union-attr]
    assert "Deleted" not in texts(panel)
    assert history.entry("d").favourites == {1}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["b", "c"])
def test_a_branch_is_named_by_the_step_that_the_slider_shows(
    panel: HistoryPanel, history: SampleHistory, name: str
) -> None:
    film = film_of(history, name)
    row = panel.list.rows.index_of(name).data(ROW)
    assert row.branch.startswith(f"↳ from step {film.shared_steps + 1} ")


def test_steps_that_a_branch_no_longer_shares_are_not_counted(panel: HistoryPanel, history: SampleHistory) -> None:
    history.remove_trajectory("a")
    panel.refresh()
    assert film_of(history, "c").shared_steps == 8
    assert panel.list.rows.index_of("c").data(ROW).branch.startswith("↳ from step 9 ")


@pytest.mark.parametrize(
    ("images", "words"), [(1, "fields"), (2, "fields, mountains"), (4, "4 of 7 classes"), (7, "7 classes")]
)
def test_the_classes_that_were_drawn_are_said(
    panel: HistoryPanel, history: SampleHistory, images: int, words: str
) -> None:
    record = record_of(model=LANDSCAPES, classes=tuple(range(7)), count=images)
    make_entry(history.root, "few", record)
    panel.refresh()
    row = panel.list.rows.index_of("few").data(ROW)
    assert row.title.startswith(f"{words} · cfg 4 · seed 12")
    panel.search.setText("class=island")
    assert ("few" in [one.name for one in panel.list.rows.rows]) == (images > 5)


def test_what_tells_entries_apart_is_not_cut(panel: HistoryPanel) -> None:
    for row in panel.list.rows.rows:
        if not row.item.sweep:
            line = panel.list.paints.places(QRect(0, 0, 246, 100), row).lines[0]
            told = row.title.partition(" · ddim")[0].partition(" · unipc")[0]
            assert "seed" in told
            assert QFontMetrics(panel.list.font()).horizontalAdvance(told) < line.width()


@pytest.mark.parametrize("lines", [1, 2])
def test_a_text_that_is_cut_ends_with_dots(lines: int) -> None:
    font = QApplication.font()
    metrics = QFontMetrics(font)
    text = "↳ from step 25 · sampler ddim → unipc · steps 50 → 20 · cfg 4 → 7 · t = 400"
    width = metrics.horizontalAdvance(text) // (lines + 1)
    cut = cut_to(text, font, width, lines)
    assert cut.endswith("…")
    assert text.startswith(cut[:-1])
    height = metrics.boundingRect(0, 0, width, 999, Qt.TextFlag.TextWordWrap, cut).height()
    assert height < (lines + 0.5) * metrics.lineSpacing()
    assert len(cut) > len(text) // (lines + 1) * lines - 15
    assert cut_to("short", font, width, lines) == "short"


def test_a_row_has_a_full_star_if_any_image_is_a_favourite(
    qtbot: QtBot, panel: HistoryPanel, history: SampleHistory
) -> None:
    history.set_favourite("a", 0, on=False)
    panel.refresh()
    index = panel.list.rows.index_of("d")
    star = panel.list.paints.places(panel.list.visualRect(index), index.data(ROW)).star
    picture = panel.list.viewport().grab().toImage()
    assert picture.pixelColor(star.center()) == QColor(theme.current().warning)  # image 1 is one; none is picked
    click(qtbot, panel, star.center())
    assert not history.entry("d").favourites  # type: ignore[union-attr]
    click(qtbot, panel, star.center())
    assert history.entry("d").favourites == {1}  # type: ignore[union-attr]


def test_what_undo_brings_back_is_selected_alone(qtbot: QtBot, panel: HistoryPanel) -> None:
    press(qtbot, panel, Qt.Key.Key_Delete, on="d")
    panel.list.setFocus()
    QTest.keyClick(panel.windowHandle(), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)  # held, as Qt sees it
    assert [row.name for row in panel.list.selected_rows()] == ["d"]
    QTest.keyClick(panel.windowHandle(), Qt.Key.Key_Delete)
    assert names(panel) == "abcefg"
    assert [row.name for row in panel.list.selected_rows()] == ["e"]


def test_several_are_deleted_and_come_back_with_control_z(qtbot: QtBot, panel: HistoryPanel) -> None:
    panel.select("d")
    qtbot.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    press(qtbot, panel, Qt.Key.Key_Delete)
    assert names(panel) == "abcfg"
    press(qtbot, panel, Qt.Key.Key_Delete, on="g")
    assert names(panel) == "abcf"
    qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert names(panel) == "abcfg"
    assert "Deleted 2 entries." in texts(panel)
    qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert names(panel) == "abcdefg"


def test_control_z_in_the_search_box_is_the_boxes(qtbot: QtBot, panel: HistoryPanel) -> None:
    press(qtbot, panel, Qt.Key.Key_Delete, on="d")
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "x")
    qtbot.keyClick(panel.search, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert panel.search.text() == ""
    assert names(panel) == "abcefg"


def test_deleting_a_parent_keeps_its_branches_and_says_so(qtbot: QtBot, panel: HistoryPanel) -> None:
    press(qtbot, panel, Qt.Key.Key_Delete, on="a")
    assert "Deleted 1 entry. 1 branch of it stays, without the past it shared." in texts(panel)
    assert [(row.name, row.depth) for row in panel.list.rows.rows][:2] == [("b", 0), ("c", 1)]
    assert panel.list.rows.rows[0].branch == "↳ from t = 640 of an entry that was deleted"


def test_what_is_being_drawn_is_not_deleted(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    make_entry(history.root, "h", record_of(seconds_ago=-5), state="drawing")
    panel.refresh()
    with qtbot.waitSignal(panel.said) as blocker:
        press(qtbot, panel, Qt.Key.Key_Delete, on="h")
    assert blocker.args[1] == "error"
    assert "still being drawn" in blocker.args[0]
    assert names(panel)[0] == "h"


def test_undo_says_when_the_trash_was_emptied(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    press(qtbot, panel, Qt.Key.Key_Delete, on="d")
    SampleHistory(history.root).empty_trash(older_than_days=0)
    with qtbot.waitSignal(panel.said) as blocker:
        click_button(qtbot, panel, "Undo")
    assert "no longer in the trash" in blocker.args[0]
    assert names(panel) == "abcefg"


def test_what_another_window_draws_deletes_and_finishes_is_seen(panel: HistoryPanel, history: SampleHistory) -> None:
    panel.select("d")
    branch = BranchPoint(entry="e", image=1, step=4)
    make_entry(history.root, "h", record_of(seconds_ago=-5, branch=branch))
    SampleHistory(history.root).delete("b")
    file = history.root / "e" / ENTRY
    entry = msgspec.json.decode(file.read_bytes(), type=SampleEntry)
    file.unlink()
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(entry, state="finished")))
    panel.refresh()
    assert names(panel) == "ehcdafg"  # e has the newest branch, c lost what it went on from
    assert [row.name for row in panel.list.selected_rows()] == ["d"]
    assert "stopped" not in panel.list.rows.index(0).data(Qt.ItemDataRole.AccessibleTextRole)


def test_opening_what_another_window_deleted_does_no_harm(
    qtbot: QtBot, panel: HistoryPanel, history: SampleHistory
) -> None:
    SampleHistory(history.root).delete("d")
    with qtbot.waitSignal(panel.said) as blocker:
        press(qtbot, panel, Qt.Key.Key_F, on="d")
    assert blocker.args[1] == "error"
    assert names(panel) == "abcefg"


def test_the_menu_says_what_can_be_done(qtbot: QtBot, panel: HistoryPanel) -> None:
    click(qtbot, panel, thumbnail(panel, "d", 1))
    menu = panel.list.menu()
    words = [action.text() for action in menu.actions() if action.text()]
    assert words == [
        "Open",
        "Restore these settings",
        "Unmark image 2 as a favourite",
        "Compare image 2",
        "Export…",
        "Remove the trajectory…",
        "Delete",
    ]
    with qtbot.waitSignal(panel.export_asked) as blocker:
        menu.actions()[words.index("Export…") + 1].trigger()
    assert blocker.args == ["d"]


def test_a_trajectory_is_removed_after_a_question(panel: HistoryPanel, history: SampleHistory) -> None:
    questions: list[str] = []
    answers = [False, True]
    panel._confirm = lambda question, _action: questions.append(question) or answers.pop(0)  # type: ignore[func-returns-value]
    for kept in (True, False):
        panel.select("a")
        action = next(item for item in panel.list.menu().actions() if item.text() == "Remove the trajectory…")
        action.trigger()
        assert history.entry("a").has_trajectory is kept  # type: ignore[union-attr]
    assert "branches lose the past that they share. This cannot be undone." in questions[0]
    assert (history.root / "a" / "000000.png").is_file()


def test_an_empty_history_says_what_comes_here(qtbot: QtBot, tmp_path: Path) -> None:
    panel = HistoryPanel(SampleHistory(tmp_path / "none"))
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    assert "Nothing yet" in texts(panel)
    qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
    qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert "Nothing yet" in texts(panel)


def test_thumbnails_come_when_they_are_in_sight(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    qtbot.waitUntil(lambda: panel._thumbnails.get(history.root / "a" / "000000.png", 40) is not None)
    picture = panel._thumbnails.get(history.root / "a" / "000000.png", 40)
    assert picture is not None
    assert picture.width() == 40
    shown = panel.list.viewport().grab().toImage()
    assert shown.pixelColor(thumbnail(panel, "a", 0)) == picture.pixelColor(19, 19)


def test_entries_that_go_in_a_circle_are_shown(qtbot: QtBot, tmp_path: Path) -> None:
    for name, parent in (("x", "y"), ("y", "x"), ("z", "z")):
        branch = BranchPoint(entry=parent, image=0, step=2)
        make_entry(tmp_path, name, record_of(branch=branch, seconds_ago=ord(name)), with_trajectory=False)
    panel = HistoryPanel(SampleHistory(tmp_path))
    qtbot.addWidget(panel)
    panel.refresh()
    assert sorted(names(panel)) == ["x", "y", "z"]


def test_a_sweep_is_an_entry_of_its_own_kind(qtbot: QtBot, panel: HistoryPanel, history: SampleHistory) -> None:
    folder = make_sweep(history.root, "s")
    panel.refresh()
    row = panel.list.rows.rows[0]
    assert (row.name, row.title) == ("s", "sweep cfg=1,4,7 × steps=10,50 · digits")
    assert row.item.image_file(0) == folder / "cells" / "001" / "000000.png"
    with qtbot.waitSignal(panel.sweep_opened) as blocker:
        press(qtbot, panel, Qt.Key.Key_Return, on="s")
    assert blocker.args == ["s"]
    with qtbot.waitSignal(panel.said) as blocker, qtbot.assertNotEmitted(panel.compare_asked):
        press(qtbot, panel, Qt.Key.Key_C)
    assert blocker.args[0].startswith("Open the sweep")
    words = [action.text() for action in panel.list.menu().actions() if action.text()]
    assert words == ["Open", "Open folder", "Delete"]
    shown: list[Path] = []
    panel._show_path = shown.append
    next(action for action in panel.list.menu().actions() if action.text() == "Open folder").trigger()
    assert shown == [folder]
    with qtbot.waitSignal(panel.said), qtbot.assertNotEmitted(panel.restore_asked):
        press(qtbot, panel, Qt.Key.Key_R)
    press(qtbot, panel, Qt.Key.Key_F)
    assert history.entry("s").favourites == {0}  # type: ignore[union-attr]
    qtbot.keyClicks(panel.search, "is:sweep digits cfg=7 seed=8")
    assert names(panel) == "s"


@pytest.mark.parametrize(
    ("state", "drawn", "words"),
    [
        ("drawing", 3, "3 of 6 cells, not finished, 1 cell failed"),
        ("stopped", 3, "3 of 6 cells, stopped, 1 cell failed"),
        ("finished", 5, "5 of 6 cells, 1 cell failed"),
    ],
)
def test_a_sweep_says_how_it_ended(
    panel: HistoryPanel, history: SampleHistory, state: str, drawn: int, words: str
) -> None:
    make_sweep(history.root, "s", drawn=drawn, state=state)
    panel.refresh()
    index = panel.list.rows.index_of("s")
    assert words in index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert words in index.data(Qt.ItemDataRole.ToolTipRole)


@pytest.mark.parametrize(
    ("ago", "words"),
    [(5, "just now"), (200, "3 min ago"), (-50, "just now"), (400 * 86_400, "2026")],
)
def test_times_are_said_in_words(ago: float, words: str) -> None:
    noon = 1_803_000_000.0
    assert words in time_in_words(noon - ago, noon)
