"""A plan of evaluations as the page follows it, with a worker that says what a test wrote down."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluation_results import curve_plan, curve_result, one_plan, one_result, record_of
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.evaluation_request import EvaluationResult, encode_result
from dit_studio.events import (
    Failure,
    JobState,
    PointDone,
    PointFailed,
    PointStarted,
    Progress,
    SettingsRefused,
)
from dit_studio.ui.evaluate.evaluate_bar import EvaluateBar
from dit_studio.ui.evaluate.remaining import Remaining
from dit_studio.ui.evaluate.session import EvaluationSession


def done(index: int, result: EvaluationResult) -> PointDone:
    return PointDone(index=index, result=encode_result(result).decode(), samples=f"/drawn/{index}")


def drawing(done: int, *, rate: float = 0.0) -> Progress:
    return Progress(stage="Drawing", done=done, total=100, unit="images", rate=rate)


@pytest.fixture
def sessions() -> Iterator[list[EvaluationSession]]:
    made: list[EvaluationSession] = []
    yield made
    for session in made:
        session.close()


def session_of(sessions: list[EvaluationSession], *scripts: Script) -> tuple[EvaluationSession, ScriptedLauncher]:
    waiting = list(scripts)
    launcher = ScriptedLauncher(answers={"evaluate_plan": lambda **_: waiting.pop(0)})
    sessions.append(EvaluationSession(launcher))  # type: ignore[arg-type]
    return sessions[-1], launcher


def wait_for(session: EvaluationSession, state: JobState, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: session.state is state)


def test_every_point_is_handed_on_and_the_plan_finishes(
    sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path
) -> None:
    failed = PointFailed(index=1, message="The checkpoint is gone.", remedy="Leave it out.")
    script = [PointStarted(index=0), drawing(5), done(0, curve_result(0)), PointStarted(index=1), failed]
    session, launcher = session_of(sessions, script)
    found: list[Any] = []
    session.point_done.connect(lambda *said: found.append(said))
    session.point_failed.connect(lambda *said: found.append(said))
    session.evaluate(curve_plan(), tmp_path)
    wait_for(session, JobState.FINISHED, qtbot)
    assert found == [(0, curve_result(0), "/drawn/0"), (1, "The checkpoint is gone.", "Leave it out.")]
    assert launcher.calls[0][1] == {"plan": msgspec.to_builtins(curve_plan()), "folder": str(tmp_path)}


def test_a_pause_ends_the_job_and_goes_on_in_the_same_folder(
    sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path
) -> None:
    first: Script = [PointStarted(index=0), drawing(5), threading.Event()]
    second: Script = [done(0, one_result())]
    session, launcher = session_of(sessions, first, second)
    with qtbot.waitSignal(session.progressed):
        session.evaluate(one_plan(), tmp_path)
    session.pause()
    assert session.state is JobState.STOPPING
    wait_for(session, JobState.PAUSED, qtbot)
    assert session.is_busy
    with qtbot.waitSignal(session.point_done):
        session.go_on(record_of(one_plan(), done=0), tmp_path)
    wait_for(session, JobState.FINISHED, qtbot)
    assert [params["plan"] for _, params in launcher.calls] == [msgspec.to_builtins(one_plan()), {}]
    assert {params["folder"] for _, params in launcher.calls} == {str(tmp_path)}


def test_stopping_while_paused_ends_it_at_once(sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path) -> None:
    session, launcher = session_of(sessions, [PointStarted(index=0), drawing(1), threading.Event()])
    with qtbot.waitSignal(session.progressed):
        session.evaluate(one_plan(), tmp_path)
    session.pause()
    wait_for(session, JobState.PAUSED, qtbot)
    session.stop()
    assert session.state is JobState.STOPPED
    assert not session.is_busy
    assert len(launcher.calls) == 1


def test_stopping_while_it_pauses_stops(sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = session_of(sessions, [PointStarted(index=0), drawing(1), threading.Event()])
    with qtbot.waitSignal(session.progressed):
        session.evaluate(one_plan(), tmp_path)
    session.pause()
    session.stop()
    wait_for(session, JobState.STOPPED, qtbot)


def test_an_entry_is_gone_on_with(sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path) -> None:
    session, launcher = session_of(sessions, [done(3, curve_result(3))])
    record = record_of(curve_plan())
    with qtbot.waitSignal(session.point_done):
        session.go_on(record, tmp_path)
    wait_for(session, JobState.FINISHED, qtbot)
    assert launcher.calls == [("evaluate_plan", {"plan": {}, "folder": str(tmp_path)})]
    assert session.plan == curve_plan()


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (Failure(message="The disk is full."), JobState.FAILED),
        (SettingsRefused(problems=(("evaluate.count", "count = 1 is not possible."),)), JobState.IDLE),
    ],
)
def test_a_failure_and_a_refusal_end_it(
    sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path, event: Failure | SettingsRefused, state: JobState
) -> None:
    session, _ = session_of(sessions, [event])
    said = session.failed if state is JobState.FAILED else session.refused
    with qtbot.waitSignal(said) as heard:
        session.evaluate(one_plan(), tmp_path)
    assert heard.args == [event]
    assert session.state is state


def test_a_result_that_cannot_be_read_is_a_point_that_failed(
    sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path
) -> None:
    session, _ = session_of(sessions, [PointStarted(index=0), PointDone(index=0, result="{}")])
    with qtbot.waitSignal(session.point_failed) as heard:
        session.evaluate(one_plan(), tmp_path)
    assert heard.args is not None
    assert "is damaged" in heard.args[1]


# ------------------------------------------------------------------------------------------------- words


def test_of_one_point_the_stage_says_when_it_ends() -> None:
    remaining = Remaining(1)
    remaining.start(0, now=0.0)
    text = "Drawing: 20 of 100 images · 8.0/s · about 10 s left"
    assert remaining.words(drawing(20, rate=8.0), now=2.5, clock=0.0) == (text, 20, 100)


def test_of_several_the_points_that_took_time_say_it() -> None:
    remaining = Remaining(5)
    remaining.start(0, now=0.0)
    remaining.finish(0, now=0.1)  # it was there already
    remaining.start(1, now=0.1)
    remaining.finish(1, now=20.1)
    remaining.start(2, now=20.1)
    text = "3 of 5 · Drawing: 20 of 100 images · 8.0/s · about 50 s left"
    assert remaining.words(drawing(20, rate=8.0), now=30.1, clock=0.0) == (text, 2, 5)


def test_in_the_first_point_its_stage_tells_of_the_others() -> None:
    remaining = Remaining(5)
    remaining.start(0, now=0.0)
    noon = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
    words, *_ = remaining.words(drawing(20, rate=0.8), now=25.0, clock=noon)  # 100 s of this, 4 × 125 s of the others
    assert words == "1 of 5 · Drawing: 20 of 100 images · 0.8/s · about 10 min left, until 12:10"


def test_a_stage_of_one_thing_is_named_only() -> None:
    opening = Progress(stage="Opening random", done=0, total=1, unit="extractors")
    assert Remaining(1).words(opening, now=0.0, clock=0.0)[0] == "Opening random"


def test_a_plan_of_which_nothing_could_be_measured_has_failed(
    sessions: list[EvaluationSession], qtbot: QtBot, tmp_path: Path
) -> None:
    session, _ = session_of(sessions, [PointStarted(index=0), PointFailed(index=0, message="No.", remedy="")])
    session.evaluate(one_plan(), tmp_path)
    wait_for(session, JobState.FAILED, qtbot)
    assert session.failures == "It could not be measured; the results say why."


def test_a_point_that_was_taken_up_says_nothing_of_the_others() -> None:
    remaining = Remaining(3)
    remaining.start(0, now=0.0)
    remaining.take_up()
    remaining.finish(0, now=2.0)
    remaining.start(1, now=2.0)
    words, *_ = remaining.words(drawing(20, rate=8.0), now=3.0, clock=0.0)  # 10 s of this, 12.5 s of the other
    assert words.endswith("about 22 s left")


def test_a_plan_with_failed_points_can_be_gone_on_with(qtbot: QtBot) -> None:
    bar = EvaluateBar()
    qtbot.addWidget(bar)
    for words, is_offered in (("2 of 5 points could not be measured; the results say why.", True), ("", False)):
        bar.show_state(JobState.FINISHED, words)
        assert bar.buttons["go_on"].isVisibleTo(bar) == is_offered
        assert bar.text == words


def test_what_failed_is_said_even_where_nothing_can_be_measured_anew(qtbot: QtBot) -> None:
    bar = EvaluateBar()
    qtbot.addWidget(bar)
    bar.set_why_not("checkpoint = 960 is gone.")
    bar.show_state(JobState.FINISHED, "5 of 25 points could not be measured; the results say why.")
    assert bar.text == "5 of 25 points could not be measured; the results say why. checkpoint = 960 is gone."


def test_going_on_leaves_the_keyboard_at_pause(qtbot: QtBot) -> None:
    bar = EvaluateBar()
    qtbot.addWidget(bar)
    with qtbot.waitActive(bar):
        bar.show()
    bar.show_state(JobState.PAUSED)
    bar.buttons["go_on"].setFocus()
    bar.show_state(JobState.RUNNING)
    assert bar.buttons["pause"].hasFocus()
