"""Checkpoints of a model that is split over processes: the same files as of any other.

Written, the tensors are gathered one at a time and streamed to the disk by the first process; read, each process takes
its own rows out of the file, and nothing is sent.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor, nn

from dit_studio.engine.distributed import World
from dit_studio.engine.parallel import is_split, local, put_back, rows_of, whole
from dit_studio.engine.tensor_writer import write_tensors
from dit_studio.errors import CheckpointError

_DTYPE = "F32"


class Gathering:
    """The whole tensors of several files, one after the other, in the order that all processes share."""

    def __init__(self, files: Mapping[str, Mapping[str, Tensor]]) -> None:
        self._left = {(file, name): tensor for file, tensors in files.items() for name, tensor in tensors.items()}

    def read(self, file: str, name: str) -> Tensor:
        """The next one, on the CPU; every process has to ask for it."""
        return whole(self._left.pop((file, name))).detach().cpu()

    def finish(self) -> None:
        """Take part in gathering those that are left: what a process does that does not write, or could not."""
        for file, name in list(self._left):
            self.read(file, name)


@contextmanager
def gathering(files: Mapping[str, Mapping[str, Tensor]]) -> Iterator[Gathering]:
    """At the end of the block, however it ends, this process has taken part in all."""
    gathered = Gathering(files)
    try:
        yield gathered
    finally:
        gathered.finish()


def write_gathered(
    file: Path, tensors: Mapping[str, Tensor], gathered: Gathering, *, metadata: Mapping[str, str]
) -> None:
    """Stream the whole of float32 tensors, which may be split, into a .safetensors file. Raises: OSError."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    with file.open("wb") as opened:
        for _ in write_tensors(opened, shapes, lambda name: gathered.read(file.name, name), metadata=metadata):
            pass


class FileHead(NamedTuple):
    """A tensor as a file says that it is."""

    shape: tuple[int, ...]
    dtype: torch.dtype | str


class RowReader:
    """Reads rows of the tensors of a .safetensors file."""

    def __init__(self, opened: Any) -> None:
        self._slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        self.metadata: dict[str, str] = opened.metadata() or {}
        self.heads = {name: _head(found) for name, found in self._slices.items()}

    def read(self, name: str, rows: slice) -> Tensor:
        shape = self.heads[name].shape
        if rows.start == rows.stop:
            return torch.empty((0, *shape[1:]))
        found: Tensor = self._slices[name][rows]
        return found

    def read_whole(self, name: str) -> Tensor:
        found: Tensor = self._slices[name][...]
        return found


@contextmanager
def open_rows(file: Path) -> Iterator[RowReader]:
    """Raises: SafetensorError or OSError."""
    with safe_open(file, framework="pt") as opened:
        yield RowReader(opened)


def _head(found: Any) -> FileHead:
    dtype = found.get_dtype()
    return FileHead(tuple(found.get_shape()), torch.float32 if dtype == _DTYPE else dtype)


@torch.no_grad()
def fill_model(model: nn.Module, reader: RowReader, world: World) -> None:
    """This process's rows of every tensor of a model, whose names and shapes are those in the file."""
    put_back(model)
    for name, target in model.state_dict().items():
        local(target).copy_(reader.read(name, rows_of(target, world)))


@torch.no_grad()
def fill_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, reader: RowReader, world: World, file: Path
) -> None:
    """This process's rows of AdamW's moments. Raises: CheckpointError if they are of another model."""
    left = set(reader.heads)
    for name, parameter in model.named_parameters():
        keys = [key for key in ("exp_avg", "exp_avg_sq") if f"{key}.{name}" in left]
        if not keys:
            continue
        if f"step.{name}" not in left:
            raise CheckpointError(f"{file} is damaged: it lacks step.{name}.")
        moments = {"step": reader.read_whole(f"step.{name}").to(parameter.device)}
        for key in keys:
            shape = reader.heads[f"{key}.{name}"].shape
            if shape != tuple(parameter.shape):
                raise CheckpointError(f"{file} is of another shape: {key}.{name} is {shape}.")
            moments[key] = torch.zeros_like(parameter)
            rows = rows_of(parameter, world) if is_split(parameter) else slice(0, len(parameter))
            local(moments[key]).copy_(reader.read(f"{key}.{name}", rows))
        optimizer.state[parameter] = moments
        left -= {f"{key}.{name}" for key in (*keys, "step")}
    if left:
        raise CheckpointError(f"{file} is of another shape: {min(left)} is not in the model.")
