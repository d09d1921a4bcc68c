"""How a model lives in several processes: copied into each (DDP), or split over all of them (FSDP2).

What is split is a DTensor: each process holds its rows of every tensor, and the whole of a block only while it computes
with it. Elsewhere a tensor is a plain one, and everything here leaves it as it is.
"""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from dit_studio.engine.diffusion import Model
from dit_studio.engine.distributed import World


def is_split(tensor: Tensor) -> bool:
    """This process holds some of its rows only."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, in every process; each of them has to ask for it."""
    split: Any = tensor
    return split.full_tensor() if is_split(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, to work on in place."""
    split: Any = tensor
    return split.to_local() if is_split(tensor) else tensor


def rows_of(tensor: Tensor, world: World) -> slice:
    """Which rows of the whole tensor this process holds: FSDP2 splits as `Tensor.chunk` does, the last get less."""
    count = tensor.shape[0]
    each = -(-count // world.size)
    return slice(min(count, world.rank * each), min(count, (world.rank + 1) * each))


@torch.no_grad()
def fill(target: Tensor, source: Tensor, world: World) -> None:
    """Copy a whole tensor into one that may be split; nothing is sent."""
    if is_split(target):
        local(target).copy_(source[rows_of(target, world)])
    else:
        target.copy_(source)


def split_model(model: nn.Module, world: World) -> nn.Module:
    """Split a model on the CPU over the devices of all processes, block by block, and give it back."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(world.device.type, (world.size,))
    blocks: Any = model.blocks
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def put_back(model: nn.Module) -> None:
    """Let go of the whole tensors that a forward pass without a backward one leaves behind."""
    for module in model.modules():
        reshard = getattr(module, "reshard", None)
        if reshard is not None:
            reshard()


def called_model(model: Any, world: World, *, is_sharded: bool) -> Model:
    """What is called for a training step, so that the gradients are the mean over all processes."""
    if world.size == 1 or is_sharded:
        called: Model = model
        return called
    from torch.nn.parallel import DistributedDataParallel

    ids = None if world.device.type == "cpu" else [world.device]
    copied: Any = DistributedDataParallel
    known = inspect.signature(copied).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # which never change
    wrapped: Model = copied(model, device_ids=ids, gradient_as_bucket_view=True, **{buffers: False})
    return wrapped


@contextmanager
def keeping_gradients(called: Any, model: Any, *, is_last: bool) -> Iterator[None]:
    """A backward pass in it adds to the gradients here; only that of the last part of a batch is shared."""
    if hasattr(model, "set_requires_gradient_sync"):
        model.set_requires_gradient_sync(is_last)
    apart: AbstractContextManager[object] = nullcontext() if is_last else getattr(called, "no_sync", nullcontext)()
    with apart:
        yield


def clip(parameters: Iterator[nn.Parameter], limit: float) -> float:
    """Shorten the gradients to `limit`; the norm that they had, over all processes."""
    trained = list(parameters)
    if not any(is_split(parameter) for parameter in trained):
        return float(torch.nn.utils.clip_grad_norm_(trained, limit))
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    norm = whole(torch.nn.utils.get_total_norm(gradients))
    torch.nn.utils.clip_grads_with_norm_(trained, limit, norm)
    return float(norm)
