"""Checkpoints: safetensors and JSON, written whole or not at all, and read without executing anything.

step-0000500/   model.safetensors   ema.safetensors   optimizer.safetensors   rng.safetensors   state.json

The two weight files carry their `ModelDescription` in their header, so that each is complete by itself.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dit_studio.config import Recipe
from dit_studio.engine.checkpoint_split import (
    FileHead,
    Gathering,
    fill_model,
    fill_optimizer,
    gathering,
    open_rows,
    write_gathered,
)
from dit_studio.engine.distributed import World
from dit_studio.engine.interop_tensors import Place, open_tensors
from dit_studio.engine.model import DiT
from dit_studio.engine.parallel import put_back
from dit_studio.errors import CheckpointError, RunError, ShapeError
from dit_studio.files import new_folder_atomically, write_atomically
from dit_studio.model_settings import DiffusionConfig, resolve_model
from dit_studio.opened_models import foreign_kind, weight_file

_METADATA_KEY = "dit_studio"
_WEIGHTS, _AVERAGED, _OPTIMIZER = "model.safetensors", "ema.safetensors", "optimizer.safetensors"
_PICKLES = {".pkl", ".pickle"}
COLOR_CHANNELS = {"rgb": 3, "grey": 1}


Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class LatentSpace(msgspec.Struct, frozen=True, kw_only=True):
    """The VAE in whose latents a model lives; what the model sees is (latent - shift) · scale."""

    vae: str  # a folder, or a name on the hub
    digest: str = ""  # of the VAE's weights; empty where they were not at hand
    factor: Count = 8
    channels: Count = 4
    scale: float = 0.18215
    shift: float = 0.0
    is_likely: bool = False  # nothing told which VAE it is: the likely one is taken


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a model to build it and to sample from it."""

    input_size: Count
    patch_size: Count
    in_channels: Count
    hidden_size: Count
    depth: Count
    num_heads: Count
    mlp_ratio: Annotated[float, msgspec.Meta(gt=0, le=64)]
    class_dropout_prob: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    num_classes: Count
    learn_sigma: bool
    block: Literal["adaln-zero", "adaln", "cross-attention", "in-context"] = "adaln-zero"
    attention: Literal["full", "grouped", "window"] = "full"
    num_kv_heads: Count | None = None  # of grouped attention
    window: Count = 7  # of window attention: patches on a side
    position: Literal["sincos", "learned"] = "sincos"
    rope: bool = False
    qk_norm: bool = False
    norm: Literal["layer", "rms"] = "layer"
    mlp: Literal["gelu", "swiglu"] = "gelu"
    dialect: Literal["facebook", "diffusers"] = "facebook"
    time: Literal["studio", "sit"] = (
        "studio"  # sit: a flow told the time from 0 (noise) to 1, whose velocity ends there
    )
    latents: LatentSpace | None = None  # None: pixels
    origin: str = ""  # the file of another program that the weights came from
    diffusion: DiffusionConfig
    class_names: tuple[str, ...] = ()  # empty for a model without classes
    step: int = 0
    weights: str = "raw"  # "raw" or "ema"
    seed: int = 0

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, *, class_names: tuple[str, ...], latents: LatentSpace | None = None
    ) -> "ModelDescription":
        """The model a recipe asks for, in pixels or in `latents`. Without classes there is one label, none to drop."""
        model = resolve_model(recipe.model)
        return cls(
            input_size=recipe.data.image_size // (latents.factor if latents else 1),
            in_channels=latents.channels if latents else COLOR_CHANNELS[recipe.data.color],
            latents=latents,
            patch_size=model.patch_size or 0,
            hidden_size=model.hidden_size or 0,
            depth=model.depth or 0,
            num_heads=model.num_heads or 0,
            mlp_ratio=model.mlp_ratio,
            class_dropout_prob=model.class_dropout_prob if class_names else 0.0,
            num_classes=max(1, len(class_names)),
            learn_sigma=model.learn_sigma,
            block=model.block,
            attention=model.attention,
            num_kv_heads=model.num_kv_heads,
            window=model.window,
            position=model.position,
            rope=model.rope,
            qk_norm=model.qk_norm,
            norm=model.norm,
            mlp=model.mlp,
            dialect=model.dialect,
            time=model.time,
            diffusion=recipe.diffusion,
            class_names=class_names,
            seed=recipe.train.seed,
        )

    @property
    def image_size(self) -> int:
        """Pixels on a side of what the model draws, once it is decoded."""
        return self.input_size * (self.latents.factor if self.latents else 1)

    def build(self) -> DiT:
        """A new model with random weights. Raises: ShapeError."""
        return DiT(
            input_size=self.input_size,
            patch_size=self.patch_size,
            in_channels=self.in_channels,
            hidden_size=self.hidden_size,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            class_dropout_prob=self.class_dropout_prob,
            num_classes=self.num_classes,
            learn_sigma=self.learn_sigma,
            block=self.block,
            attention=self.attention,
            num_kv_heads=self.num_kv_heads,
            window=self.window,
            position=self.position,
            rope=self.rope,
            qk_norm=self.qk_norm,
            norm=self.norm,
            mlp=self.mlp,
            dialect=self.dialect,
            sit_timesteps=self.diffusion.timesteps if self.time == "sit" else None,
        )


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to sample: in eval mode, on its device."""

    model: DiT
    config: ModelDescription
    path: Path


class Progressed(msgspec.Struct, frozen=True, kw_only=True):
    """`state.json`: where training stood. With the seed it also fixes the order of the data and every random draw."""

    step: int
    images_seen: int
    seconds: float
    ema_updates: int
    scaler: dict[str, int | float] = {}
    validation_loss: float | None = None
    data_fingerprint: str = ""  # of the images trained on


# ------------------------------------------------------------------------------------------------- a model alone


def load_model(path: str | Path, *, weights: str = "ema", device: torch.device | None = None) -> LoadedModel:
    """The model of a run folder (its newest checkpoint), of a checkpoint, or of what another program wrote.

    Its memory is that of the weights alone, each read once; nothing of the file stays mapped, as reading it after
    somebody cut it short would kill the process.
    Raises: CheckpointError if there is none, or if it is damaged, unsafe to read, or of another shape.
    """
    place = Path(path).expanduser()
    if foreign_kind(place):
        model, description, file = interop().load(place, weights=weights)
        return LoadedModel(model=model.to(device).eval(), config=description, path=file)
    file = weights_file(place, weights)
    tensors = open_tensors(file)
    description = _description(file, tensors.metadata)
    try:
        with torch.device("meta"):
            model = description.build()
    except ShapeError as error:
        raise CheckpointError(f"{file} describes a model that cannot be: {error}") from error
    _check_names_and_shapes(tensors.places, model, file)
    model.load_state_dict({name: tensors.read(name) for name in tensors.places}, assign=True)
    return LoadedModel(model=model.to(device).eval(), config=description, path=file)


def interop() -> Any:
    """What opens other programs' models; it builds on the descriptions here."""
    from dit_studio.engine import interop

    return interop


