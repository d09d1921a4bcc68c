"""What a diffusers folder holds beside weights: configurations, the class names, and the VAE if it is at hand."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dit_studio.class_names import imagenet_names, other_names
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.export_formats import is_pipeline
from dit_studio.engine.interop_names import PIPELINE_NULL_CLASS
from dit_studio.engine.latents_vae import vae_of
from dit_studio.engine.tensor_writer import Shapes
from dit_studio.errors import CheckpointError
from dit_studio.model_settings import DiffusionConfig

_PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}


def transformer_shapes(model: ModelDescription) -> Shapes:
    """Names and shapes of diffusers' own model."""
    return {name: tuple(tensor.shape) for name, tensor in _transformer(model).state_dict().items()}


def write_config(folder: Path, model: ModelDescription) -> None:
    """The transformer's config.json, as diffusers writes it."""
    _transformer(model).save_config(folder)


def pipeline_parts(folder: Path, model: ModelDescription) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, contents) of the JSON files around the transformer; the VAE is copied meanwhile.

    Nothing for a model that draws pixels.
    """
    if not is_pipeline(model) or model.latents is None:
        return
    import diffusers

    yield (
        "model_index.json",
        {
            "_class_name": "DiTPipeline",
            "_diffusers_version": diffusers.__version__,
            "id2label": {str(number): name for number, name in enumerate(_labels(model))},
            "scheduler": ["diffusers", "DDIMScheduler"],
            "transformer": ["diffusers", "DiTTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    yield "scheduler/scheduler_config.json", _scheduler(model.diffusion, diffusers.__version__)
    if not why_no_vae(model):
        vae = vae_of(model.latents)
        shutil.copytree(vae.folder, folder / "vae", ignore=shutil.ignore_patterns(".*"))
        yield "vae/config.json", {**vae.config, "scaling_factor": model.latents.scale}


def _labels(model: ModelDescription) -> tuple[str, ...]:
    """What the pipeline calls the classes: ImageNet's by all their names, as published; without names by numbers."""
    names = model.class_names or tuple(str(number) for number in range(model.num_classes))
    return tuple(", ".join((name, *other_names(name))) for name in names) if names == imagenet_names() else names


def class_rows(model: ModelDescription) -> int:
    """Of the class table: as many as DiTPipeline asks for, whose "no class" is always the same row."""
    return max(model.num_classes, PIPELINE_NULL_CLASS if is_pipeline(model) else 0) + 1


def why_no_vae(model: ModelDescription) -> str:
    """A sentence where the model's VAE is not at hand, to be written with it; else empty."""
    try:
        if model.latents is not None:
            vae_of(model.latents)
    except CheckpointError as error:
        return error.message
    return ""


def vae_bytes(model: ModelDescription) -> int:
    """What `pipeline_parts` copies of the VAE."""
    if not is_pipeline(model) or model.latents is None or why_no_vae(model):
        return 0
    folder = vae_of(model.latents).folder
    files = (file for file in folder.rglob("[!.]*") if file.is_file())
    return sum(file.stat().st_size for file in files)


def _transformer(model: ModelDescription) -> Any:
    """On torch's meta device."""
    from diffusers import DiTTransformer2DModel

    with torch.device("meta"):
        return DiTTransformer2DModel(
            num_attention_heads=model.num_heads,
            attention_head_dim=model.hidden_size // model.num_heads,
            in_channels=model.in_channels,
            out_channels=model.in_channels * (2 if model.learn_sigma else 1),
            num_layers=model.depth,
            sample_size=model.input_size,
            patch_size=model.patch_size,
            num_embeds_ada_norm=class_rows(model) - 1,
        )


def _scheduler(diffusion: DiffusionConfig, version: str) -> dict[str, Any]:
    """DDIM as DiTPipeline comes with it, on our schedule. Ours is scaled so that any number of timesteps ends alike."""
    scale = 1000 / diffusion.timesteps
    return {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": version,
        "num_train_timesteps": diffusion.timesteps,
        "beta_start": diffusion.beta_start * scale,
        "beta_end": diffusion.beta_end * scale,
        "beta_schedule": "linear" if diffusion.schedule == "linear" else "squaredcos_cap_v2",
        "prediction_type": _PREDICTIONS[diffusion.objective],
        "clip_sample": False,
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "timestep_spacing": "leading",
        "trained_betas": None,
    }
