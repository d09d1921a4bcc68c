"""CLIP, SigLIP, ALIGN and DINOv2 through `transformers`, from a folder on this machine; nothing is downloaded here.

`transformers` fills what a checkpoint lacks with random numbers and says so in its log only, so every missing tensor
is an error here.
"""

import importlib
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from dit_studio.engine.evaluation.extractors.extractor import MAIN_OUTPUT, Extractor, weights_sha256
from dit_studio.engine.evaluation.preprocessing import (
    ALIGN_289,
    CLIP_224,
    CLIP_336,
    DINOV2_224,
    SIGLIP_224,
    Preprocessing,
)
from dit_studio.errors import CheckpointError, in_a_line


class PublishedModel(NamedTuple):
    """How a published model is opened; `geometry` is what its configuration must say to be that model."""

    label: str
    class_name: str
    embedding: str
    dim: int
    preprocessing: Preprocessing
    geometry: Mapping[str, int]


# AlignVisionModel would load a whole ALIGN checkpoint with random weights: its names differ.
PUBLISHED = {
    "clip-b32": PublishedModel(
        *("CLIP ViT-B/32", "CLIPVisionModelWithProjection", "image_embeds", 512, CLIP_224),
        {"image_size": 224, "patch_size": 32, "projection_dim": 512},
    ),
    "clip-l14-336": PublishedModel(
        *("CLIP ViT-L/14-336", "CLIPVisionModelWithProjection", "image_embeds", 768, CLIP_336),
        {"image_size": 336, "patch_size": 14, "projection_dim": 768},
    ),
    "siglip": PublishedModel(
        *("SigLIP base-p16-224", "SiglipVisionModel", "pooler_output", 768, SIGLIP_224),
        {"image_size": 224, "patch_size": 16, "hidden_size": 768},
    ),
    "align": PublishedModel(
        *("ALIGN base", "AlignModel", "pooler_output", 640, ALIGN_289),
        {"hidden_dim": 2560},
    ),
    "dinov2": PublishedModel(
        *("DINOv2 ViT-L/14", "Dinov2Model", "pooler_output", 1024, DINOV2_224),
        {"patch_size": 14, "hidden_size": 1024},
    ),
}


def open_published(name: str, folder: Path, *, device: torch.device) -> Extractor:
    """Output: "features", the image's embedding as the model gives it, of whatever length |x|.

    Raises: CheckpointError if the folder lacks a tensor, holds another model, or `transformers` is not installed.
    """
    published = PUBLISHED[name]
    model = load_whole(published.class_name, folder)
    vision = model.vision_model if published.class_name == "AlignModel" else model
    _check_geometry(published, vision.config, folder)
    vision = vision.eval().requires_grad_(requires_grad=False).to(device)

    def network(pixels: Tensor) -> dict[str, Tensor]:
        return {MAIN_OUTPUT: getattr(vision(pixel_values=pixels), published.embedding)}

    extractor = Extractor(
        name=name,
        label=published.label,
        outputs={MAIN_OUTPUT: published.dim},
        weights_sha256=weights_sha256(vision.state_dict()),
        preprocessing=published.preprocessing,
        device=device,
        network=network,
    )
    _check_width(extractor, folder)
    return extractor


def load_whole(class_name: str, folder: Path) -> Any:
    """A model of this class with every one of its tensors from the folder. Raises: CheckpointError."""
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file, not a model's folder.", remedy="Choose the folder it lies in.")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no config.json.", remedy="Choose the folder of a downloaded model.")
    transformers = import_transformers()
    try:
        with _errors_only(transformers):
            model, info = getattr(transformers, class_name).from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except (
        *(OSError, EOFError, ValueError, RuntimeError, LookupError, TypeError, AttributeError),
        *(SafetensorError, pickle.UnpicklingError),
    ) as error:
        raise CheckpointError(
            f"{folder} cannot be opened as {class_name}: {_why_not(folder, error)}.",
            remedy="Download the model again, or choose the folder of this very model.",
        ) from error
    missing = sorted([*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])])
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} tensors of {class_name}, {missing[0]} first; they would be random.",
            remedy="Download the model again, or choose the folder of this very model.",
        )
    return model


def differences(published: PublishedModel, config: Any) -> str:
    """What the configuration of a vision model says otherwise, in words; empty if it is that model's."""
    found = {key: getattr(config, key, None) for key in published.geometry}
    words = [
        f"its {key} is {found[key]} in place of {it}" for key, it in published.geometry.items() if found[key] != it
    ]
    return ", ".join(words)


def _check_geometry(published: PublishedModel, config: Any, folder: Path) -> None:
    if words := differences(published, config):
        raise CheckpointError(
            f"{folder} is not {published.label}: {words}.",
            remedy="Choose the folder of that model, or the extractor that the folder holds.",
        )


def _check_width(extractor: Extractor, folder: Path) -> None:
    """By the features of a blank image. Raises: CheckpointError if they are of another width than that model's."""
    try:
        width = extractor(np.zeros((1, 3, 8, 8), np.uint8))[MAIN_OUTPUT].shape[1]
    except (RuntimeError, ValueError, TypeError, LookupError) as error:
        raise CheckpointError(
            f"The model in {folder} cannot be run: {in_a_line(error)}.",
            remedy="Download the model again, or choose the folder of this very model.",
        ) from error
    if width != extractor.dim:
        raise CheckpointError(
            f"{folder} is not {extractor.label}: it gives {width:,} numbers an image in place of {extractor.dim:,}.",
            remedy="Choose the folder of that model, or the extractor that the folder holds.",
        )


@contextmanager
def _errors_only(transformers: Any) -> Iterator[None]:
    """Of tensors that are left out it reports in the log; those of the text are of no use here."""
    logs = transformers.utils.logging
    before = logs.get_verbosity()
    logs.set_verbosity(max(before, logs.ERROR))
    try:
        yield
    finally:
        logs.set_verbosity(before)


def _why_not(folder: Path, error: Exception) -> str:
    """In our words: those of the libraries speak of code."""
    if not any(folder.glob("model*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        return "it holds neither model.safetensors nor pytorch_model.bin"
    if isinstance(error, SafetensorError | pickle.UnpicklingError | EOFError):
        return "its weights are damaged or truncated"
    if isinstance(error, OSError):
        return "its configuration or its weights cannot be read"
    return "its configuration and its weights are not those of such a model"


def import_transformers() -> Any:
    """The package, which is not needed for anything else. Raises: CheckpointError if it is not installed."""
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise CheckpointError(
            "The package transformers is not installed, which CLIP, SigLIP, ALIGN and DINOv2 need.",
            remedy='Install it with "pip install transformers", or take another extractor.',
        ) from error
    transformers.utils.logging.disable_progress_bar()  # it writes into the log of the worker
    return transformers
