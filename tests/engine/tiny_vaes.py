"""Small VAEs as diffusers itself writes them: seeded and random, or trained for a moment so as to mean something."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

_BLOCKS = {2: 2, 4: 3, 8: 4}  # pixels on a side of a latent -> resolutions


def tiny_vae(*, factor: int = 4, seed: int = 0, width: int = 8, **settings: Any) -> AutoencoderKL:
    """Random weights; `settings` are AutoencoderKL's own."""
    blocks = _BLOCKS[factor]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoencoderKL(
            **{
                "down_block_types": ("DownEncoderBlock2D",) * blocks,
                "up_block_types": ("UpDecoderBlock2D",) * blocks,
                "block_out_channels": (width,) * blocks,
                "layers_per_block": 1,
                "latent_channels": 4,
                "norm_num_groups": 4,
                "sample_size": 32,
                **settings,
            }
        ).eval()


def write_tiny_vae(folder: Path, **settings: Any) -> Path:
    tiny_vae(**settings).save_pretrained(folder)
    return folder


def write_trained_vae(folder: Path, images: Tensor, *, steps: int = 150) -> Path:
    """One that reconstructs images like these well enough for a PSNR to mean something.

    Shape: images (B, 3, H, W) in [-1, 1].
    """
    vae = tiny_vae(factor=2, width=16, latent_channels=8, mid_block_add_attention=False).train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = images[torch.randint(len(images), (8,), generator=generator)]
        posterior = vae.encode(batch).latent_dist
        z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=generator)
        loss = F.mse_loss(vae.decode(z).sample, batch) + 1e-5 * posterior.kl().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    vae.eval().save_pretrained(folder)
    return folder
