"""The command line: every job without a window.

Progress and logs go to stderr; with --json one JSON object is the last line of stdout.
Exit status: 0 done, 1 failed with a sentence, 2 wrong usage, 130 interrupted.
"""

import argparse
import difflib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from dit_studio import __version__
from dit_studio.checkpoint_header import is_checkpoint
from dit_studio.cli_command import add_command_options, run_command
from dit_studio.cli_convert import add_convert_options, run_convert
from dit_studio.cli_download import add_download_options, model_place, run_download
from dit_studio.cli_evaluate import add_evaluate_options, run_evaluate
from dit_studio.cli_find import add_find_options, run_find
from dit_studio.cli_latents import add_vae_options, inspect_vae, is_vae
from dit_studio.cli_models import add_assume_option, inspect_model
from dit_studio.cli_output import Ticker, UsageError, answer, number, say, say_at_once, show
from dit_studio.cli_queue import add_queue_options, run_queue
from dit_studio.cli_recipe import add_recipe_options, check_before_start, check_room, recipe_and_its_start, recipe_of
from dit_studio.cli_report import add_report_options, run_report
from dit_studio.cli_runs import add_runs_options, run_runs
from dit_studio.cli_sample import add_sample_options, run_sample
from dit_studio.cli_tensorboard import add_tensorboard_options, run_tensorboard
from dit_studio.cli_train import training_events
from dit_studio.config import SECTIONS, fields_of
from dit_studio.errors import ConfigError, StudioError
from dit_studio.events import (
    CheckStatus,
    DataSummary,
    Event,
    Failure,
    JobState,
    Started,
    StateChanged,
)
from dit_studio.jobs.awake import MAY_SLEEP
from dit_studio.launch_environment import is_under_torchrun, rank
from dit_studio.opened_models import foreign_kind
from dit_studio.places import runs_dir

_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")

