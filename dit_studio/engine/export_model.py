"""Giving a model back: in the names of the published code, as a diffusers folder, or as a file of our own.

Weights go from file to file one at a time, by their names; no model is built. What is written is whole or not there.
"""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, get_args

import msgspec
import torch
from torch import Tensor

from dit_studio.engine import export_formats
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.export_diffusers import (
    class_rows,
    pipeline_parts,
    transformer_shapes,
    vae_bytes,
    why_no_vae,
    write_config,
)
from dit_studio.engine.export_formats import Format, is_pipeline
from dit_studio.engine.interop import model_without_memory, open_weights, reader, shapes_of
from dit_studio.engine.interop_names import Pieces, to_diffusers
from dit_studio.engine.interop_source import Source, assemble, check_copies, check_names_and_shapes
from dit_studio.engine.tensor_writer import Shapes, size_bytes, write_tensors
from dit_studio.errors import CheckpointError, DiskFullError
from dit_studio.events import Progress, Written
from dit_studio.files import free_bytes, naming_disk_errors, new_folder_atomically, open_atomically
from dit_studio.model_events import ExportChecked
from dit_studio.opened_models import weight_file

_STUDIO_KEY = "dit_studio"
_SUFFIXES = {"facebook": (".pt", ".safetensors"), "studio": (".safetensors",)}
_WEIGHTS = "diffusion_pytorch_model.safetensors"
_NO_REMEDY = "Take the format of DiT Studio, studio, which keeps everything."

Read = Callable[[str], Tensor]


def check_export(model: str, weights: str, format: str) -> Generator[ExportChecked, None, None]:  # noqa: A002
    """Whether a format can express a model. Raises: CheckpointError if the model cannot be read."""
    form = _format(format)
    source, description = open_weights(Path(model).expanduser(), weights=weights)
    shapes = shapes_of(model_without_memory(description, source.file.path))
    yield ExportChecked(
        format=form,
        problems=export_formats.problems(description, form),
        notes=_notes(description, form),
        size_bytes=_bytes_written(description, form, shapes),
    )


def convert_model(model: str, weights: str, path: str, format: str) -> Generator[Progress | Written, None, None]:  # noqa: A002
    """Write a model in a format: a .pt or .safetensors file by the suffix of `path`, or a diffusers folder.

    Closed early, it leaves nothing.
    Raises: CheckpointError if the model cannot be read, if the format cannot express it, or if `path` does not suit;
    DiskFullError or RunError if it cannot be written.
    """
    form, target = _format(format), Path(path).expanduser()
    source, description = open_weights(Path(model).expanduser(), weights=weights)
    if problems := export_formats.problems(description, form):
        raise CheckpointError(f"{model} cannot be written as {form}. {problems[0]}", remedy=_NO_REMEDY)
    shapes = shapes_of(model_without_memory(description, source.file.path))
    check_names_and_shapes(source, shapes)
    with naming_disk_errors(target):
        _check_target(target, form, source, _bytes_written(description, form, shapes))
    for _ in check_copies(source):
        yield Progress(stage="Comparing the embedders", done=0, total=len(shapes), unit="tensors")
    read = reader(source, description)
    match form:
        case "diffusers":
            yield from _write_folder(target, description, read)
        case "facebook" if target.suffix == ".pt":
            yield from _write_pickle(target, shapes, read)
        case _:
            yield from _write_file(target, shapes, read, description if form == "studio" else None)
    yield Written(file=path, size_bytes=_size_on_disk(target), note=" ".join(_notes(description, form)))


# ------------------------------------------------------------------------------------------------- what is possible


def _format(name: str) -> Format:
    for known in get_args(Format):
        if name == known:
            form: Format = known
            return form
    raise CheckpointError(f"There is no format {name}.", remedy=f"Choose one of {', '.join(get_args(Format))}.")


def _notes(description: ModelDescription, form: Format) -> tuple[str, ...]:
    found = list(export_formats.notes(description, form))
    if form == "diffusers" and description.latents is not None and (why := why_no_vae(description)):
        found.append(
            f"The VAE is not written. {why} Load the folder with DiTPipeline.from_pretrained(FOLDER, "
            f'vae=AutoencoderKL.from_pretrained("{description.latents.vae}")).'
        )
    return tuple(found)


