"""The machine stays awake while events come; nothing waits, and nothing is said where nobody can be asked."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dit_studio.events import Event, JobState, Notice, StateChanged
from dit_studio.jobs.awake import MAY_SLEEP, awake_through

LIMIT_SECONDS = 30


def is_watching() -> bool:
    return any(thread.name == "awake" for thread in threading.enumerate())


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all")
    monkeypatch.delenv(MAY_SLEEP, raising=False)
    return monkeypatch


def until(condition: object) -> Iterator[Event]:
    """Events, as of a run that goes on for long."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and not condition():  # type: ignore[operator]
        yield StateChanged(state=JobState.RUNNING)
        time.sleep(0.001)


def test_the_system_is_asked_and_released(desktop: pytest.MonkeyPatch) -> None:
    desktop.setenv("WAKEPY_FAKE_SUCCESS", "1")
    seen = []
    for event in awake_through(iter([StateChanged(state=JobState.RUNNING, step=step) for step in range(3)])):
        assert is_watching()
        seen.append(event)
    assert [getattr(event, "step", None) for event in seen] == [0, 1, 2]
    assert not is_watching()


@pytest.mark.usefixtures("desktop")
def test_a_refusal_is_said_once_and_the_run_goes_on() -> None:
    notices: list[Notice] = []
    rest = iter(range(50))
    for event in awake_through(until(lambda: notices and next(rest, None) is None)):
        if isinstance(event, Notice):
            notices.append(event)
    (notice,) = notices
    assert notice.level == "info"
    assert "may sleep" in notice.message
    assert not is_watching()


def test_a_desktop_that_does_not_answer_holds_nothing_up(desktop: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bus = socket.socket(socket.AF_UNIX)
    desktop.chdir(tmp_path)  # a socket's name is short
    bus.bind("bus")
    bus.listen()
    desktop.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=bus")
    begun = time.monotonic()
    assert next(awake_through(until(lambda: False))) == StateChanged(state=JobState.RUNNING)
    assert time.monotonic() - begun < LIMIT_SECONDS
    bus.close()


@pytest.mark.parametrize("variable", ["DISPLAY", "DBUS_SESSION_BUS_ADDRESS"])
def test_without_a_desktop_all_is_silent(desktop: pytest.MonkeyPatch, variable: str) -> None:
    desktop.delenv(variable)
    desktop.delenv("WAYLAND_DISPLAY", raising=False)
    events = awake_through(iter([StateChanged(state=JobState.RUNNING)]))
    assert isinstance(next(events), StateChanged)
    assert not is_watching()
    assert list(events) == []


def test_it_can_be_turned_off(desktop: pytest.MonkeyPatch) -> None:
    desktop.setenv(MAY_SLEEP, "1")
    next(awake_through(until(lambda: False)))
    assert not is_watching()


def test_a_run_that_is_given_up_releases_the_system(desktop: pytest.MonkeyPatch) -> None:
    desktop.setenv("WAKEPY_FAKE_SUCCESS", "1")
    events = awake_through(until(lambda: False))
    next(events)
    assert is_watching()
    del events
    assert not is_watching()
