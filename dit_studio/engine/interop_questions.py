"""What the tensors of a checkpoint do not tell: what is asked, what is likely, and what an answer means."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.engine.checkpoint import LatentSpace, ModelDescription
from dit_studio.engine.interop_pipeline import class_names, read_scheduler
from dit_studio.engine.interop_sizes import (
    Family,
    Sizes,
    family_of,
    is_told_a_flow,
    read_sizes,
    told_heads,
    told_preset,
)
from dit_studio.engine.interop_source import Source
from dit_studio.engine.latents_vae import find_vae
from dit_studio.errors import CheckpointError
from dit_studio.model_events import Question
from dit_studio.model_settings import PRESETS, DiffusionConfig
from dit_studio.opened_models import name_of

LIKELY_VAE = "stabilityai/sd-vae-ft-ema"  # its encoder is that of the published models; -mse differs in the decoder
PIXELS = "pixels"
_PIXEL_CHANNELS = (1, 3)
_PUBLISHED_CHANNELS = 4
_MOST_DIGITS = 6
_OBJECTIVES = {
    "epsilon": "the noise, as DiT",
    "x0": "the image",
    "v": "v of Salimans and Ho",
    "flow": "the velocity of a flow from image to noise, told the timestep",
    "sit": "the velocity of a flow from noise, at time 0, to the image, at time 1, as SiT",
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a file says, what is still to be asked, and the answers so far: given, or likely and not open."""

    source: Source
    sizes: Sizes
    family: Family
    questions: tuple[Question, ...]
    values: Mapping[str, str]
    diffusion: DiffusionConfig
    warnings: tuple[str, ...]

    @property
    def open_questions(self) -> tuple[Question, ...]:
        return tuple(question for question in self.questions if question.name not in self.values)

    @property
    def _likely_vae(self) -> str:
        """Empty where the file tells which it is, or nothing is likely."""
        return next((question.likely for question in self.questions if question.name == "vae"), "")

    def describe(self) -> ModelDescription:
        """The model, as tensors and answers have it. Raises: CheckpointError if an answer cannot be."""
        sizes, values, file = self.sizes, self.values, self.source.file
        has_null, objective = values["null_class"] == "yes", values["objective"]
        classes = sizes.rows - has_null
        if classes < 1:
            raise CheckpointError(
                f"null_class = yes is not possible: the class table of {self.source.path} has {sizes.rows} row, and "
                "one for a class is needed, too.",
                remedy="Say no, or choose another file.",
            )
        description = ModelDescription(
            input_size=sizes.input_size,
            patch_size=sizes.patch_size,
            in_channels=sizes.in_channels,
            hidden_size=sizes.width,
            depth=sizes.depth,
            num_heads=_heads(values["num_heads"], sizes.width),
            mlp_ratio=sizes.mlp_ratio,
            class_dropout_prob=0.1 if has_null else 0.0,
            num_classes=classes,
            learn_sigma=sizes.learn_sigma,
            position=sizes.position,
            dialect="diffusers" if self.source.format == "diffusers" else "facebook",
            time="sit" if objective == "sit" else "studio",
            latents=_latents(values, sizes.in_channels, is_likely=values["vae"] == self._likely_vae),
            origin=name_of(self.source.path),
            diffusion=_with_objective(self.diffusion, objective),
            class_names=class_names(self.source.pipeline, classes),
            step=file.step,
            weights=file.weights,
        )
        _check_limits(description, self.source.path)
        return description


def read(source: Source, answers: Mapping[str, str]) -> Reading:
    """Put together what a file says and what was answered.

    Raises: CheckpointError if it is no DiT, of a family that is not built here, or if an answer is to nothing asked.
    """
    sizes, (family, how) = read_sizes(source), family_of(source)
    check_family(source, family, how)
    diffusion, objective = read_scheduler(source.pipeline)
    known = _known(source, sizes, family, objective)
    questions = tuple(question for question in _all_questions(source, sizes) if question.name not in known)
    _check_answers(answers, known, questions)
    likely = {question.name: question.likely for question in questions if not question.is_open}
    return Reading(
        source=source,
        sizes=sizes,
        family=family,
        questions=questions,
        values={**likely, **known, **answers},
        diffusion=diffusion,
        warnings=_warnings(source, sizes),
    )


