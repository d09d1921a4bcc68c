"""`dit-studio evaluate`: images against a reference, each figure with its interval and its protocol."""

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_job import until_stopped
from dit_studio.cli_output import Ticker, answer, say, show
from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_request import METRICS, EvaluationOptions, EvaluationResult, MetricResult, decode_result
from dit_studio.events import EvaluationDone, SettingsRefused
from dit_studio.fields import check_value, schema_fields

_FIELDS = {field.name: field for field in schema_fields("evaluate", EvaluationOptions)}
_LISTED_COPIES = 5
_ROUNDING = 1e-9


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--real", required=True, metavar="DIR|NPZ|STATS", help="the reference: images, or saved statistics")
    add("--fake", required=True, metavar="DIR|NPZ", help="the images to be measured")
    add("--metrics", metavar="fid,kid,…", help=f"of {', '.join(METRICS)} (default: all that the features serve)")
    add("--features", dest="extractor", metavar="NAME", help=_help("extractor"))
    add("--protocol", metavar="NAME", help=_help("protocol"))
    add("--weights", metavar="FILE|DIR", help=_help("weights"))
    add("--count", metavar="N", help=_help("count"))
    add("--seed", metavar="S", help=_help("seed"))
    add("--batch-size", metavar="N", help=_help("batch_size"))
    add("--no-floor", action="store_true", help="leave out one half of the reference against the other")
    add("--device", default="auto", metavar="NAME", help="of those that doctor names (default: the best)")
    add("--out", type=Path, metavar="FILE.json", help="write everything that is known of the result")


def _help(name: str) -> str:
    field = _FIELDS[name]
    default = f" (default: {field.default})" if field.default not in ("", None) else ""
    choices = f" {field.range_text.capitalize()}." if field.choices else ""
    return f"{field.description}{choices}{default}".replace("%", "%%")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure what is asked for, and return the exit status."""
    request = _request(options)
    result = _evaluate(request, options)
    for line in describe(result):
        say(line)
    answer(options, **json.loads(msgspec.json.encode(result)))
    return 0 if any(found.value is not None for found in result.results) or result.copying else 1


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """What is typed, each value within its limits. Raises: ConfigError with all that are not."""
    given: dict[str, Any] = {"real": options.real, "fake": options.fake, "has_floor": not options.no_floor}
    problems: list[Problem] = []
    for name in ("extractor", "protocol", "weights", "count", "seed", "batch_size"):
        if (text := getattr(options, name)) is not None:
            try:
                given[name] = check_value(_FIELDS[name], text)
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    if options.metrics is not None:
        given["metrics"] = [name for name in options.metrics.split(",") if name.strip()]
    return given


def _evaluate(request: dict[str, Any], options: argparse.Namespace) -> EvaluationResult:
    """Raises: ConfigError if the request is refused; StudioError."""
    from dit_studio.engine.evaluation.evaluate import evaluate

    ticker, result = Ticker(), None
    job = evaluate(request, out=str(options.out or ""), device=options.device)
    with closing(until_stopped(job)) as events:
        for event in events:
            match event:
                case SettingsRefused(problems=problems):
                    raise ConfigError([Problem(field, message) for field, message in problems])
                case EvaluationDone():
                    result = decode_result(event.result)
                case _:
                    show(event, ticker, 0)
    assert result is not None
    return result


# ------------------------------------------------------------------------------------------------- words


def describe(result: EvaluationResult) -> list[str]:
    """The table, and what has to be known with it."""
    floors = {found.metric: found for found in result.floor}
    floor_n = max((found.n_fake for found in result.floor), default=0)
    floor = f"floor at {floor_n:,}" if floor_n else "no floor"
    rows: list[tuple[str, ...]] = [("", "value", "95 % interval", "real", "fake", floor)]
    rows += [_row(found, floors.get(found.metric)) for found in result.results if found.value is not None]
    lines = _table(rows) if len(rows) > 1 else []
    lines += [f"{found.name}: none. {found.why_no_value}" for found in result.results if found.value is None]
    lines += [f"Copying: none. {result.why_no_copying}"] if result.why_no_copying else _copying_lines(result)
    lines.append(result.protocol_line)
    names: dict[str, str] = {found.metric: f"{found.name}: " for found in result.results}
    lines += [f"{caution.level}: {names.get(caution.metric, '')}{caution.message}" for caution in result.cautions]
    lines += [f"{side.path}: {side.left_out}" for side in (result.real, result.fake) if side.left_out]
    return lines


def _row(found: MetricResult, floor: MetricResult | None) -> tuple[str, ...]:
    interval = f"{_number(found.interval.low)} … {_number(found.interval.high)}" if found.interval else "none"
    at_floor = _number(floor.value) if floor is not None and floor.value is not None else ""
    real, fake = (f"{n:,}" if n else "" for n in (found.n_real, found.n_fake))
    return (found.name, _number(found.value), interval, real, fake, at_floor)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned]))
    return lines


def _copying_lines(result: EvaluationResult) -> list[str]:
    copying = result.copying
    if copying is None:
        return []
    floor = "" if copying.floor is None else f", and {copying.floor:.1%} of one half of them to the other"
    lines = [
        f"{copying.share_closer:.1%} of the images are closer to a reference image than {copying.expected:.0%} of "
        f"those are to each other{floor}; {copying.exact:,} are one, to the last byte."
    ]
    for copy in [copy for copy in copying.copies if copy.is_closer][:_LISTED_COPIES]:
        lines.append(f"  {copy.image} is close to {copy.nearest[0].image} ({copy.nearest[0].distance:.4g})")
    return lines


def _number(value: float | None) -> str:
    """Four digits; what is nothing but rounding is 0."""
    if value is None:
        return ""
    return "0" if abs(value) < _ROUNDING else f"{value:.4g}"
