"""Which published model a folder holds, and whether all of it is there."""

import json
from pathlib import Path
from typing import Any

import torch

from dit_studio.engine.evaluation.extractors.transformers_models import (
    PUBLISHED,
    differences,
    import_transformers,
    open_published,
)
from dit_studio.errors import CheckpointError

_KINDS = {
    "clip": ("clip-b32", "clip-l14-336"),
    "clip_vision_model": ("clip-b32", "clip-l14-336"),
    "siglip": ("siglip",),
    "siglip_vision_model": ("siglip",),
    "align": ("align",),
    "dinov2": ("dinov2",),
}
_REMEDY = "Choose the folder of a model that is listed: config.json with model.safetensors or pytorch_model.bin."


def extractor_in(folder: Path) -> str:
    """The extractor that a folder's configuration describes. Raises: CheckpointError if it is none of the list's."""
    kind = _kind(folder)
    if kind not in _KINDS:
        raise CheckpointError(f'{folder} holds a model of the kind "{kind}", which is not used here.', remedy=_REMEDY)
    config = _vision_config(folder)
    for name in _KINDS[kind]:
        if not differences(PUBLISHED[name], config):
            return name
    nearest = PUBLISHED[_KINDS[kind][0]]
    raise CheckpointError(f"{folder} is not {nearest.label}: {differences(nearest, config)}.", remedy=_REMEDY)


def check_model(folder: Path, extractor: str) -> None:
    """Open it once, with all its weights. Raises: CheckpointError if a tensor is missing, or it is another model."""
    found = extractor_in(folder)
    if found != extractor:
        raise CheckpointError(
            f"{folder} holds {PUBLISHED[found].label}, not {PUBLISHED[extractor].label}.",
            remedy=f"Choose the folder of {PUBLISHED[extractor].label}, or add this one as {PUBLISHED[found].label}.",
        )
    open_published(extractor, folder, device=torch.device("cpu"))


def _kind(folder: Path) -> str:
    path = folder / "config.json"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} holds no config.json.", remedy=_REMEDY) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a configuration.", remedy="Download the model again."
        ) from error
    return str(found.get("model_type", "")) if isinstance(found, dict) else ""


def _vision_config(folder: Path) -> Any:
    """With the values that the file leaves out because they are the usual ones. Raises: CheckpointError."""
    transformers = import_transformers()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read as a configuration.", remedy=_REMEDY) from error
    return getattr(config, "vision_config", config)
