"""What the command line says: progress and sentences on stderr, one JSON object for scripts on stdout."""

import argparse
import json
import os
import sys
import time
from typing import Any

import msgspec

from dit_studio.errors import StudioError
from dit_studio.events import (
    CheckpointSaved,
    Event,
    JobState,
    Measured,
    Metrics,
    Notice,
    PreviewSaved,
    Progress,
    Resumed,
    Started,
    StateChanged,
    Validation,
)

_LINE_SECONDS = 5.0  # between lines of progress where the terminal cannot redraw one


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_at_once(text: str) -> None:
    """From a signal's handler, which may have cut into a sentence: past the buffer, which cannot be entered twice."""
    try:
        os.write(sys.stderr.fileno(), f"{text}\n".encode())
    except OSError:  # stderr is closed, or no file
        return


def answer(options: argparse.Namespace, **values: Any) -> None:
    """The last line of stdout, for scripts."""
    if options.json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(values, enc_hook=str)) + "\n")
        sys.stdout.flush()


class UsageError(StudioError):
    """The words of the command line do not make a command."""


class Ticker:
    """Progress on stderr: one line redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0
        self._is_open = False

    def show(self, text: str, *, is_last: bool = False) -> None:
        interval = 0.1 if self._is_terminal else _LINE_SECONDS
        if not is_last and time.monotonic() - self._shown_at < interval:
            return
        self._shown_at = time.monotonic()
        if not self._is_terminal:
            say(text)
            return
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self._is_open = True

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._is_open:
            sys.stderr.write("\n")
            self._is_open = False
        say(text)


def show(event: Event, ticker: Ticker, steps: int) -> None:
    """What a person at a terminal sees of an event."""
    match event:
        case Progress(stage=stage, done=done, total=total, unit=unit):
            ticker.show(
                f"{stage}: {done:,}{f' of {total:,}' if total else ''} {unit}{_pace(event)}", is_last=done == total
            )
        case Started():
            ticker.say(
                f"{event.images:,} images ({event.validation_images} held out), {len(event.class_names)} classes; "
                f"{event.parameters / 1e6:.2f} M parameters on {event.device} in {event.precision}."
            )
        case Metrics():
            left = (steps - event.step) * event.seconds / max(1, event.step)
            ticker.show(
                f"step {event.step:,}/{steps:,}  loss {number(event.loss)}  rate {event.learning_rate:.2g}  "
                f"{event.images_per_second or 0:.0f} images/s  {left / 60:.1f} min left",
                is_last=event.step == steps,
            )
        case Validation(step=step, loss=loss):
            ticker.say(f"step {step:,}: validation loss {number(loss)}")
        case Measured(step=step, name=name, value=value) if value is not None:
            floor = "" if event.floor is None else f" (floor {event.floor:.4g})"
            ticker.say(f"step {step:,}: {name} {value:.4g}{floor}")
        case PreviewSaved(file=file):
            ticker.say(f"preview {file}")
        case CheckpointSaved(file=file, size_bytes=size):
            ticker.say(f"saved {file} ({size / 1e6:.0f} MB)")
        case Resumed(step=step):
            ticker.say(f"going on from step {step:,}.")
        case Notice(message=message):
            ticker.say(message)
        case StateChanged(state=state) if state is not JobState.FAILED:
            ticker.say(f"{state} at step {event.step:,}." if event.step else f"{state}.")


def _pace(progress: Progress) -> str:
    """ ", 123 a second, 4 min left" where that is known."""
    if not progress.rate:
        return ""
    left = ((progress.total or progress.done) - progress.done) / progress.rate
    return f", {progress.rate:.1f} a second" + (f", {left / 60:.1f} min left" if left > 1 else "")


def number(value: float | None, *, missing: str = "not a number") -> str:
    return missing if value is None else f"{value:.4f}"
