"""The Runs page: the list, what can be done with a run, the comparison."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from example_runs import make_run, make_runs
from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot
from run_answers import Answers

from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.model_settings import ModelConfig
from dit_studio.places import runs_dir
from dit_studio.ui import theme
from dit_studio.ui.runs.columns import PLACES
from dit_studio.ui.runs.differences import settings_table
from dit_studio.ui.runs.listing import ListRuns, RunRow, RunsListed
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.model_words import model_name


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def runs() -> list[RunFolder]:
    return make_runs(runs_dir())


@pytest.fixture
def page(qtbot: QtBot, answers: Answers, settings: Settings) -> Iterator[RunsPage]:
    result = RunsPage(settings, Launcher(in_process=True), dialogs=answers.dialogs())
    qtbot.addWidget(result)
    yield result
    result.close_page()


def _show(qtbot: QtBot, page: RunsPage, count: int) -> None:
    page.show()
    qtbot.waitUntil(lambda: page.table.model().rowCount() == count)


def _column(page: RunsPage, column: int) -> list[str]:
    model = page.table.model()
    return [model.index(line, column).data() for line in range(model.rowCount())]


def _select(page: RunsPage, *names: str) -> None:
    page.table.clearSelection()
    for line, name in enumerate(_column(page, 0)):
        if name in names:
            flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
            page.table.selectionModel().select(page.table.model().index(line, 0), flags)


def _settings_shown(page: RunsPage) -> list[str]:
    assert page.compare is not None
    model = page.compare.table.model()
    return [model.index(line, 0).data() for line in range(model.rowCount())]


def _texts(page: RunsPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def test_without_runs_the_page_says_what_to_do(page: RunsPage, qtbot: QtBot) -> None:
    page.show()
    assert "No runs yet" in _texts(page)
    with qtbot.waitSignal(page.train_asked):
        page.empty.clicked.emit()


@pytest.mark.usefixtures("runs")
def test_every_run_is_listed_newest_first(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    assert _column(page, 0) == ["flowers and 數據", "landscapes-S4-cosine", "landscapes-B4", "digits-XXS"]
    assert _column(page, 1) == ["Interrupted", "Failed", "Stopped", "Finished"]
    assert _column(page, 2) == ["90 / 2,000", "610 / 2,000", "1,240 / 2,000", "2,000 / 2,000"]
    assert _column(page, PLACES["model"]) == ["XS/4", "S/4", "B/4", "XXS/2"]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("scale", [100, 200])
def test_a_long_runs_progress_is_whole(page: RunsPage, qtbot: QtBot, qapp: QApplication, scale: int) -> None:
    theme.apply_theme(qapp, "dark", scale)
    _show(qtbot, page, 4)
    place = PLACES["progress"]
    needed = page.table.fontMetrics().horizontalAdvance("188,888 / 200,000")
    assert page.table.columnWidth(place) >= needed + 16
    assert "Step 90 of 2,000." in page.table.model().index(0, place).data(Qt.ItemDataRole.ToolTipRole)
    theme.apply_theme(qapp, "dark")


def test_a_model_that_is_not_its_presets_says_so(page: RunsPage, qtbot: QtBot) -> None:
    model = {"preset": "XXS/4", "patch_size": 8, "hidden_size": 32}
    RunFolder.create(runs_dir() / "changed", parse_recipe({"model": model}))
    _show(qtbot, page, 1)
    assert _column(page, PLACES["model"]) == ["XXS/4, changed"]
    assert model_name(ModelConfig(block="in-context", attention="window", window=3, rope=True, norm="rms")) == (
        "XXS/2, in-context, window 3, RoPE, RMSNorm"
    )
    assert model_name(ModelConfig(preset="S/2", attention="grouped")) == "S/2, 1 key/value head"
    needed = page.fontMetrics().horizontalAdvance("XXS/4, changed")
    assert page.table.columnWidth(PLACES["model"]) > needed
    tooltip = page.table.model().index(0, PLACES["model"]).data(Qt.ItemDataRole.ToolTipRole)
    assert "width 32, patch 8 instead of the preset's" in tooltip


@pytest.mark.parametrize("loss", [0.003456, 0.0003456, 3.4e-9, 0.0, 12.3456, 12345.6, 123456.7, 1e30])
def test_figures_are_whole_in_their_columns(page: RunsPage, qtbot: QtBot, loss: float) -> None:
    folder = make_run(runs_dir(), "small", "digits", "S/2", JobState.FINISHED, 2000)
    status = msgspec.structs.replace(folder.read_status(), loss=loss, validation_loss=loss, seconds=47 * 3600 + 59 * 60)
    folder.write_status(status)
    _show(qtbot, page, 1)
    for key in ("loss", "validation", "trained", "started"):
        place = PLACES[key]
        assert page.table.sizeHintForColumn(place) <= page.table.columnWidth(place), _column(page, place)


def test_rows_without_a_picture_are_indented_like_the_others(page: RunsPage, qtbot: QtBot) -> None:
    RunFolder.create(runs_dir() / "new", parse_recipe({}))
    _show(qtbot, page, 1)
    icon = page.table.model().index(0, 0).data(Qt.ItemDataRole.DecorationRole)
    size = icon.actualSize(page.table.iconSize())
    assert (size.width(), size.height()) == (40, 40)


def test_the_time_in_a_folder_name_is_left_to_its_own_column(page: RunsPage, qtbot: QtBot) -> None:
    make_run(runs_dir(), "20261120-101500-landscapes", "digits", "S/2", JobState.FINISHED, 2000)
    _show(qtbot, page, 1)
    assert _column(page, 0) == ["landscapes"]


@pytest.mark.usefixtures("runs")
def test_previews_are_thumbnails_of_the_first_sample(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    icon = page.table.model().index(0, 0).data(Qt.ItemDataRole.DecorationRole)
    size = icon.actualSize(page.table.iconSize())
    assert (size.width(), size.height()) == (40, 40)


@pytest.mark.usefixtures("runs")
def test_sorting_by_a_number(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    page.table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert _column(page, 2) == ["90 / 2,000", "610 / 2,000", "1,240 / 2,000", "2,000 / 2,000"]
    page.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert _column(page, 0)[-1] == "flowers and 數據"  # no validation loss yet: the worst


@pytest.mark.usefixtures("runs")
def test_the_filter_takes_words_of_any_column(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    qtbot.keyClicks(page.filter, "landscapes fail")
    assert _column(page, 0) == ["landscapes-S4-cosine"]
    assert "1 of 4 runs" in _texts(page)
    page.filter.clear()
    assert len(_column(page, 0)) == 4


@pytest.mark.usefixtures("runs")
def test_enter_and_double_click_open_a_run(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    _select(page, "landscapes-B4")
    page.table.setFocus()
    with qtbot.waitSignal(page.open_run) as opened:
        qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert opened.args == [runs_dir() / "landscapes-B4"]
    with qtbot.waitSignal(page.open_run):
        page.table.doubleClicked.emit(QModelIndex())


@pytest.mark.usefixtures("runs")
def test_buttons_follow_the_selection(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    buttons = (page.buttons["open"], page.buttons["resume"], page.buttons["folder"], page.buttons["delete"])
    assert [button.isEnabled() for button in buttons] == [False] * 4
    _select(page, "digits-XXS")
    assert [button.isEnabled() for button in buttons] == [True, False, True, True]  # finished: nothing to resume
    assert "done all of its steps" in page.buttons["resume"].toolTip()
    _select(page, "landscapes-S4-cosine")
    assert [button.isEnabled() for button in buttons] == [True, False, True, True]
    assert "before its first checkpoint" in page.buttons["resume"].toolTip()
    _select(page, "landscapes-B4")
    assert [button.isEnabled() for button in buttons] == [True] * 4
    _select(page, "landscapes-B4", "digits-XXS")
    assert [button.isEnabled() for button in buttons] == [False, False, False, True]


@pytest.mark.usefixtures("runs")
def test_resume_and_show_folder(page: RunsPage, qtbot: QtBot, answers: Answers) -> None:
    _show(qtbot, page, 4)
    _select(page, "landscapes-B4")
    with qtbot.waitSignal(page.resume_run) as resumed:
        page.buttons["resume"].click()
    assert resumed.args == [runs_dir() / "landscapes-B4"]
    with qtbot.waitSignal(page.sample_run) as sampled:
        page.buttons["sample"].click()
    assert sampled.args == [runs_dir() / "landscapes-B4"]
    page.buttons["folder"].click()
    assert answers.folders == [runs_dir() / "landscapes-B4"]


@pytest.mark.usefixtures("runs")
def test_delete_asks_and_moves_to_the_trash(page: RunsPage, qtbot: QtBot, answers: Answers, tmp_path: Path) -> None:
    answers.trash = lambda path: bool(path.rename(tmp_path / "trash"))
    _show(qtbot, page, 4)
    _select(page, "digits-XXS")
    answers.says_yes = False
    page.buttons["delete"].click()
    assert (runs_dir() / "digits-XXS").exists()
    answers.says_yes = True
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_Delete)
    assert answers.questions == ["Move digits-XXS, with checkpoints and previews, to the trash?"] * 2
    qtbot.waitUntil(lambda: "digits-XXS" not in _column(page, 0))


@pytest.mark.usefixtures("runs")
def test_a_trash_that_refuses_is_reported(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    _select(page, "digits-XXS")
    page.buttons["delete"].click()
    assert "digits-XXS could not be moved to the trash" in _texts(page)
    qtbot.waitUntil(lambda: not page._job.is_running)


def test_a_run_at_work_is_not_deleted(page: RunsPage, qtbot: QtBot, answers: Answers) -> None:
    folder = make_run(runs_dir(), "busy", "digits", "S/2", JobState.RUNNING, 10)
    with folder.lock():
        _show(qtbot, page, 1)
        assert _column(page, 1) == ["Running"]
        _select(page, "busy")
        page.buttons["delete"].click()
    assert "busy is at work" in _texts(page)
    assert answers.questions == []


@pytest.mark.usefixtures("runs")
def test_news_keep_the_selection(page: RunsPage, qtbot: QtBot) -> None:
    _show(qtbot, page, 4)
    _select(page, "landscapes-B4")
    make_run(runs_dir(), "another", "digits", "S/2", JobState.FINISHED, 2000)
    page.refresh()
    qtbot.waitUntil(lambda: len(_column(page, 0)) == 5)
    assert [row.path.name for row in page.selected()] == ["landscapes-B4"]


def test_a_run_whose_recipe_is_broken_is_listed_all_the_same(page: RunsPage, qtbot: QtBot) -> None:
    folder = make_run(runs_dir(), "edited", "digits", "S/2", JobState.FINISHED, 2000)
    (folder.path / "run.toml").write_text("[train]\nsteps = 0\n")
    _show(qtbot, page, 1)
    assert _column(page, 0) == ["edited"]
    assert _column(page, 1) == ["Unreadable"]
    page.filter.setText("state:unread")
    assert _column(page, 0) == ["edited"]
    assert "train.steps = 0" in page.table.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)


@pytest.mark.usefixtures("runs")
def test_two_runs_selected_are_compared(page: RunsPage, qtbot: QtBot, qapp: QApplication) -> None:
    _show(qtbot, page, 4)
    _select(page, "landscapes-B4", "digits-XXS")
    compare = page.compare
    assert compare is not None
    assert compare.isVisible()
    qtbot.waitUntil(lambda: compare.plot is not None and len(compare.plot.listDataItems()) == 2)
    assert compare.plot is not None
    curves = compare.plot.listDataItems()
    x = curves[0].getOriginalDataset()[0]
    assert np.array_equal(x, np.arange(1, len(x) * 5, 5))
    names = _settings_shown(page)
    assert names[:2] == ["data.path", "model.preset"]
    theme.apply_theme(qapp, "light")
    colours = [curve.opts["pen"].color().name().upper() for curve in compare.plot.listDataItems()]
    assert colours == list(theme.LIGHT.curves[:2])
    assert all(colour in compare._legend.text() for colour in colours)
    theme.apply_theme(qapp, "dark")
    assert "train.batch_size" not in names
    compare.only_differences.click()
    names = _settings_shown(page)
    assert "train.batch_size" in names


def test_differences_between_recipes() -> None:
    one = parse_recipe({"model": {"preset": "XXS/2"}, "train": {"steps": 100}})
    other = parse_recipe({"model": {"preset": "XXS/4"}, "train": {"steps": 100, "learning_rate": 1e-5}})
    assert settings_table([one, other], only_differences=True) == [
        ("model.preset", ["XXS/2", "XXS/4"]),
        ("model.patch_size", ["2", "4"]),
        ("train.learning_rate", ["0.0027", "1e-05"]),
    ]
    assert ("model.preset", ["XXS/2", "?", "XXS/4"]) in settings_table([one, None, other], only_differences=True)
    assert settings_table([one, None, one], only_differences=True) == []  # what is not known is no difference
    assert ("train.steps", ["100", "?"]) in settings_table([one, None], only_differences=False)
    assert ("train.steps", ["100", "100"]) in settings_table([one, other], only_differences=False)


def test_the_newest_of_many_runs_come_before_the_rest_is_read() -> None:
    for number in range(30):
        RunFolder.create(runs_dir() / f"20260101-0000{number:02d}-run", parse_recipe({"train": {"seed": number}}))
    known: dict[Path, tuple[int, RunRow]] = {}
    first, *_, last = [event for event in ListRuns(runs_dir(), known).events() if isinstance(event, RunsListed)]
    assert not first.is_all
    assert [row.path.name for row in first.rows] == [f"20260101-0000{number:02d}-run" for number in range(29, 5, -1)]
    assert all(row.summary.recipe is None and row.why_not_resume for row in first.rows)
    assert last.is_all
    assert {row.path: row.summary.recipe for row in last.rows} == {
        path: RunFolder(path).recipe() for path in runs_dir().iterdir()
    }
    assert set(known) == {row.path for row in last.rows}
