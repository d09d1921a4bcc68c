"""Taking an evaluation along from the window: what is offered, what is asked, what is said."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from dit_studio.events import Failure, Progress, SettingsRefused, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.evaluate.export_menu import ExportMenu
from tests.ui.evaluation_results import curve_plan, curve_results, record_of, sources_plan, sources_results, write_entry
from tests.ui.scripted import Script, ScriptedLauncher


class Answers:
    """Answers what dialogs ask: paths for files, and whether they are to be replaced."""

    def __init__(self, *paths: str, does_replace: bool = True) -> None:
        self.paths, self.does_replace = list(paths), does_replace
        self.asked: list[tuple[str, str, str]] = []
        self.questions: list[str] = []

    def save_path(self, title: str, suggested: str, kinds: str) -> str:
        self.asked.append((title, suggested, kinds))
        return self.paths.pop(0) if self.paths else ""

    def confirm(self, question: str, _button: str) -> bool:
        self.questions.append(question)
        return self.does_replace


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return write_entry(tmp_path, "entry", record_of(curve_plan()), curve_results())


@pytest.fixture
def menus() -> Iterator[list[ExportMenu]]:
    made: list[ExportMenu] = []
    yield made
    for menu in made:
        menu.close_jobs()


def menu_of(qtbot: QtBot, made: list[ExportMenu], launcher: Any, answers: Answers, folder: Path | None) -> ExportMenu:
    menu = ExportMenu(launcher, save_path=answers.save_path, confirm=answers.confirm)
    qtbot.addWidget(menu)
    qtbot.addWidget(menu.status)
    menu.folder = folder
    made.append(menu)
    return menu


def choose(menu: ExportMenu, text: str) -> None:
    next(action for action in menu.menu().actions() if action.text() == text).trigger()


def written(path: str, **_: Any) -> Script:
    return [
        Progress(stage="Reading evaluations", done=0, total=1, unit="evaluations"),
        Written(file=path, size_bytes=9000),
    ]


def launcher_with(script: Any) -> ScriptedLauncher:
    return ScriptedLauncher(answers={"report": script, "save_statistics": script})


def test_without_an_evaluation_nothing_is_offered(qtbot: QtBot, menus: list[ExportMenu]) -> None:
    menu = menu_of(qtbot, menus, ScriptedLauncher(), Answers(), None)
    actions = [action for action in menu.menu().actions() if action.isVisible() and not action.isSeparator()]
    assert len(actions) == 4
    assert not any(action.isEnabled() for action in actions)
    assert all(action.toolTip().startswith("Nothing is shown") for action in actions)
    assert menu.accessibleName() == "Export"
    menu.export("html")
    assert menu.folder is None


def test_the_menu_says_of_which_evaluation(qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path) -> None:
    menu = menu_of(qtbot, menus, ScriptedLauncher(), Answers(), entry)
    menu.menu().aboutToShow.emit()
    heading = menu.menu().actions()[0]
    assert heading.text().startswith("Of digits: checkpoint × CFG, ")
    assert heading.isVisible()
    assert not heading.isEnabled()
    record = record_of(msgspec.structs.replace(sources_plan(), title="A & B " * 40))
    menu.folder = write_entry(tmp_path, "long", record, sources_results())
    menu.menu().aboutToShow.emit()
    assert heading.text().startswith("Of A && B")
    assert len(heading.text()) < 100


@pytest.mark.parametrize(
    ("text", "ending", "kinds"),
    [
        ("Report as HTML…", "html", "HTML (*.html)"),
        ("Figures as CSV…", "csv", "CSV (*.csv)"),
        ("Everything as JSON…", "json", "JSON (*.json)"),
    ],
)
def test_a_report_is_asked_for_as_its_job_expects(
    qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path, text: str, ending: str, kinds: str
) -> None:
    answers, launcher = Answers(str(tmp_path / "mine")), launcher_with(written)
    menu = menu_of(qtbot, menus, launcher, answers, entry)
    choose(menu, text)
    path = tmp_path / f"mine.{ending}"
    assert launcher.calls == [("report", {"folders": [str(entry)], "path": str(path)})]
    assert answers.asked == [(text.rstrip("…"), str(Path.home() / f"digits- checkpoint × CFG.{ending}"), kinds)]
    qtbot.waitUntil(lambda: "Saved" in menu.status.text())
    assert menu.status.text() == f"Saved mine.{ending} (9 kB)."


def test_statistics_are_those_of_the_reference_that_was_measured_against(
    qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path
) -> None:
    answers, launcher = Answers(str(tmp_path / "real.npz")), launcher_with(written)
    menu = menu_of(qtbot, menus, launcher, answers, entry)
    choose(menu, "Statistics of the reference…")
    ((job, params),) = launcher.calls
    assert (job, params["path"]) == ("save_statistics", str(tmp_path / "real.npz"))
    assert (params["request"]["real"], params["request"]["count"]) == ("/data/digits", 500)
    assert json.dumps(params)  # it goes to another process
    assert answers.asked[0][1].endswith("digits-random-statistics.npz")
    qtbot.waitUntil(lambda: "Saved real.npz" in menu.status.text())


def test_going_back_writes_nothing(qtbot: QtBot, menus: list[ExportMenu], entry: Path) -> None:
    launcher = ScriptedLauncher()
    choose(menu_of(qtbot, menus, launcher, Answers(), entry), "Report as HTML…")
    assert launcher.calls == []


def test_the_next_file_is_proposed_beside_the_last(
    qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path
) -> None:
    answers = Answers(str(tmp_path / "there" / "a.html"))
    menu = menu_of(qtbot, menus, launcher_with(written), answers, entry)
    choose(menu, "Report as HTML…")
    choose(menu, "Figures as CSV…")
    assert Path(answers.asked[1][1]).parent == tmp_path / "there"


def test_a_file_is_not_replaced_unasked_when_its_ending_was_added(
    qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("old")
    answers, launcher = Answers(str(tmp_path / "mine"), does_replace=False), launcher_with(written)
    choose(menu_of(qtbot, menus, launcher, answers, entry), "Figures as CSV…")
    assert answers.questions == [f"mine.csv is there already in {tmp_path}. Replace it?"]
    assert launcher.calls == []


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (Failure(message="The disk is full.", remedy="Free some space."), "a.html was not exported: The disk is full."),
        (SettingsRefused(problems=(("report.path", "It has to end in .html."),)), "It has to end in .html."),
    ],
)
def test_a_failure_is_a_sentence(
    qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path, event: Any, sentence: str
) -> None:
    menu = menu_of(qtbot, menus, launcher_with([event]), Answers(str(tmp_path / "a.html")), entry)
    choose(menu, "Report as HTML…")
    qtbot.waitUntil(lambda: sentence in menu.status.text())


def test_an_entry_that_is_gone_is_said(qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path) -> None:
    launcher = ScriptedLauncher()
    menu = menu_of(qtbot, menus, launcher, Answers(str(tmp_path / "a.html")), entry)
    (entry / "evaluation.json").unlink()
    with qtbot.waitSignal(menu.said) as said:
        choose(menu, "Report as HTML…")
    assert "is no evaluation" in said.args[0]
    assert said.args[1] == "error"
    assert launcher.calls == []


def test_cancel_ends_it_and_says_so(qtbot: QtBot, menus: list[ExportMenu], entry: Path, tmp_path: Path) -> None:
    launcher = launcher_with([Progress(stage="Reading pictures", done=0, total=20, unit="points"), threading.Event()])
    menu = menu_of(qtbot, menus, launcher, Answers(str(tmp_path / "a.html")), entry)
    choose(menu, "Report as HTML…")
    cancel = next(one for one in menu.status.findChildren(QPushButton) if one.text() == "Cancel")
    cancel.click()
    qtbot.waitUntil(lambda: menu.status.text() == "a.html was not exported: cancelled.")


def test_the_engine_writes_what_the_window_asks_for(qtbot: QtBot, menus: list[ExportMenu], tmp_path: Path) -> None:
    folder = write_entry(tmp_path, "entry", record_of(sources_plan()), sources_results())
    launcher = Launcher(in_process=True)
    menu = menu_of(qtbot, menus, launcher, Answers(str(tmp_path / "report.html")), folder)
    choose(menu, "Report as HTML…")
    qtbot.waitUntil(lambda: "Saved report.html" in menu.status.text(), timeout=20_000)
    assert "FD-random-500" in (tmp_path / "report.html").read_text(encoding="utf-8")
    launcher.close()