def read_description(file: Path) -> ModelDescription:
    """What a weight file says of its model, or what was said of it when it was opened. Raises: CheckpointError."""
    if foreign_kind(file):
        described: ModelDescription = interop().describe(file)
        return described
    return _description(file, _read_metadata(file))


def read_weights(file: Path) -> tuple[dict[str, Tensor], ModelDescription]:
    """The tensors of a weight file and what they make up. Raises: CheckpointError."""
    tensors, metadata = _read_tensors(file)
    return tensors, _description(file, metadata)


def _description(file: Path, metadata: dict[str, str]) -> ModelDescription:
    try:
        return msgspec.json.decode(metadata[_METADATA_KEY], type=ModelDescription)
    except KeyError:
        raise CheckpointError(
            f"{file} does not say what model it holds.", remedy="Choose a checkpoint that DiT Studio wrote."
        ) from None
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{file} describes its model in a way that cannot be read: {error}.") from error


def write_weights(file: Path, model: nn.Module, description: ModelDescription) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    _write_tensors(file, tensors, {_METADATA_KEY: msgspec.json.encode(description).decode()})


def weights_file(path: Path, weights: str) -> Path:
    """The file that is meant by a run folder, a checkpoint, or what another program wrote. Raises: CheckpointError."""
    if foreign_kind(path):
        return weight_file(path)
    if path.suffix in _PICKLES:
        raise CheckpointError(
            f"{path} is a pickle, which can run any code when it is opened; nothing of it was read.",
            remedy="Convert it to .safetensors where it comes from.",
        )
    if path.is_file():
        if weights == "raw" and read_weights(path)[1].weights == "ema":
            raise _other_weights(path, weights)
        return path
    if (path / "checkpoints").is_dir():
        found = list_checkpoints(path)
        if not found:
            raise CheckpointError(f"{path} has no checkpoint yet.", remedy="Train longer, or press Save now.")
        path = found[-1]
    averaged, raw = path / "ema.safetensors", path / "model.safetensors"
    file, other = (averaged, raw) if weights == "ema" else (raw, averaged)
    if not file.is_file():
        if other.is_file():
            raise _other_weights(path, weights)
        what = "holds no model" if path.exists() else "does not exist"
        raise CheckpointError(
            f"{path} {what}.", remedy="Choose a run, a checkpoint, a weight file or a diffusers folder."
        )
    return file


