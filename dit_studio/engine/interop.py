"""Opening everyone's checkpoints: what a file is, what it does not tell, and the model that it holds.

Sources: facebookresearch/DiT (names and shapes), diffusers' DiTTransformer2DModel, willisma/SiT (time and velocity).
"""

import dataclasses
import math
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from dit_studio.engine.checkpoint import ModelDescription, read_description, weights_file
from dit_studio.engine.interop_questions import PIXELS, Reading, read
from dit_studio.engine.interop_source import Source, check_copies, check_names_and_shapes, open_source
from dit_studio.engine.model import DiT, sincos_position_embedding
from dit_studio.errors import CheckpointError, ShapeError
from dit_studio.events import Progress
from dit_studio.model_events import ModelOpened
from dit_studio.model_settings import PRESETS
from dit_studio.opened_models import foreign_kind, remember, remembered

_STAGE = "Reading the weights"


def open_model(path: str, answers: dict[str, str]) -> Generator[Progress | ModelOpened, None, None]:
    """Say what a model's file holds and what it does not tell, and check every number of it.

    With every question answered it is remembered what the file means, so that it can be used where it lies; without an
    answer that is what is said of it.
    Raises: CheckpointError if it cannot be read safely, is no DiT, lacks tensors or has others, or holds NaN.
    """
    place = Path(path).expanduser()
    if not foreign_kind(place):
        yield _opened_ours(path, place)
        return
    source = open_source(place)
    reading = read(source, answers)
    if not answers and (known := _known(source)) is not None:
        yield _opened(path, reading, known)
        return
    if reading.open_questions:  # what no answer mends is said before a question is asked
        if answers:
            _check_shapes(source, _as_likely(reading))
        else:
            yield from _check(source, _as_likely(reading))
        yield _opened(path, reading, None)
        return
    description = reading.describe()
    yield from _check(source, description)
    if all(question.name in answers for question in reading.questions):
        remember(place, msgspec.json.encode(description))
    yield _opened(path, reading, description)


def describe(path: Path, *, weights: str = "ema") -> ModelDescription:
    """What a foreign model was said to be when it was opened; what is likely, where nothing open is left to ask.

    Raises: CheckpointError that names what has to be answered.
    """
    return _described(open_source(path, weights=weights))


def load(path: Path, *, weights: str = "ema") -> tuple[DiT, ModelDescription, Path]:
    """A foreign model in float32 on the CPU, what it is, and the file that its weights are in.

    Raises: CheckpointError as `open_model`; or if the file has no raw weights, and those are asked for.
    """
    source, description = open_weights(path, weights=weights)
    model = model_without_memory(description, source.file.path)
    check_names_and_shapes(source, shapes_of(model))
    for _ in check_copies(source):
        pass
    read_weight = reader(source, description)
    model.load_state_dict({name: read_weight(name) for name in model.state_dict()}, assign=True)
    return model, description, source.file.path


def open_weights(path: Path, *, weights: str) -> tuple[Source, ModelDescription]:
    """The weights of a model of anyone's, none of them read yet, and what they make up. Raises: CheckpointError."""
    if foreign_kind(path):
        source = open_source(path, weights=weights)
        return source, _described(source)
    file = weights_file(path, weights)
    return open_source(file), read_description(file)


def reader(source: Source, description: ModelDescription) -> Callable[[str], Tensor]:
    """What gives each weight of the model by its name; what a format does not store is computed anew."""

    def read_weight(name: str) -> Tensor:
        if name == "pos_embed" and name not in source.pieces:
            grid_size = description.input_size // description.patch_size
            return sincos_position_embedding(description.hidden_size, grid_size=grid_size)
        return source.read(name)

    return read_weight


def model_without_memory(description: ModelDescription, file: Path) -> DiT:
    """The model, on torch's meta device. Raises: CheckpointError if it cannot be."""
    try:
        with torch.device("meta"):
            return description.build()
    except ShapeError as error:
        raise CheckpointError(f"{file} describes a model that cannot be: {error}") from error


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _described(source: Source) -> ModelDescription:
    if (known := _known(source)) is not None:
        return known
    reading = read(source, {})
    if reading.open_questions:
        _check_shapes(source, _as_likely(reading))
        asked = reading.open_questions[0]
        raise CheckpointError(
            f"{source.path} does not tell everything: {asked.text}",
            remedy="Open it on the Sample page, or add --assume "
            f"{asked.name}={asked.likely or 'VALUE'}, as to dit-studio inspect {source.path}.",
        )
    return reading.describe()


