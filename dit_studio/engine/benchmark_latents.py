"""What encoding a data set costs, from its files to the cache: how much of it is the VAE's own time."""

import time
from pathlib import Path
from typing import Any

import torch

from dit_studio.config import DataConfig, Recipe
from dit_studio.engine import device as devices
from dit_studio.engine.benchmark_data import write_images
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.benchmark_folder import benchmark_folder
from dit_studio.engine.generators import value_of
from dit_studio.engine.latents_encoding import Encoded, encode, load_latents
from dit_studio.engine.latents_vae import find_vae, load_vae
from dit_studio.model_settings import LatentsConfig, ModelConfig

_PUBLISHED: dict[str, Any] = {  # the VAE of Stable Diffusion, which DiT was published with; weights at random
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 256,
}
_BATCH = 16


def measure_latents(*, images: int | None = None, image_size: int | None = None, vae: Path | None = None) -> Figures:
    """Encode JPEG files of 512 × 512 with both flips, in a temporary folder; by default as many as take a minute or
    two: on a CPU 32 at 128 pixels, on an accelerator 1,024 at 256.

    `vae`: a folder; without one, a VAE of the published shape with random weights, which takes as long.
    """
    device = devices.pick_device()
    devices.set_float32_matmul(device)
    has_accelerator = device.type != devices.available_devices()[-1]
    images = images or (1024 if has_accelerator else 32)
    image_size = image_size or (256 if has_accelerator else 128)
    with benchmark_folder() as folder:
        return _measure(folder, device, images, image_size, vae or _random_vae(folder / "vae"))


def _random_vae(folder: Path) -> Path:
    from diffusers import AutoencoderKL

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoencoderKL(**_PUBLISHED).save_pretrained(folder)
    return folder


def _measure(folder: Path, device: torch.device, images: int, image_size: int, vae: Path) -> Figures:
    write_images(folder / "images", images)
    recipe = Recipe(
        data=DataConfig(path=str(folder / "images"), image_size=image_size),
        model=ModelConfig(patch_size=1),
        latents=LatentsConfig(vae=str(vae), batch_size=_BATCH),
    )
    alone = _seconds_alone(vae, device, image_size)
    seconds, encoded = _timed(recipe, device)
    again, _ = _timed(recipe, device)
    share = encoded.vae_seconds / seconds
    values: dict[str, float | str] = {
        "device": devices.describe(device), "images": images, "image_size": image_size, "seconds": seconds,
        "images_per_second": images / seconds, "vae_share": share, "vae_seconds": encoded.vae_seconds,
        "vae_alone_images_per_second": 1 / alone, "seconds_second_start": again,
        "bytes_per_image": encoded.latents.moments.nbytes / images,
    }  # fmt: skip
    lines = [
        f"encoding {images} JPEG files of 512×512 at {image_size} pixels with both flips, float32, "
        f"{devices.describe(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        f"  {images / seconds:.2f} images/s from files to cache, opening the VAE included; the VAE alone on a batch of "
        f"{_BATCH}: {1 / alone:.2f} images/s",
        f"  the VAE's own time is {100 * share:.1f} % of it all; a second start takes {again:.2f} s",
    ]
    return Figures(lines=lines, values=values)


def _seconds_alone(vae: Path, device: torch.device, image_size: int) -> float:
    """An image and its mirror image, of a batch that is there already; the best of two."""
    network = load_vae(find_vae(str(vae)), device=device)
    batch = torch.randint(256, (_BATCH, 3, image_size, image_size), dtype=torch.uint8)
    times = []
    for _ in range(2):
        devices.synchronise(device)
        started = time.perf_counter()
        encode(network, batch, flip=True).cpu()
        times.append(time.perf_counter() - started)
    return min(times) / _BATCH


def _timed(recipe: Recipe, device: torch.device) -> tuple[float, Encoded]:
    started = time.perf_counter()
    encoded = value_of(load_latents(recipe, device=device))
    return time.perf_counter() - started, encoded
