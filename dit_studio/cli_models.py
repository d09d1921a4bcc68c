"""A MODEL of the command line: what another program wrote is opened first, with what --assume says of it."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.errors import CheckpointError
from dit_studio.model_events import ModelOpened, Question
from dit_studio.opened_models import foreign_kind, remembered

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_assume_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--assume", action="append", default=[], metavar="NAME=VALUE",
        help="what a model of another program does not tell: objective=epsilon, num_heads=16, vae=NAME or FOLDER; "
        "inspect MODEL lists what is asked; it is remembered",
    )  # fmt: skip


def open_foreign(model: str | Path, assumed: list[str]) -> None:
    """Have what another program wrote remembered as the model that it is; nothing of our own files.

    What is likely and not open is taken, and said. Raises: CheckpointError if a question is open; UsageError.
    """
    answers, path = parse_assumed(assumed), Path(model).expanduser()
    if not foreign_kind(path):
        if answers:
            raise UsageError(f"--assume is of models of other programs, and {model} is none.")
        return
    if remembered(path) is not None and not answers:
        return
    event = look_into(path, answers)
    if not event.description:
        raise open_question(event, answers)
    likely = {question.name: question.likely for question in event.questions if question.name not in answers}
    for name, value in likely.items():
        say(f"{path.name}: {name} = {value} is assumed; --assume {name}=… says otherwise.")
    if likely:
        look_into(path, likely | answers)


def look_into(path: Path, answers: "Mapping[str, str]") -> ModelOpened:
    """What a model's file holds. Raises: CheckpointError."""
    from dit_studio.engine.interop import open_model

    ticker = Ticker()
    for event in open_model(str(path), dict(answers)):
        if isinstance(event, ModelOpened):
            return event
        show(event, ticker, 0)
    raise AssertionError("the job ends with what it opened")


def inspect_model(options: argparse.Namespace) -> int:
    """Say what a model's file holds, and return the exit status: also of one that leaves questions open.

    What --assume says of it is remembered.
    """
    path: Path = options.path
    if options.assume:
        open_foreign(path, options.assume)
    event = look_into(path, {})
    say(f"{path}: {event.title} ({event.format}).")
    for name, value in event.facts:
        say(f"  {name}: {value}")
    for question in event.questions:
        state = "open" if question.is_open and not event.description else "asked"
        likely = f"; likely {question.likely}" if question.likely else ""
        say(f"  {state}: {question.name}{likely}. {question.text} {question.why}")
    for warning in event.warnings:
        say(f"warning: {warning}")
    described = json.loads(event.description) if event.description else {}
    said = msgspec.to_builtins(event)
    answer(options, **{name: said[name] for name in ("path", "format", "title", "facts", "questions", "warnings")},
           **described)  # fmt: skip
    return 0


def open_question(event: ModelOpened, answers: "Mapping[str, str]") -> CheckpointError:
    asked = next(question for question in event.questions if question.is_open and question.name not in answers)
    return CheckpointError(f"{event.path} does not tell everything: {asked.text} {asked.why}", remedy=remedy_of(asked))


def remedy_of(asked: Question) -> str:
    return f"Add --assume {asked.name}={asked.likely or 'VALUE'}" + (", which is likely." if asked.likely else ".")


def parse_assumed(assumed: list[str]) -> dict[str, str]:
    """Raises: UsageError."""
    answers = {}
    for text in assumed:
        name, is_there, value = text.partition("=")
        if not (name and is_there and value):
            raise UsageError(f"--assume {text} is not possible: it takes name=value, as objective=epsilon.")
        answers[name] = value
    return answers
