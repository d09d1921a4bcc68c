"""The worker's end of the conversation, spoken to over pipes as its client does."""

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

import pytest

from dit_studio.events import Event, Failure, Notice, SamplesDrawn, decode
from dit_studio.jobs import table
from dit_studio.jobs.worker import _whole, serve

Say = Callable[[dict[str, Any]], None]
PICTURE = bytes(range(256)) * 30 + b"\n{}\n"  # what would garble a conversation in lines


class Conversation:
    """Both ends of one, with the worker's in a thread."""

    def __init__(self) -> None:
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self.requests: IO[bytes] = os.fdopen(self._requests, "wb", buffering=0)
        self.replies: IO[bytes] = os.fdopen(self._replies, "rb")
        ends = os.fdopen(requests, "rb"), os.fdopen(replies, "wb")
        self._thread = threading.Thread(target=self._serve, args=ends)
        self._thread.start()

    def _serve(self, requests: IO[bytes], replies: IO[bytes]) -> None:
        with requests, replies:
            serve(requests, replies)

    def say(self, **message: Any) -> None:
        self.requests.write(json.dumps(message).encode() + b"\n")

    def hear(self) -> Event | None:
        """The next event, None at the end of a call."""
        line = self.replies.readline()
        return None if line == b'{"kind":"done"}\n' else _whole(decode(line), self.replies)

    def close(self) -> None:
        self.requests.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.replies.close()


@pytest.fixture
def closed() -> list[str]:
    """The jobs whose generator was closed."""
    return []


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, closed: list[str]) -> Iterator[Conversation]:
    def call(job: str, params: dict[str, Any]) -> Generator[Event]:
        try:
            for number in range(params["events"]):
                if job == "pictures":
                    yield SamplesDrawn(first_image=number, images=1, data=PICTURE)
                else:
                    yield Notice(message=str(number))
        finally:
            closed.append(job)

    monkeypatch.setattr(table, "call", call)
    conversation = Conversation()
    yield conversation
    conversation.close()


def test_bytes_follow_their_line_untouched(talk: Conversation) -> None:
    talk.say(call=1, job="pictures", params={"events": 3})
    heard = [talk.hear() for _ in range(4)]
    assert heard == [*(SamplesDrawn(first_image=n, images=1, data=PICTURE) for n in range(3)), None]


def test_a_call_ends_at_the_event_after_it_was_asked_to(talk: Conversation, closed: list[str]) -> None:
    talk.say(call=1, job="endless", params={"events": 10**9})
    assert talk.hear() == Notice(message="0")
    talk.say(stop=1)
    while talk.hear() is not None:
        pass
    assert closed == ["endless"]
    talk.say(call=2, job="pictures", params={"events": 1})
    assert [type(talk.hear()) for _ in range(2)] == [SamplesDrawn, type(None)], "the process is as warm as before"


def test_a_stop_that_comes_too_late_ends_no_other_call(talk: Conversation) -> None:
    talk.say(call=1, job="short", params={"events": 1})
    assert [talk.hear() for _ in range(2)] == [Notice(message="0"), None]
    talk.say(stop=1)
    talk.say(call=2, job="short", params={"events": 3})
    assert [talk.hear() for _ in range(4)][-1] is None


def test_a_job_that_breaks_says_why_and_the_next_one_is_served(talk: Conversation) -> None:
    talk.say(call=1, job="short", params={})
    failure = talk.hear()
    assert isinstance(failure, Failure)
    assert "KeyError" in failure.details
    assert talk.hear() is None
    talk.say(call=2, job="short", params={"events": 1})
    assert talk.hear() == Notice(message="0")
    assert talk.hear() is None


def test_a_process_that_ends_in_the_middle_of_a_picture_is_noticed() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as replies:
        os.write(theirs, b"half")
        os.close(theirs)
        with pytest.raises(OSError, match="in the middle of a picture"):
            _whole(SamplesDrawn(first_image=0, images=1, data_bytes=100), replies)
