"""A sweep: what it goes over, checked while it is typed, and its cells as they are drawn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from sample_setup_scenes import drawn_cell, example_model

from dit_studio.events import CellFailed, CellStarted, Event, JobState, Progress, SampleFrame
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import CellState, SweepRecord
from dit_studio.ui.sample.sweep_axis_row import SweepAxisRow
from dit_studio.ui.sample.sweep_cells import CellLook
from dit_studio.ui.sample.sweep_tab import SweepTab
from dit_studio.ui.settings import Settings
from tests.headers import write_header


@pytest.fixture
def tab(qtbot: QtBot, settings: Settings) -> SweepTab:
    result = SweepTab(settings)
    qtbot.addWidget(result)
    result.resize(700, 700)
    result.show()
    result.show_model(example_model(), "/models/landscapes", "ema")
    result.set_base(SampleRequest(classes=(0, 1), steps=50, cfg=4))
    return result


@pytest.fixture
def ask(qtbot: QtBot, tab: SweepTab) -> Callable[..., None]:
    """Choose settings and type their values, as a user does."""

    def choose(*axes: tuple[str, str], images: str = "4") -> None:
        for line, (name, values) in zip(tab.panel.rows, axes, strict=False):
            line.setting.setCurrentIndex(line.setting.findData(name))
            line.values.clear()
            line.values.setFocus()
            qtbot.keyClicks(line.values, values)
        tab.panel.images.clear()
        qtbot.keyClicks(tab.panel.images, images)

    return choose


# --------------------------------------------------------------------------------------------- what it goes over


def test_the_count_is_live(tab: SweepTab, ask: Callable[..., None]) -> None:
    assert tab.panel.summary == "4 cells · 16 images · 1,400 passes"  # CFG 1 costs one pass a step, the others two
    ask(("cfg", "1,4"), ("steps", "10,50"), images="2")
    assert tab.panel.summary == "4 cells · 8 images · 360 passes"


def test_start_carries_the_axes(qtbot: QtBot, tab: SweepTab, ask: Callable[..., None]) -> None:
    ask(("cfg", "1, 4, 7"), ("class", "sea, 0"))
    with qtbot.waitSignal(tab.start_asked) as asked:
        qtbot.mouseClick(tab.panel.start, Qt.MouseButton.LeftButton)
    assert asked.args[0] == [{"name": "cfg", "values": ["1", "4", "7"]}, {"name": "class", "values": ["sea", "0"]}]
    assert tab.request() == SampleRequest(classes=(0, 1), steps=50, cfg=4, count=4)


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (("cfg", "1, -4"), "CFG scale = -4 is not possible: it takes a number from 0 to 100."),
        (("cfg", "nan"), "CFG scale = nan is not possible: it takes a number from 0 to 100."),
        (("steps", "0"), "Steps = 0 is not possible"),
        (("steps", "100000"), "Steps = 100000 is not possible"),
        (("sampler", "ddim, flow-euler"), "Sampler = flow-euler is not possible: it takes one of ddim, ddpm"),
        (("class", "seaside"), "Class = seaside is not possible: it takes a class from 0 to 6, or sea."),
        (("weights", "best"), "EMA or raw = best is not possible: it takes ema or raw."),
        (("interval", "700-100"), "Guidance interval = 700-100 is not possible"),
        (("checkpoint", "123"), "Checkpoint = 123 is not possible"),
        (("checkpoint", "/etc"), "Checkpoint = /etc is not possible"),
        (("seed", "1, 1"), "Seed = 1 is there twice."),
        (("seed", ""), "The sweep over seed has no values. Give it some, like 1-4, or leave it out."),
    ],
)
def test_a_value_that_is_not_possible_is_said_beside_it(
    tab: SweepTab, ask: Callable[..., None], axis: tuple[str, str], said: str
) -> None:
    ask(axis)
    assert said in tab.panel.rows[0].problem()
    assert tab.panel.plan() is None
    assert not tab.panel.start.isEnabled()
    ask(("cfg", "1, 4"))
    assert tab.panel.rows[0].problem() == ""
    assert tab.panel.start.isEnabled()


def test_the_number_of_images_is_checked(tab: SweepTab, ask: Callable[..., None]) -> None:
    ask(("cfg", "1, -4"), images="0")
    assert "Images a cell = 0 is not possible: it takes a whole number from 1" in visible_text(tab)
    assert "CFG scale = -4 is not possible" in tab.panel.rows[0].problem(), "the rest is checked all the same"
    assert not tab.panel.start.isEnabled()


def test_the_same_setting_twice(tab: SweepTab, ask: Callable[..., None]) -> None:
    ask(("cfg", "1, 4"), ("cfg", "7"))
    assert "CFG scale is swept twice" in tab.panel.rows[0].problem()


def test_what_the_engine_refuses_stands_at_its_axis_until_the_next_edit(
    qtbot: QtBot, tab: SweepTab, ask: Callable[..., None]
) -> None:
    ask(("cfg", "1, 4"), ("steps", "10, 50"))
    tab.panel.set_collapsed(True)
    tab.show_problems(
        [
            ("sweep.cfg", "cfg = 4 is not possible: it takes 1 only."),
            ("request.steps", "request.steps = 50 is not possible: at most 20."),
            ("request.eta", "request.eta = 2 is not possible: at most 1."),
        ]
    )
    first, second = tab.panel.rows[:2]
    assert first.problem() == "CFG scale = 4 is not possible: it takes 1 only."
    assert second.problem() == "Steps = 50 is not possible: at most 20."
    assert (first.values.property("invalid"), second.values.property("invalid")) == (True, True)
    for sentence in (first.problem(), second.problem(), "= 2 is not possible: at most 1."):
        assert sentence in visible_text(tab), "the card opens"
    first.values.setFocus()
    qtbot.keyClicks(first.values, "2")
    assert (first.problem(), second.problem()) == ("", "")
    assert "at most 1" not in visible_text(tab)


def test_stop_says_that_it_ends_at_once_when_pressed_again(tab: SweepTab, qtbot: QtBot) -> None:
    panel = tab.panel
    seen = []
    for state in (JobState.IDLE, JobState.RUNNING, JobState.STOPPING, JobState.STOPPED):
        panel.show_state(state)
        seen.append((panel.stop.text(), panel.stop.isEnabled(), panel.start.isEnabled()))
    assert seen == [
        ("Stop", False, True),
        ("Stop", True, False),
        ("End at once", True, False),
        ("Stop", False, True),
    ]
    panel.show_state(JobState.STOPPING)
    with qtbot.waitSignal(tab.stop_asked):
        qtbot.mouseClick(panel.stop, Qt.MouseButton.LeftButton)


def test_columns_and_rows_change_places(qtbot: QtBot, tab: SweepTab, ask: Callable[..., None]) -> None:
    assert not tab.panel.swap.isEnabled(), "there are no rows yet"
    ask(("cfg", "1, 4, 7"), ("steps", "10, 50"))
    qtbot.mouseClick(tab.panel.swap, Qt.MouseButton.LeftButton)
    plan = tab.panel.plan()
    assert plan is not None
    assert (plan.columns, plan.rows) == (2, 3)
    assert plan.heads(0) == ("10 steps", "50 steps")


@pytest.mark.parametrize("name", ["cfg", "steps", "sampler", "class", "seed", "weights", "interval"])
def test_what_is_filled_in_is_possible(tab: SweepTab, name: str) -> None:
    line = tab.panel.rows[0]
    line.setting.setCurrentIndex(line.setting.findData(name))
    for text in fillings(line):
        next(action for action in line.fill.menu().actions() if action.text() == text).trigger()
        assert line.problem() == "", text
        assert tab.panel.start.isEnabled(), text


def test_checkpoints_of_the_run_are_proposed(tab: SweepTab, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in range(1000, 11_000, 1000):
        write_header(run / "checkpoints" / f"step-{step:07d}", classes=7)
    (run / "run.toml").touch()
    tab.show_model(example_model(), str(run / "checkpoints" / "step-0003000"), "ema")
    line = tab.panel.rows[0]
    line.setting.setCurrentIndex(line.setting.findData("checkpoint"))
    assert fillings(line) == ["6 over all of training", "Every checkpoint (10)"]
    line.fill.menu().actions()[1].trigger()
    plan = tab.panel.plan()
    assert plan is not None
    assert tab.model_path() == str(run)
    assert [Path(cell.model).name for cell in plan.cells][::9] == ["step-0001000", "step-0010000"]


def test_without_a_model_or_settings_the_reason_is_said(qtbot: QtBot, settings: Settings, tab: SweepTab) -> None:
    empty = SweepTab(settings)
    qtbot.addWidget(empty)
    assert empty.panel.summary == "Choose a model first."
    assert not empty.panel.start.isEnabled()
    tab.set_base(None)
    assert tab.panel.summary == "The settings on the left are not possible yet."


def test_what_was_typed_is_remembered(qtbot: QtBot, settings: Settings, ask: Callable[..., None]) -> None:
    ask(("steps", "10, 20"), ("class", "sea"), images="9")
    again = SweepTab(settings)
    qtbot.addWidget(again)
    assert [(line.name, line.values.text()) for line in again.panel.rows[:2]] == [("steps", "10, 20"), ("class", "sea")]
    assert again.panel.images.text() == "9"


# --------------------------------------------------------------------------------------------- the cells


@pytest.fixture
def begun(tab: SweepTab, ask: Callable[..., None], tmp_path: Path) -> SweepTab:
    ask(("cfg", "1, 4, 7"), ("sampler", "ddim, unipc"))
    tab.begin(tmp_path)
    tab.show_state(JobState.RUNNING)
    return tab


def looks(tab: SweepTab) -> list[CellLook]:
    return [tab.grid._table.cells[index].look for index in range(6)]


def test_cells_appear_one_by_one(begun: SweepTab) -> None:
    begun.add_events([CellStarted(index=0), drawn_cell(0, "cells/000"), CellStarted(index=1)])
    assert looks(begun)[:3] == [CellLook.DRAWN, CellLook.RUNNING, CellLook.WAITING]
    assert begun.grid.summary == "1 of 6 cells drawn · 3 s"
    begun.add_events([SampleFrame(first_image=0, images=4, step=17, norms=(), moves=())])
    assert "17 / 50" in tooltip(begun, 0, 1)
    begun.add_events([Progress(stage="Sampling", done=2, total=4, unit="images")])
    assert tooltip(begun, 0, 1).endswith("drawing. 2 / 4 images")
    assert begun.panel.stop.isEnabled()
    assert not begun.panel.start.isEnabled()
    begun.grab()


def test_a_failed_cell_is_marked_and_the_rest_goes_on(begun: SweepTab) -> None:
    said = CellFailed(index=0, message="The values became NaN.", remedy="Take more steps.")
    begun.add_events([CellStarted(index=0), said, CellStarted(index=1), drawn_cell(1, "cells/001")])
    assert looks(begun)[:2] == [CellLook.FAILED, CellLook.DRAWN]
    assert tooltip(begun, 0, 0) == "CFG 1 · ddim: failed. The values became NaN. Take more steps."
    assert begun.grid.summary == "1 of 6 cells drawn · 1 failed · 3 s"


def test_a_cell_is_shown_with_its_colours(begun: SweepTab, tmp_path: Path) -> None:
    event = drawn_cell(0, "cells/000", images=1)
    begun.add_events([event])
    shown = begun.grid._table.cells[0]
    assert shown.picture is not None
    wanted = np.frombuffer(event.data, np.uint8).reshape(32, 32, 3)
    assert [shown.picture.pixelColor(5, 2).red(), shown.picture.pixelColor(5, 30).green()] == [
        wanted[2, 5, 0],
        wanted[30, 5, 1],
    ]
    assert shown.folder == tmp_path / "cells" / "000"


def test_what_was_begun_and_not_ended_is_none(begun: SweepTab) -> None:
    begun.add_events([CellStarted(index=0), drawn_cell(0, "cells/000"), CellStarted(index=1)])
    begun.show_state(JobState.STOPPED)
    assert looks(begun)[:2] == [CellLook.DRAWN, CellLook.WAITING]
    assert begun.panel.start.isEnabled()


def test_a_chosen_cell_gives_its_settings_and_its_folder(qtbot: QtBot, begun: SweepTab, tmp_path: Path) -> None:
    grid = begun.grid
    assert not grid.use.isEnabled()
    begun.add_events([CellStarted(index=4), drawn_cell(4, "cells/004")])
    grid.view.setCurrentIndex(grid.view.model().index(1, 1))
    cell = grid.chosen()
    assert cell is not None
    assert cell.title == "CFG 4 · unipc"
    with qtbot.waitSignal(begun.restore_asked) as restored:
        qtbot.mouseClick(grid.use, Qt.MouseButton.LeftButton)
    wanted = SampleRequest(classes=(0, 1), sampler="unipc", steps=50, cfg=4, count=4)
    assert restored.args == [wanted, "/models/landscapes", "ema"]
    with qtbot.waitSignal(begun.evaluate_asked) as evaluated:
        qtbot.mouseClick(grid.evaluate, Qt.MouseButton.LeftButton)
    assert evaluated.args == [tmp_path / cell.cell.folder]
    opened: list[Path] = []
    grid._show_path = opened.append
    qtbot.mouseClick(grid.open, Qt.MouseButton.LeftButton)
    assert opened == [tmp_path / cell.cell.folder]
    grid.view.setCurrentIndex(grid.view.model().index(0, 0))
    assert grid.use.isEnabled()
    assert not grid.evaluate.isEnabled(), "there is nothing to evaluate yet"


def test_enter_enlarges_and_arrows_go_on(qtbot: QtBot, begun: SweepTab) -> None:
    grid = begun.grid
    begun.add_events([drawn_cell(index, f"cells/{index:03d}") for index in range(6)])
    grid.view.setFocus()
    grid.view.setCurrentIndex(grid.view.model().index(0, 0))
    qtbot.keyClick(grid.view, Qt.Key.Key_Return)
    lens = grid._lens
    assert lens is not None
    assert lens.isVisible()
    assert lens.text.startswith("CFG 1 · ddim\nddim · 50 steps · CFG 1 · seed 0 to 3 · EMA · landscapes")
    qtbot.keyClick(lens, Qt.Key.Key_Right)
    qtbot.keyClick(lens, Qt.Key.Key_Down)
    assert lens.text.startswith("CFG 4 · unipc")
    lens.grab()
    qtbot.keyClick(lens, Qt.Key.Key_Escape)
    assert not lens.isVisible()


def test_a_third_setting_makes_pages(begun: SweepTab, ask: Callable[..., None], tmp_path: Path) -> None:
    begun.show_state(JobState.IDLE)
    ask(("cfg", "1, 4"), ("sampler", "ddim, unipc"), ("weights", "ema, raw"))
    begun.begin(tmp_path)
    assert [begun.grid.pages.tabText(number) for number in range(2)] == ["EMA", "raw"]
    begun.add_events([drawn_cell(index, f"cells/{index:03d}") for index in range(8)])
    assert tooltip(begun, 1, 1) == "CFG 4 · unipc · EMA: drawn"
    begun.grid.pages.setCurrentIndex(1)
    assert tooltip(begun, 1, 1) == "CFG 4 · unipc · raw: drawn"


def test_a_sweep_on_the_disk_is_shown_again(qtbot: QtBot, begun: SweepTab, tmp_path: Path) -> None:
    plan = begun.panel.plan()
    assert plan is not None
    folder = tmp_path / plan.cells[0].folder
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8), (200, 30, 40)).save(folder / "000000.png")
    states = [CellState(state="drawn", images=1, seconds=2.0), CellState(state="failed", message="It broke.")]
    states += [CellState()] * 4
    begun.show_record(SweepRecord(plan=plan, states=tuple(states)), tmp_path)
    assert looks(begun)[:3] == [CellLook.DRAWN, CellLook.FAILED, CellLook.WAITING]
    qtbot.waitUntil(lambda: colour_at(begun, 0, 0) == (200, 30, 40))
    assert tooltip(begun, 0, 1) == "CFG 4 · ddim: failed. It broke."
    assert begun.grid.summary == "1 of 6 cells drawn · 1 failed · 2 s"
    failed = plan.cells[1]
    begun.grid.view.setCurrentIndex(begun.grid.view.model().index(failed.row, failed.column))
    assert "It broke." in visible_text(begun), "the sentence stands below the cells"
    begun.grid.view.setFocus()
    qtbot.keyClick(begun.grid.view, Qt.Key.Key_Return)
    assert begun.grid._lens is not None
    assert "It broke." in begun.grid._lens.text
    assert not begun.grid.evaluate.isEnabled()


def test_pictures_of_a_sweep_are_read_as_they_come_into_sight(
    qtbot: QtBot, begun: SweepTab, ask: Callable[..., None], tmp_path: Path
) -> None:
    begun.show_state(JobState.IDLE)
    ask(("cfg", "1, 4"), ("seed", ", ".join(str(seed) for seed in range(100))))
    plan = begun.panel.plan()
    assert plan is not None
    for cell in plan.cells[1:]:
        folder = tmp_path / cell.folder
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), (200, cell.row, 40)).save(folder / "000000.png")
    states = tuple(CellState(state="drawn", images=1) for _ in plan.cells)
    begun.show_record(SweepRecord(plan=plan, states=states), tmp_path)
    cells = {(shown.cell.row, shown.cell.column): shown for shown in begun.grid._table.cells}
    assert not any(shown.picture for shown in cells.values()), "nothing is read before it is shown"
    qtbot.waitUntil(lambda: colour_at(begun, 0, 1) == (200, 0, 40))
    lost = plan.cells[0]
    qtbot.waitUntil(lambda: "gone, or cannot be read" in tooltip(begun, lost.row, lost.column))
    assert cells[99, 1].picture is None, "it is far below"
    begun.grid.view.scrollToBottom()
    qtbot.waitUntil(lambda: colour_at(begun, 99, 1) == (200, 99, 40))
    assert cells[50, 1].picture is None, "what was scrolled past is not read"


def test_events_of_another_plan_are_passed_over(begun: SweepTab) -> None:
    events: list[Event] = [CellStarted(index=60), drawn_cell(60, "x"), CellFailed(index=60, message="x")]
    begun.add_events(events)
    assert set(looks(begun)) == {CellLook.WAITING}


def fillings(line: SweepAxisRow) -> list[str]:
    line.fill.menu().aboutToShow.emit()
    return [action.text() for action in line.fill.menu().actions()]


def tooltip(tab: SweepTab, row: int, column: int) -> str:
    return str(tab.grid.view.model().index(row, column).data(Qt.ItemDataRole.ToolTipRole))


def colour_at(tab: SweepTab, row: int, column: int) -> tuple[int, int, int]:
    """What a user sees in the middle of a cell."""
    view = tab.grid.view
    rect = view.visualRect(view.model().index(row, column))
    red, green, blue, _ = view.viewport().grab().toImage().pixelColor(rect.center()).getRgb()  # type: ignore[misc]
    return red, green, blue


def visible_text(tab: SweepTab) -> str:
    return "\n".join(label.text() for label in tab.findChildren(QLabel) if label.isVisible())
