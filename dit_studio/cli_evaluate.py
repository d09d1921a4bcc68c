"""`dit-studio evaluate`: images, or what a model draws, against a reference; each figure with its protocol."""

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_download import model_place
from dit_studio.cli_evaluate_plan import EVALUATION, SAMPLE, go_on, request_of, run_plan
from dit_studio.cli_evaluation_text import describe
from dit_studio.cli_job import until_stopped
from dit_studio.cli_models import add_assume_option, open_foreign
from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.cli_sample import add_settings
from dit_studio.cli_statistics import save_reference
from dit_studio.errors import ConfigError, Problem, StudioError
from dit_studio.evaluation_request import METRICS, EvaluationRequest, EvaluationResult, decode_result
from dit_studio.events import EvaluationDone, SettingsRefused
from dit_studio.opened_models import foreign_kind

_OF_RUN = dict.fromkeys(("sampler", "steps", "cfg", "seed"), "as the run's previews") | {"count": "--count, or 1,000"}


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--real", metavar="DIR|NPZ|STATS|RUN", help="the reference: images, saved statistics, or a run's data set")
    add(
        "--fake", action="append", default=[], type=model_place, metavar="DIR|NPZ|MODEL",
        help="the images to be measured, or a run, checkpoint or .safetensors file that draws them; may be repeated",
    )  # fmt: skip
    add("--metrics", metavar="fid,kid,…", help=f"of {', '.join(METRICS)} (default: all that the features serve)")
    add("--features", dest="extractor", metavar="NAME", help=_help("extractor"))
    add("--protocol", metavar="NAME", help=_help("protocol"))
    add("--weights", metavar="FILE|DIR", help=_help("weights"))
    add("--count", metavar="N", help=f"{_help('count')} A model draws as many.")
    add("--seed", metavar="S", help=_help("seed"))
    add("--batch-size", metavar="N", help=_help("batch_size"))
    add("--no-floor", action="store_true", help="leave out one half of the reference against the other")
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="of those that doctor names, several with commas (default: the best)",
    )
    add("--out", type=Path, metavar="FILE.json", help="write everything that is known of one comparison")
    add(
        "--save-statistics", type=Path, metavar="FILE.npz",
        help="only save the statistics of --real, as pytorch-fid and ADM's evaluator read those of inception",
    )  # fmt: skip
    model = parser.add_argument_group("a model's images", "Where --fake is a model: how it draws them.")
    add_assume_option(parser)
    model.add_argument("--classes", metavar="0,3", help="numbers or names, taken in turn (default: all)")
    model.add_argument("--model-weights", choices=["ema", "raw"], default="ema", help="averaged or raw (default: ema)")
    add_settings(model.add_argument, SAMPLE, defaults=_OF_RUN)
    several = parser.add_argument_group("several comparisons", "They are kept in an entry of the Evaluate page.")
    several.add_argument(
        "--over", action="append", default=[], metavar="cfg=1,2,4",
        help="measure a model with every combination of values, up to three times: checkpoint, cfg, steps, sampler, …",
    )  # fmt: skip
    several.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="keep the entry there (default: in the history); alone: go on with what it holds",
    )  # fmt: skip


def _help(name: str) -> str:
    field = EVALUATION[name]
    default = f" (default: {field.default})" if field.default not in ("", None) else ""
    choices = f" {field.range_text.capitalize()}." if field.choices else ""
    return f"{field.description}{choices}{default}".replace("%", "%%")


def run_evaluate(options: argparse.Namespace) -> int:
    """Measure what is asked for, and return the exit status."""
    if options.save_statistics:
        return save_reference(options)
    if options.keep and not options.fake and not options.real:
        return go_on(options)
    _check_usage(options)
    for fake in options.fake:
        if options.assume or foreign_kind(Path(fake).expanduser()):
            open_foreign(fake, options.assume)
    if len(options.fake) > 1 or options.over or options.keep:
        return run_plan(options)
    result, why_not_written = _evaluate(request_of(options, options.fake[0]), options)
    for line in describe(result):
        say(line)
    said = json.loads(msgspec.json.encode(result))
    if why_not_written:
        say(f"dit-studio: {why_not_written}")
        answer(options, **said, error=why_not_written)
        return 1
    answer(options, **said)
    return 0 if any(found.value is not None for found in result.results) or result.copying else 1


def _check_usage(options: argparse.Namespace) -> None:
    for name in ("real", "fake"):
        if not getattr(options, name):
            raise UsageError(f"evaluate takes --real and --fake: there is no --{name}. See dit-studio evaluate --help.")
    if options.out and (len(options.fake) > 1 or options.over or options.keep):
        raise UsageError("--out takes the result of one comparison: several are kept in a folder, --keep DIR.")
    if options.over and len(options.fake) > 1:
        raise UsageError("--over takes one --fake, a model: leave out the others.")


def _evaluate(request: EvaluationRequest, options: argparse.Namespace) -> tuple[EvaluationResult, str]:
    """The result, and why it could not be written; "" if it was, or need not be.

    Raises: ConfigError if the request is refused; StudioError.
    """
    from dit_studio.engine.evaluation.evaluate import evaluate

    values: dict[str, Any] = msgspec.to_builtins(request)
    ticker, result = Ticker(), None
    job = evaluate(values, out=str(options.out or ""), device=options.device)
    try:
        with closing(until_stopped(job)) as events:
            for event in events:
                match event:
                    case SettingsRefused(problems=problems):
                        raise ConfigError([Problem(field, message) for field, message in problems])
                    case EvaluationDone():
                        result = decode_result(event.result)
                    case _:
                        show(event, ticker, 0)
    except StudioError as error:
        if result is None:
            raise
        return result, str(error)
    assert result is not None
    return result, ""
