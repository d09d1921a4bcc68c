"""What a run is: one typed, checked schema behind TOML recipes, forms, the command line and the help texts.

Every field carries its meaning, its unit and its range, and `fields_of` hands them to whoever draws or prints them.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec.structs import asdict, replace

from dit_studio.device_names import why_not_together
from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_metrics import chosen_metrics
from dit_studio.evaluation_request import EvaluationOptions, ExtractorName, Metric
from dit_studio.fields import Field, Section, check_value, schema_fields, setting
from dit_studio.model_settings import (
    DiffusionConfig,
    LatentsConfig,
    ModelConfig,
    diffusion_problems,
    model_problems,
    nearest_divisor,
    resolve_model,
    suitable_learning_rate,
)
from dit_studio.sample_request import SampleOptions, Sampler
from dit_studio.speed_settings import AttentionSizes, FamilySizes


class DataConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, setting("A folder, zip or tar of images.", title="Images")] = ""
    image_size: Annotated[
        int, setting("Images are scaled and cropped to this square.", unit="pixels", ge=4, le=1024)
    ] = 32
    classes: Annotated[
        Literal["auto", "folders", "labels", "suffix", "none"],
        setting("Where the class of an image comes from; auto takes the first that fits."),
    ] = "auto"
    color: Annotated[Literal["rgb", "grey"], setting("Train on three colour channels or on one.", title="Colour")] = (
        "rgb"
    )
    flip: Annotated[bool, setting("Mirror images left to right at random while training.", title="Random flip")] = True
    validation_fraction: Annotated[
        float,
        setting(
            "Share of the images held out to measure the validation loss.",
            title="Held out",
            advanced=True,
            ge=0.0,
            le=0.5,
        ),
    ] = 0.05


class TrainConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    steps: Annotated[int, setting("Optimiser steps in all.", unit="steps", ge=1, le=100_000_000)] = 20_000
    batch_size: Annotated[int, setting("Images in one optimiser step.", unit="images", ge=1, le=65_536)] = 64
    learning_rate: (
        Annotated[float, setting("AdamW's step size after warm-up; empty, it suits the width.", gt=0.0, le=1.0)] | None
    ) = None
    seed: Annotated[int, setting("Fixes every random draw of the run.", ge=0, le=2**31 - 1)] = 0
    start_from: Annotated[
        str,
        setting("Fine-tune this model: a run, a checkpoint, a published .pt or a diffusers folder. Empty: from noise."),
    ] = ""
    checkpoint_every: Annotated[
        int, setting("Save a checkpoint so often; 0: only at the end.", title="Checkpoint every", unit="steps", ge=0)
    ] = 1000
    preview_every: Annotated[int, setting("Sample every class this often; 0: never.", unit="steps", ge=0)] = 500
    validate_every: Annotated[
        int, setting("Measure the validation loss this often; 0: never.", unit="steps", advanced=True, ge=0)
    ] = 250
    keep_checkpoints: Annotated[
        int,
        setting(
            "Newest checkpoints kept; 0: all.",
            title="Checkpoints kept",
            unit="checkpoints",
            advanced=True,
            ge=0,
            le=10_000,
        ),
    ] = 3
    warmup_steps: Annotated[
        int,
        setting(
            "The learning rate rises linearly over so many steps.", title="Warm-up", unit="steps", advanced=True, ge=0
        ),
    ] = 100
    learning_rate_schedule: Annotated[
        Literal["constant", "cosine"],
        setting("What the learning rate does after warm-up.", title="Rate schedule", advanced=True),
    ] = "constant"
    accumulate: Annotated[
        int,
        setting(
            "Split a batch into so many parts, to save memory.",
            title="Accumulation",
            unit="parts",
            advanced=True,
            ge=1,
            le=4096,
        ),
    ] = 1
    ema_decay: Annotated[
        float,
        setting(
            "Decay of the averaged weights, reached after a warm-up.", title="EMA decay", advanced=True, ge=0.0, lt=1.0
        ),
    ] = 0.9999
    clip_grad_norm: Annotated[
        float,
        setting(
            "Gradients longer than this are shortened; 0: never.", title="Gradient clipping", advanced=True, ge=0.0
        ),
    ] = 1.0
    weight_decay: Annotated[float, setting("AdamW's weight decay.", advanced=True, ge=0.0, le=1.0)] = 0.0
    beta1: Annotated[
        float, setting("AdamW's decay of the mean gradient.", title="β₁", advanced=True, ge=0.0, lt=1.0)
    ] = 0.9
    beta2: Annotated[
        float, setting("AdamW's decay of the squared gradient.", title="β₂", advanced=True, ge=0.0, lt=1.0)
    ] = 0.999
    precision: Annotated[
        Literal["auto", "bf16", "fp16", "fp32"],
        setting("Number format of the matrix products; auto takes what suits the device.", advanced=True),
    ] = "auto"
    gradient_checkpointing: Annotated[
        bool, setting("Recompute activations in the backward pass: less memory, a third slower.", advanced=True)
    ] = False
    compile: Annotated[
        bool, setting("Compile the model first: a slow start, faster steps.", title="Compile the model", advanced=True)
    ] = False
    device: Annotated[
        str,
        setting("auto, or a device as torch knows it; several with commas train together.", title="Devices"),
    ] = "auto"
    shard: Annotated[
        Literal["auto", "always", "never"],
        setting(
            "Split the model over several devices (FSDP2) instead of copying it; auto: where it does not fit on one.",
            title="Split the model",
            advanced=True,
        ),
    ] = "auto"
    tensorboard: Annotated[
        bool, setting("Write TensorBoard files into the run folder as it goes.", title="TensorBoard", advanced=True)
    ] = False


class SampleConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sampler: Annotated[Sampler, setting("How the previews are drawn.", advanced=True)] = "ddim"
    steps: Annotated[int, setting("Denoising steps of a preview.", unit="steps", ge=1, le=1000)] = 50
    cfg: Annotated[
        float, setting("Guidance scale: 1 is none; more follows the class more.", title="CFG scale", ge=0.0, le=100.0)
    ] = 2.0
    per_class: Annotated[
        int, setting("Preview images of each class.", title="Images a class", unit="images", advanced=True, ge=1, le=16)
    ] = 1
    seed: Annotated[int, setting("Seed of the first preview image.", advanced=True, ge=0, le=2**31 - 1)] = 0


class EvaluateConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metrics while training: the averaged weights against the training images, both few."""

    every: Annotated[int, setting("Measure the averaged weights this often; 0: never.", unit="steps", ge=0)] = 0
    count: Annotated[
        int, setting("Images drawn each time, and training images beside them.", unit="images", ge=16, le=50_000)
    ] = 256
    extractor: Annotated[
        ExtractorName,
        setting("The network that turns images into features; random needs no download.", title="Features"),
    ] = "random"
    metrics: Annotated[
        str, setting("Names with commas between them, as in fid,kid; empty: all that the features serve.")
    ] = "fid,kid"
    batch_size: Annotated[
        int, setting("Images drawn and measured at once.", title="Batch", unit="images", advanced=True, ge=1, le=4096)
    ] = 64


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that makes a run repeatable."""

    about: Annotated[str, setting("What this recipe is for.")] = ""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    latents: LatentsConfig = LatentsConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


SECTIONS: dict[str, type[Section]] = {
    "data": DataConfig,
    "model": ModelConfig,
    "diffusion": DiffusionConfig,
    "latents": LatentsConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
    "evaluate": EvaluateConfig,
}
_SCHEMAS = SECTIONS | {
    "request": SampleOptions,
    "evaluation": EvaluationOptions,
    "attention speed": AttentionSizes,
    "family speed": FamilySizes,
}


def fields_of(section: str) -> tuple[Field, ...]:
    """The settings of a section of the recipe, of a "request", of an "evaluation", or of what is measured of a machine
    ("attention speed", "family speed"), in the order of the schema."""
    return schema_fields(section, _SCHEMAS[section])


# ------------------------------------------------------------------------------------------------- checks


def _unknown(key: str, names: Iterable[str]) -> Problem:
    section, _, name = key.rpartition(".")
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    prefix = f"{section}." if section else ""
    hint = f"Did you mean {prefix}{near[0]}?" if near else f"Known here: {', '.join(names)}."
    return Problem(key, f"There is no setting {key}. {hint}")


def parse_recipe(tables: Mapping[str, Any], *, defaults: Recipe | None = None) -> Recipe:
    """A recipe from the tables of a TOML file; what they leave out is as in `defaults`.

    Raises: ConfigError that lists every unknown name, every value out of range and every contradiction.
    """
    recipe = read_settings(tables, defaults or Recipe())
    if problems := check_recipe(recipe):
        raise ConfigError(problems)
    return recipe


def read_settings(tables: Mapping[str, Any], defaults: Recipe) -> Recipe:
    """The tables' settings over `defaults`, each in its range; whether they fit each other is not looked at.

    Raises: ConfigError that lists every unknown name and every value out of range.
    """
    problems: list[Problem] = []
    sections: dict[str, Any] = {}
    for name, table in tables.items():
        if name == "about" and isinstance(table, str):
            sections["about"] = table
        elif name not in SECTIONS:
            problems.append(_unknown(name, [*SECTIONS, "about"]))
        elif not isinstance(table, Mapping):
            message = f"{name} = {table!r} is not possible: [{name}] is a table of settings."
            problems.append(Problem(name, message, table))
        else:
            sections[name] = replace(getattr(defaults, name), **_parse_section(name, table, problems))
    if problems:
        raise ConfigError(problems)
    return replace(defaults, **sections)


def _parse_section(name: str, table: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    known = {field.name: field for field in fields_of(name)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            problems.append(_unknown(f"{name}.{key}", known))
            continue
        try:
            values[key] = check_value(known[key], value)
        except ConfigError as error:
            problems.extend(error.problems)
    return values


def check_recipe(recipe: Recipe) -> list[Problem]:
    """What in the recipe contradicts itself: each setting may be in its range, and the whole still impossible."""
    model, train, size = resolve_model(recipe.model), recipe.train, recipe.data.image_size
    problems: list[Problem] = []
    if not recipe.latents.vae:  # a VAE says itself how it divides the image
        problems += model_problems(model, grid=(size, "pixels"))
    if train.batch_size % train.accumulate:
        fits = nearest_divisor(train.batch_size, train.accumulate)
        message = f"it does not divide a batch of {train.batch_size}; {fits} would."
        problems.append(
            Problem(
                "train.accumulate",
                f"train.accumulate = {train.accumulate} is not possible: {message}",
                train.accumulate,
            )
        )
    if why_not := why_not_together(train.device):
        message = f'train.device = "{train.device}" is not possible: {why_not}'
        problems.append(Problem("train.device", message, train.device))
    problems += diffusion_problems(recipe.diffusion, learn_sigma=model.learn_sigma)
    if model.time == "sit" and recipe.diffusion.objective != "flow":
        message = f"SiT learns a flow, and diffusion.objective is {recipe.diffusion.objective}; set it to flow."
        problems.append(Problem("model.time", f"model.time = sit is not possible: {message}", model.time))
    if any(0xD800 <= ord(letter) < 0xE000 for letter in recipe.data.path):
        message = f"data.path = {recipe.data.path!r} is not possible: its name is not UTF-8; rename it."
        problems.append(Problem("data.path", message, recipe.data.path))
    objective, is_flow = recipe.diffusion.objective, recipe.diffusion.objective == "flow"
    if is_flow != (recipe.sample.sampler == "flow-euler"):
        message = f"a model that predicts {objective} takes {'flow-euler' if is_flow else 'any but this'}."
        sampler = recipe.sample.sampler
        problems.append(Problem("sample.sampler", f"sample.sampler = {sampler} is not possible: {message}", sampler))
    if recipe.sample.steps > recipe.diffusion.timesteps:
        limit, steps = recipe.diffusion.timesteps, recipe.sample.steps
        message = f"sample.steps = {steps} is not possible: the noise schedule has {limit} steps, so at most {limit}."
        problems.append(Problem("sample.steps", message, steps))
    return problems + _metrics_problems(recipe.evaluate)


def metrics_while_training(evaluate: EvaluateConfig) -> tuple[Metric, ...]:
    """Those of the recipe. Raises: ConfigError for an unknown one, or one that the features do not serve."""
    asked = tuple(name for name in evaluate.metrics.split(",") if name.strip())
    chosen = chosen_metrics(asked, evaluate.extractor)
    if asked and "copying" in chosen:
        message = "evaluate.metrics = copying is not possible while training; measure the run on the Evaluate page."
        raise ConfigError([Problem("evaluate.metrics", message, evaluate.metrics)])
    return tuple(metric for metric in chosen if metric != "copying")


def _metrics_problems(evaluate: EvaluateConfig) -> list[Problem]:
    try:
        metrics_while_training(evaluate)
    except ConfigError as error:
        return [Problem("evaluate.metrics", problem.message, evaluate.metrics) for problem in error.problems]
    return []


def resolve(recipe: Recipe) -> Recipe:
    """The same recipe with every number written out that another setting stands for."""
    model = resolve_model(recipe.model)
    rate = recipe.train.learning_rate or suitable_learning_rate(model.hidden_size or 1)
    return replace(recipe, model=model, train=replace(recipe.train, learning_rate=rate))


# ------------------------------------------------------------------------------------------------- files and --set


def load_recipe(path: Path, *, settings: Iterable[str] = ()) -> Recipe:
    """A recipe from a TOML file, with settings such as "train.steps=100" laid over it.

    A relative data.path is looked for from the working folder first, then beside the recipe.
    Raises: ConfigError, also if the file cannot be read or is not TOML.
    """
    return path_beside(parse_recipe(read_tables(path, settings)), path)


def read_tables(path: Path, settings: Iterable[str]) -> dict[str, Any]:
    """The tables of a TOML file with "section.key=value" laid over them. Raises: ConfigError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = Problem("recipe", f"The recipe {path} cannot be read: {error.strerror or error}.")
        raise ConfigError([problem]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("recipe", f"The recipe {path} is not valid TOML: {error}.")]) from error
    return apply_settings(tables, settings)


