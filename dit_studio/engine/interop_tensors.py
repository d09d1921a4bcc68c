"""The tensors of a weight file, read one at a time: nothing in the file is executed, and nothing is held twice.

A tensor is read by its place in the file, and not through a mapping of it: a file that somebody cuts short meanwhile
then fails with a sentence, and the memory that a load takes is that of the tensors.
"""

import argparse
import json
import math
import pickle
import re
import struct
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dit_studio.errors import CheckpointError
from dit_studio.opened_models import is_index, parts_of

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_ANOTHER = "Choose another file."
_AVERAGED = ("ema", "model_ema", "ema_state_dict")
_RAW = ("model", "state_dict", "model_state_dict", "module")
_UNREADABLE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)  # fmt: skip  what damaged bytes make of a reader
_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tensor lies in its file, in bytes from the start; or the tensor, where the file was read whole."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int = 0
    tensor: Tensor | None = None
    file: Path | None = None  # that it lies in, where its model is in several

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """The tensors of a file by name, and what else it says."""

    path: Path
    places: dict[str, Place]
    weights: str = "ema"  # "raw" or "ema"; as it was asked for where the file does not say
    has_both: bool = False  # raw and averaged weights
    is_wrapped: bool = False  # a training checkpoint, which holds more than weights
    settings: Mapping[str, object] = field(default_factory=dict)  # of whoever trained it, as he named them
    step: int = 0
    metadata: dict[str, str] = field(default_factory=dict)

    def read(self, name: str) -> Tensor:
        """A copy of a tensor, as it is stored. Raises: CheckpointError if the file is no more what it was."""
        place = self.places[name]
        if place.tensor is not None:
            return place.tensor.clone(memory_format=torch.contiguous_format)
        flat, path = torch.empty(place.size_bytes, dtype=torch.uint8), place.file or self.path
        try:
            with path.open("rb") as file:
                file.seek(place.offset)
                count = file.readinto(flat.numpy().data) if len(flat) else 0
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.", remedy=_ANOTHER) from error
        if count != len(flat):
            raise CheckpointError(f"{path} is truncated: it ends within {name}.", remedy=_ANOTHER)
        return flat.view(place.dtype).reshape(place.shape)


