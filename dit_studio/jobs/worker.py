"""A conversation with a warm process: requests and events as JSON lines on its standard streams, never pickle.

A request is {"call": N, "job": …, "params": …}, and {"stop": N} asks for its end at the next event. An event is a line,
and the raw bytes whose number it names; {"kind": "done"} ends a call.
"""

import contextlib
import json
import logging
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from dit_studio.errors import StudioError
from dit_studio.events import AnyEvent, Event, Failure, WithBytes, decode, encode, join_bytes, split_bytes
from dit_studio.jobs import table

_DONE = b'{"kind":"done"}'
_TURN_SECONDS = 0.05  # after which a call that waits for its turn looks whether it is still wanted


class Worker:
    """The client's end: starts the process when it is first needed, and again after it died.

    One that does not stay warm ends after every call, and gives back all that it holds of a device.
    """

    def __init__(self, *, stays_warm: bool = True) -> None:
        self._stays_warm = stays_warm
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._life = threading.Lock()
        self._served: threading.Event | None = None  # the call whose turn it is
        self._calls = 0

    def call(self, job: str, params: dict[str, Any], *, cancelled: threading.Event | None = None) -> Iterator[AnyEvent]:
        """The events of one job; calls take turns. A process that dies on the way ends them with a Failure.

        One that is cancelled before its turn ends soon and says nothing; `cancel` ends one in the middle of its work. A
        reader that goes away before the end takes the process with it, which would go on to talk to the next one.
        """
        cancelled = cancelled or threading.Event()
        while not self._turn.acquire(timeout=_TURN_SECONDS):
            if cancelled.is_set():
                return
        reason = "it closed its output"
        try:
            streams = self._start(cancelled)
            if streams is None:
                reason = ""
                return
            requests, replies = streams
            with self._life:
                _send(requests, {"call": self._calls, "job": job, "params": params})
            for line in replies:
                if line.rstrip() == _DONE:
                    reason = ""
                    return
                yield _whole(decode(line), replies)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            reason = str(error)
        finally:
            self._served = None
            if reason or not self._stays_warm:
                self.kill()
            self._turn.release()
        yield _death(reason)

    def stop(self, cancelled: threading.Event) -> None:
        """Ask the call that was given this event to end at its next event; one that waits for its turn never starts."""
        with self._life:
            cancelled.set()
            if self._served is cancelled and self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError, ValueError):  # it has just died, which its reader finds out
                    _send(self._process.stdin, {"stop": self._calls})

    def cancel(self, cancelled: threading.Event) -> None:
        """End the call that was given this event, and no other: the process only dies if it is at work on it."""
        process = None
        with self._life:
            cancelled.set()
            if self._served is cancelled:
                process, self._process = self._process, None
        _end(process)

    def kill(self) -> None:
        """End the process, whatever it does; safe from any thread. The next call starts a new one."""
        with self._life:
            process, self._process = self._process, None
        _end(process)

    def _start(self, cancelled: threading.Event) -> tuple[IO[bytes], IO[bytes]] | None:
        with self._life:
            self._served = cancelled
            if cancelled.is_set():
                return None
            self._calls += 1
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "dit_studio.jobs.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        return process.stdin, process.stdout


def _end(process: "subprocess.Popen[bytes] | None") -> None:
    if process is None:
        return
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            _close(stream)


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except (OSError, ValueError) as error:  # the other end is gone, or a reader sits in it
        logging.getLogger(__name__).debug("closing a worker's stream: %s", error)


def _death(reason: str) -> Failure:
    return Failure(
        message=f"The worker process ended in the middle of its work ({reason}).",
        remedy="Try again: the next request starts a new one.",
        code="killed",
    )


def _send(requests: IO[bytes], message: dict[str, Any]) -> None:
    requests.write(json.dumps(message).encode() + b"\n")
    requests.flush()


def _whole(event: AnyEvent, replies: IO[bytes]) -> AnyEvent:
    """The event with the bytes that follow its line. Raises: OSError if the process ends before the last of them."""
    if not isinstance(event, WithBytes) or not event.data_bytes:
        return event
    data = replies.read(event.data_bytes)
    if len(data) < event.data_bytes:
        raise OSError("it closed its output in the middle of a picture")
    return join_bytes(event, data)


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """The process's end: answer requests until the client goes away."""
    inbox = _Inbox()
    threading.Thread(target=inbox.read, args=(requests,), daemon=True).start()
    while (request := inbox.requests.get()) is not None:
        for event in _answers(request["job"], request["params"], inbox, request["call"]):
            line, data = split_bytes(event)
            replies.write(encode(line) + b"\n" + data)
            replies.flush()
        replies.write(_DONE + b"\n")
        replies.flush()


class _Inbox:
    """What the client said, read while a job is at work."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stopped = 0  # the newest call that was asked to end
        self._is_alone = False

    def read(self, lines: IO[bytes]) -> None:
        for line in lines:
            message = json.loads(line)
            if "stop" in message:
                self._stopped = message["stop"]
            else:
                self.requests.put(message)
        self._is_alone = True
        self.requests.put(None)

    def wants_end_of(self, call: int) -> bool:
        return self._is_alone or call <= self._stopped


def _answers(job: str, params: dict[str, Any], inbox: _Inbox, call: int) -> Iterator[Event]:
    try:
        with contextlib.closing(table.call(job, params)) as events:
            for event in events:
                yield event
                if inbox.wants_end_of(call):
                    return
    except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
        yield failure_of(error)


def failure_of(error: BaseException) -> Failure:
    """What a window or a log shows of an exception."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, StudioError):
        return Failure(
            message=error.message, remedy=error.remedy, code=error.code, numbers=error.numbers, details=details
        )
    return Failure(
        message=f"An error that nobody foresaw: {type(error).__name__}: {error}",
        remedy="The details tell where.",
        details=details,
    )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the client, which ends us
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # a library that prints must not garble the conversation
    serve(sys.stdin.buffer, out)
