"""Training that starts from another model: the recipe takes the model's own numbers, and says nothing against them.

A description is what a `ModelDescription` says of itself, as plain values or as the JSON of a `ModelOpened`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from dit_studio.config import Recipe, check_recipe, parse_recipe, path_beside, read_settings, read_tables
from dit_studio.errors import ConfigError, Problem
from dit_studio.model_settings import (
    PRESETS,
    DiffusionConfig,
    LatentsConfig,
    ModelConfig,
    diffusion_problems,
    resolve_model,
)

Description = Mapping[str, Any]
COLORS = {1: "grey", 3: "rgb"}
_SIZES = ("hidden_size", "depth", "num_heads", "patch_size")  # in the order of the presets
_SHAPE = (
    *_SIZES, "mlp_ratio", "block", "attention", "num_kv_heads", "window", "position", "rope", "qk_norm", "norm", "mlp",
    "dialect", "time", "learn_sigma",
)  # fmt: skip
_DIFFUSION = ("objective", "schedule", "timesteps", "beta_start", "beta_end")  # the rest is how it is trained


def recipe_from_start(recipe: Recipe, description: Description | str) -> Recipe:
    """The recipe with everything that the start model says of itself: shape, objective, latents, and its image size.

    The classes, the image size and how labels are dropped may then be chosen anew. A VAE that nothing told is a guess,
    before which one that the recipe has chosen goes.
    """
    start = _values(description)
    diffusion = msgspec.convert(start["diffusion"], DiffusionConfig)
    is_flow, sampler = diffusion.objective == "flow", recipe.sample.sampler
    sampler = "flow-euler" if is_flow else "ddim" if sampler == "flow-euler" else sampler
    color = COLORS.get(start["in_channels"], recipe.data.color)
    latents = start.get("latents")
    size = start["input_size"] * (latents["factor"] if latents else 1)
    return replace(
        recipe,
        data=replace(recipe.data, image_size=size, color=color),
        model=_model(recipe.model, start),
        diffusion=diffusion,
        latents=_latents(recipe.latents, start),
        sample=replace(recipe.sample, sampler=sampler, steps=min(recipe.sample.steps, diffusion.timesteps)),
    )


def _latents(latents: LatentsConfig, start: Description) -> LatentsConfig:
    theirs = start.get("latents")
    if latents.vae and _is_guessed(start):
        return latents
    numbers = {name: theirs[name] if theirs else None for name in ("scale", "shift")}
    return replace(latents, vae=theirs["vae"] if theirs else "", **numbers)


def _is_guessed(start: Description) -> bool:
    """Whether nothing told in which VAE's latents it lives."""
    return bool((start.get("latents") or {}).get("is_likely"))


def find_start(name: str, beside: Path) -> Path:
    """The whole path of a start model, looked for from the working folder first, then beside the recipe."""
    path = Path(name).expanduser()
    if not path.exists() and (beside / path).exists():
        path = beside / path
    return path.absolute()


def load_recipe_and_start(
    path: Path,
    *,
    settings: Iterable[str] = (),
    describe: Callable[[Path], Description],
    find: Callable[[str, Path], Path] = find_start,
) -> Recipe:
    """A recipe from a TOML file as `load_recipe` gives it; what it leaves out is as in the model it starts from.

    Raises: ConfigError, also if the recipe contradicts that model; whatever `describe` and `find` raise.
    """
    tables = read_tables(path, settings)
    train = tables.get("train")
    if not isinstance(train, Mapping) or not (name := str(train.get("start_from", "")).strip()):
        return path_beside(parse_recipe(tables), path)
    read_settings(tables, Recipe())  # so that a word that is misspelt is said before a model is looked for
    file = find(name, path.parent)
    description = describe(file)
    recipe = read_settings(tables, _defaults(tables, description))
    recipe = replace(recipe, train=replace(recipe.train, start_from=str(file)))
    if problems := [*start_problems(recipe, description)] or check_recipe(recipe):
        raise ConfigError(problems)
    return path_beside(recipe, path)