# ------------------------------------------------------------------------------------------------- questions


def _all_questions(source: Source, sizes: Sizes) -> tuple[Question, ...]:
    channels, heads = sizes.in_channels, sizes.likely_heads
    return (
        Question(
            name="objective",
            text="What does the model predict?",
            likely="sit" if is_told_a_flow(source) or name_of(source.path).startswith("SiT-") else "epsilon",
            choices=tuple(_OBJECTIVES),
            why="SiT and others have the same tensors, and mean something else: "
            + "; ".join(f"{name}: {meaning}" for name, meaning in _OBJECTIVES.items())
            + ".",
            is_open=True,
        ),
        Question(
            name="num_heads",
            text="How many attention heads does it have?",
            likely=str(heads),
            why=f"The shapes do not tell; heads of a width of {sizes.width} mostly are {sizes.width // heads} wide.",
        ),
        Question(
            name="null_class",
            text=f"Its class table has {sizes.rows:,} rows: is the last one “no class”?",
            likely="yes",
            choices=("yes", "no"),
            why="Guidance needs that row; only a model trained without label drop-out lacks it.",
        ),
        Question(
            name="vae",
            text=f"In the latents of which VAE does it live ({channels} channels)?",
            likely=LIKELY_VAE if channels == _PUBLISHED_CHANNELS else "",
            why="The published models live in Stable Diffusion's; a folder, a name on the hub, or pixels.",
            is_open=channels != _PUBLISHED_CHANNELS,
        ),
        Question(
            name="latent_scale",
            text="By what are its latents multiplied?",
            why="The VAE's scaling_factor; its shift is taken to be 0.",
            is_open=True,
        ),
        Question(
            name="latent_factor",
            text="How many pixels on a side does one latent stand for?",
            likely="8",
            why="8 of Stable Diffusion's VAEs, 16 or 32 of newer ones.",
            is_open=True,
        ),
    )


def _known(source: Source, sizes: Sizes, family: Family, objective: str) -> dict[str, str]:
    """The answers that something beside the tensors gives."""
    known: dict[str, str] = {}
    if (heads := told_heads(source, sizes.width)) is not None:
        known["num_heads"] = str(heads)
    if told := objective or {"DiT": "epsilon", "SiT": "sit"}.get(family, ""):
        known["objective"] = told
    if (null := _told_null_class(source, sizes)) is not None:
        known["null_class"] = null
    if sizes.in_channels in _PIXEL_CHANNELS:
        known["vae"] = PIXELS
    elif source.pipeline and (source.pipeline / "vae" / "config.json").is_file():
        known["vae"] = str((source.pipeline / "vae").absolute())
    if sizes.in_channels in (*_PIXEL_CHANNELS, _PUBLISHED_CHANNELS) or "vae" in known:
        known |= {"latent_scale": "0.18215", "latent_factor": "8"}  # where the VAE's own config does not say more
    return known


def _told_null_class(source: Source, sizes: Sizes) -> str | None:
    told = source.file.settings.get("num_classes")
    if source.format == "diffusers" or sizes.rows == 1001:
        return "yes"
    if sizes.rows == 1:
        return "no"
    return {sizes.rows: "no", sizes.rows - 1: "yes"}.get(told) if isinstance(told, int) else None


def _check_answers(answers: Mapping[str, str], known: Mapping[str, str], questions: tuple[Question, ...]) -> None:
    names = {question.name: question.choices for question in questions} | dict.fromkeys(known, ())
    names |= {"objective": tuple(_OBJECTIVES), "null_class": ("yes", "no")}
    for name, value in answers.items():
        if name not in names:
            raise CheckpointError(
                f"{name} is not asked of this model.", remedy=f"It is asked {', '.join(sorted(names))}."
            )
        if names[name] and value not in names[name]:
            raise CheckpointError(f"{name} = {value} is not possible: it takes {', '.join(names[name])}.")


# ------------------------------------------------------------------------------------------------- what answers mean