def open_tensors(path: Path, *, weights: str = "ema") -> TensorFile:
    """The tensors of a .safetensors file, of a pickle that torch wrote, or of the files that an index names; no number
    of them is read.

    `weights`: which are meant where a file holds both averaged ("ema") and raw ones.
    Raises: CheckpointError if there is no file, or if it is damaged, holds code or holds no tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing.", remedy=_ANOTHER)
    if is_index(path):
        return _open_parts(path, weights)
    if path.suffix == ".safetensors":
        return _open_safetensors(path, weights)
    return _open_pickle(path, weights)


def _open_parts(path: Path, weights: str) -> TensorFile:
    try:
        named = parts_of(path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} does not tell where its tensors lie ({error}).", remedy=_ANOTHER) from error
    parts = {file: open_tensors(file, weights=weights) for file in dict.fromkeys(named.values())}
    for name, file in named.items():
        if name not in parts[file].places:
            raise CheckpointError(f"{path} says that {name} is in {file.name}, and it is not.", remedy=_ANOTHER)
    places = {name: replace(parts[file].places[name], file=file) for name, file in named.items()}
    return TensorFile(path=path, places=places, weights=weights)


def _open_safetensors(path: Path, weights: str) -> TensorFile:
    try:
        with safe_open(path, framework="pt") as opened:  # which checks the head
            metadata = opened.metadata() or {}
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head: dict[str, Any] = json.loads(file.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read: it is truncated, damaged or not a safetensors file ({error}).", remedy=_ANOTHER
        ) from error
    head.pop("__metadata__", None)
    places = {}
    for name, entry in head.items():
        if entry["dtype"] not in _DTYPES:
            raise CheckpointError(f"{path} holds {name} as {entry['dtype']}, which is not read.", remedy=_ANOTHER)
        offset = 8 + length + entry["data_offsets"][0]
        places[name] = Place(dtype=_DTYPES[entry["dtype"]], shape=tuple(entry["shape"]), offset=offset)
    return TensorFile(path=path, places=_without_prefixes(places), weights=weights, metadata=metadata)


# ------------------------------------------------------------------------------------------------- pickles


def _open_pickle(path: Path, weights: str) -> TensorFile:
    contents = _unpickled(path, "meta" if _keeps_places(path) else "cpu")
    if not isinstance(contents, dict):
        raise CheckpointError(f"{path} holds a {type(contents).__name__}, and no weights by name.", remedy=_ANOTHER)
    state, chosen, has_both = _chosen_state(contents, weights, path)
    _check_entries(state, path)
    places = {name: _place(tensor) for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if any(place is None for place in places.values()):  # views of something, or an older torch: read as torch does
        whole, _, _ = _chosen_state(_unpickled(path, "cpu"), weights, path)
        places = {name: _place(whole[name]) for name in places}
    return TensorFile(
        path=path,
        places=_without_prefixes({name: place for name, place in places.items() if place is not None}),
        weights=chosen,
        has_both=has_both,
        is_wrapped=state is not contents,
        settings=_settings(contents),
        step=_step(contents, path),
    )


def _check_entries(state: dict[Any, Any], path: Path) -> None:
    """Raises: CheckpointError of a tensor whose name is no text, or that is not stored number by number."""
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            continue
        if not isinstance(name, str):
            raise CheckpointError(
                f"{path} holds a tensor under {name!r}, a {type(name).__name__}: weights have names.", remedy=_ANOTHER
            )
        if tensor.layout is not torch.strided:
            raise CheckpointError(
                f"{path} holds {name} as {str(tensor.layout).removeprefix('torch.')}; weights are dense.",
                remedy="Save it with tensor.to_dense() where it comes from.",
            )


def _keeps_places(path: Path) -> bool:
    """Since torch 1.6 it writes archives, in which a tensor has its place; not where somebody compressed one."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            orders = [archive.read(name) for name in archive.namelist() if name.endswith("/byteorder")]
            return orders in ([], [b"little"]) and all(not info.compress_type for info in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def _unpickled(path: Path, location: str) -> Any:
    """What torch finds in a pickle that may hold tensors, plain values and an argparse.Namespace, and nothing else."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write; they fail, or are read well
            mapped = location == "cpu" and _keeps_places(path)
            return torch.load(path, map_location=location, weights_only=True, mmap=mapped or None)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path} cannot be read: a pickle that is truncated, damaged or nothing that torch wrote ({reason}).",
            remedy=_ANOTHER,
        ) from error


def _refused(path: Path, reason: str) -> CheckpointError:
    named = re.search(r"(?:GLOBAL|Unsupported (?:class|global):?(?: GLOBAL)?)\s+([\w.]+)", reason)
    if named is None:
        return CheckpointError(
            f"{path} is a pickle that is damaged, or that torch did not write; nothing of it was run.", remedy=_ANOTHER
        )
    return CheckpointError(
        f"{path} is a pickle that asks for {named[1]}, which can run any code; nothing of it was run.",
        remedy="Save the weights alone where they come from, best as .safetensors.",
    )


def _place(tensor: Any) -> Place | None:
    """None: its place is not known."""
    shape = tuple(tensor.shape)
    if tensor.device.type != "meta":
        return Place(dtype=tensor.dtype, shape=shape, tensor=tensor.detach())
    start = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
    if start is None or sys.byteorder != "little" or not tensor.is_contiguous():
        return None
    return Place(dtype=tensor.dtype, shape=shape, offset=start + tensor.storage_offset() * tensor.dtype.itemsize)


def _chosen_state(contents: dict[Any, Any], weights: str, path: Path) -> tuple[dict[str, Any], str, bool]:
    """The weights by name, whether they are averaged ("ema") or raw, and whether the file holds both."""
    if any(isinstance(value, Tensor) for value in contents.values()):
        return contents, weights, False
    averaged = next((contents[key] for key in _AVERAGED if isinstance(contents.get(key), dict)), None)
    raw = next((contents[key] for key in _RAW if isinstance(contents.get(key), dict)), None)
    if averaged is None and raw is None:
        keys = ", ".join(str(key) for key in list(contents)[:5]) or "nothing"
        raise CheckpointError(
            f"{path} holds no weights: there is {keys}.", remedy="A training checkpoint has them under model or ema."
        )
    if raw is None and weights == "raw":
        raise CheckpointError(
            f"{path} holds no raw weights, only averaged ones.", remedy="Choose the averaged weights (ema)."
        )
    if averaged is not None and (weights == "ema" or raw is None):
        return averaged, "ema", raw is not None
    assert raw is not None
    return raw, "raw", averaged is not None


def _settings(contents: dict[Any, Any]) -> dict[str, object]:
    """What a training checkpoint keeps of its command line or its configuration, flattened."""
    found = contents.get("args", contents.get("config"))
    values = vars(found) if isinstance(found, argparse.Namespace) else found if isinstance(found, dict) else {}
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= {str(key): value} if not isinstance(value, dict) else {str(name): value[name] for name in value}
    return flat


def _step(contents: dict[Any, Any], path: Path) -> int:
    """Of training: told, or the name of the file, as the published script names it."""
    steps = contents.get("steps", contents.get("step"))
    if isinstance(steps, int):
        return max(0, steps)
    return int(path.stem) if path.stem.isdecimal() and len(path.stem) == 7 else 0


def _without_prefixes(places: dict[str, Place]) -> dict[str, Place]:
    """Names without what wrappers of a model put before them all, and without what they count."""
    places = {name: place for name, place in places.items() if name != "n_averaged"}
    while places and (prefix := next((p for p in _PREFIXES if all(name.startswith(p) for name in places)), None)):
        places = {name.removeprefix(prefix): place for name, place in places.items()}
    return places
