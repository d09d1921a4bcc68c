"""The machine does not go to sleep by itself while a run is at work; its screen may."""

import logging
import os
import sys
import threading
from collections.abc import Iterator

from dit_studio.events import Event, Notice

MAY_SLEEP = "DIT_STUDIO_MAY_SLEEP"  # a variable of the environment; unless it is empty, the machine may sleep
_END_LIMIT_SECONDS = 5.0  # of a desktop that does not answer; the thread that asks it dies with the process

_log = logging.getLogger(__name__)


def awake_through(events: Iterator[Event]) -> Iterator[Event]:
    """The same events, and the machine awake from the first to the last; where it may sleep, a notice says so once.

    Nobody waits for the system's answer. Without a desktop that could be asked, all is silent.
    """
    if not _can_be_asked():
        yield from events
        return
    watch = _Watch()
    try:
        for event in events:
            yield event
            if reason := watch.take_reason():
                yield Notice(message=f"The machine may sleep while the run is at work: {reason}.")
    finally:
        watch.end()


def _can_be_asked() -> bool:
    if os.environ.get(MAY_SLEEP):
        return False
    if not sys.platform.startswith("linux"):
        return True
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return has_display and bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS"))


class _Watch:
    """Holds the system's promise, in a thread of its own, until its end."""

    def __init__(self) -> None:
        self._reason = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="awake", daemon=True)
        self._thread.start()

    def take_reason(self) -> str:
        """Why the machine may sleep; asked again, nothing."""
        reason, self._reason = self._reason, ""
        return reason

    def end(self) -> None:
        self._ended.set()
        self._thread.join(_END_LIMIT_SECONDS)

    def _hold(self) -> None:
        logging.getLogger("wakepy").setLevel(logging.WARNING)
        try:
            from wakepy import keep  # it looks at the desktop when it is imported

            with keep.running(on_fail="pass") as mode:
                if not mode.active:
                    self._reason = "its desktop did not take the request to stay awake"
                self._ended.wait()
        except Exception as error:  # noqa: BLE001  whatever a desktop answers, the run goes on
            _log.debug("the machine is not kept awake", exc_info=error)
            self._reason = f"{type(error).__name__}: {error}"
