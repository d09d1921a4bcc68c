"""`dit-studio find batch|rate`: the largest batch that fits, or a learning rate, before a long run."""

import argparse
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_job import until_stopped
from dit_studio.cli_models import add_assume_option
from dit_studio.cli_output import Ticker, answer, number, show
from dit_studio.cli_recipe import recipe_and_its_start
from dit_studio.config import recipe_to_tables
from dit_studio.errors import RunError
from dit_studio.events import Event
from dit_studio.findings import batch_found, rate_found
from dit_studio.machine_events import BatchFound, BatchTried, RateFound, RateTried
from dit_studio.places import runs_dir

_INTERRUPTED = "The search was ended early; a larger batch may fit."


def add_find_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("what", choices=["batch", "rate"], help="the largest batch that fits, or a learning rate")
    add("recipe", type=Path, metavar="RECIPE.toml")
    add("--data", metavar="DIR", help="the images: a folder, zip or tar; same as --set data.path=DIR")
    add(
        "--set", dest="settings", action="append", default=[], metavar="section.key=value",
        help="change a setting of the recipe; train --settings lists them",
    )  # fmt: skip
    add_assume_option(parser)


def run_find(options: argparse.Namespace) -> int:
    """Look for it, and return the exit status; a signal keeps what was found so far."""
    from dit_studio.jobs.busy_devices import why_device_is_taken

    recipe = recipe_and_its_start(options)
    if why_not := why_device_is_taken(recipe.train.device, runs_dir()):
        raise RunError(why_not)
    tables = recipe_to_tables(recipe)
    return _find_batch(options, tables) if options.what == "batch" else _find_rate(options, tables)


def _find_batch(options: argparse.Namespace, tables: dict[str, Any]) -> int:
    from dit_studio.engine.find_batch_size import find_batch_size

    ticker = Ticker()
    heard, is_interrupted = _hear(find_batch_size(tables), ticker)
    tried = [event for event in heard if isinstance(event, BatchTried)]
    found = next((event for event in heard if isinstance(event, BatchFound)), batch_found(tried, limit=_INTERRUPTED))
    ticker.say(f"largest that fits: {found.batch_size or 'none'}; fastest: {found.fastest or 'none'}. {found.limit}")
    answer(options, **_values(found), tried=[_values(one) for one in tried])
    return _status(is_interrupted, found.batch_size)


def _find_rate(options: argparse.Namespace, tables: dict[str, Any]) -> int:
    from dit_studio.engine.find_learning_rate import find_learning_rate

    ticker = Ticker()
    heard, is_interrupted = _hear(find_learning_rate(tables), ticker)
    tried = [event for event in heard if isinstance(event, RateTried)]
    found = next((event for event in heard if isinstance(event, RateFound)), None) or rate_found(tried)
    ticker.say(_sentence(found))
    answer(options, **_values(found), tried=[_values(one) for one in tried])
    return _status(is_interrupted, found.learning_rate)


def _hear(events: Generator[Event, None, None], ticker: Ticker) -> tuple[Sequence[Event], bool]:
    """What was said until the end or a signal, shown as it came; and whether it was a signal."""
    heard: list[Event] = []
    try:
        for event in until_stopped(events):
            heard.append(event)
            _show(event, ticker)
    except KeyboardInterrupt:
        return heard, True
    return heard, False


def _show(event: Event, ticker: Ticker) -> None:
    match event:
        case BatchTried(fits=True):
            speed = f"{event.images_per_second or 0:,.1f} images/s"
            ticker.say(f"batch {event.batch_size:>6,}: fits, {(event.peak_bytes or 0) / 1e9:.2f} GB, {speed}")
        case BatchTried():
            ticker.say(f"batch {event.batch_size:>6,}: {event.reason}")
        case RateTried():
            ticker.show(f"rate {event.learning_rate:.2g}: loss {number(event.loss)}, mean {number(event.smoothed)}")
        case _:
            show(event, ticker, 0)


def _sentence(found: RateFound) -> str:
    if found.learning_rate is None:
        return f"no learning rate is suggested. {found.reason}"
    away = f", ran away at {found.diverged:.2g}" if found.diverged is not None else ""
    lowest = f"lowest at {found.lowest:.2g}" if found.lowest is not None else ""
    return (
        f"learning rate {found.learning_rate:g}, where the loss falls fastest; {lowest}{away}. {found.reason}".strip()
    )


def _values(event: Event) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in values.items() if name not in ("kind", "time")}


def _status(is_interrupted: bool, found: float | None) -> int:
    if is_interrupted:
        return 130
    return 1 if found is None else 0
