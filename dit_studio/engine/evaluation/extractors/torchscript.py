"""The tensors of a TorchScript file, read as data: its code is never compiled, its pickle may name tensors only."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from dit_studio.errors import CheckpointError

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """It is an archive with constants and code, which a plain saved state has not."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every tensor among the attributes of the module, by its dotted name.

    Raises: CheckpointError if the file names anything else than modules and tensors; ValueError, KeyError,
    zipfile.BadZipFile or pickle.UnpicklingError if it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        module = _TensorUnpickler(path, archive, root).load()
    if not isinstance(module, _Module):
        raise CheckpointError(f"{path} holds no module.", remedy="Take one of the files that the list names.")
    return dict(_tensors(module, ""))


def _tensors(module: "_Module", prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")


class _Module:
    """Stands for any class of the script; pickle gives it its attributes, and it can do nothing."""


class _TensorUnpickler(pickle.Unpickler):
    """Knows modules, tensors and their storages."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._path, self._archive, self._root = path, archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return list
        return self._refuse(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, numbers = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            self._refuse(str(kind))
        content = self._archive.read(f"{self._root}data/{key}")
        if len(content) != numbers * dtype.itemsize:
            raise ValueError(f"data/{key} has {len(content):,} bytes in place of {numbers * dtype.itemsize:,}")
        return torch.frombuffer(bytearray(content), dtype=dtype)

    def _refuse(self, what: str) -> NoReturn:
        raise CheckpointError(
            f"{self._path} asks for {what}, which is neither a module nor a tensor; it is not opened.",
            remedy="Take one of the files that the list of model files names.",
        )


def _rebuilt(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    """The tensor as a view of its storage. Raises: ValueError if it reaches beyond it."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride), default=0) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError(f"a tensor of shape {size} does not fit into its storage of {len(storage):,} numbers")
    return torch.as_strided(storage, size, stride, offset)
