"""The Runs page in its states, for screenshots.py and for the walk over every page."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from example_runs import make_run, make_runs
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget
from scripted import ScriptedLauncher

from dit_studio.events import Failure, JobState, Measured, Metrics
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import change_label
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.runs.label_dialogs import NameDialog, TagsDialog
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings

_IMPORT_FAILED = Failure(
    message="digits-XXS.dit-run is damaged: the SHA-256 of checkpoints/step-0002000/model.safetensors is not that of "
    "its manifest.",
    remedy="Copy or export it again; nothing was imported.",
)


def make_many(root: Path) -> list[RunFolder]:
    """Runs with titles, tags, figures and machines, one of them archived."""
    runs = make_runs(root)
    runs += [
        make_run(root, f"ablation-{number}", "landscapes", "XXS/2", JobState.FINISHED, 2000, age=6 + number)
        for number in range(5)
    ]
    for number, folder in enumerate(runs):
        values = {"metric": "FID-random-256", "metric_value": 12.3456 / (1 + number), "devices": ("cpu",)}
        folder.write_status(msgspec.structs.replace(folder.read_status(), **values))
        _write_machine(folder, number)
        _write_metrics(folder, number)
    change_label(runs[0], tags=("baseline",))
    change_label(runs[1], title="Landscapes, twice the width and a name that is far too long for its column")
    for number, folder in enumerate(runs[4:]):
        change_label(folder, title=f"Rate {number + 1}e-4", tags=("ablation", "rate"), note="Is it the rate?")
    change_label(runs[-1], is_archived=True)
    return runs


def _write_machine(folder: RunFolder, number: int) -> None:
    environment = {"torch": "2.13.0", "python": "3.11.7", "device": ("H200", "Xeon")[number % 2], "precision": "bf16"}
    (folder.path / "environment.json").write_bytes(msgspec.json.encode(environment))


def _write_metrics(folder: RunFolder, number: int) -> None:
    """All its steps by the clock, of machines that are not equally fast, with a figure now and then."""
    (folder.path / "events.jsonl").unlink()
    step = folder.read_status().step
    with EventWriter(folder) as writer:
        for place in range(0, step, 4):
            seconds = place * (0.3 + 0.4 * number)
            loss = 0.1 + 40 / (place + 40 + 20 * number)
            writer.append(Metrics(step=place, loss=loss, learning_rate=1e-4, images_seen=64 * place, seconds=seconds))
            if place % 100 == 0 and number % 3 != 2:
                writer.append(Measured(step=place, metric="fid", name="FID-random-256", value=8000 / (place + 100)))


def _window(place: Path) -> MainWindow:
    make_many(place / "runs")
    settings = Settings(place / "settings.json")
    settings.put(page="runs")
    return MainWindow(settings, ScriptedLauncher(answers={"import_run": [_IMPORT_FAILED]}))


def _page(window: MainWindow) -> RunsPage:
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    return page


def runs_many(place: Path) -> QWidget:
    return _window(place)


def runs_archived(place: Path) -> QWidget:
    window = _window(place)
    _page(window).archived.setChecked(True)
    _page(window).filter.setText("tag:ablation")
    return window


def runs_by_time(place: Path) -> QWidget:
    window = _window(place)
    window._settings.save_form("compare", {"axis": "seconds", "smoothing": 0.5})
    page = _page(window)
    page.table.model().rowsInserted.connect(lambda: QTimer.singleShot(0, page.table, page.table.selectAll))
    return window


def runs_by_metric(place: Path) -> QWidget:
    window = runs_by_time(place)
    assert isinstance(window, MainWindow)
    page = _page(window)

    def choose() -> None:
        if page.compare is not None:
            page.compare.controls.measure.setCurrentText("FID-random-256")

    def choose_once_read() -> None:
        if page.compare is not None:
            page.compare._job.received.connect(choose)

    page.table.selectionModel().selectionChanged.connect(choose_once_read)
    return window


def runs_import_failed(place: Path) -> QWidget:
    window = _window(place)
    _page(window).import_file(place / "digits-XXS.dit-run")
    return window


def _rows(place: Path) -> list[RunRow]:
    from dit_studio.jobs.run_list import list_runs

    make_many(place / "runs")
    return [RunRow(summary=summary) for summary in list_runs(place / "runs")]


def runs_rename(place: Path) -> QWidget:
    return NameDialog(next(row for row in _rows(place) if row.summary.label.note))


def runs_tags(place: Path) -> QWidget:
    return TagsDialog([row for row in _rows(place) if row.summary.label.tags], ["ablation", "baseline", "rate"])


RUNS_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "runs-many": runs_many,
    "runs-archived": runs_archived,
    "runs-by-time": runs_by_time,
    "runs-by-metric": runs_by_metric,
    "runs-import-failed": runs_import_failed,
}
RUNS_PARTS: dict[str, Callable[[Path], QWidget]] = {"runs-rename": runs_rename, "runs-tags": runs_tags}  # no windows
