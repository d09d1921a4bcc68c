"""The whole Evaluate page and the Model files page in their states, for a person to look at."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from evaluate_right_scenes import read_pictures
from evaluate_setup_scenes import described
from evaluation_results import (
    LOST,
    LOST_REMEDY,
    curve_plan,
    curve_result,
    curve_results,
    one_plan,
    one_result,
    record_of,
    sources_plan,
    sources_results,
    write_entry,
)
from model_files_scenes import MIXED
from PySide6.QtWidgets import QWidget
from scripted import Script, ScriptedLauncher, Step

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import encode_result
from dit_studio.events import Failure, PointDone, PointFailed, PointStarted, Progress
from dit_studio.places import evaluations_dir
from dit_studio.ui.evaluate.page import EvaluatePage
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings

_CURVE, _SOURCES, _ONE = "20260302-101500-bbbb", "20260301-090000-aaaa", "20260228-080000-cccc"
_DIED = Failure(
    message="The worker process ended in the middle of its work (it closed its output).",
    remedy="Go on: what is measured is kept.",
    code="killed",
    details="Traceback (most recent call last):\n  …",
)


def _window(place: Path, measuring: Callable[..., Script] | None = None) -> tuple[MainWindow, EvaluatePage]:
    settings = Settings(place / "settings.json")
    settings.put(page="evaluate")
    answers: dict[str, Any] = {"describe_source": described, "model_files": [MIXED], "pictures": read_pictures}
    launcher = ScriptedLauncher(answers=answers | ({"evaluate_plan": measuring} if measuring else {}))
    window = MainWindow(settings, launcher)  # type: ignore[arg-type]
    page = window.page("evaluate")
    assert isinstance(page, EvaluatePage)
    return window, page


def _write_history() -> None:
    root = evaluations_dir()
    write_entry(root, _ONE, record_of(one_plan(), time=1_769_000_000.0), {0: one_result()})
    write_entry(root, _SOURCES, record_of(sources_plan(), time=1_769_500_000.0), sources_results())
    write_entry(root, _CURVE, record_of(curve_plan(), failed=[7]), curve_results())


def _shown(place: Path, name: str) -> tuple[MainWindow, EvaluatePage]:
    _write_history()
    window, page = _window(place)
    page.entries.opened.emit(name)
    return window, page


def _half(plan: dict[str, Any], folder: str) -> list[Step]:
    place, count = Path(folder), 9
    asked = msgspec.convert(plan, EvaluationPlan)
    place.rmdir()
    record = record_of(asked, done=count, failed=[3], state="running")
    write_entry(place.parent, place.name, record, curve_results(count))
    said: list[Step] = []
    for index in range(count):
        said.append(PointStarted(index=index))
        text = encode_result(curve_result(index)).decode()
        failed = PointFailed(index=index, message=LOST, remedy=LOST_REMEDY)
        said.append(failed if index == 3 else PointDone(index=index, result=text))
    progress = Progress(stage="Drawing images", done=310, total=500, unit="images", rate=31.0)
    return [*said, PointStarted(index=count), progress]


def _measure(page: EvaluatePage) -> None:
    page.session.evaluate(curve_plan(), page.history.new_folder())
    page._show_measured()


def empty(place: Path) -> QWidget:
    return _window(place)[0]


def one(place: Path) -> QWidget:
    return _shown(place, _ONE)[0]


def busy(place: Path) -> QWidget:
    window, page = _window(place, lambda plan, folder: [*_half(plan, folder), threading.Event()])
    _measure(page)
    return window


def died(place: Path) -> QWidget:
    window, page = _window(place, lambda plan, folder: [*_half(plan, folder), _DIED])
    _measure(page)
    return window


def curve(place: Path) -> QWidget:
    window, page = _shown(place, _CURVE)
    page._tabs.setCurrentWidget(page.curves)
    return window


def sources(place: Path) -> QWidget:
    """With the nearest images of the one that copies."""
    window, page = _shown(place, _SOURCES)
    page.results.copying_asked.emit(2)
    return window


def compared(place: Path) -> QWidget:
    window, page = _shown(place, _SOURCES)
    page.entries.compare_asked.emit(_SOURCES)
    page.entries.compare_asked.emit(_ONE)
    return window


def files(place: Path) -> QWidget:
    settings = Settings(place / "settings.json")
    settings.put(page="files")
    return MainWindow(settings, ScriptedLauncher(answers={"model_files": [MIXED]}))  # type: ignore[arg-type]


EVALUATE_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "evaluate-empty": empty,
    "evaluate-one": one,
    "evaluate-busy": busy,
    "evaluate-died": died,
    "evaluate-curve": curve,
    "evaluate-sources": sources,
    "evaluate-compared": compared,
    "model-files": files,
}