# The engine and the window are imported where a command needs them: `dit-studio --help` costs no torch.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        if not words or words == ["--in-process"] or _is_path(words[0]):
            return _window(words)
        options = _parser().parse_args(words)
        status: int = options.run(options)
        return status
    except ConfigError as error:
        for problem in error.problems:
            say(f"dit-studio: {problem.message}")
        return _failed(words, error, status=2)
    except StudioError as error:
        say(f"dit-studio: {error}")
        return _failed(words, error, status=2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        say("dit-studio: interrupted.")
        return _failed(words, StudioError("interrupted."), status=130)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _failed(words: list[str], error: StudioError, *, status: int) -> int:
    """The exit status; with --json the sentence is the last line of stdout, too."""
    if "--json" in words:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    return status


# ------------------------------------------------------------------------------------------------- usage


class _Parser(argparse.ArgumentParser):
    """Names the nearest command when one is misspelt."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice" in message and (action := self._subparsers) is not None:
            wrong = message.split("'")[1]
            commands = [name for group in action._group_actions for name in group.choices or ()]
            near = difflib.get_close_matches(wrong, commands, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"It knows {', '.join(commands)}."
            message = f"there is no command, run or file {wrong!r}. {hint}"
        raise UsageError(f"{message} See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dit-studio",
        description="Train, watch and measure Diffusion Transformers. Without a command, or with a run, data set or "
        "recipe alone: open the window.",
        epilog="While a run is at work the machine does not go to sleep by itself, where its desktop can be asked; "
        f"{MAY_SLEEP}=1 in the environment lets it.",
    )
    parser.add_argument("--version", action="version", version=f"DiT Studio {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON object on stdout as the last line")
        return added

    demo = command("demo", _demo, "train on built-in landscapes, sample every class, measure, show the result")
    demo.add_argument("--out", type=Path, metavar="DIR", help="where to put everything (default: below the runs)")
    demo.add_argument("--minutes", type=_positive, default=2.5, metavar="M", help="time to train (default: 2.5)")
    demo.add_argument("--no-window", action="store_true", help="end without opening the window")

    train = command("train", _train, "train from a recipe, or resume a run")
    add_recipe_options(train)
    train.add_argument("--out", type=Path, metavar="RUN", help="the new run folder")
    train.add_argument("--settings", dest="list_settings", action="store_true", help="list every setting and end")

    add_queue_options(command("queue", run_queue, "runs that wait their turn on each device: list, add, order, start"))

    add_find_options(command("find", run_find, "find a batch size or a learning rate"))

    add_sample_options(command("sample", run_sample, "draw images from a run or a checkpoint"))

    add_convert_options(command("convert", run_convert, "write a model in the format of another program, or of ours"))

    add_download_options(command("download", run_download, "fetch a published model, under its licence"))

    add_evaluate_options(command("evaluate", run_evaluate, "measure images against a reference"))

    add_runs_options(command("runs", run_runs, "list, name, export and import runs"))

    add_tensorboard_options(command("tensorboard", run_tensorboard, "write runs as TensorBoard's event files"))

    add_command_options(
        command("command", run_command, "print the line that trains on many devices, or a SLURM script")
    )

    add_report_options(command("report", run_report, "write evaluations as one HTML, CSV or JSON file"))

    inspect = command("inspect", _inspect, "say what a data set, a run, a checkpoint or a VAE holds")
    inspect.add_argument("path", type=Path, metavar="DIR|MODEL|VAE")
    sources = next(field for field in fields_of("data") if field.name == "classes").choices
    add_assume_option(inspect)
    inspect.add_argument("--classes", default="auto", choices=sources, help="where classes come from (default: auto)")
    add_vae_options(inspect)

    benchmark = command("benchmark", _benchmark, "measure this machine, side by side with a reference")
    benchmark.add_argument(
        "what",
        choices=["train", "data", "latents", "models", "sample", "evaluate", "window", "attention", "family", "scale"],
        metavar="WHAT",
        help="train, data, latents, models, sample, evaluate, attention, family or window",
    )
    benchmark.add_argument(
        "--seconds", type=_positive, default=60.0, metavar="S", help="window: how long (default: 60)"
    )
    benchmark.add_argument("--model", type=Path, metavar="RUN", help="sample: how near its samples come to its images")
    benchmark.add_argument(
        "--full", action="store_true",
        help="sample: 50,000 images to an NPZ, and 1,050 samples; models: DiT-XL/2, which takes 12 GB of disk",
    )  # fmt: skip

    command("doctor", _doctor, "check the installation, the device and the folders")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not possible: it takes a number above 0.")
    return value


def _is_path(word: str) -> bool:
    return not word.startswith("-") and word not in _command_names() and Path(word).exists()


def _command_names() -> set[str]:
    return {
        "demo",
        "train",
        "sample",
        "convert",
        "evaluate",
        "report",
        "runs",
        "inspect",
        "benchmark",
        "doctor",
        "download",
        "command",
        "tensorboard",
        "find",
        "queue",
    }


# ------------------------------------------------------------------------------------------------- train


def _train(options: argparse.Namespace) -> int:
    if options.list_settings:
        _list_settings()
        return 0
    if options.resume:
        return _resume(options)
    if options.recipe is None:
        raise UsageError("train takes a RECIPE.toml, or --resume RUN.")
    from dit_studio.jobs.run_folder import RunFolder, new_run_path

    recipe = recipe_and_its_start(options)
    if is_under_torchrun():
        return _train_together(recipe, options)
    name = Path(recipe.data.path).name or options.recipe.stem
    out = options.out or new_run_path(runs_dir(), name)
    check_before_start(recipe, out)
    return _run_training(RunFolder.create(out, recipe), options, resume=False)


def _train_together(recipe: Any, options: argparse.Namespace) -> int:
    """One of the processes that torchrun started. A run that is there goes on from its newest checkpoint."""
    from dit_studio.jobs import ranks
    from dit_studio.jobs.run_folder import RunFolder
    from dit_studio.jobs.same_settings import check_same_settings

    if options.out is None:
        raise UsageError("Under torchrun all processes share one run folder, and each start goes on in it: --out RUN.")
    folder = RunFolder(options.out)
    if rank() > 0:
        return ranks.assist(folder, recipe)
    is_there = folder.is_run()
    if is_there:
        check_same_settings(recipe, folder.recipe(), options.out)
    else:
        check_room(recipe, options.out)
        RunFolder.create(options.out, recipe)
    return _run_training(folder, options, resume=is_there)


def _resume(options: argparse.Namespace) -> int:
    from dit_studio.config import dump_recipe
    from dit_studio.engine.checkpoint import check_recipe_of_checkpoint
    from dit_studio.files import write_atomically
    from dit_studio.jobs import ranks
    from dit_studio.jobs.run_folder import RunFolder

    if options.recipe is not None or options.out is not None or options.assume:
        raise UsageError("--resume goes on in the run's own folder with its own recipe: leave out the others.")
    folder = RunFolder.open(options.resume)
    changes = bool(options.settings or options.data)
    if rank() > 0:
        return ranks.assist(folder, recipe_of(folder.path / "run.toml", options) if changes else folder.recipe())
    if changes:
        recipe = recipe_of(folder.path / "run.toml", options)
        if folder.checkpoints():
            check_recipe_of_checkpoint(recipe, folder.checkpoints()[-1])
            if recipe.train.start_from != folder.recipe().train.start_from:
                raise UsageError("A run that has begun goes on from its own checkpoint: leave out train.start_from.")
        with folder.lock():
            write_atomically(folder.path / "run.toml", dump_recipe(recipe).encode())
    return _run_training(folder, options, resume=True)


def _list_settings() -> None:
    for section in SECTIONS:
        for field in fields_of(section):
            unit = f" [{field.unit}]" if field.unit else ""
            default = "" if field.default is None else f" Default: {field.default}."
            sys.stdout.write(f"{field.key}{unit}: {field.description} {field.range_text.capitalize()}.{default}\n")


def _run_training(folder: Any, options: argparse.Namespace, *, resume: bool) -> int:
    ticker, steps = Ticker(), folder.recipe().train.steps
    say(f"run {folder.path}")
    state, failure = JobState.PREPARING, None
    with _counting_interrupts() as presses:
        for event in training_events(folder, resume=resume, is_stop_asked=lambda: bool(presses)):
            show(event, ticker, steps)
            if isinstance(event, StateChanged):
                state = event.state
            elif isinstance(event, Failure):
                failure = event
    status = folder.read_status()
    if failure is not None:
        ticker.say(f"dit-studio: {failure.message} {failure.remedy}".rstrip())
    answer(
        options, run=str(folder.path), state=state, step=status.step, steps=steps, loss=status.loss,
        validation_loss=status.validation_loss, seconds=round(status.seconds, 3), preview=status.preview,
        error=failure.message if failure else None,
    )  # fmt: skip
    if is_under_torchrun():  # which would start anew what did not end with 0
        return 1 if failure is not None and failure.code != "finished" else 0
    if failure is not None:
        return 1
    return 130 if presses and state is JobState.STOPPED else 0


@contextmanager
def _counting_interrupts() -> Iterator[list[int]]:
    """Gives the presses of Ctrl-C (or SIGTERMs) so far: the first is to save and stop; the second ends at once."""
    presses: list[int] = []

    def on_signal(number: int, _: object) -> None:
        presses.append(number)
        if len(presses) > 1:
            raise KeyboardInterrupt
        say_at_once("\nstopping after this step, and saving; once more to end at once.")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ------------------------------------------------------------------------------------------------- inspect


def _inspect(options: argparse.Namespace) -> int:
    options.path = path = Path(model_place(str(options.path)))
    if (path / "run.toml").is_file():
        return _inspect_run(options)
    if foreign_kind(path) or is_checkpoint(path) or path.suffix in _WEIGHTS:
        return inspect_model(options)
    if is_vae(path):
        return inspect_vae(options)
    if options.assume:
        raise UsageError(f"--assume is of models of other programs, and {path} is none.")
    from dit_studio.engine.data import scan

    ticker, summary = Ticker(), None
    for event in scan(str(path), options.classes):
        show(event, ticker, 0)
        if isinstance(event, DataSummary):
            summary = event
    assert summary is not None
    _print_data(summary)
    answer(options, **msgspec.to_builtins(summary))
    return 0


def _print_data(summary: DataSummary) -> None:
    small, large = ("×".join(map(str, size)) for size in (summary.smallest, summary.largest))
    say(f"{summary.images:,} images, {small} to {large} pixels, {summary.size_bytes / 1e6:.1f} MB")
    say(f"classes from {summary.source} (possible: {', '.join(summary.sources) or 'none'})")
    for kind in summary.classes:
        say(f"  {kind.images:>7,}  {kind.name}")
    for warning in summary.warnings:
        say(f"warning: {warning}")
    for problem in summary.problems[:20]:
        say(f"left out: {problem.file}: {problem.reason}")
    if summary.problem_count > 20:
        say(f"… and {summary.problem_count - 20:,} more left out.")


def _inspect_run(options: argparse.Namespace) -> int:
    from dit_studio.jobs.run_folder import RunFolder

    folder = RunFolder.open(options.path)
    status, checkpoints = folder.observed_status(), [path.name for path in folder.checkpoints()]
    say(f"{folder.path}: {status.state}, step {status.step:,} of {status.steps:,}. {status.message}".rstrip())
    loss, validation = (number(value, missing="none") for value in (status.loss, status.validation_loss))
    say(f"loss {loss}, validation loss {validation}")
    say(f"checkpoints: {', '.join(checkpoints) or 'none'}")
    answer(options, run=str(folder.path), checkpoints=checkpoints, **msgspec.to_builtins(status))
    return 0


# ------------------------------------------------------------------------------------------------- the others


def _demo(options: argparse.Namespace) -> int:
    from dit_studio.engine.demo_run import DemoResult, run_demo

    out = options.out or runs_dir() / f"demo-{time.strftime('%Y%m%d-%H%M%S')}"
    ticker, result = Ticker(), None
    steps = 0
    for event in run_demo(out, minutes=options.minutes, train=_train_events):
        if isinstance(event, DemoResult):
            result = event
            continue
        steps = event.steps if isinstance(event, Started) else steps
        show(event, ticker, steps)
    assert result is not None
    for line in result.lines:
        ticker.say(line)
    answer(options, **result.figures, run=str(result.run), picture=str(result.picture))
    if options.no_window:
        return 0
    return _open_if_possible(result.run)


def _train_events(run: Path, tables: dict[str, Any]) -> Iterator[Event]:
    """A training run as the demo needs it: in this process. Raises: StudioError when it fails."""
    from dit_studio.config import parse_recipe
    from dit_studio.jobs import training
    from dit_studio.jobs.run_folder import RunFolder

    folder = RunFolder.create(run, parse_recipe(tables))
    for event in training.run(folder):
        if isinstance(event, Failure):
            raise StudioError(event.message, remedy=event.remedy)
        yield event


def _benchmark(options: argparse.Namespace) -> int:
    figures: Any
    if options.what == "window":
        from dit_studio.ui.benchmark_window import measure_window

        figures = measure_window(seconds=options.seconds)
    elif options.what == "sample":
        from dit_studio.engine.benchmark_sampling import FULL, measure_sampling

        figures = measure_sampling(model=options.model, extent=FULL if options.full else None)
    elif options.what == "latents":
        from dit_studio.engine.benchmark_latents import measure_latents

        figures = measure_latents()
    elif options.what == "models":
        from dit_studio.engine.benchmark_models import measure_models

        figures = measure_models("XL/2" if options.full else "B/2")
    elif options.what in ("attention", "family"):
        from dit_studio.cli_speed import measure_speed

        figures = measure_speed(options.what)
    elif options.what == "scale":
        from dit_studio.cli_scale import measure_scale

        figures = measure_scale()
    elif options.what == "evaluate":
        from dit_studio.engine.benchmark_evaluation import measure_evaluation

        figures = measure_evaluation()
    else:
        from dit_studio.engine import benchmark

        figures = benchmark.measure_training() if options.what == "train" else benchmark.measure_data()
    for line in figures.lines:
        say(line)
    answer(options, **figures.values, **(_scrubbing() if options.what == "sample" else {}))
    return 0


def _scrubbing() -> dict[str, float]:
    """What scrubbing in the window costs, where there is Qt; painted in memory, with or without a display."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    try:
        from dit_studio.ui.benchmark_scrubbing import measure_scrubbing
    except ImportError:
        say("Scrubbing was not measured: Qt is not installed here.")
        return {}
    figures = measure_scrubbing()
    for line in figures.lines:
        say(line)
    return {f"scrubbing_{name}": value for name, value in figures.values.items()}


def _doctor(options: argparse.Namespace) -> int:
    from dit_studio.engine.doctor import examine

    findings = list(examine())
    for finding in findings:
        say(f"{finding.status:>7}  {finding.name}: {finding.message} {finding.remedy}".rstrip())
    answer(options, checks=msgspec.to_builtins(findings))
    return 1 if any(finding.status is CheckStatus.FAILED for finding in findings) else 0


# ------------------------------------------------------------------------------------------------- the window


def _window(words: list[str]) -> int:
    try:
        from dit_studio.ui.app import run_window
    except ImportError as error:  # Qt is not installed, or misses a library of the system
        message = f"The window cannot open: {error}."
        raise StudioError(message, remedy="Every job runs without it; see dit-studio --help.") from error
    paths = [Path(word).absolute() for word in words if not word.startswith("--")]
    return run_window(paths[0] if paths else None, in_process="--in-process" in words)


def _open_if_possible(run: Path) -> int:
    """The window on a run, in a process of its own without torch; where none can open, a sentence, and all is well."""
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.platform.startswith("linux") and not has_display:
        say(f"There is no display here, so no window. Where there is one: dit-studio {run}")
        return 0
    if subprocess.call([sys.executable, "-m", "dit_studio", str(run)]):
        say(f"The window did not open; dit-studio doctor says more. The run is here: {run}")
    return 0
