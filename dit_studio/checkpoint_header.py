"""What a checkpoint says of its model, read from the head of its file: no tensor is read, and nothing is executed."""

import json
from functools import lru_cache
from pathlib import Path

import msgspec

from dit_studio.errors import CheckpointError
from dit_studio.opened_models import foreign_kind, remembered
from dit_studio.sample_request import Sampler, SampleRequest

_METADATA_KEY = "dit_studio"
_MOST_BYTES = 100 * 2**20  # of a head, as in the format's own reader
_FILES = {"ema": "ema.safetensors", "raw": "model.safetensors"}
_OF_FLOWS: tuple[Sampler, ...] = ("flow-euler",)
_OF_NOISE: tuple[Sampler, ...] = ("ddim", "ddpm", "dpm++", "unipc", "heun", "euler")


class DiffusionHeader(msgspec.Struct, frozen=True, kw_only=True):
    objective: str
    timesteps: int


class ModelHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can be asked for; the file says more."""

    num_classes: int
    class_dropout_prob: float
    diffusion: DiffusionHeader
    class_names: tuple[str, ...] = ()

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        return _OF_FLOWS if self.diffusion.objective == "flow" else _OF_NOISE

    def what_it_cannot(self, request: SampleRequest) -> str:
        """The first thing of a request that the model does not do, as a sentence; "" if there is none."""
        if (label := max(request.classes)) >= self.num_classes:
            there = f"classes from 0 to {self.num_classes - 1}" if self.num_classes > 1 else "0, its only class"
            return f"it has {there}, and class {label} is to be drawn."
        if request.steps > self.diffusion.timesteps:
            return f"its noise schedule has {self.diffusion.timesteps} steps, and {request.steps} are asked for."
        if request.cfg != 1 and not self.class_dropout_prob:
            return f"it was trained without a null class, so it draws with CFG 1 only, not {request.cfg:g}."
        if request.sampler not in self.samplers:
            return f"it predicts {self.diffusion.objective}, and takes one of {', '.join(self.samplers)}."
        return ""


def is_checkpoint(path: Path) -> bool:
    """A folder with weights in it, a .safetensors file, or what another program wrote."""
    if foreign_kind(path):
        return True
    if path.is_dir():
        return any((path / name).is_file() for name in _FILES.values())
    return path.suffix == ".safetensors" and path.is_file()


def read_header(path: Path, weights: str) -> ModelHeader:
    """Of a checkpoint folder's weights ("ema" or "raw"), of a file, or of what another program wrote.

    Raises: CheckpointError if it cannot be read, or if another program's model was never opened.
    """
    if foreign_kind(path):
        return _remembered(path)
    file = path / _FILES[weights] if path.is_dir() else path
    try:
        status = file.stat()
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.") from error
    return _read(file, status.st_mtime_ns, status.st_size)


def _remembered(path: Path) -> ModelHeader:
    """What was said of another program's model when it was opened."""
    kept = remembered(path)
    if kept is None:
        raise CheckpointError(
            f"{path} does not say what model it holds.", remedy="Open it on the Sample page first, which asks for it."
        )
    try:
        return msgspec.json.decode(kept, type=ModelHeader)
    except msgspec.DecodeError:
        raise CheckpointError(f"{path} was opened by another version.", remedy="Open it once more.") from None


@lru_cache(maxsize=4096)
def _read(file: Path, _changed: int, _size: int) -> ModelHeader:
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > _MOST_BYTES:
                raise ValueError("it is no safetensors file")
            head = json.loads(opened.read(length))
        return msgspec.json.decode(head["__metadata__"][_METADATA_KEY], type=ModelHeader)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError):
        raise CheckpointError(f"{file} does not say what model it holds.") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{file} is truncated, damaged or not a safetensors file.") from None
