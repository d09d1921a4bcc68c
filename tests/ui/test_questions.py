"""Questions to the engine: the newest of each kind is answered, one at a time."""

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.events import Event, Failure, ModelSummary, Preflight
from dit_studio.ui.train.questions import Questions

Gates = dict[int, threading.Event]


def model(parameters: int) -> ModelSummary:
    return ModelSummary(parameters=parameters, gflops=1.0, tokens=1, training_bytes=1)


class Answers:
    def __init__(self, questions: Questions) -> None:
        self.all: list[tuple[str, Event]] = []
        questions.answered.connect(lambda job, event: self.all.append((job, event)))


@pytest.fixture
def gates() -> Gates:
    return {}


@pytest.fixture
def launcher(gates: Gates) -> ScriptedLauncher:
    def describe(n: int) -> Script:
        gates[n] = threading.Event()
        return [gates[n], model(n)]

    return ScriptedLauncher(answers={"describe_model": describe, "preflight": [Preflight(checks=())]})


@pytest.fixture
def questions(launcher: ScriptedLauncher) -> Iterator[Questions]:
    result = Questions(launcher)
    yield result
    result.close()


def test_a_burst_is_asked_once(questions: Questions, launcher: ScriptedLauncher, gates: Gates, qtbot: QtBot) -> None:
    for n in range(5):
        questions.ask("describe_model", delay_ms=20, n=n)
    qtbot.waitUntil(lambda: 4 in gates)
    with qtbot.waitSignal(questions.answered) as answer:
        gates[4].set()
    assert answer.args == ["describe_model", model(4)]
    assert launcher.calls == [("describe_model", {"n": 4})]


def test_a_stale_answer_is_dropped(questions: Questions, gates: Gates, qtbot: QtBot) -> None:
    answers = Answers(questions)
    questions.ask("describe_model", delay_ms=0, n=1)
    qtbot.waitUntil(lambda: 1 in gates)
    questions.ask("describe_model", delay_ms=0, n=2)
    gates[1].set()
    qtbot.waitUntil(lambda: 2 in gates)
    assert answers.all == [], "the first was asked about settings that are no more"
    gates[2].set()
    qtbot.waitUntil(lambda: bool(answers.all))
    assert answers.all == [("describe_model", model(2))]


def test_a_question_that_was_withdrawn_gets_no_answer(questions: Questions, gates: Gates, qtbot: QtBot) -> None:
    answers = Answers(questions)
    questions.ask("describe_model", delay_ms=0, n=1)
    qtbot.waitUntil(lambda: 1 in gates)
    questions.withdraw("describe_model")
    questions.ask("preflight", delay_ms=0)
    gates[1].set()
    qtbot.waitUntil(lambda: bool(answers.all))
    assert [job for job, _ in answers.all] == ["preflight"]


def test_two_kinds_take_turns(questions: Questions, launcher: ScriptedLauncher, gates: Gates, qtbot: QtBot) -> None:
    answers = Answers(questions)
    questions.ask("describe_model", delay_ms=0, n=1)
    questions.ask("preflight", delay_ms=0)
    qtbot.waitUntil(lambda: 1 in gates)
    assert len(launcher.jobs) == 1
    gates[1].set()
    qtbot.waitUntil(lambda: len(answers.all) == 2)
    assert [job for job, _ in answers.all] == ["describe_model", "preflight"]


def test_silence_is_a_failure(qtbot: QtBot) -> None:
    questions = Questions(ScriptedLauncher(answers={"preflight": []}))
    with qtbot.waitSignal(questions.answered) as answer:
        questions.ask("preflight", delay_ms=0)
    assert isinstance(answer.args[1], Failure)
    questions.close()