def _known(source: Source) -> ModelDescription | None:
    """What is remembered of it; None if it was never opened, changed since, or was opened by another version."""
    try:
        description = msgspec.json.decode(remembered(source.path) or b"", type=ModelDescription)
    except msgspec.DecodeError:
        return None
    return msgspec.structs.replace(description, weights=source.file.weights)


def _check_shapes(source: Source, description: ModelDescription) -> dict[str, tuple[int, ...]]:
    """The shapes of the model's weights. Raises: CheckpointError if those of the file are others."""
    shapes = shapes_of(model_without_memory(description, source.file.path))
    check_names_and_shapes(source, shapes)
    return shapes


def _check(source: Source, description: ModelDescription) -> Generator[Progress, None, None]:
    """Names, shapes, and every number, a tensor at a time."""
    names, read_weight = list(_check_shapes(source, description)), reader(source, description)
    for done, name in enumerate(names):
        yield Progress(stage=_STAGE, done=done, total=len(names), unit="tensors")
        read_weight(name)
    for _ in check_copies(source):
        yield Progress(stage="Comparing the embedders", done=len(names), total=len(names), unit="tensors")


# ------------------------------------------------------------------------------------------------- what is said of it


def _opened_ours(path: str, place: Path) -> ModelOpened:
    file = weights_file(place, "ema")
    description = read_description(file)
    source = open_source(file)
    check_names_and_shapes(source, shapes_of(model_without_memory(description, file)))
    return ModelOpened(
        path=path,
        format="studio",
        title=title_of(description),
        facts=_facts(description, source),
        description=msgspec.json.encode(description).decode(),
    )


def _opened(path: str, reading: Reading, description: ModelDescription | None) -> ModelOpened:
    shown = description or _as_likely(reading)
    return ModelOpened(
        path=path,
        format=reading.source.format,
        title=title_of(shown, reading.family or "DiT"),
        facts=_facts(shown, reading.source),
        questions=reading.questions,
        warnings=(*reading.warnings, *_left_out(reading.source)),
        description="" if description is None else msgspec.json.encode(description).decode(),
    )


def title_of(description: ModelDescription, family: str = "DiT") -> str:
    """ "DiT-XL/2, 256 pixels"."""
    size = description.input_size * (description.latents.factor if description.latents else 1)
    return f"{family}-{_size_name(description)}, {size} pixels"


def _size_name(description: ModelDescription) -> str:
    numbers = (description.hidden_size, description.depth, description.patch_size)
    for name, (width, depth, _, patch) in PRESETS.items():
        if (width, depth, patch) == numbers:
            return name
    return f"{description.depth}×{description.hidden_size}/{description.patch_size}"


def _facts(description: ModelDescription, source: Source) -> tuple[tuple[str, str], ...]:
    """For the sheet: what was read, and from where."""
    count = sum(math.prod(source.shape(name)) for name in source.pieces)
    channels, side = description.in_channels, description.input_size
    facts = {
        "File": f"{source.format}: {len(source.file.places):,} tensors, {count:,} numbers",
        "Width": f"{description.hidden_size:,}",
        "Depth": f"{description.depth} block{'s' * (description.depth > 1)}",
        "Heads": f"{description.num_heads}",
        "Patch": f"{description.patch_size}×{description.patch_size}",
        "Input": f"{channels} × {side} × {side} {'latents' if description.latents else 'pixels'}",
        "Classes": f"{description.num_classes:,}, {'and' if description.class_dropout_prob else 'without'} “no class”",
        "Variance": "learned" if description.learn_sigma else "fixed",
        "Position": "sine-cosine" if description.position == "sincos" else "learned",
        "Numbers as": f"{description.dialect} computes",
    }
    if source.file.is_wrapped:
        facts["Weights"] = (
            "averaged and raw" if source.file.has_both else "averaged" * (source.file.weights == "ema") or "raw"
        )
    if description.step:
        facts["Step"] = f"{description.step:,}"
    if description.latents is not None and channels > 3:
        facts["Guidance"] = "the published code guides the first three channels, diffusers all"
    return tuple(facts.items())


def _as_likely(reading: Reading) -> ModelDescription:
    """What it would be if what is still asked were as it mostly is."""
    guessed = {question.name: question.likely for question in reading.open_questions}
    guessed = {name: value or {"vae": PIXELS}.get(name, "1") for name, value in guessed.items()}
    return dataclasses.replace(reading, values={**reading.values, **guessed}).describe()


def _left_out(source: Source) -> tuple[str, ...]:
    if not source.dropped:
        return ()
    return (f"{len(source.dropped)} tensors that only training needs are left out ({source.dropped[0]}, …).",)
