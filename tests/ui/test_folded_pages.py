"""Pages where there is room for one column: keys, the bar that starts and stops, and what comes to the front."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluate_setup_scenes import described, make_run_with_checkpoints
from evaluation_results import curve_plan, one_plan, one_result, record_of, write_entry
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTabWidget, QWidget
from pytestqt.qtbot import QtBot
from sample_answers import MODEL, drawn
from sample_history_scenes import make_entry
from sample_history_scenes import record_of as drawing_of
from scripted import ScriptedLauncher

from dit_studio.events import JobState
from dit_studio.places import evaluations_dir, samples_dir
from dit_studio.ui.evaluate.page import EvaluatePage
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.settings import Settings

NARROW, WIDE = 480, 1400  # pixels
ENTRY = "20260228-080000-cccc"


@pytest.fixture
def evaluate(qtbot: QtBot, settings: Settings) -> Iterator[EvaluatePage]:
    write_entry(evaluations_dir(), ENTRY, record_of(one_plan()), {0: one_result()})
    page = EvaluatePage(settings, ScriptedLauncher(answers={"describe_source": described}))  # type: ignore[arg-type]
    yield shown(qtbot, page, page._tabs)
    page.close_page()


@pytest.fixture
def sample(qtbot: QtBot, settings: Settings) -> Iterator[SamplePage]:
    make_entry(samples_dir(), "old", drawing_of(seconds_ago=500, classes=(3,), count=2, seed=40, steps=4))
    settings.save_form("sample model", {"path": MODEL.path, "weights": "ema"})
    answers: dict[str, Any] = {"describe_sampling": [MODEL], "sample": drawn}
    page = SamplePage(settings, ScriptedLauncher(answers=answers))  # type: ignore[arg-type]
    yield shown(qtbot, page, page._tabs)
    page.close_page()


def shown(qtbot: QtBot, page: Any, tabs: QTabWidget) -> Any:
    """The page in one column, its set-up behind another tab."""
    qtbot.addWidget(page)
    page.resize(NARROW, 640)
    with qtbot.waitActive(page):
        page.show()
    qtbot.waitUntil(lambda: page._columns.count == 1)
    assert tabs.currentWidget() is not page.set_up
    return page


def control(page: QWidget, key: Qt.Key) -> None:
    QTest.keyClick(page, key, Qt.KeyboardModifier.ControlModifier)


def top_of(widget: QWidget, page: QWidget) -> int:
    return widget.mapTo(page, widget.rect().topLeft()).y()


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_keys_of_the_evaluate_page_work_whatever_is_shown(qtbot: QtBot, evaluate: EvaluatePage, width: int) -> None:
    evaluate.resize(width, 640)
    qtbot.waitUntil(lambda: evaluate._columns.count == (1 if width == NARROW else 3))
    evaluate.open_model(make_run_with_checkpoints())
    qtbot.waitUntil(evaluate.set_up.bar.buttons["evaluate"].isEnabled)
    asked: list[str] = []
    for name in ("evaluate", "pause", "stop"):
        getattr(evaluate.set_up, f"{name}_asked").disconnect()
        getattr(evaluate.set_up, f"{name}_asked").connect(lambda name=name: asked.append(name))
    control(evaluate, Qt.Key.Key_P)
    assert asked == [], "nothing is measured that could be held"
    control(evaluate, Qt.Key.Key_Return)
    assert asked == ["evaluate"], "once, not refused as ambiguous"
    evaluate.set_up.show_state(JobState.RUNNING)
    control(evaluate, Qt.Key.Key_Return)
    control(evaluate, Qt.Key.Key_P)
    control(evaluate, Qt.Key.Key_Period)
    assert asked == ["evaluate", "pause", "stop"]


def test_pause_stop_and_progress_are_seen_beside_the_results(qtbot: QtBot, evaluate: EvaluatePage) -> None:
    bar = evaluate.set_up.bar
    evaluate.set_up.show_state(JobState.RUNNING)
    evaluate.set_up.show_progress("Drawing: 3 / 100 images", 3, 100)
    for tab in range(evaluate._tabs.count()):
        evaluate._tabs.setCurrentIndex(tab)
        assert bar.buttons["pause"].isVisible(), evaluate._tabs.tabText(tab)
        assert bar.buttons["stop"].isVisible(), evaluate._tabs.tabText(tab)
        assert bar._busy.isVisible(), evaluate._tabs.tabText(tab)
    qtbot.waitUntil(lambda: top_of(bar, evaluate) > top_of(evaluate._tabs, evaluate) + evaluate._tabs.height() - 1)
    assert top_of(bar, evaluate) + bar.height() <= evaluate.height()
    evaluate.resize(WIDE, 640)
    qtbot.waitUntil(lambda: evaluate._columns.count == 3)
    assert bar.parentWidget() is evaluate.set_up
    evaluate.resize(NARROW, 640)
    qtbot.waitUntil(lambda: evaluate._columns.count == 1 and bar.isVisible())


def test_what_the_history_opens_comes_to_the_front(qtbot: QtBot, evaluate: EvaluatePage) -> None:
    entries = evaluate.entries
    for key, widget in (
        (Qt.Key.Key_Return, evaluate.results),
        (Qt.Key.Key_C, evaluate.bars),
        (Qt.Key.Key_R, evaluate.set_up),
    ):
        evaluate._tabs.setCurrentWidget(evaluate._side)
        entries.select(ENTRY)
        qtbot.keyClick(entries.list, key)
        assert evaluate._tabs.currentWidget() is widget
    evaluate._tabs.setCurrentWidget(evaluate.curves)
    evaluate._open_newest()
    assert evaluate._tabs.currentWidget() is evaluate.curves, "nobody asked for another tab"


def test_what_a_link_or_a_drop_brings_comes_to_the_front(qtbot: QtBot, evaluate: EvaluatePage, tmp_path: Path) -> None:
    run = make_run_with_checkpoints()
    for bring in (
        lambda: evaluate.open_model(run),
        lambda: evaluate.open_images([tmp_path]),
        lambda: evaluate.open_dropped(tmp_path),
        lambda: evaluate.open_sweep(tmp_path),
        lambda: evaluate.open_reference(tmp_path),
    ):
        evaluate._tabs.setCurrentWidget(evaluate.results)
        bring()
        assert evaluate._tabs.currentWidget() is evaluate.set_up
    qtbot.waitUntil(lambda: evaluate.set_up.reference.described is not None)


def test_the_nearest_images_come_to_the_front(evaluate: EvaluatePage, tmp_path: Path) -> None:
    evaluate.display.begin(curve_plan(), tmp_path)
    evaluate.results.copying_asked.emit(0)
    assert evaluate._tabs.currentWidget() is evaluate._side
    assert evaluate.copying.isVisible()


def test_the_keys_of_the_sample_page_work_whatever_is_shown(qtbot: QtBot, sample: SamplePage) -> None:
    qtbot.waitUntil(sample.set_up.bar.generate.isEnabled)
    assert sample.set_up.bar.generate.isVisible()
    control(sample, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sample.session.state is JobState.FINISHED)
    sample.set_up.show_state(JobState.RUNNING)
    with qtbot.waitSignal(sample.set_up.stop_asked):
        control(sample, Qt.Key.Key_Period)


def test_what_the_history_of_drawings_opens_comes_to_the_front(qtbot: QtBot, sample: SamplePage) -> None:
    for key, widget in ((Qt.Key.Key_Return, sample._images), (Qt.Key.Key_R, sample.set_up)):
        sample._tabs.setCurrentWidget(sample._side)
        sample.entries.select("old")
        qtbot.keyClick(sample.entries.list, key)
        assert sample._tabs.currentWidget() is widget
