"""A recipe on the command line: the file, what the words after it change, and what stands in the way of it."""

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_download import model_place
from dit_studio.cli_models import add_assume_option, open_foreign
from dit_studio.cli_output import Ticker, UsageError, say, show
from dit_studio.config import Recipe, load_recipe, recipe_to_tables
from dit_studio.errors import StudioError
from dit_studio.events import Check, CheckStatus, Preflight
from dit_studio.start_model import find_start, load_recipe_and_start


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", type=Path, metavar="RECIPE.toml")
    parser.add_argument("--data", metavar="DIR", help="the images: a folder, zip or tar; same as --set data.path=DIR")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on from the newest checkpoint of a run")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="section.key=value",
        help="change a setting of the recipe; train --settings lists them",
    )  # fmt: skip
    add_assume_option(parser)


def recipe_and_its_start(options: argparse.Namespace) -> Recipe:
    """A new run's recipe, whole. Raises: ConfigError or UsageError."""
    recipe = recipe_of(options.recipe, options, load=partial(_load_recipe_and_its_start, assumed=options.assume))
    if options.assume and not recipe.train.start_from:
        raise UsageError("--assume is of the model that training starts from: set train.start_from, or leave it out.")
    return recipe


def recipe_of(file: Path, options: argparse.Namespace, *, load: Callable[..., Recipe] = load_recipe) -> Recipe:
    """The recipe with what the command line changes; its images and its VAE by their whole paths."""
    settings = [*options.settings, *([f"data.path={options.data}"] if options.data else [])]
    recipe = load(file, settings=settings)
    data, latents = recipe.data, recipe.latents
    if data.path:
        data = msgspec.structs.replace(data, path=_whole_path(data.path))
    if latents.vae and Path(latents.vae).expanduser().exists():  # else a name on the hub
        latents = msgspec.structs.replace(latents, vae=_whole_path(latents.vae))
    return msgspec.structs.replace(recipe, data=data, latents=latents)


def _whole_path(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _load_recipe_and_its_start(file: Path, *, settings: list[str], assumed: list[str]) -> Recipe:
    """A new run's recipe; where it starts from a model, what it leaves out is as in that model.

    `assumed`: what that model does not tell of itself, where another program wrote it.
    """

    def describe(path: Path) -> dict[str, Any]:
        from dit_studio.engine.fine_tune import describe_start

        if path.exists():
            open_foreign(path, assumed)
        return describe_start(path)

    return load_recipe_and_start(file, settings=settings, describe=describe, find=_find_start)


def _find_start(name: str, beside: Path) -> Path:
    """A model's path, or where a published one lies. Raises: CheckpointError."""
    path = find_start(name, beside)
    return path if path.exists() else Path(model_place(name)).absolute()


def check_before_start(recipe: Recipe, out: Path) -> None:
    """Say what stands in the way. Raises: StudioError if it cannot work."""
    from dit_studio.engine.plan import preflight

    ticker = Ticker()
    for event in preflight(recipe_to_tables(recipe), str(out)):
        if isinstance(event, Preflight):
            _refuse_if_failed(event.checks)
        else:
            show(event, ticker, 0)


def check_room(recipe: Recipe, out: Path) -> None:
    """Say whether the run's folder can hold it: what is known at once, without a look at the images.

    Raises: StudioError if it cannot.
    """
    from dit_studio.engine.plan import room_checks

    _refuse_if_failed(room_checks(recipe, out))


def _refuse_if_failed(checks: Iterable[Check]) -> None:
    failed = []
    for check in checks:
        if check.status is not CheckStatus.OK:
            say(f"{check.status}: {check.message} {check.remedy}".rstrip())
        if check.status is CheckStatus.FAILED:
            failed.append(f"{check.message} {check.remedy}")
    if failed:
        raise StudioError("Training was not started. " + failed[0])
