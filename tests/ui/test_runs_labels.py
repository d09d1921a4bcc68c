"""The Runs page: names, tags, the archive, the columns; what stays while the list is refreshed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCompleter, QMenu
from pytestqt.qtbot import QtBot
from run_answers import Answers

from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import Label, change_label, read_label
from dit_studio.jobs.run_list import list_runs
from dit_studio.locks import try_lock
from dit_studio.places import runs_dir
from dit_studio.ui.runs.columns import COLUMNS, PLACES
from dit_studio.ui.runs.label_dialogs import NameDialog, TagsDialog
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def page(qtbot: QtBot, answers: Answers, settings: Settings) -> Iterator[RunsPage]:
    result = RunsPage(settings, Launcher(in_process=True), dialogs=answers.dialogs())
    qtbot.addWidget(result)
    yield result
    result.close_page()


def _make(name: str, *, started: float = 1.0, state: JobState = JobState.FINISHED, **label: object) -> RunFolder:
    folder = RunFolder.create(runs_dir() / name, parse_recipe({"data": {"path": f"/data/of-{name}"}}))
    folder.write_status(Status(state=state, step=5, steps=10, started=started, loss=0.123456))
    change_label(folder, **label)
    return folder


def _names(page: RunsPage) -> list[str]:
    return [row.title for row in page.table.model().rows]  # type: ignore[attr-defined]


def _show(qtbot: QtBot, page: RunsPage, *names: str) -> None:
    page.show()
    qtbot.waitUntil(lambda: _names(page) == list(names))


def _select(page: RunsPage, *lines: int) -> None:
    page.table.clearSelection()
    page.table.setSelectionMode(page.table.SelectionMode.MultiSelection)
    for line in lines:
        page.table.selectRow(line)
    page.table.setSelectionMode(page.table.SelectionMode.ExtendedSelection)


def test_a_run_is_renamed_by_f2_and_its_folder_stays(page: RunsPage, answers: Answers, qtbot: QtBot) -> None:
    folder = _make("digits")
    _show(qtbot, page, "digits")
    _select(page, 0)
    answers.label = Label(title="Ziffern", note="of 8 × 8")
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: _names(page) == ["Ziffern"])
    assert read_label(folder) == Label(title="Ziffern", note="of 8 × 8")
    assert [row.path for row in page.selected()] == [folder.path]
    assert "of 8 × 8" in page.table.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_tags_are_given_to_several_runs_at_once(page: RunsPage, answers: Answers, qtbot: QtBot) -> None:
    first, second = _make("a", tags=("x", "old")), _make("b", tags=("Y", "old"))
    _show(qtbot, page, "a", "b")
    _select(page, 0, 1)
    answers.tags = (("new",), ("old",))
    page.buttons["tags"].click()
    assert answers.known_tags == ["old", "x", "Y"]
    qtbot.waitUntil(lambda: page.table.model().index(0, PLACES["tags"]).data() == "x, new")
    assert (read_label(first).tags, read_label(second).tags) == (("x", "new"), ("Y", "new"))


def test_archived_runs_are_hidden_until_they_are_asked_for(page: RunsPage, qtbot: QtBot) -> None:
    _make("a", started=2.0)
    old = _make("b", is_archived=True)
    _show(qtbot, page, "a")
    assert page._hint.text() == "1 of 2 runs, 1 archived"
    page.archived.setChecked(True)
    assert _names(page) == ["a", "b"]
    _select(page, 1)
    archive = page.actions_by_key["archive"]
    assert archive.text() == "Unarchive"
    archive.trigger()
    qtbot.waitUntil(lambda: archive.text() == "Archive")
    assert not read_label(old).is_archived
    archive.trigger()
    qtbot.waitUntil(lambda: read_label(old).is_archived and archive.text() == "Unarchive")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tag:abl", ["a"]),
        ("data:of-b", ["b"]),
        ("state:fail", ["b"]),
        ("state:fail tag:abl", []),
        ("NOTE", ["a"]),
        ("of-", ["a", "b"]),
        ("ablation fin", ["a"]),
    ],
)
def test_the_filter_knows_tags_data_and_states(page: RunsPage, qtbot: QtBot, text: str, names: list[str]) -> None:
    _make("a", started=2.0, tags=("ablation",), note="A note.")
    _make("b", state=JobState.FAILED)
    _show(qtbot, page, "a", "b")
    page.filter.setText(text)
    assert _names(page) == names


def test_columns_are_chosen_and_remembered(page: RunsPage, qtbot: QtBot, settings: Settings) -> None:
    _make("a")
    _show(qtbot, page, "a")
    menu = QMenu(page)
    page.table.columns_menu(menu)
    actions = {action.text(): action for action in menu.actions()}
    assert list(actions) == [column.title for column in COLUMNS[1:]]
    actions["Model"].trigger()
    page.table.sortByColumn(PLACES["loss"], Qt.SortOrder.AscendingOrder)
    assert page.table.isColumnHidden(PLACES["model"])
    settings.flush()
    again = RunsPage(Settings(settings.path), Launcher(in_process=True))
    qtbot.addWidget(again)
    assert again.table.hidden == ["model"]
    assert again.table.order == ("loss", False)
    again.close_page()


@pytest.mark.parametrize(
    "form", [{"hidden": 3}, {"order": ["x"]}, {"hidden": ["name", "nothing", 4], "order": "nothing"}]
)
def test_what_was_remembered_wrongly_does_no_harm(qtbot: QtBot, settings: Settings, form: dict[str, object]) -> None:
    settings.save_form("runs", form)
    page = RunsPage(settings, Launcher(in_process=True))
    qtbot.addWidget(page)
    assert page.table.hidden == []
    assert page.table.order == ("started", True)
    page.close_page()


def test_runs_without_a_value_come_last_either_way(page: RunsPage, qtbot: QtBot) -> None:
    for name, loss in (("a", 0.2), ("b", None), ("c", 0.1)):
        folder = _make(name)
        folder.write_status(msgspec.structs.replace(folder.read_status(), loss=loss))
    _show(qtbot, page, "a", "b", "c")
    page.table.sortByColumn(PLACES["loss"], Qt.SortOrder.AscendingOrder)
    assert _names(page) == ["c", "a", "b"]
    page.table.sortByColumn(PLACES["loss"], Qt.SortOrder.DescendingOrder)
    assert _names(page) == ["a", "c", "b"]


def test_a_refresh_keeps_selection_and_scroll_position(page: RunsPage, qtbot: QtBot) -> None:
    for number in range(60):
        _make(f"run-{number:02d}", started=1000.0 - number)
    page.resize(900, 500)
    page.show()
    qtbot.waitUntil(lambda: len(_names(page)) == 60)
    page.table.selectRow(30)
    bar = page.table.verticalScrollBar()
    bar.setValue(25)
    folder = RunFolder(runs_dir() / "run-10")
    folder.write_status(msgspec.structs.replace(folder.read_status(), state=JobState.FAILED))
    shutil.rmtree(runs_dir() / "run-59")
    page.refresh()
    qtbot.waitUntil(lambda: page.table.model().index(10, PLACES["state"]).data() == "Failed")
    qtbot.waitUntil(lambda: len(_names(page)) == 59)
    assert [row.path.name for row in page.selected()] == ["run-30"]
    assert bar.value() == 25
    _make("new", started=2000.0)
    page.refresh()
    qtbot.waitUntil(lambda: _names(page)[0] == "new")
    assert [row.path.name for row in page.selected()] == ["run-30"]


def test_nothing_is_redrawn_while_nothing_changes(page: RunsPage, qtbot: QtBot) -> None:
    _make("a")
    _show(qtbot, page, "a")
    qtbot.waitUntil(lambda: not page._job.is_running)
    changes: list[object] = []
    model = page.table.model()
    for signal in (model.dataChanged, model.layoutChanged, model.rowsInserted, model.rowsRemoved):
        signal.connect(lambda *_: changes.append(1))
    page.refresh()
    with qtbot.waitSignal(page._job.ended):
        pass
    assert changes == []


def test_a_preview_that_lies_outside_of_the_run_is_not_read(page: RunsPage, qtbot: QtBot, tmp_path: Path) -> None:
    for number, preview in enumerate(("../../secret.png", str(tmp_path / "secret.png"))):
        folder = _make(f"run-{number}")
        folder.write_status(msgspec.structs.replace(folder.read_status(), preview=preview))
    _show(qtbot, page, "run-0", "run-1")
    assert [row.preview for row in page.table.model().rows] == [None, None]  # type: ignore[attr-defined]


def test_what_cannot_be_written_is_said(page: RunsPage, answers: Answers, qtbot: QtBot) -> None:
    folder = _make("a")
    _show(qtbot, page, "a")
    _select(page, 0)
    shutil.rmtree(folder.path)
    answers.label = Label(title="b")
    page.actions_by_key["rename"].trigger()
    assert "is not a run" in page._message.text()
    qtbot.waitUntil(lambda: _names(page) == [])


def test_a_queued_run_that_is_deleted_leaves_the_queue(
    page: RunsPage, answers: Answers, qtbot: QtBot, tmp_path: Path
) -> None:
    queue = Queue(runs_dir())
    folder = queue.add(parse_recipe({}), "waiting", devices=("cpu",))
    assert [entry.run for entry in queue.entries()] == [folder.name]
    answers.trash = lambda path: bool(path.rename(tmp_path / "trash"))
    _show(qtbot, page, "waiting")
    _select(page, 0)
    page.buttons["delete"].click()
    assert queue.entries() == []
    assert (tmp_path / "trash").is_dir()
    qtbot.waitUntil(lambda: _names(page) == [])


def test_a_queued_run_that_the_trash_refuses_keeps_its_place(page: RunsPage, answers: Answers, qtbot: QtBot) -> None:
    queue = Queue(runs_dir())
    folders = [queue.add(parse_recipe({}), name, devices=("cpu",)) for name in ("first", "last")]
    before = queue.entries()
    asked: list[bool] = []

    def refuse(_path: Path) -> bool:
        asked.append(queue.waits(before[0]))
        with (runs_dir() / ".queue.lock").open("a+b") as file:
            asked.append(try_lock(file))  # whoever starts runs takes it first
        return False

    answers.trash = refuse
    _show(qtbot, page, "last", "first")
    _select(page, [run.path for run in page.table.model().rows].index(folders[0].path))  # type: ignore[attr-defined]
    page.buttons["delete"].click()
    assert asked == [True, False]
    assert queue.entries() == before
    assert "could not be moved to the trash" in page._message.text()


def test_the_dialogs_say_what_is_not_possible(qtbot: QtBot) -> None:
    _make("a", tags=("x", "y"), started=2.0)
    _make("b", tags=("y", "z"))
    rows = [RunRow(summary=summary) for summary in list_runs(runs_dir())]
    name = NameDialog(rows[0])
    qtbot.addWidget(name)
    name.name.setText("a" * 121)
    name._on_accepted()
    assert "121 letters" in name._said.words
    name.name.setText("A name")
    assert name.label() == Label(title="A name")
    tags = TagsDialog(rows, ["x", "y", "z", "zebra"])
    qtbot.addWidget(tags)
    assert tags.tags.text() == "y"
    tags.tags.setText("new, other")
    assert tags.changes() == (("new", "other"), ("y",))
    tags.tags.setText("a" * 40)
    tags._on_accepted()
    assert "40 letters" in tags._said.words
    completer = tags.tags.completer()
    assert isinstance(completer, QCompleter)
    assert completer.splitPath("new, ze") == ["ze"]
    tags.tags.setText("new, ze")
    completer.setCompletionPrefix("ze")
    assert completer.currentCompletion() == "new, zebra"
