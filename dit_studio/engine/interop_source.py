"""A model's weights where they lie, under our names, whoever wrote them: read one tensor at a time."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dit_studio.engine.interop_names import Piece, Pieces, copies, to_published
from dit_studio.engine.interop_tensors import Place, TensorFile, open_tensors
from dit_studio.errors import CheckpointError
from dit_studio.opened_models import diffusers_folder, weight_file

Format = Literal["studio", "published", "training checkpoint", "diffusers"]
_STUDIO_KEY = "dit_studio"
_TABLE = "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_ONLY_IN_TRAINING = "projectors."  # of REPA: they compare inner tokens with another network's, and draw nothing
_FIXED = {  # what diffusers' DiT can be told, and ours is
    "norm_type": "ada_norm_zero", "activation_fn": "gelu-approximate", "attention_bias": True,
    "norm_elementwise_affine": False,
}  # fmt: skip
_MOST_BLOCKS = 128
_ANOTHER = "Choose another file, or convert it where it comes from."


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights under our names: what each is made of, and what else the file, or the folder around it, says."""

    path: Path  # that was chosen
    format: Format
    file: TensorFile
    pieces: Pieces
    left_over: tuple[str, ...] = ()  # names that no weight of ours is made of
    dropped: tuple[str, ...] = ()  # names that are known, and not needed
    config: dict[str, Any] = field(default_factory=dict)  # of diffusers' transformer
    pipeline: Path | None = None  # the folder around it

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises: CheckpointError if the tensors that it is made of do not fit together."""
        shapes = [_shape_of(piece, self.file.places[piece.name]) for piece in self.pieces[name]]
        if any(len(shape) != len(shapes[0]) or shape[1:] != shapes[0][1:] for shape in shapes):
            names = ", ".join(piece.name for piece in self.pieces[name])
            raise CheckpointError(f"{self.file.path}: {names} are {shapes}, which do not fit together.")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:]) if shapes[0] else ()

    def read(self, name: str) -> Tensor:
        """A weight in float32. Raises: CheckpointError if a number of it is NaN or infinite."""
        return assemble(self.pieces[name], self._finite)

    def _finite(self, name: str) -> Tensor:
        tensor = self.file.read(name).float()
        if tensor.numel() and not torch.stack(torch.aminmax(tensor)).isfinite().all():
            count = int((~tensor.isfinite()).sum())
            raise CheckpointError(
                f"{self.file.path}: {count:,} of the {tensor.numel():,} numbers of {name} are NaN or infinite.",
                remedy="The model diverged, or the file is damaged: choose an earlier checkpoint.",
            )
        return tensor

    @property
    def dtypes(self) -> set[torch.dtype]:
        return {self.file.places[piece.name].dtype for pieces in self.pieces.values() for piece in pieces}


def open_source(path: Path, *, weights: str = "ema") -> Source:
    """The weights of a file, or of a diffusers folder, with the names and types of its tensors checked.

    Raises: CheckpointError if it cannot be read safely, or is no DiT.
    """
    folder = _folder_of(path)
    if folder is not None:
        source = _open_diffusers(path, folder, weights)
    else:
        file = open_tensors(path, weights=weights)
        if _TABLE in file.places:
            raise CheckpointError(
                f"{path} has diffusers' names, and its config.json is not beside it.",
                remedy="Choose the whole folder: its config.json says the number of heads and the image size.",
            )
        source = _open_published(path, file)
    _check_types(source)
    return source


def _folder_of(path: Path) -> Path | None:
    """The transformer's folder, of a folder or of the weights in one."""
    if path.is_dir():
        return diffusers_folder(path)
    return diffusers_folder(path.parent) if path.stem.startswith("diffusion_pytorch_model") else None


def _open_published(path: Path, file: TensorFile) -> Source:
    dropped = tuple(name for name in file.places if name.startswith(_ONLY_IN_TRAINING))
    kept = [name for name in file.places if name not in dropped]
    is_ours = _STUDIO_KEY in file.metadata
    wrapped: Format = "training checkpoint" if file.is_wrapped else "published"
    pieces: Pieces = {name: (Piece(name),) for name in kept}
    return Source(path=path, format="studio" if is_ours else wrapped, file=file, pieces=pieces, dropped=dropped)


def _open_diffusers(path: Path, folder: Path, weights: str) -> Source:
    config = json.loads((folder / "config.json").read_bytes())
    for key, value in _FIXED.items():
        if config.get(key, value) != value:
            raise CheckpointError(
                f"{folder}: {key} is {config[key]!r}, and a DiT has {value!r}.", remedy="Choose the folder of a DiT."
            )
    file = open_tensors(weight_file(folder), weights=weights)
    pipeline = folder.parent if (folder.parent / "model_index.json").is_file() else None
    if _TABLE not in file.places:
        raise CheckpointError(f"{file.path} is no DiT: it lacks {_TABLE}.", remedy="Choose the folder of a DiT.")
    depth, rows = _depth(file), _rows(file)
    pieces = to_published(depth=depth, rows=rows, classes=_filled_up(file, pipeline, rows))
    if "pos_embed.pos_embed" in file.places:  # written by old versions, and regenerated by all
        pieces["pos_embed"] = (Piece("pos_embed.pos_embed"),)
    used = {piece.name for parts in pieces.values() for piece in parts} | {copy for _, copy in copies(depth=depth)}
    left_over = tuple(sorted(file.places.keys() - used))
    _check_there(file, used)
    return Source(
        path=path, format="diffusers", file=file, pieces=pieces, left_over=left_over, config=config, pipeline=pipeline
    )


