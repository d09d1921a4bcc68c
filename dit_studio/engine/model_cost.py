"""What a model costs: its numbers, Gflops and memory, counted by walking it without computing anything."""

import functools
from collections.abc import Iterator
from typing import Any

import msgspec
import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing import reductions
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dit_studio.config import Recipe, parse_recipe
from dit_studio.engine import device as devices
from dit_studio.engine.attention import CrossAttention, SelfAttention
from dit_studio.engine.checkpoint import LatentSpace, ModelDescription
from dit_studio.engine.device_plan import PROCESS_BYTES, DevicePlan, plan_devices
from dit_studio.engine.latents_space import planned_space
from dit_studio.engine.model import DiT, DiTBlock, Mlp, PatchEmbedder, SwiGlu
from dit_studio.engine.paper_rows import paper_row
from dit_studio.engine.trainer import PREVIEW_CLASSES
from dit_studio.errors import CheckpointError
from dit_studio.events import ModelSummary

_StorageReference: Any = reductions.StorageWeakRef  # it has no types
_STATE_COPIES = 5  # weights, gradients, AdamW's two moments, the averaged weights; all float32
_HALF_SHARE = 0.6  # of the activations' bytes when products are in 16 bits (measured on S/2)


def describe_model(recipe: dict[str, Any], num_classes: int) -> Iterator[ModelSummary]:
    """What the recipe's model costs. Raises: ConfigError if its numbers do not fit each other."""
    settings = parse_recipe(recipe)
    cost, description = model_cost(settings, num_classes), _description(settings, num_classes)
    yield ModelSummary(
        parameters=cost.parameters,
        gflops=cost.gflops,
        tokens=(description.input_size // description.patch_size) ** 2,
        training_bytes=cost.training_bytes,
        sampling_bytes=cost.sampling_bytes,
        paper_row=paper_row(description),
        description=f"{description.depth} blocks × {description.hidden_size} wide × {description.num_heads} heads",
    )


class ModelCost(msgspec.Struct, frozen=True, kw_only=True):
    parameters: int  # that are trained; the fixed position embedding is not, and the paper does not count it
    gflops: float
    training_bytes: int  # on each device
    sampling_bytes: int
    plan: DevicePlan


def model_cost(settings: Recipe, num_classes: int) -> ModelCost:
    """What a recipe's model costs to train and to draw from; its VAE, where it has one, is not counted."""
    description, device = _description(settings, num_classes), devices.pick_device(settings.train.device)
    walked, parameters = walk(description), count_parameters(description, num_classes)
    activations = walked.kept_bytes
    if settings.train.gradient_checkpointing:
        activations = activations // description.depth + description.depth * walked.block_input_bytes
    share = 1.0 if devices.pick_precision(device, settings.train.precision).name == "fp32" else _HALF_SHARE
    plan = plan_devices(settings, state_bytes=_STATE_COPIES * 4 * parameters, image_bytes=share * activations)
    images = _images_of_a_preview(settings, num_classes)
    return ModelCost(
        parameters=parameters,
        gflops=walked.gflops,
        training_bytes=plan.bytes_each,
        sampling_bytes=int(4 * parameters + share * images * walked.live_bytes + PROCESS_BYTES),
        plan=plan,
    )


def count_parameters(description: ModelDescription, num_classes: int) -> int:
    """Numbers that are trained, with a table of so many labels."""
    rows = max(1, num_classes) - description.num_classes
    return walk(description).parameters + rows * description.hidden_size


def _description(settings: Recipe, num_classes: int) -> ModelDescription:
    """The model with one label, however many there are, so that its walk can be remembered."""
    names = ("",) if num_classes else ()
    return replace(ModelDescription.from_recipe(settings, class_names=names, latents=_space(settings)), seed=0)


def _space(settings: Recipe) -> LatentSpace | None:
    """Of a VAE that is not here: as most are, with a factor of 8 and 4 channels."""
    try:
        return planned_space(settings)
    except CheckpointError:
        return LatentSpace(vae=settings.latents.vae)


def _images_of_a_preview(settings: Recipe, num_classes: int) -> int:
    """How many the model is given at once; guidance asks twice for each."""
    preview, train = settings.sample, settings.train
    images = preview.per_class * min(num_classes or 8, PREVIEW_CLASSES)
    return min(64, train.batch_size // train.accumulate, images) * (
        2 if num_classes and preview.cfg not in (0, 1) else 1
    )


# ------------------------------------------------------------------------------------------------- the walk


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """Counted of a model that was built and called without memory; bytes are of one image in float32."""

    parameters: int
    gflops: float
    kept_bytes: int  # for the backward pass
    live_bytes: int  # at most at one moment of a forward pass, beside the weights
    block_input_bytes: int


@functools.lru_cache(maxsize=64)
def walk(description: ModelDescription) -> Walked:
    with FakeTensorMode():
        model = description.build()
        one_block = replace(description, depth=1).build()  # what is live does not grow with the depth
        return Walked(
            parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            gflops=_multiply_adds(model) / 1e9,
            kept_bytes=_kept_bytes(model, 2) - _kept_bytes(model, 1),
            live_bytes=_live_bytes(one_block, 2) - _live_bytes(one_block, 1),
            block_input_bytes=model.pos_embed.shape[1] * description.hidden_size * 4,
        )


def _forward(model: DiT, batch: int) -> None:
    x = torch.empty(batch, model.in_channels, model.input_size, model.input_size)
    model(x, torch.zeros(batch), torch.zeros(batch, dtype=torch.long))


def _multiply_adds(model: DiT) -> float:
    """Of one image, as the paper counts them.

    A multiply-add counts once, and what is done to each number by itself, a GELU or a gate, half; the embedding of the
    time and the last modulation, once an image and small, do not count. So counted, all 15 figures of the paper, for
    S, B, L and XL with patches of 2, 4 and 8 and for the four kinds of blocks, come out to the digits it gives.
    """
    total = 0.0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _of_module(module, inputs, output)

    left_out = {*model.t_embedder.modules(), *getattr(model.final_layer, "adaLN_modulation", nn.Module()).modules()}
    handles = [module.register_forward_hook(add) for module in model.modules() if module not in left_out]
    with torch.no_grad():
        _forward(model, 1)
    for handle in handles:
        handle.remove()
    return total


def _of_module(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> float:
    """Multiply-adds of a module itself, without those of modules in it."""
    tokens = inputs[0].shape[1] if inputs[0].dim() == 3 else 0
    match module:
        case nn.Linear():
            return output.numel() * module.in_features
        case PatchEmbedder():
            return output.numel() * module.proj.weight[0].numel()
        case SelfAttention():
            return 2 * module.kind.pairs(tokens) * output.shape[2]
        case CrossAttention():
            return 2 * tokens * inputs[1].shape[1] * output.shape[2]
        case Mlp():
            return tokens * module.fc1.out_features / 2
        case SwiGlu():
            return tokens * module.w3.in_features  # a SiLU and a product
        case DiTBlock():
            return output.numel()  # two gates
        case _:
            return 0


def _kept_bytes(model: DiT, batch: int) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage counted once."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        _forward(model, batch)
    return sum(kept.values())


def _live_bytes(model: DiT, batch: int) -> int:
    """The most bytes that a forward pass without gradients holds at one moment, beside the weights."""
    live = _LiveBytes()
    with torch.no_grad(), live:
        _forward(model, batch)
    return live.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches which storages live after every operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._storages: dict[Any, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_StorageReference(tensor.untyped_storage()) for tensor in _tensors(args)}
        result = func(*args, **(kwargs or {}))
        for storage in (tensor.untyped_storage() for tensor in _tensors(result)):
            if (reference := _StorageReference(storage)) not in given:
                self._storages[reference] = storage.nbytes()
        self._storages = {reference: size for reference, size in self._storages.items() if not reference.expired()}
        self.peak = max(self.peak, sum(self._storages.values()))
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