def _bytes_written(description: ModelDescription, form: Format, shapes: Shapes) -> int:
    """Of the weights, the VAE's, too, where it is written with them; the small files beside them are left out."""
    is_whole = form == "diffusers" and not export_formats.problems(description, form)
    return size_bytes(_target_shapes(description, form, shapes)) + (vae_bytes(description) if is_whole else 0)


def _target_shapes(description: ModelDescription, form: Format, shapes: Shapes) -> Shapes:
    if form != "diffusers" or export_formats.problems(description, form):
        return shapes
    return transformer_shapes(description)


def _check_target(target: Path, form: Format, source: Source, needed_bytes: int) -> None:
    """Raises: CheckpointError if nothing can be written there under that name; DiskFullError if it does not fit."""
    if form == "diffusers":
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise CheckpointError(f"{target} is there already.", remedy="Choose a new folder.")
    elif target.suffix not in _SUFFIXES[form] or target.is_dir():
        what = "is a folder" if target.is_dir() else f"ends in {target.suffix or 'nothing'}"
        raise CheckpointError(f"{target} {what}.", remedy=f"Choose a name that ends in {' or '.join(_SUFFIXES[form])}.")
    elif target.resolve() == weight_file(source.path).resolve():
        raise CheckpointError(f"{target} is the model itself.", remedy="Choose another name.")
    if (free := free_bytes(target)) < needed_bytes:
        raise DiskFullError(
            f"{target} takes {needed_bytes / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free.",
            remedy="Free some space, or choose another folder.",
            numbers={"free_bytes": free, "needed_bytes": needed_bytes},
        )


def _size_on_disk(target: Path) -> int:
    files = [target] if target.is_file() else [file for file in target.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


# ------------------------------------------------------------------------------------------------- writing


def _write_file(
    target: Path, shapes: Shapes, read: Read, description: ModelDescription | None
) -> Generator[Progress, None, None]:
    """A .safetensors file; with a description it is our own, complete by itself."""
    metadata = {} if description is None else {_STUDIO_KEY: msgspec.json.encode(description).decode()}
    with _new_file(target) as file:
        yield from _telling(write_tensors(file, shapes, read, metadata=metadata), len(shapes))


def _write_pickle(target: Path, shapes: Shapes, read: Read) -> Generator[Progress, None, None]:
    """A flat state of tensors, as the published files are."""
    state: dict[str, Tensor] = {}
    for done, name in enumerate(shapes):
        yield Progress(stage="Reading the weights", done=done, total=len(shapes), unit="tensors")
        state[name] = read(name)
    yield Progress(stage="Writing", done=len(shapes), total=len(shapes), unit="tensors")
    with _new_file(target) as file:
        torch.save(state, file)


def _write_folder(target: Path, description: ModelDescription, read: Read) -> Generator[Progress, None, None]:
    """A whole pipeline; of a model that draws pixels, the transformer alone."""
    pieces = to_diffusers(
        depth=description.depth,
        classes=description.num_classes,
        rows=class_rows(description),
        has_null_class=description.class_dropout_prob > 0,
    )
    shapes = transformer_shapes(description)
    _check_mapping(pieces, shapes)
    with new_folder_atomically(target) as folder:
        place = folder / "transformer" if is_pipeline(description) else folder
        place.mkdir(exist_ok=True)
        write_config(place, description)
        with (place / _WEIGHTS).open("wb") as file:
            steps = write_tensors(file, shapes, lambda name: assemble(pieces[name], read), metadata={"format": "pt"})
            yield from _telling(steps, len(shapes))
        for name, contents in pipeline_parts(folder, description):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(contents, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_mapping(pieces: Pieces, shapes: Shapes) -> None:
    assert pieces.keys() == shapes.keys(), "diffusers' DiT has other names than are known here"


def _telling(names: Iterator[str], total: int) -> Generator[Progress, None, None]:
    for done, _ in enumerate(names, start=1):
        yield Progress(stage="Writing the weights", done=done, total=total, unit="tensors")


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """As `open_atomically`, in a folder that is made if need be."""
    with naming_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(target) as file:
        yield file