def path_beside(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with images that lie beside its file, where they do not lie in the working folder."""
    beside = path.parent / recipe.data.path
    if recipe.data.path and not Path(recipe.data.path).exists() and beside.exists():
        recipe = replace(recipe, data=replace(recipe.data, path=str(beside)))
    return recipe


def apply_settings(tables: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """The tables with "section.key=value" laid over them; values are text until a field reads them.

    Raises: ConfigError if one has no "=" or no section.
    """
    merged = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for change in settings:
        key, equals, text = change.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            message = f"--set {change} is not possible: write section.key=value, as in train.steps=1000."
            raise ConfigError([Problem(key, message, change)])
        if section in merged and not isinstance(merged[section], dict):
            continue  # parse_recipe names it
        merged.setdefault(section, {})[name] = text.strip()
    return merged


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, every setting written out, the preset's numbers too."""
    resolved = resolve(recipe)
    tables: dict[str, Any] = {"about": recipe.about} if recipe.about else {}
    tables |= {name: {key: value for key, value in asdict(getattr(resolved, name)).items() if value is not None}
               for name in SECTIONS}  # fmt: skip
    return tomli_w.dumps(tables)


def recipe_to_tables(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, for a request to a worker; `parse_recipe` reads it back."""
    result: dict[str, Any] = msgspec.to_builtins(recipe)
    return result
