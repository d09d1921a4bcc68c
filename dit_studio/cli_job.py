"""A job of the command line: what it says is shown, a signal ends it at its next step, what is kept is told."""

import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dit_studio.cli_output import Ticker, say_at_once, show
from dit_studio.errors import ConfigError, DiskFullError, Problem
from dit_studio.events import CellDrawn, CellFailed, Event, SamplesDrawn, SettingsRefused, Written
from dit_studio.sample_request import SampleRequest

if TYPE_CHECKING:
    from dit_studio.engine.sample_files import LabelsFile


@contextmanager
def saying_what_is_kept(out: Path, request: SampleRequest) -> Iterator[None]:
    """Raises: DiskFullError that tells how many images there are."""
    try:
        yield
    except DiskFullError as error:
        labels = out / "labels.csv"
        kept = max(0, len(labels.read_bytes().splitlines()) - 1) if labels.is_file() else 0
        raise DiskFullError(
            f"{error.message} {kept:,} of {request.count:,} images are kept in {out}.",
            remedy="Free some space, or draw into a folder on another disk.",
            numbers=error.numbers,
        ) from error


def follow(events: Generator[Event, None, None], ticker: Ticker, labels: "LabelsFile | None" = None) -> list[Written]:
    """Show what a job says; the files that it wrote. Raises: ConfigError if it refuses its settings."""
    written = []
    for event in until_stopped(events):
        match event:
            case Written():
                written.append(event)
                if event.note:
                    ticker.say(event.note)
            case SettingsRefused(problems=problems):
                raise ConfigError([Problem(field, message) for field, message in problems])
            case SamplesDrawn(first_image=first, images=images) if labels is not None:
                for image in range(first, first + images):
                    labels.add(image)
                ticker.show(f"Sampling: {first + images:,} images")
            case CellDrawn(index=index, seconds=seconds):
                ticker.say(f"cell {index + 1}: {event.images} images ({seconds:.1f} s)")
            case CellFailed(index=index, message=message):
                ticker.say(f"cell {index + 1} failed: {message}")
            case _:
                show(event, ticker, 0)
    return written


@contextmanager
def _stopping_at_a_step() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM ends the work at the next step, the second at once. Gives the signals so far."""
    presses: list[int] = []

    def on_signal(number: int, _: object) -> None:
        presses.append(number)
        if len(presses) > 1:
            raise KeyboardInterrupt
        say_at_once("\nstopping after this step; what is finished is kept. Once more to end at once.")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def until_stopped(events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """The events of a job, closed at the step at which a signal comes. Raises: KeyboardInterrupt."""
    with _stopping_at_a_step() as presses, closing(events):
        for event in events:
            yield event  # what is finished counts, even if the signal came meanwhile
            if presses:
                raise KeyboardInterrupt
