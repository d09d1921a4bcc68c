"""Whether a model can draw what is asked of it: every problem with its value, the limit and the remedy."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.solvers import SOLVERS, samplers_for
from dit_studio.errors import ConfigError, Problem
from dit_studio.fields import check_value, schema_fields
from dit_studio.sample_request import SampleOptions, SampleRequest

_SECTION = "request"


def parse_request(values: Mapping[str, Any]) -> SampleRequest:
    """A request from plain values. Raises: ConfigError that lists each that is unknown or out of range."""
    fields = {field.name: field for field in schema_fields(_SECTION, SampleOptions)}
    problems: list[Problem] = []
    read: dict[str, Any] = {}
    for name, value in values.items():
        try:
            if name == "classes":
                read[name] = _read_classes(value)
            elif name not in fields:
                problems.append(_unknown(name, [*fields, "classes"]))
            elif value is None and fields[name].is_optional:
                read[name] = None
            else:
                read[name] = check_value(fields[name], value)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return SampleRequest(**read)


def check_request(request: SampleRequest, config: ModelDescription) -> None:
    """Raises: ConfigError that lists everything the model cannot give; fields are "request.steps" and so on."""
    problems = [*_of_the_sampler(request, config), *_of_guidance(request, config), *_out_of_range(request)]
    wrong = [number for number in request.classes if not 0 <= number < config.num_classes]
    if wrong or not request.classes:
        value = wrong[0] if wrong else "nothing"
        limit = f"numbers from 0 to {config.num_classes - 1}" if config.num_classes > 1 else "0, its only class"
        problems.append(_problem("classes", value, f"the model has {limit}; choose among them."))
    if problems:
        first_of_each = {problem.field: problem for problem in reversed(problems)}
        raise ConfigError(list(first_of_each.values())[::-1])


def _out_of_range(request: SampleRequest) -> list[Problem]:
    problems = []
    for field in schema_fields(_SECTION, SampleOptions):
        value = getattr(request, field.name)
        if value is None and field.is_optional:
            continue
        try:
            check_value(field, value)
        except ConfigError as error:
            problems += error.problems
    return problems


def _of_the_sampler(request: SampleRequest, config: ModelDescription) -> list[Problem]:
    problems, diffusion = [], config.diffusion
    served = samplers_for(diffusion.objective)
    if request.sampler in SOLVERS and request.sampler not in served:
        message = f"a model that predicts {diffusion.objective} takes one of {', '.join(served)}."
        problems.append(_problem("sampler", request.sampler, message))
    if not 1 <= request.steps <= diffusion.timesteps:
        limit = f"it takes from 1 to {diffusion.timesteps}, the length of the model's noise schedule."
        problems.append(_problem("steps", request.steps, limit))
    if request.eta and math.isfinite(request.eta) and request.sampler != "ddim":
        problems.append(_problem("eta", request.eta, f"{request.sampler} has no η; set it to 0, or take ddim."))
    return problems


def _of_guidance(request: SampleRequest, config: ModelDescription) -> list[Problem]:
    problems = []
    if request.cfg != 1 and math.isfinite(request.cfg) and not config.class_dropout_prob:
        message = "this model was trained without a null class, so it cannot be guided; set it to 1."
        problems.append(_problem("cfg", request.cfg, message))
    if request.cfg_to is not None and request.cfg_from > request.cfg_to:
        message = f"guidance goes from there up to t = {request.cfg_to}; swap the two, or leave the end empty."
        problems.append(_problem("cfg_from", request.cfg_from, message))
    return problems


def _problem(name: str, value: object, message: str) -> Problem:
    key = f"{_SECTION}.{name}"
    return Problem(key, f"{key} = {value} is not possible: {message}", value)


def _unknown(name: str, known: list[str]) -> Problem:
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
    return Problem(f"{_SECTION}.{name}", f"There is no setting {_SECTION}.{name}. {hint}")


def _read_classes(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and all(type(number) is int for number in value):
        return tuple(value)
    raise ConfigError([_problem("classes", repr(value), "it takes a list of whole numbers.")])
