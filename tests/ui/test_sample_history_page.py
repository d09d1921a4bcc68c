"""What the history does to the page: a user presses keys in the list and sees what comes of it."""

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from sample_answers import MODEL
from sample_history_scenes import make_entry, make_sweep, record_of
from sample_setup_scenes import drawn_cell
from scripted import Script, ScriptedLauncher

from dit_studio.events import CellStarted, JobState
from dit_studio.places import samples_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.settings import Settings


@pytest.fixture
def page(qtbot: QtBot, settings: Settings) -> Iterator[SamplePage]:
    root = samples_dir()
    make_entry(root, "old", record_of(seconds_ago=500, classes=(3,), count=2, seed=40, steps=4, cfg=7.0))
    make_entry(root, "new", record_of(seconds_ago=5, count=3, seed=90, steps=4))
    make_sweep(root, "20200101-000000-swep")
    settings.save_form("sample model", {"path": MODEL.path, "weights": "ema"})
    cells: Script = [CellStarted(index=0), drawn_cell(0, "cells/000"), CellStarted(index=1), drawn_cell(1, "cells/001")]
    answers: dict[str, Script | Callable[..., Script]] = {"describe_sampling": [MODEL], "sweep": cells}
    page = SamplePage(settings, ScriptedLauncher(answers=answers))  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.resize(1280, 800)
    with qtbot.waitExposed(page):
        page.show()
    qtbot.waitUntil(lambda: page.session.model is not None and page.stage.film is not None)
    yield page
    page.close_page()


def press(qtbot: QtBot, page: SamplePage, key: Qt.Key, *, on: str) -> None:
    page.entries.select(on)
    qtbot.keyClick(page.entries.list, key)


def words(page: SamplePage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def seeds(page: SamplePage) -> list[int]:
    assert page.stage.film is not None
    return list(page.stage.film.seeds)


def test_return_and_a_double_click_show_an_entry(qtbot: QtBot, page: SamplePage) -> None:
    assert seeds(page) == [90, 91, 92], "the newest one is there at the start"
    press(qtbot, page, Qt.Key.Key_Return, on="old")
    assert seeds(page) == [40, 41]
    assert page.entries.list.paints.shown == "old"
    place = page.entries.list.visualRect(page.entries.list.rows.index_of("new")).center()
    qtbot.mouseClick(page.entries.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(page.entries.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert seeds(page) == [90, 91, 92]


def test_r_puts_the_settings_into_the_form(qtbot: QtBot, page: SamplePage) -> None:
    press(qtbot, page, Qt.Key.Key_R, on="old")
    assert page.set_up.request() == SampleRequest(classes=(3,), count=2, seed=40, steps=4, cfg=7.0)


def test_c_compares_the_images_that_were_picked(qtbot: QtBot, page: SamplePage) -> None:
    qtbot.keyClick(page.entries.list, Qt.Key.Key_Right)
    press(qtbot, page, Qt.Key.Key_C, on="old")
    page.entries.select("new")
    qtbot.keyClick(page.entries.list, Qt.Key.Key_Right)
    qtbot.keyClick(page.entries.list, Qt.Key.Key_C)
    assert page.comparing.view.isVisible()
    assert "3 · seed 40" in words(page)
    assert "7 · seed 91" in words(page)


def test_deleting_what_is_shown_clears_the_stage(qtbot: QtBot, page: SamplePage) -> None:
    press(qtbot, page, Qt.Key.Key_Delete, on="new")
    assert page.stage.film is None
    assert "Deleted 1 entry." in words(page)


def test_return_on_a_sweep_shows_its_cells(qtbot: QtBot, page: SamplePage) -> None:
    press(qtbot, page, Qt.Key.Key_Return, on="20200101-000000-swep")
    assert page.sweep.isVisible()
    assert "4 of 6 cells drawn · 1 failed" in page.sweep.grid.summary
    view = page.sweep.grid.view
    assert [view.model().headerData(column, Qt.Orientation.Horizontal) for column in range(3)] == [
        "CFG 1",
        "CFG 4",
        "CFG 7",
    ]


def test_a_sweep_that_is_started_fills_its_cells(qtbot: QtBot, page: SamplePage) -> None:
    page.set_up.set_request(SampleRequest(classes=(7,), count=2, steps=5, cfg=4.0, seed=12))

    page._tabs.setCurrentWidget(page.sweep)
    line = page.sweep.panel.rows[0]
    line.values.setFocus()
    line.values.clear()
    qtbot.keyClicks(line.values, "1, 4")
    qtbot.mouseClick(page.sweep.panel.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert page.sweep.grid.summary.startswith("2 of 2 cells drawn")
    view = page.sweep.grid.view
    index = view.model().index(0, 1)
    assert index.data(Qt.ItemDataRole.ToolTipRole) == "CFG 4: drawn"
    seen = view.viewport().grab().toImage().pixelColor(view.visualRect(index).center())
    picture = page.sweep.grid._table.cells[1].picture
    assert picture is not None
    at = picture.rect().center()
    assert seen.getRgb()[:3] == pytest.approx(picture.pixelColor(at).getRgb()[:3], abs=40)  # type: ignore[index]
