"""The job that says what a path is before anything is measured: kinds, numbers and classes, no image decoded."""

import itertools
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from dit_studio.engine.checkpoint import ModelDescription, list_checkpoints, read_description, weights_file
from dit_studio.engine.evaluation.drawing import check_draws_pixels, is_model, run_of, usual_sample
from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source, npz_source, picture_source
from dit_studio.engine.evaluation.npz_stream import array_heads
from dit_studio.engine.evaluation.run_data import find_run_data, is_run
from dit_studio.engine.evaluation.sides import check_is_no_model
from dit_studio.engine.evaluation.statistics_file import describe_npz, read_statistics
from dit_studio.engine.evaluation.warnings import AMBER_BELOW, GO_BY_KERNELS, RED_BELOW
from dit_studio.engine.file_list import FileList, list_files, looks_like_image
from dit_studio.engine.image_files import Header
from dit_studio.engine.left_out import shown
from dit_studio.engine.pictures import check, find_pictures
from dit_studio.engine.solvers import samplers_for
from dit_studio.engine.warm_model import model_name
from dit_studio.errors import CheckpointError, DataError, StudioError
from dit_studio.events import Event, SourceDescribed

Role = Literal["real", "fake"]

_MOST_TRIED = 8  # files, to find one whose head can be read
_KNOWN_META = (("protocol", "protocol"), ("extractor", "extractor"), ("image size", "image_size"))


class _Warning(NamedTuple):
    level: Literal["red", "amber"]
    text: str


def describe_source(path: str, role: Role) -> Generator[Event, None, None]:
    """Progress…, then SourceDescribed.

    Raises: DataError, CheckpointError or ConfigError if it can be neither reference ("real") nor measured ("fake").
    """
    file = Path(path).expanduser()
    if role == "real" and is_run(file):
        described = yield from _describe_run_data(path, file)
    elif role == "fake" and is_model(file):
        described = _describe_model(path, file)
    else:
        if role == "real":
            check_is_no_model(file)
        is_npz = file.suffix.lower() == ".npz"
        described = _describe_npz(path, file, role) if is_npz else (yield from _describe_images(path, role))
    yield described


def _describe_images(path: str, role: Role) -> Generator[Event, None, SourceDescribed]:
    """Of a folder or an archive."""
    files = yield from list_files(path)
    source = picture_source(files)
    left_out = source.left_out
    warnings = [left_out.sentence(left_out.count + source.count)] if left_out.count else []
    described = _of_source(path, role, source, warnings=warnings)
    return msgspec.structs.replace(described, size=_first_size(files))


def _first_size(files: FileList) -> tuple[int, int]:
    """Width and height that the head of the first picture says; (0, 0) if none of the first can be read."""
    found = find_pictures(FileList(files.path, files.kind, members=files.members), "none")
    with suppress(StudioError), found.open() as pictures:
        named = (picture for picture in pictures if found.cifar is not None or looks_like_image(picture.name))
        for picture in itertools.islice(named, _MOST_TRIED):
            if isinstance(header := check(picture), Header):
                return header.width, header.height
    return 0, 0


def _of_source(
    path: str, role: Role, source: ImageSource, *, warnings: list[str], facts: tuple[tuple[str, str], ...] = ()
) -> SourceDescribed:
    if source.count == 1:
        raise DataError(
            f"{path} holds only one image; a comparison needs at least two.",
            remedy="Choose another source, or add images.",
        )
    return SourceDescribed(
        path=shown(path),
        role=role,
        source=source.kind,
        images=source.count,
        classes=_classes(source),
        has_labels=source.labels is not None,
        facts=facts,
        **_said(warnings, source.count, remedy=f"{GO_BY_KERNELS}."),
    )


def _said(warnings: Sequence[str], images: int, *, remedy: str) -> dict[str, Any]:
    """The warnings of a description, that about the number of images the last, and their levels.

    `remedy`: what to do where they are too few.
    """
    said = [*(_Warning("amber", text) for text in warnings), *_number_warnings(images, remedy)]
    return {"warnings": tuple(one.text for one in said), "levels": tuple(one.level for one in said)}


def _classes(source: ImageSource) -> tuple[str, ...]:
    """Their names; of an .npz, which has none, their numbers."""
    if source.class_names or source.labels is None:
        return source.class_names
    return tuple(str(label) for label in np.unique(source.labels).tolist() if label >= 0)


def _number_warnings(images: int, remedy: str) -> list[_Warning]:
    if 0 < images < RED_BELOW:
        text = (
            f"{images:,} images are too few for a Fréchet distance (FID, FD): below {RED_BELOW:,} its bias is larger "
            f"than what models differ by. {remedy}"
        )
        return [_Warning("red", text)]
    if 0 < images < AMBER_BELOW:
        text = (
            f"{images:,} images: below {AMBER_BELOW:,} a Fréchet distance (FID, FD) is larger than published figures. "
            "Compare only with results of as many."
        )
        return [_Warning("amber", text)]
    return []


