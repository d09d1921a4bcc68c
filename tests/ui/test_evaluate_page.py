"""The Evaluate page as a user meets it, with a worker that measures what a test wrote down."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluation_results import LOST, copying, curve_plan, curve_result, one_plan, one_result, record_of, write_entry
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher, Step

from dit_studio.evaluation_plan import EvaluationPlan, open_evaluation
from dit_studio.evaluation_request import encode_result
from dit_studio.events import (
    Failure,
    JobState,
    Notice,
    PointDone,
    PointFailed,
    PointStarted,
    Progress,
    SettingsRefused,
    SourceDescribed,
)
from dit_studio.places import evaluations_dir
from dit_studio.ui.evaluate.page import EvaluatePage
from dit_studio.ui.evaluate.samples_dialog import SamplesDialog
from dit_studio.ui.settings import Settings

_ONE_ROW = 24  # pixels, by which controls beside one another may differ
MakePage = Callable[..., EvaluatePage]


def described(path: str, role: str) -> Script:
    return [SourceDescribed(path=path, role=role, source="folder", images=500, classes=("0", "1"), has_labels=True)]


def done(index: int) -> PointDone:
    result = encode_result(curve_result(index)).decode()
    return PointDone(index=index, result=result, samples=f"/drawn/{index:03d}", seconds=3.0)


def measuring(count: int, *, failing: int = -1, gate: threading.Event | None = None) -> Callable[..., Script]:
    """An answer that measures so many points, keeps them as the engine does, and then perhaps waits."""

    def answer(plan: dict[str, Any], folder: str) -> Script:
        place = Path(folder)
        asked = msgspec.convert(plan, EvaluationPlan) if plan else open_evaluation(place).plan
        count_here = min(count, len(asked.points))
        said: list[Step] = []
        for index in range(count_here):
            progress = Progress(stage="Generated images", done=5, total=10, unit="images", rate=2.0)
            said += [PointStarted(index=index), progress]
            said.append(
                PointFailed(index=index, message=LOST, remedy="Leave it out.") if index == failing else done(index)
            )
        if not plan:
            return said
        place.rmdir()
        results = {index: curve_result(index) for index in range(count_here)}
        state = "finished" if gate is None else "running"
        record = record_of(asked, done=count_here, failed=[failing] if failing >= 0 else [], state=state)
        write_entry(place.parent, place.name, record, results)
        return [*said, gate] if gate is not None else said

    return answer


@pytest.fixture
def make_page(qtbot: QtBot, settings: Settings) -> Iterator[MakePage]:
    pages: list[EvaluatePage] = []

    def make(**answers: Script | Callable[..., Script]) -> EvaluatePage:
        launcher = ScriptedLauncher(answers={"describe_source": described, **answers})
        page = EvaluatePage(settings, launcher)  # type: ignore[arg-type]
        pages.append(page)
        qtbot.addWidget(page)
        page.resize(1280, 800)
        with qtbot.waitExposed(page):
            page.show()
        return page

    yield make
    for page in pages:
        page.close_page()


def with_plan(page: EvaluatePage, plan: EvaluationPlan, monkeypatch: pytest.MonkeyPatch) -> EvaluatePage:
    """As if the left column asked for it."""
    monkeypatch.setattr(page.set_up, "plan", lambda: plan)
    return page


def evaluate(page: EvaluatePage, qtbot: QtBot, state: JobState = JobState.FINISHED) -> None:
    page.set_up.evaluate_asked.emit()
    qtbot.waitUntil(lambda: page.session.state is state)


def text_of(widget: QWidget) -> str:
    labels = [getattr(child, "text", str) for child in widget.findChildren(QWidget) if child.isVisible()]
    return "\n".join(label() for label in labels if callable(label)).replace("\u200b", "")


def test_two_folders_are_measured_by_hand(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = make_page(evaluate_plan=measuring(1))
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    assert not page.set_up.bar.buttons["evaluate"].isEnabled()
    page.open_reference(tmp_path / "real")
    page.open_images([tmp_path / "fake"])
    qtbot.waitUntil(page.set_up.bar.buttons["evaluate"].isEnabled)
    page.set_up.bar.buttons["evaluate"].click()
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    launcher: Any = page.session._launcher
    asked = next(params["plan"] for job, params in launcher.calls if job == "evaluate_plan")
    request = asked["points"][0]["request"]
    assert (request["real"], request["fake"]) == (str(tmp_path / "real"), str(tmp_path / "fake"))
    assert page.display.found == {0: curve_result(0)}
    qtbot.waitUntil(lambda: curve_result(0).protocol_line in text_of(page.results))
    assert page.exports.folder == page.display.folder


def test_a_curve_grows_point_by_point_and_one_that_fails_is_marked(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = with_plan(make_page(evaluate_plan=measuring(20, failing=7)), curve_plan(), monkeypatch)
    evaluate(page, qtbot)
    assert set(page.display.found) == set(range(20)) - {7}
    assert [entry.title for entry in page.history.entries()] == [curve_plan().title]
    page.results.point_selected.emit(3)
    assert page.display.selected == 3


def test_a_pause_keeps_what_there_is_and_goes_on(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = with_plan(make_page(evaluate_plan=measuring(4, gate=threading.Event())), curve_plan(), monkeypatch)
    page.set_up.evaluate_asked.emit()
    qtbot.waitUntil(lambda: len(page.display.found) == 4)
    page.set_up.bar.buttons["pause"].click()
    qtbot.waitUntil(lambda: page.session.state is JobState.PAUSED)
    assert set(page.display.found) == set(range(4))
    launcher: Any = page.session._launcher
    launcher.answers["evaluate_plan"] = measuring(20)
    page.set_up.bar.buttons["go_on"].click()
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert set(page.display.found) == set(range(20))
    assert len(page.history.entries()) == 1
    plans = [params["plan"] for job, params in launcher.calls if job == "evaluate_plan"]
    assert plans[1] == {}


def test_another_entry_can_be_looked_at_while_one_is_measured(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan(), time=1.0), {0: one_result()})
    gate = threading.Event()
    page = with_plan(make_page(evaluate_plan=measuring(2, gate=gate)), curve_plan(), monkeypatch)
    page.set_up.evaluate_asked.emit()
    qtbot.waitUntil(lambda: len(page.display.found) == 2)
    page.entries.opened.emit("20200101-000000-aaaa")
    assert page.display.plan == one_plan()
    gate.set()
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert page.display.plan == one_plan()
    page.entries.opened.emit(page.session.folder.name if page.session.folder else "")
    assert set(page.display.found) == {0, 1}


def test_the_newest_entry_is_back_at_the_next_start(make_page: MakePage, qtbot: QtBot) -> None:
    results = {0: one_result(), 1: one_result()}
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan(), time=1.0), results)
    newest = record_of(curve_plan(), done=3, failed=[2], state="stopped", time=2.0)
    write_entry(evaluations_dir(), "20200102-000000-bbbb", newest, {0: curve_result(0), 1: curve_result(1)})
    page = make_page()
    qtbot.waitUntil(lambda: page.display.name == "20200102-000000-bbbb")
    assert set(page.display.found) == {0, 1}
    assert page.exports.folder is not None


def test_a_notice_about_a_point_goes_with_the_point(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = [threading.Event(), threading.Event()]
    kept = Notice(message="Drawing images: 128 of 400 are kept from before; going on.")
    warned = Notice(message="1 of 5 files was left out.", level="warning")
    script: Script = [PointStarted(index=0), kept, gates[0], PointStarted(index=1), gates[1], kept, warned]
    page = with_plan(make_page(evaluate_plan=script), curve_plan(), monkeypatch)
    page.set_up.evaluate_asked.emit()
    qtbot.waitUntil(lambda: page.message.text() == kept.message)
    gates[0].set()
    qtbot.waitUntil(page.message.isHidden)
    gates[1].set()
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert page.message.text() == warned.message, "a warning stays until it is dismissed"


def test_a_drop_of_images_says_what_it_does(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = make_page()
    assert page.drop_words(1) == "Drop to measure against these images"
    assert page.drop_words(2) == "Drop to measure against the first, and to measure the others"
    page.open_dropped(tmp_path)
    assert page.drop_words(1) == "Drop to measure these images"
    qtbot.waitUntil(lambda: page.set_up.reference.described is not None)


def test_a_refusal_names_the_field_and_leaves_no_entry(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "evaluate.count = 1 is not possible: 2 or more."
    refused = SettingsRefused(problems=(("evaluate.count", sentence),))
    page = with_plan(make_page(evaluate_plan=[refused]), one_plan(), monkeypatch)
    evaluate(page, qtbot, JobState.IDLE)
    qtbot.waitUntil(lambda: "2 or more" in text_of(page.message))
    assert sentence.partition(" = ")[2] in text_of(page.message)
    assert list(evaluations_dir().glob("2*")) == []


def test_a_worker_that_dies_says_so_and_the_next_one_serves(
    make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = Failure(message="The worker process ended.", remedy="Try again.", code="killed")
    page = with_plan(make_page(evaluate_plan=[PointStarted(index=0), died]), one_plan(), monkeypatch)
    evaluate(page, qtbot, JobState.FAILED)
    assert "The worker process ended." in text_of(page.message)
    launcher: Any = page.session._launcher
    launcher.answers["evaluate_plan"] = measuring(1)
    evaluate(page, qtbot)
    assert set(page.display.found) == {0}


def test_every_point_opens_its_samples(make_page: MakePage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    page = with_plan(make_page(evaluate_plan=measuring(20)), curve_plan(), monkeypatch)
    evaluate(page, qtbot)
    page.curves.samples_asked.emit(5)
    dialog = page.findChild(SamplesDialog)
    assert dialog is not None
    assert dialog.isVisible()
    assert "step 400, CFG 2" in dialog.windowTitle()
    dialog.close()


def test_results_are_compared_and_taken_out_again(make_page: MakePage) -> None:
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan()), {0: one_result()})
    page = make_page()
    page.entries.compare_asked.emit("20200101-000000-aaaa")
    assert page._tabs.currentWidget() is page.bars
    assert [label for label, _ in page._compared] == [one_plan().title]
    page.entries.compare_asked.emit("20200101-000000-aaaa")
    assert len(page._compared) == 1
    page.bars.removed.emit(one_plan().title)
    assert page._compared == []


def test_what_the_history_opens_is_seen_though_a_comparison_is_in_front(make_page: MakePage, qtbot: QtBot) -> None:
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan(), time=1.0), {0: one_result()})
    write_entry(evaluations_dir(), "20200102-000000-bbbb", record_of(curve_plan(), time=2.0), {0: curve_result(0)})
    page = make_page()
    page.entries.compare_asked.emit("20200101-000000-aaaa")
    page.entries.select("20200101-000000-aaaa")
    qtbot.keyClick(page.entries.list, Qt.Key.Key_Return)
    assert page._tabs.currentWidget() is page.results
    page._tabs.setCurrentWidget(page.bars)
    qtbot.keyClick(page.entries.list, Qt.Key.Key_Return)  # the same once more
    assert page._tabs.currentWidget() is page.results
    page._tabs.setCurrentWidget(page.curves)
    page.entries.select("20200102-000000-bbbb")
    qtbot.keyClick(page.entries.list, Qt.Key.Key_Return)
    assert page._tabs.currentWidget() is page.curves


@pytest.mark.parametrize("points", ["one", "many"])
def test_tab_goes_from_left_to_right_and_from_top_to_bottom(make_page: MakePage, qtbot: QtBot, points: str) -> None:
    if points == "one":
        write_entry(evaluations_dir(), "20260101-000000-aaaa", record_of(one_plan()), {0: one_result()})
    else:
        write_entry(evaluations_dir(), "20260101-000000-aaaa", record_of(curve_plan()), {0: curve_result(0)})
    page = make_page()
    qtbot.waitUntil(lambda: page.display.found != {})
    page.display.select(0)  # its card is built once more
    page.activateWindow()
    page._tabs.tabBar().setFocus()
    reached = [page._tabs.tabBar()]
    while (now := _after(reached[-1])) not in reached:
        reached.append(now)
    parts = [page._tabs.tabBar(), page.results, page.exports, page._side, page.set_up]
    found = [
        next(number for number, part in enumerate(parts) if part is one or part.isAncestorOf(one)) for one in reached
    ]
    assert found == sorted(found)
    assert set(found) == set(range(len(parts)))
    tops = [one.mapTo(page.results, one.rect().center()).y() for one in reached if page.results.isAncestorOf(one)]
    assert len(tops) > 4
    card = tops[1:] if points == "many" else tops  # the table is above, and may be higher than the card
    assert all(low > high - _ONE_ROW for high, low in itertools.pairwise(card))


def _after(widget: QWidget) -> QWidget:
    """What has the keyboard after Tab."""
    QTest.keyClick(widget, Qt.Key.Key_Tab)
    found = QApplication.focusWidget()
    assert found is not None
    return found


def test_copying_is_shown_of_the_chosen_point(make_page: MakePage, qtbot: QtBot) -> None:
    result = msgspec.structs.replace(one_result(), copying=copying())
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan()), {0: result})
    page = make_page()
    qtbot.waitUntil(lambda: page.display.selected == 0)
    page.results.copying_asked.emit(0)
    assert page._side.currentWidget() is page.copying
    assert "50" in text_of(page.copying)


def test_a_deleted_entry_is_no_longer_shown(make_page: MakePage, qtbot: QtBot) -> None:
    write_entry(evaluations_dir(), "20200101-000000-aaaa", record_of(one_plan()), {0: one_result()})
    page = make_page()
    qtbot.waitUntil(lambda: page.display.name == "20200101-000000-aaaa")
    page.entries.deleted.emit("20200101-000000-aaaa")
    assert page.display.name == ""
    assert page.exports.folder is None