def start_problems(recipe: Recipe, description: Description | str) -> Iterator[Problem]:
    """What the recipe says otherwise than the model that it starts from: each with both values and what to do."""
    start = _values(description)
    model, own = resolve_model(recipe.model), resolve_model(_model(recipe.model, start))
    differing = [name for name in _SHAPE if getattr(model, name) != getattr(own, name) and not _is_idle(name, start)]
    of_preset = [name for name in differing if name in _SIZES and getattr(recipe.model, name) is None]
    if of_preset:
        has, is_ = (", ".join(f"{name} {getattr(each, name)}" for name in of_preset) for each in (model, own))
        yield _otherwise("model.preset", f"{model.preset} ({has})", is_)
    for name in differing:
        if name not in of_preset:
            yield _otherwise(f"model.{name}", getattr(model, name), getattr(own, name))
    for name in _DIFFUSION:
        said, is_ = getattr(recipe.diffusion, name), start["diffusion"].get(name, getattr(DiffusionConfig(), name))
        if said != is_:
            yield _otherwise(f"diffusion.{name}", said, is_)
    weighted = diffusion_problems(recipe.diffusion, learn_sigma=model.learn_sigma)
    yield from (problem for problem in weighted if problem.field == "diffusion.loss_weight")
    yield from _input_problems(recipe, start)


def _defaults(tables: Mapping[str, Any], description: Description) -> Recipe:
    """What a recipe that starts from the model takes where it says nothing; a preset that it names counts whole."""
    latents, named = Recipe().latents, tables.get("latents")
    if isinstance(named, Mapping) and named.get("vae"):
        latents = replace(latents, vae=str(named["vae"]))
    defaults = recipe_from_start(replace(Recipe(), latents=latents), description)
    model = tables.get("model")
    if isinstance(model, Mapping) and "preset" in model:
        defaults = replace(defaults, model=replace(defaults.model, **dict.fromkeys(_SIZES)))
    return defaults


def _model(model: ModelConfig, start: Description) -> ModelConfig:
    """The start model's shape: by the name of its preset, or in numbers where it has none."""
    sizes = {name: start[name] for name in _SIZES}
    preset = next((name for name, row in PRESETS.items() if row == tuple(sizes.values())), None)
    named = {"preset": preset, **dict.fromkeys(_SIZES)} if preset else sizes
    rest = {name: start[name] for name in _SHAPE if name in start and name not in _SIZES}
    return replace(model, **rest, **named)


def _input_problems(recipe: Recipe, start: Description) -> Iterator[Problem]:
    latents, channels = start.get("latents"), start["in_channels"]
    if latents and not recipe.latents.vae:
        yield _problem("latents.vae", "''", f"the start model lives in the latents of {latents['vae']}; leave it out.")
    elif not latents and recipe.latents.vae and channels in COLORS:
        yield _problem("latents.vae", recipe.latents.vae, "the start model was trained on pixels; leave it empty.")
    elif not recipe.latents.vae and channels not in COLORS:
        message = f"the start model takes {channels} channels, which are no pixels; name the VAE of its latents."
        yield _problem("latents.vae", "''", message)
    elif not recipe.latents.vae and COLORS[channels] != recipe.data.color:
        yield _otherwise("data.color", recipe.data.color, COLORS[channels])
    for name in ("scale", "shift"):
        said = getattr(recipe.latents, name)
        if latents and not _is_guessed(start) and said is not None and said != latents[name]:
            yield _otherwise(f"latents.{name}", said, latents[name])


def _is_idle(name: str, start: Description) -> bool:
    """A setting that means nothing in this kind of model."""
    return (name == "window" and start.get("attention", "full") != "window") or (
        name == "num_kv_heads" and start.get("attention", "full") != "grouped"
    )


_FROM_NOISE = "train from noise (train.start_from empty)"


def _otherwise(key: str, said: object, is_: object) -> Problem:
    said, is_ = (str(value).lower() if isinstance(value, bool) else value for value in (said, is_))
    return _problem(key, said, f"the model that it starts from has {is_}; leave it out, or {_FROM_NOISE}.")


def _problem(key: str, value: object, why: str) -> Problem:
    return Problem(key, f"{key} = {value} is not possible: {why}", value)


def _values(description: Description | str) -> Description:
    values: Description = json.loads(description) if isinstance(description, str) else description
    return values