# ------------------------------------------------------------------------------------------------- arrays


def _describe_npz(path: str, file: Path, role: Role) -> SourceDescribed:
    heads = array_heads(file)
    if role == "fake" or ("arr_0" in heads and not heads.keys() & {"mu", "sigma"}):
        described = _of_source(path, role, npz_source(file), warnings=[])
        height, width, channels = heads["arr_0"].shape[1:]
        return msgspec.structs.replace(described, size=(width, height), colour="grey" if channels == 1 else "")
    contents, statistics = describe_npz(file), read_statistics(file)
    source = npz_source(file) if contents.images else None
    meta = {key: str(value) for key, value in statistics.meta.items()}
    facts = [("numbers of an image", f"{contents.dimensions:,}")]
    facts += [("of images", f"{statistics.n:,}")] if statistics.n else []
    facts += [(name, meta[key]) for name, key in _KNOWN_META if key in meta]
    return SourceDescribed(
        path=shown(path),
        role=role,
        source="statistics",
        images=contents.images or statistics.n,
        classes=_classes(source) if source else (),
        has_labels=source is not None and source.labels is not None,
        has_images=source is not None,
        facts=tuple(facts),
        size=contents.image_size[::-1],
        **_said(
            _statistics_warnings(meta, statistics.n, contents.images),
            statistics.n,
            remedy=f"{GO_BY_KERNELS}." if contents.images else "Take statistics of more images.",
        ),
    )


def _statistics_warnings(meta: dict[str, str], n: int, images: int) -> list[str]:
    warnings = []
    if "protocol" not in meta:
        warnings.append(
            "The statistics do not say with which weights and resizing they were made. A distance to them means "
            "something only if both are those chosen here."
        )
    if not n:
        warnings.append("The statistics do not say of how many images they are. Ask whoever made them.")
    if not images:
        warnings.append("Without images there are no KID, precision, recall or copying: only Fréchet distances.")
    return warnings


# ------------------------------------------------------------------------------------------------- runs and models


def _describe_run_data(path: str, run: Path) -> Generator[Event, None, SourceDescribed]:
    found = yield from find_run_data(run)
    config = found.config
    facts = (("size", f"{config.image_size} pixels"), ("colour", config.color), ("from", shown(config.path)))
    warnings = [found.note] if found.note else []
    if found.kept is not None:
        described = _of_source(path, "real", data_set_source(found.kept), warnings=warnings, facts=facts)
    else:
        described = yield from _describe_images(config.path, "real")
        described = msgspec.structs.replace(
            described,
            path=shown(path),
            source="data set",
            facts=facts,
            warnings=(*warnings, *described.warnings),
            levels=(*["amber"] * len(warnings), *described.levels),
        )
    return msgspec.structs.replace(
        described,
        size=(config.image_size, config.image_size),
        colour="grey" if config.color == "grey" else "colour",
    )


def _describe_model(path: str, file: Path) -> SourceDescribed:
    weights, place = _weights(file)
    model = read_description(place)
    check_draws_pixels(place, model)
    run = run_of(file.absolute())
    checkpoints = list_checkpoints(run) if run is not None else []
    return SourceDescribed(
        path=shown(path),
        role="fake",
        source="model",
        classes=model.class_names or tuple(map(str, range(model.num_classes if model.num_classes > 1 else 0))),
        has_labels=model.num_classes > 1,
        facts=_model_facts(place, model),
        warnings=_model_warnings(weights),
        size=(model.image_size, model.image_size),
        colour=_colour(model),
        steps=tuple(int(folder.name.removeprefix("step-")) for folder in checkpoints),
        samplers=samplers_for(model.diffusion.objective),
        timesteps=model.diffusion.timesteps,
        has_null_class=model.class_dropout_prob > 0,
        settings=msgspec.json.encode(usual_sample(file, model)).decode(),
    )


def _weights(file: Path) -> tuple[str, Path]:
    """The averaged weights, else the raw ones. Raises: CheckpointError if there are neither."""
    try:
        return "ema", weights_file(file, "ema")
    except CheckpointError:
        if not any((place / "model.safetensors").is_file() for place in (file, *list_checkpoints(file)[-1:])):
            raise
        return "raw", weights_file(file, "raw")


def _model_facts(place: Path, model: ModelDescription) -> tuple[tuple[str, str], ...]:
    name = model_name(place, step=model.step, weights=model.weights)
    return ("model", name), ("draws", f"{model.image_size}×{model.image_size} {_colour(model)}")


def _colour(model: ModelDescription) -> Literal["grey", "colour"]:
    return "grey" if model.in_channels == 1 and model.latents is None else "colour"


def _model_warnings(weights: str) -> tuple[str, ...]:
    if weights == "ema":
        return ()
    return ("There are only raw weights, which draw worse than the averaged ones; published figures are of these.",)
