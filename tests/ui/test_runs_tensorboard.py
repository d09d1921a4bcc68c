"""Runs go out as TensorBoard files from the Runs page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from example_runs import make_runs
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.events import Progress, Written
from dit_studio.ui.runs.dialogs import RunDialogs
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings


@pytest.fixture
def launcher(tmp_path: Path) -> ScriptedLauncher:
    progress = Progress(stage="Exporting", done=1, total=2, unit="bytes")
    return ScriptedLauncher(
        answers={"export_tensorboard": [progress, Written(file=str(tmp_path / "board"), size_bytes=2_000_000)]}
    )


@pytest.fixture
def page(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunsPage]:
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    make_runs(tmp_path / "runs")
    dialogs = RunDialogs(tensorboard_folder=lambda _: str(tmp_path / "board"))
    result = RunsPage(settings, launcher, dialogs=dialogs)
    qtbot.addWidget(result)
    yield result
    result.close_page()


def test_the_selected_runs_go_out_one_after_another(
    page: RunsPage, launcher: ScriptedLauncher, qtbot: QtBot, tmp_path: Path
) -> None:
    page.show()
    qtbot.waitUntil(lambda: page.table.model().rowCount() == 4)
    page.table.selectAll()
    said: list[str] = []
    page.transfers.ended.connect(lambda words, _level: said.append(words))
    page.do("tensorboard")
    qtbot.waitUntil(lambda: len(said) == 4)
    calls = [params for job, params in launcher.calls if job == "export_tensorboard"]
    assert sorted(call["folders"] for call in calls) == sorted([str(path)] for path in (tmp_path / "runs").iterdir())
    assert {call["path"] for call in calls} == {str(tmp_path / "board")}
    assert f"landscapes-B4 was exported: {tmp_path / 'board'} (2 MB)." in said
