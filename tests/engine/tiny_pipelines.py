"""Folders as diffusers itself writes them: a DiTPipeline and an AutoencoderKL of a few thousand numbers."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

CLASSES = 1000  # as the published models: DiTPipeline takes 1000 for no class


def write_pipeline(folder: Path, *, is_safe: bool = True) -> Path:
    """A DiT of two blocks on 8×8 latents, whose VAE makes images of 16 pixels. `is_safe`: as .safetensors, not .bin."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        transformer = DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=CLASSES,
        )
        for weights in transformer.parameters():
            torch.nn.init.normal_(weights, std=0.1)
        first, second = (block.norm1.emb for block in transformer.transformer_blocks)
        second.load_state_dict(first.state_dict())  # as published: the blocks share them
        pipeline = DiTPipeline(transformer=transformer, vae=_vae(), scheduler=DDIMScheduler(clip_sample=False))
        pipeline.save_pretrained(folder, safe_serialization=is_safe)
    return folder


def write_vae(folder: Path, *, is_safe: bool = True) -> Path:
    """An AutoencoderKL that makes 4 channels of half the size."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        _vae().save_pretrained(folder, safe_serialization=is_safe)
    return folder


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=16,
    )