def _filled_up(file: TensorFile, pipeline: Path | None, rows: int) -> int | None:
    """The number of classes, where the class table goes on with copies of "no class" after them, as we export it."""
    named = len(class_labels(pipeline)) if pipeline else 0
    if not 0 < named < rows - 1:
        return None
    table = file.read(_TABLE)
    return named if bool((table[named:] == table[-1]).all()) else None


def class_labels(pipeline: Path) -> dict[int, str]:
    """What a pipeline's model_index.json calls the classes; empty if it does not say."""
    try:
        labels = json.loads((pipeline / "model_index.json").read_bytes()).get("id2label") or {}
        return {int(number): str(name) for number, name in labels.items()}
    except (OSError, ValueError, AttributeError):
        return {}


# ------------------------------------------------------------------------------------------------- checks


def check_copies(source: Source) -> Iterator[None]:
    """Read the embedders that diffusers keeps in every block, a block at a time.

    Raises: CheckpointError if they differ: then they were trained apart, which one embedder cannot express.
    """
    if source.format != "diffusers":
        return
    firsts: dict[str, Tensor] = {}
    for first, copy in copies(depth=_depth(source.file)):
        if first not in firsts:
            firsts[first] = source.file.read(first)
        if not torch.equal(firsts[first], source.file.read(copy)):
            raise CheckpointError(
                f"{source.file.path}: {copy} is not the same as {first}: the embedders of the blocks were trained "
                "apart, and a DiT has one for all.",
                remedy="Fine-tune from the published weights with the embedders tied.",
            )
        yield


def check_names_and_shapes(source: Source, expected: dict[str, tuple[int, ...]]) -> None:
    """Raises: CheckpointError that names the first tensor that is missing, left over, transposed or of another shape.

    `expected`: the shapes of a model's weights by our names.
    """
    there = source.pieces.keys() | ({"pos_embed"} if source.format == "diffusers" else set())
    missing, extra = sorted(expected.keys() - there), sorted((there - expected.keys()) | set(source.left_over))
    if missing or extra:
        what = " and ".join(
            [f"lacks {_some(missing)}"] * bool(missing) + [f"has {_some(extra)} too many"] * bool(extra)
        )
        raise CheckpointError(
            f"{source.file.path} is of another shape: it {what} ({len(missing)} missing, {len(extra)} left over).",
            remedy=_ANOTHER,
        )
    for name in source.pieces:
        _check_shape(source, name, expected[name])


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _check_shape(source: Source, name: str, wanted: tuple[int, ...]) -> None:
    found = source.shape(name)
    if found == wanted:
        return
    is_transposed = len(found) == 2 and found == wanted[::-1]
    how = (
        f"is {found}, transposed: the model takes {wanted}"
        if is_transposed
        else f"is {found}, and the model takes {wanted}"
    )
    raise CheckpointError(f"{source.file.path} is of another shape: {name} {how}.", remedy=_ANOTHER)


def _check_types(source: Source) -> None:
    for pieces in source.pieces.values():
        for piece in pieces:
            dtype = source.file.places[piece.name].dtype
            if dtype not in _FLOATS:
                raise CheckpointError(
                    f"{source.file.path} holds {piece.name} as {dtype}; weights are float32, float16 or bfloat16.",
                    remedy=_ANOTHER,
                )


def _check_there(file: TensorFile, names: set[str]) -> None:
    missing = sorted(names - file.places.keys() - {"pos_embed.pos_embed"})
    if missing:
        raise CheckpointError(
            f"{file.path} is of another shape: it lacks {missing[0]} ({len(missing)} missing).", remedy=_ANOTHER
        )


def _depth(file: TensorFile) -> int:
    return depth_of(file.places, "transformer_blocks", file.path)


def _rows(file: TensorFile) -> int:
    shape = file.places[_TABLE].shape
    if len(shape) != 2 or 0 in shape:
        raise CheckpointError(f"{file.path}: {_TABLE} is {shape}, not (rows, width), each 1 or more.", remedy=_ANOTHER)
    return shape[0]


def depth_of(names: Iterable[str], blocks: str, file: Path) -> int:
    """How many blocks there are. Raises: CheckpointError if one is left out, or if they are too many."""
    matches = (re.match(rf"{blocks}\.(\d+)\.", name) for name in names)
    found = {match[1] for match in matches if match}
    wanted = {str(number) for number in range(len(found))}
    if len(found) > _MOST_BLOCKS:
        raise CheckpointError(f"{file} has {len(found):,} blocks; {_MOST_BLOCKS} are the most.", remedy=_ANOTHER)
    if found != wanted:
        other, missing = (min(names, key=lambda name: (len(name), name)) for names in (found - wanted, wanted - found))
        raise CheckpointError(
            f"{file} is of another shape: it lacks {blocks}.{missing} and has {blocks}.{other[:20]}, of {len(found)} "
            f"blocks, which count from 0 to {len(found) - 1}; {_MOST_BLOCKS} are the most.",
            remedy=_ANOTHER,
        )
    return len(found)


def _shape_of(piece: Piece, place: Place) -> tuple[int, ...]:
    if not place.shape:
        return ()
    rows = place.shape[0] // piece.parts
    first, last, _ = slice(piece.start, piece.stop).indices(rows)
    return (last - first, *place.shape[1:])


def assemble(pieces: tuple[Piece, ...], read: Callable[[str], Tensor]) -> Tensor:
    """The tensor that is made of these pieces, one after the other; each tensor is read once."""
    tensors = {name: read(name) for name in dict.fromkeys(piece.name for piece in pieces)}
    parts = [_cut(tensors[piece.name], piece) for piece in pieces]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _cut(tensor: Tensor, piece: Piece) -> Tensor:
    if piece.parts > 1:
        tensor = tensor.chunk(piece.parts)[piece.part]
    return tensor if piece.start is None and piece.stop is None else tensor[piece.start : piece.stop]
