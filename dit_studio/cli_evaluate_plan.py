"""Several comparisons in one command: folders side by side, or a model over some of its settings."""

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dit_studio.cli_evaluation_text import describe_plan
from dit_studio.cli_job import until_stopped
from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.cli_sample import typed_settings
from dit_studio.config import fields_of
from dit_studio.errors import ConfigError, DataError, Problem
from dit_studio.evaluation_plan import EvaluationPlan, open_evaluation, plan_model, plan_sources
from dit_studio.evaluation_request import EvaluationOptions, EvaluationRequest, EvaluationResult, decode_result
from dit_studio.events import PointDone, PointFailed, PointStarted, SettingsRefused
from dit_studio.fields import check_value, schema_fields
from dit_studio.places import evaluations_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import ModelLimits, plan_sweep
from dit_studio.sweep_text import parse_axis

if TYPE_CHECKING:
    from dit_studio.engine.checkpoint import ModelDescription

EVALUATION = {field.name: field for field in schema_fields("evaluate", EvaluationOptions)}
_OWN = ("count", "seed", "batch_size")  # what evaluate has itself
SAMPLE = {f"sample_{field.name}" if field.name in _OWN else field.name: field for field in fields_of("request")}
_TYPED = ("extractor", "protocol", "weights", "count", "seed", "batch_size")


# ------------------------------------------------------------------------------------------------- what is asked for


def request_of(options: argparse.Namespace, fake: str) -> EvaluationRequest:
    """What is typed, each value within its limits. Raises: ConfigError with all that are not; UsageError."""
    given: dict[str, Any] = {"real": options.real, "fake": fake, "has_floor": not options.no_floor}
    problems: list[Problem] = []
    for name in _TYPED:
        if (text := getattr(options, name)) is not None:
            try:
                given[name] = check_value(EVALUATION[name], text)
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    if options.metrics is not None:
        given["metrics"] = tuple(name for name in options.metrics.split(",") if name.strip())
    return EvaluationRequest(**given, model_weights=options.model_weights, sample=_sample_of(options, fake))


def _sample_of(options: argparse.Namespace, fake: str) -> SampleRequest | None:
    """How a model draws: as its run does, and over that the options; None of images."""
    from dit_studio.engine.evaluation.drawing import is_model

    typed = typed_settings(options, SAMPLE)
    if is_model(Path(fake).expanduser()):
        return _model_settings(options, fake, typed)[0]
    if typed or options.classes is not None:
        if not Path(fake).expanduser().exists():
            raise DataError(f"{fake} does not exist.", remedy="Check the path, or choose another folder or model.")
        raise UsageError(f"{fake} is no model: leave out how its images are drawn, {', '.join(typed) or 'classes'}.")
    return None


def _model_settings(
    options: argparse.Namespace, fake: str, typed: dict[str, Any]
) -> tuple[SampleRequest, "ModelDescription"]:
    """Raises: ConfigError, CheckpointError."""
    from dit_studio.engine.checkpoint import read_description, weights_file
    from dit_studio.engine.evaluation.drawing import usual_sample
    from dit_studio.engine.sample_files import choose_classes

    path = Path(fake).expanduser()
    model = read_description(weights_file(path, options.model_weights))
    if options.classes is not None:
        typed = typed | {"classes": choose_classes(options.classes, model)}
    if options.count is not None:
        typed = {"count": check_value(EVALUATION["count"], options.count)} | typed
    return msgspec.structs.replace(usual_sample(path, model), **typed), model


def _plan(options: argparse.Namespace) -> EvaluationPlan:
    """Raises: ConfigError, CheckpointError, UsageError."""
    if options.over:
        return _curve(options)
    requests = [request_of(options, fake) for fake in options.fake]
    return plan_sources(requests, labels=_labels(options.fake), title=_title(options))


def _curve(options: argparse.Namespace) -> EvaluationPlan:
    from dit_studio.engine.solvers import samplers_for

    (fake,) = options.fake
    base = request_of(options, fake)
    if base.sample is None:
        raise UsageError(f"--over takes a model, and {fake} is none.")
    sample, model = _model_settings(options, fake, typed_settings(options, SAMPLE))
    limits = ModelLimits(
        num_classes=model.num_classes,
        class_names=model.class_names,
        timesteps=model.diffusion.timesteps,
        samplers=samplers_for(model.diffusion.objective),
        has_null_class=model.class_dropout_prob > 0,
    )
    axes = [parse_axis(text, option="--over") for text in options.over]
    sweep = plan_sweep(sample, model=fake, weights=options.model_weights, axes=axes, limits=limits)
    return plan_model(base, sweep, title=_title(options))


def _labels(paths: list[str]) -> list[str]:
    """The names of folders and files, or the paths where two have the same."""
    names = [Path(path).resolve().name for path in paths]
    return names if len(set(names)) == len(names) else paths


def _title(options: argparse.Namespace) -> str:
    return f"{', '.join(_labels(options.fake))} against {Path(options.real).resolve().name}"


# ------------------------------------------------------------------------------------------------- measuring


def run_plan(options: argparse.Namespace) -> int:
    """Measure every point, and return the exit status: 1 if one failed. The entry is read from other folders, too."""
    from dit_studio.jobs.evaluation_history import EvaluationHistory

    options.real, *options.fake = (str(Path(path).expanduser().absolute()) for path in (options.real, *options.fake))
    plan = _plan(options)
    return _measure(options, plan, options.keep or EvaluationHistory(evaluations_dir()).new_folder())


def go_on(options: argparse.Namespace) -> int:
    """Go on with what a folder holds. Raises: DataError if that is no evaluation."""
    return _measure(options, open_evaluation(options.keep).plan, options.keep)


def _measure(options: argparse.Namespace, plan: EvaluationPlan, folder: Path) -> int:
    try:
        results = _follow(options, plan, folder)
    except KeyboardInterrupt:
        say(f"What is finished is kept. Go on with dit-studio evaluate --keep {folder}")
        raise
    for line in describe_plan(plan, results):
        say(line)
    say(f"Kept in {folder}")
    points = [
        {"index": point.index, "labels": point.labels, "values": point.values, **msgspec.to_builtins(state)}
        | {"result": json.loads(msgspec.json.encode(results[point.index])) if point.index in results else None}
        for point, state in zip(plan.points, open_evaluation(folder).states, strict=True)
    ]
    failed = len(plan.points) - len(results)
    axes = msgspec.to_builtins(plan.axes)
    answer(options, folder=str(folder), title=plan.title, axes=axes, failed=failed, points=points)
    return 1 if failed else 0


def _follow(options: argparse.Namespace, plan: EvaluationPlan, folder: Path) -> dict[int, EvaluationResult]:
    """The results by the points' numbers. Raises: ConfigError if the plan is refused; StudioError."""
    from dit_studio.engine.evaluation.plan_job import evaluate_plan

    ticker, results = Ticker(), dict[int, EvaluationResult]()
    job = evaluate_plan(msgspec.to_builtins(plan), str(folder), device=options.device)
    with closing(until_stopped(job)) as events:
        for event in events:
            match event:
                case SettingsRefused(problems=problems):
                    raise ConfigError([Problem(field, message) for field, message in problems])
                case PointStarted(index=index):
                    ticker.say(f"{index + 1} of {len(plan.points)}: {plan.points[index].label}")
                case PointDone(index=index, result=result):
                    results[index] = decode_result(result)
                case PointFailed(index=index, message=message, remedy=remedy):
                    ticker.say(f"{plan.points[index].label} failed: {message} {remedy}".rstrip())
                case _:
                    show(event, ticker, 0)
    return results
