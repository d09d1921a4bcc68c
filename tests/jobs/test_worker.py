"""The conversation with a warm worker: cancelling ends one call and no other."""

import signal
import threading
from collections.abc import Iterator

import pytest

from dit_studio.events import Failure
from dit_studio.jobs.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    result = Worker()
    yield result
    result.kill()


def test_a_call_cancelled_before_its_turn_starts_no_process(worker: Worker) -> None:
    cancelled = threading.Event()
    worker.cancel(cancelled)
    assert list(worker.call("describe_device", {}, cancelled=cancelled)) == []
    assert worker._process is None


def test_cancelling_a_call_that_waits_leaves_the_other_alone(worker: Worker) -> None:
    first = worker.call("no such job", {})
    failure = next(first)  # the turn is the first call's until it is done
    assert isinstance(failure, Failure)
    process, waiting = worker._process, threading.Event()
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.extend(worker.call("no such job", {}, cancelled=waiting)))
    thread.start()
    worker.cancel(waiting)
    thread.join(20)
    assert not thread.is_alive(), "it does not wait for the end of the other"
    assert list(first) == []
    assert answers == []
    assert worker._process is process
    assert process is not None
    assert process.poll() is None


def test_a_call_that_waits_for_its_turn_ends_when_it_is_asked_to_stop(worker: Worker) -> None:
    first = worker.call("no such job", {})
    next(first)
    waiting = threading.Event()
    thread = threading.Thread(target=lambda: list(worker.call("no such job", {}, cancelled=waiting)))
    thread.start()
    worker.stop(waiting)
    thread.join(20)
    assert not thread.is_alive()
    assert list(first) == []


def test_a_reader_that_goes_away_leaves_nothing_for_the_next_call(worker: Worker) -> None:
    calls = worker.call("no such job", {})
    next(calls)
    calls.close()  # before it has read that the call is done
    assert [type(event) for event in worker.call("no such job", {})] == [Failure]


def test_cancelling_a_call_at_work_ends_it_at_once(worker: Worker) -> None:
    cancelled = threading.Event()
    calls = worker.call("no such job", {}, cancelled=cancelled)
    next(calls)
    process = worker._process
    worker.cancel(cancelled)
    assert process is not None
    assert process.poll() is not None
    assert [type(event) for event in calls] == [Failure]
    assert [event.code for event in worker.call("no such job", {}) if isinstance(event, Failure)] == ["error"]


def test_cancelling_a_call_that_is_done_keeps_the_process_warm(worker: Worker) -> None:
    cancelled = threading.Event()
    assert len(list(worker.call("no such job", {}, cancelled=cancelled))) == 1
    process = worker._process
    worker.cancel(cancelled)
    assert process is not None
    assert process.poll() is None


def test_ctrl_c_in_the_terminal_leaves_the_worker_to_its_client(worker: Worker) -> None:
    assert [type(event) for event in worker.call("no such job", {})] == [Failure]
    process = worker._process
    assert process is not None
    process.send_signal(signal.SIGINT)
    assert [type(event) for event in worker.call("no such job", {})] == [Failure]
    assert worker._process is process, "it lives on"