def _other_weights(path: Path, weights: str) -> CheckpointError:
    wanted, there, name = ("averaged", "raw", "raw") if weights == "ema" else ("raw", "averaged", "ema")
    return CheckpointError(
        f"{path} holds no {wanted} weights, only {there} ones.",
        remedy=f"Choose the {there} weights ({name}), or another checkpoint.",
    )


def _check_names_and_shapes(tensors: Mapping[str, Tensor | Place | FileHead], model: nn.Module, file: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has {extra[0]} too many"
        raise CheckpointError(
            f"{file} is of another shape: it {what} ({len(missing)} missing, {len(extra)} left over)."
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            found = tuple(tensors[name].shape)
            raise CheckpointError(f"{file} is of another shape: {name} is {found}, and the model takes {shape}.")
        if tensors[name].dtype != torch.float32:
            raise CheckpointError(f"{file} holds {name} as {tensors[name].dtype}; the model takes torch.float32.")


# ------------------------------------------------------------------------------------------------- a run's state


@dataclass
class TrainingState:
    """Everything that training changes from step to step."""

    model: DiT
    ema: DiT
    optimizer: torch.optim.Optimizer
    device: torch.device
    world: World = field(default_factory=World)
    is_split: bool = False  # over the processes of the world


def checkpoint_name(step: int) -> str:
    return f"step-{step:07d}"


def list_checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [path for path in (run / "checkpoints").glob("step-*") if path.is_dir() and path.name[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def save_checkpoint(
    folder: Path, state: TrainingState, *, description: ModelDescription, progressed: Progressed
) -> int:
    """Write a checkpoint and return its size in bytes; it becomes visible when it is whole and on the disk.

    Of a split model every process gathers it, and the first one writes; the size of the others is 0.
    Raises: DiskFullError or RunError; the checkpoints before it are then untouched.
    """
    contents: dict[str, tuple[dict[str, Tensor], dict[str, str] | None]] = {}
    for weights, model, file in (("raw", state.model, _WEIGHTS), ("ema", state.ema, _AVERAGED)):
        put_back(model)
        said = msgspec.structs.replace(description, step=progressed.step, weights=weights)
        contents[file] = (model.state_dict(), {_METADATA_KEY: msgspec.json.encode(said).decode()})
    contents[_OPTIMIZER] = (_optimizer_tensors(state), None)
    if not state.is_split:
        return _write_checkpoint(folder, state, contents, progressed, gathered=None)
    with gathering({file: tensors for file, (tensors, _) in contents.items()}) as gathered:
        return _write_checkpoint(folder, state, contents, progressed, gathered=gathered) if state.world.is_main else 0


def _write_checkpoint(
    folder: Path,
    state: TrainingState,
    contents: Mapping[str, tuple[dict[str, Tensor], dict[str, str] | None]],
    progressed: Progressed,
    *,
    gathered: Gathering | None,
) -> int:
    with new_folder_atomically(folder) as temporary:
        for name, (tensors, metadata) in contents.items():
            if gathered is None:
                plain = {key: tensor.contiguous() for key, tensor in tensors.items()}
                _write_tensors(temporary / name, plain, metadata)
            else:
                write_gathered(temporary / name, tensors, gathered, metadata=metadata or {})
        _write_tensors(temporary / "rng.safetensors", _rng_states(state.device))
        write_atomically(temporary / "state.json", msgspec.json.encode(progressed))
        return sum(file.stat().st_size for file in temporary.iterdir())


def load_checkpoint(folder: Path, state: TrainingState, *, description: ModelDescription) -> Progressed:
    """Put a checkpoint back into `state`.

    Raises: RunError if it is of a run with another model, schedule or classes than `description`; CheckpointError if it
    is damaged. `state` may then be half-changed.
    """
    for model, file in ((state.model, folder / _WEIGHTS), (state.ema, folder / _AVERAGED)):
        if state.is_split:
            _load_split(model, file, state.world, description)
            continue
        tensors, found = read_weights(file)
        check_same_run(found, description, folder)
        _check_names_and_shapes(tensors, model, file)
        model.load_state_dict(tensors)
    if state.is_split:
        with _naming_read_errors(folder / _OPTIMIZER), open_rows(folder / _OPTIMIZER) as reader:
            fill_optimizer(state.model, state.optimizer, reader, state.world, folder / _OPTIMIZER)
    else:
        _restore_optimizer(state, folder / _OPTIMIZER)
    _restore_rng(_read_tensors(folder / "rng.safetensors")[0], state.device)
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=Progressed)
    except (OSError, msgspec.DecodeError) as error:
        raise CheckpointError(f"{folder / 'state.json'} cannot be read: {error}.") from error


def _load_split(model: DiT, file: Path, world: World, description: ModelDescription) -> None:
    with _naming_read_errors(file), open_rows(file) as reader:
        check_same_run(_description(file, reader.metadata), description, file.parent)
        _check_names_and_shapes(reader.heads, model, file)
        fill_model(model, reader, world)


def check_same_run(found: ModelDescription, wanted: ModelDescription, folder: Path) -> None:
    """Raises: RunError that names the first thing in which a checkpoint differs from what is to go on from it."""
    if found.class_names != wanted.class_names:
        raise RunError(
            f"The images have other classes than {folder} was trained on: {_named(wanted.class_names)} now, "
            f"{_named(found.class_names)} then.",
            remedy="Resume with the same images, or start a new run.",
        )
    _check_same_latents(found.latents, wanted.latents, folder)
    for name in ModelDescription.__struct_fields__:
        now, then = getattr(wanted, name), getattr(found, name)
        if name == "latents":
            continue
        if name not in ("step", "weights", "seed") and now != then:
            now, then = (_changed(now, then), _changed(then, now)) if name == "diffusion" else (now, then)
            raise RunError(
                f"{folder} was trained with {name} = {then}, and the recipe says {now}.",
                remedy="Put it back to resume, or start a new run.",
            )


def _check_same_latents(found: LatentSpace | None, wanted: LatentSpace | None, folder: Path) -> None:
    """The VAE may have moved, but has to be the same. Raises: RunError."""
    if found is None or wanted is None:
        if found is not wanted:
            then, now = (f"in the latents of {space.vae}" if space else "in pixels" for space in (found, wanted))
            raise RunError(
                f"{folder} was trained {then}, and the recipe says {now}.",
                remedy="Put latents.vae back to resume, or start a new run.",
            )
        return
    for name in ("digest", "factor", "channels", "scale", "shift"):
        then, now = (str(getattr(space, name)) for space in (found, wanted))
        if then != now:
            what = "another VAE" if name == "digest" else f"latents.{name} = {then}"
            raise RunError(
                f"{folder} was trained with {what}, and the recipe says {wanted.vae if name == 'digest' else now}.",
                remedy=f"Put it back to resume ({found.vae}), or start a new run.",
            )


def check_recipe_of_checkpoint(recipe: Recipe, folder: Path) -> None:
    """Raises: RunError if a run with this recipe could not go on from it; CheckpointError if it is damaged."""
    _, found = read_weights(folder / "ema.safetensors")
    latents = found.latents if recipe.latents.vae else None  # the run itself finds out whether it is the same VAE
    wanted = ModelDescription.from_recipe(recipe, class_names=found.class_names, latents=latents)
    check_same_run(found, wanted, folder)


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


def _changed(one: DiffusionConfig, other: DiffusionConfig) -> str:
    fields = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    return ", ".join(f"{name} {getattr(one, name)}" for name in fields)


def _optimizer_tensors(state: TrainingState) -> dict[str, Tensor]:
    """AdamW's moments under the names of their parameters: "exp_avg.blocks.0…"."""
    tensors = {}
    for name, parameter in state.model.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value).contiguous()
    return tensors


def _restore_optimizer(state: TrainingState, file: Path) -> None:
    tensors, _ = _read_tensors(file)
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        key, _, name = full_name.partition(".")
        by_parameter.setdefault(name, {})[key] = tensor
    for name, parameter in state.model.named_parameters():
        moments = by_parameter.pop(name, {})
        for key, tensor in moments.items():
            if key != "step" and tensor.shape != parameter.shape:
                raise CheckpointError(f"{file} is of another shape: {key}.{name} is {tuple(tensor.shape)}.")
        if moments and "step" not in moments:
            raise CheckpointError(f"{file} is damaged: it lacks step.{name}.")
        if moments:
            place = {
                key: tensor.clone() if key == "step" else tensor.to(parameter.device, copy=True)
                for key, tensor in moments.items()
            }
            if getattr(state.optimizer, "defaults", {}).get("fused"):
                place["step"] = place["step"].to(parameter.device)
            state.optimizer.state[parameter] = place
    if by_parameter:
        raise CheckpointError(f"{file} is of another shape: {next(iter(by_parameter))} is not in the model.")


def _rng_states(device: torch.device) -> dict[str, Tensor]:
    """The process's own generators; training draws from generators of its own that the step fixes.

    So those of one process are enough, however many train together.
    """
    states = {"cpu": torch.get_rng_state()}
    module = torch.get_device_module(device)
    if device.type != "cpu":
        states["device"] = module.get_rng_state()
    return states


def _restore_rng(states: dict[str, Tensor], device: torch.device) -> None:
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "device" in states and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states["device"])


# ------------------------------------------------------------------------------------------------- safetensors


def _read_metadata(file: Path) -> dict[str, str]:
    """Raises: CheckpointError as `_read_tensors`."""
    with _naming_read_errors(file), safe_open(file, framework="pt") as opened:
        return opened.metadata() or {}


def _read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Raises: CheckpointError if the file is missing, truncated or not safetensors. Nothing in it is executed."""
    with _naming_read_errors(file), safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118


@contextmanager
def _naming_read_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing.", remedy="Choose another checkpoint.") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} cannot be read: it is truncated, damaged or not a safetensors file ({error}).",
            remedy="Choose another checkpoint.",
        ) from error


def _write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    try:
        save_file(tensors, file, metadata=metadata)
    except SafetensorError as error:  # it hides the system's error in its text
        number = errno.ENOSPC if "os error 28" in str(error) else errno.EIO
        raise OSError(number, str(error)) from error
