"""The job that says what a path is before anything is measured: kinds, numbers and classes, no image decoded."""

from collections.abc import Generator
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from dit_studio.engine.checkpoint import ModelDescription, list_checkpoints, read_description, weights_file
from dit_studio.engine.evaluation.drawing import check_draws_pixels, is_model, run_of, usual_sample
from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source, npz_source, picture_source
from dit_studio.engine.evaluation.npz_stream import array_heads
from dit_studio.engine.evaluation.run_data import find_run_data, is_run
from dit_studio.engine.evaluation.sides import check_is_no_model
from dit_studio.engine.evaluation.statistics_file import describe_npz, read_statistics
from dit_studio.engine.evaluation.warnings import AMBER_BELOW, RED_BELOW
from dit_studio.engine.file_list import list_files
from dit_studio.engine.left_out import shown
from dit_studio.engine.solvers import samplers_for
from dit_studio.engine.warm_model import model_name
from dit_studio.errors import CheckpointError, DataError
from dit_studio.events import Event, SourceDescribed

Role = Literal["real", "fake"]

_KNOWN_META = (("protocol", "protocol"), ("extractor", "extractor"), ("image size", "image_size"))


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
    return _of_source(path, role, source, warnings=warnings)


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
        warnings=(*warnings, *_number_warnings(source.count)),
    )


def _classes(source: ImageSource) -> tuple[str, ...]:
    """Their names; of an .npz, which has none, their numbers."""
    if source.class_names or source.labels is None:
        return source.class_names
    return tuple(str(label) for label in np.unique(source.labels).tolist())


def _number_warnings(images: int) -> list[str]:
    if 0 < images < RED_BELOW:
        return [
            f"{images:,} images are too few for FID: below {RED_BELOW:,} its bias is larger than what models differ "
            "by. Go by KID or MMD."
        ]
    if 0 < images < AMBER_BELOW:
        return [
            f"{images:,} images: below {AMBER_BELOW:,} FID is larger than published figures. Compare only with results "
            "of as many."
        ]
    return []


# ------------------------------------------------------------------------------------------------- arrays


def _describe_npz(path: str, file: Path, role: Role) -> SourceDescribed:
    if role == "fake" or ("arr_0" in (heads := array_heads(file)) and not heads.keys() & {"mu", "sigma"}):
        return _of_source(path, role, npz_source(file), warnings=[])
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
        warnings=(*_statistics_warnings(meta, statistics.n, contents.images), *_number_warnings(statistics.n)),
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
        return _of_source(path, "real", data_set_source(found.kept), warnings=warnings, facts=facts)
    described = yield from _describe_images(config.path, "real")
    return msgspec.structs.replace(
        described, path=shown(path), source="data set", facts=facts, warnings=(*warnings, *described.warnings)
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
    colour = "grey" if model.in_channels == 1 and model.latents is None else "colour"
    name = model_name(place, step=model.step, weights=model.weights)
    return ("model", name), ("draws", f"{model.image_size}×{model.image_size} {colour}")


def _model_warnings(weights: str) -> tuple[str, ...]:
    if weights == "ema":
        return ()
    return ("There are only raw weights, which draw worse than the averaged ones; published figures are of these.",)