def check_family(source: Source, family: Family, how: str) -> None:
    """Raises: CheckpointError of a family whose models are not drawn from here."""
    settings, file = source.file.settings, source.file.path
    if family == "LightningDiT":
        raise CheckpointError(
            f"{file} is a LightningDiT, by {how}: its norms have weights, and its latents, of VA-VAE, a mean "
            "and a deviation for each channel; neither can be expressed here.",
            remedy="Train one like it with the recipe of the modern blocks.",
        )
    if family == "REPA":
        raise CheckpointError(
            f"{file} was trained by REPA, by {how}: a flow told the time from 0, the image, to 1, noise, which is "
            "not drawn from here.",
            remedy="Draw from it with its own code; SiT's own checkpoints can be opened.",
        )
    path, prediction = str(settings.get("path_type", "Linear")), str(settings.get("prediction", "velocity"))
    if (family == "SiT" or "path_type" in settings) and (path, prediction) != ("Linear", "velocity"):
        raise CheckpointError(
            f"{file} is a SiT of path {path} that predicts the {prediction}; Linear and velocity alone are drawn here.",
            remedy="Choose a SiT that was trained with --path-type Linear --prediction velocity.",
        )


def _check_limits(description: ModelDescription, path: Path) -> None:
    """Raises: CheckpointError if a number is beyond what a description may say."""
    try:
        msgspec.convert(msgspec.to_builtins(description), ModelDescription)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} holds a model that cannot be used: {error}.") from error


def _with_objective(diffusion: DiffusionConfig, objective: str) -> DiffusionConfig:
    told: Any = "flow" if objective == "sit" else objective
    return msgspec.structs.replace(diffusion, objective=told)


def _latents(values: Mapping[str, str], channels: int, *, is_likely: bool) -> LatentSpace | None:
    """The VAE's latents; None of pixels. What its config.json says goes before what was answered."""
    vae = values["vae"]
    if vae == PIXELS or channels in _PIXEL_CHANNELS:
        return None
    if not Path(vae).expanduser().exists():  # a name on the hub
        factor, scale = _whole(values, "latent_factor"), _number(values, "latent_scale")
        return LatentSpace(vae=vae, channels=channels, factor=factor, scale=scale, is_likely=is_likely)
    found = find_vae(vae)
    if found.channels != channels:
        raise CheckpointError(
            f"vae = {vae} is not possible: its latents have {found.channels} channels, the model's {channels}."
        )
    scale = found.scale or _number(values, "latent_scale")
    return LatentSpace(vae=found.name, channels=channels, factor=found.factor, scale=scale, shift=found.shift or 0.0)


def _warnings(source: Source, sizes: Sizes) -> tuple[str, ...]:
    said = []
    told, found = told_preset(source), (sizes.width, sizes.depth, sizes.patch_size)
    if told and (PRESETS[told][0], PRESETS[told][1], PRESETS[told][3]) != found:
        width, depth, _, patch = PRESETS[told]
        said.append(
            f"Its settings name {source.file.settings['model']}, of width {width}, depth {depth} and patch {patch}; "
            f"its tensors have width {found[0]}, depth {found[1]} and patch {found[2]}, which is what counts."
        )
    stored = sorted(str(dtype).removeprefix("torch.") for dtype in source.dtypes if str(dtype) != "torch.float32")
    if stored:
        said.append(f"The weights are stored as {' and '.join(stored)}; they are converted to float32.")
    if source.config.get("norm_eps", 1e-5) != 1e-5:
        said.append(
            f"Its norm_eps is {source.config['norm_eps']}, and 1e-05 is computed with: outputs differ a little."
        )
    return tuple(said)


def _heads(text: str, width: int) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise CheckpointError(f"{text} is no number of heads: a whole number that divides the width, {width}.")
    heads, divisors = int(text), [number for number in range(1, width + 1) if width % number == 0]
    if heads not in divisors:
        nearest = min(divisors, key=lambda number: (abs(number - heads), -number))
        raise CheckpointError(f"{heads} heads do not divide a width of {width}; {nearest} would.")
    return heads


def _whole(values: Mapping[str, str], name: str) -> int:
    text = values[name]
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        raise CheckpointError(f"{name} = {text} is not possible: it takes a whole number from 1.")
    return int(text)


def _number(values: Mapping[str, str], name: str) -> float:
    try:
        value = float(values[name])
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise CheckpointError(f"{name} = {values[name]} is not possible: it takes a number above 0.")
    return value
