"""The Runs page: runs that go out as a file and come in from one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from example_runs import make_run
from pytestqt.qtbot import QtBot
from run_answers import Answers
from scripted import ScriptedLauncher

from dit_studio.events import JobState, Progress, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_archive import export_run
from dit_studio.places import runs_dir
from dit_studio.ui.drops import drop_words, kind_of, page_for
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def page(qtbot: QtBot, answers: Answers, settings: Settings) -> Iterator[RunsPage]:
    make_run(runs_dir(), "digits", "digits", "XXS/2", JobState.STOPPED, 20)
    result = RunsPage(settings, Launcher(in_process=True), dialogs=answers.dialogs())
    qtbot.addWidget(result)
    result.show()
    qtbot.waitUntil(lambda: _names(result) == ["digits"])
    yield result
    result.close_page()


def _names(page: RunsPage) -> list[str]:
    return sorted(row.path.name for row in page.table.model().rows)  # type: ignore[attr-defined]


def test_a_run_goes_out_and_comes_back(page: RunsPage, answers: Answers, qtbot: QtBot, tmp_path: Path) -> None:
    answers.export = (str(tmp_path / "out"), "newest")
    page.table.selectRow(0)
    page.buttons["export"].click()
    qtbot.waitUntil(lambda: "digits was exported" in page._message.text())
    assert not page.transfers.isVisible()
    answers.file = str(tmp_path / "out.dit-run")
    page.imports.click()
    qtbot.waitUntil(lambda: [row.path.name for row in page.selected()] == ["digits-2"])
    assert "out.dit-run was imported as digits-2." in page._message.text()
    assert _names(page) == ["digits", "digits-2"]


def test_an_import_that_the_filter_hides_is_shown_at_once(page: RunsPage, qtbot: QtBot, tmp_path: Path) -> None:
    list(export_run(str(runs_dir() / "digits"), str(tmp_path / "out.dit-run")))
    page.filter.setText("nothing is called so")
    page.import_file(tmp_path / "out.dit-run")
    qtbot.waitUntil(lambda: [row.path.name for row in page.selected()] == ["digits-2"])
    assert page.filter.text() == ""
    page.table.clearSelection()
    with qtbot.waitSignal(page._job.ended):
        page.refresh()
    assert page.selected() == []


def test_a_file_that_is_no_run_gets_a_sentence(page: RunsPage, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "a.dit-run").write_bytes(b"PK\x05\x06")
    page.import_file(tmp_path / "a.dit-run")
    qtbot.waitUntil(lambda: "a.dit-run is no exported run" in page._message.text())
    assert _names(page) == ["digits"]
    assert sorted(path.name for path in runs_dir().iterdir()) == ["digits"]


def test_an_import_is_shown_and_cancelled(qtbot: QtBot, settings: Settings, tmp_path: Path) -> None:
    launcher = ScriptedLauncher(
        answers={"import_run": [Progress(stage="importing", done=5 * 10**6, total=10**7, unit="bytes"), "wait"]}
    )
    page = RunsPage(settings, launcher)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.show()
    page.import_file(tmp_path / "a.dit-run")
    bar = page.transfers._bar
    qtbot.waitUntil(lambda: "Importing a.dit-run: 5 MB of 10 MB" in bar._label.text())
    page.transfers.cancel.click()
    qtbot.waitUntil(lambda: "a.dit-run was not imported: cancelled." in page._message.text())
    page.close_page()


def test_several_wait_for_one_another(qtbot: QtBot, settings: Settings, tmp_path: Path) -> None:
    launcher = ScriptedLauncher(answers={"import_run": [Written(file=str(tmp_path / "run"))]})
    page = RunsPage(settings, launcher)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.show()
    said: list[str] = []
    page.transfers.ended.connect(lambda text, _level: said.append(text))
    for name in ("a", "b", "a"):
        page.import_file(tmp_path / f"{name}.dit-run")
    qtbot.waitUntil(lambda: not page.transfers.is_busy)
    assert said == [f"{name}.dit-run was imported as run." for name in ("a", "b")]
    page.close_page()


def test_a_file_that_is_dropped_on_the_window_is_imported(qtbot: QtBot, settings: Settings, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "elsewhere", "digits", "digits", "XXS/2", JobState.STOPPED, 20)
    archive = tmp_path / "digits.dit-run"
    *_, written = export_run(str(folder.path), str(archive))
    assert isinstance(written, Written)
    assert (kind_of(archive), page_for("archive", "train")) == ("archive", "runs")
    assert drop_words("archive", "sample") == "Drop to import the run"
    launcher = Launcher(in_process=True)
    settings.put(page="settings")
    window = MainWindow(settings, launcher)
    qtbot.addWidget(window)
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    window.show()
    window.open_path(archive)
    qtbot.waitUntil(lambda: [row.path.name for row in page.selected()] == ["digits"])
    assert (runs_dir() / "digits" / "run.toml").read_bytes() == (folder.path / "run.toml").read_bytes()
    window.leave()
    page.close_page()
    launcher.close()
