"""From latents back to images: whole where memory allows it, else in tiles; and in a moment, by a linear map."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.latents_vae import VaeFolder, load_vae, vae_of
from dit_studio.errors import DeviceMemoryError, NotFiniteError
from dit_studio.trajectory import Colours

_MOST_AT_ONCE = 16  # images
_TILE = 32  # latents on a side of a tile; as many pixels as the published VAEs were trained on
_MAPS_KEPT = 5  # of its widest, at full size, in memory at the peak (the published VAE: 317 MB at 256 pixels)
_FIT_IMAGES, _FIT_SIDE = 4, 8  # latents on a side


class Decoder:
    """The VAE of a model's latents, on its device. `is_tiled`: memory is short, so images are decoded in tiles."""

    def __init__(self, space: LatentSpace, vae: VaeFolder, network: Any) -> None:
        self.space, self._vae, self._network = space, vae, network
        self.image_channels = vae.image_channels
        self.is_tiled = False
        self._at_once = _MOST_AT_ONCE

    @torch.no_grad()
    def __call__(self, latents: Tensor) -> Tensor:
        """The images of what a model drew. Shapes: (B, C, h, w) -> (B, 3 or 1, H, W), about [-1, 1], on the CPU.

        Raises: DeviceMemoryError if not one of them fits; NotFiniteError if the VAE makes NaN of them.
        """
        z = latents.float().to(self._network.device) / self.space.scale + self.space.shift
        self._prepare(z)
        images = torch.cat(list(self._parts(z)))
        if not images.isfinite().all():
            raise NotFiniteError(
                f"The VAE {self._vae.name} turns the latents into NaN or infinity.",
                remedy="Choose an earlier checkpoint: its latents may be nearer to those of images.",
            )
        return images

    def _prepare(self, z: Tensor) -> None:
        """Tile beforehand what would take more than half of the memory that is free."""
        widest = max(self._vae.config["block_out_channels"][:2])
        needed = 4 * _MAPS_KEPT * widest * z.shape[-1] * z.shape[-2] * self.space.factor**2
        free = devices.memory_free(z.device) / 2
        self._at_once = max(1, min(self._at_once, int(free / needed)))
        if needed > free and z.shape[-1] > _TILE:
            self._tile()

    def _parts(self, z: Tensor) -> Iterator[Tensor]:
        first = 0
        while first < len(z):
            part, decoded = z[first : first + self._at_once], None
            try:
                with devices.naming_memory_errors(z.device):
                    decoded = self._network.decode(part).sample.float().cpu()
            except DeviceMemoryError as error:
                if len(part) == 1 and (self.is_tiled or z.shape[-1] <= _TILE):
                    raise _too_large_for_one(z.device, error) from error
            if decoded is not None:
                first += len(part)
                yield decoded
            elif len(part) > 1:  # out of the handler, which holds on to the tensors
                self._at_once = len(part) // 2
            else:
                self._tile()

    def _tile(self) -> None:
        self.is_tiled = True
        self._network.enable_tiling()
        self._network.tile_latent_min_size = _TILE
        self._network.tile_sample_min_size = _TILE * self.space.factor

    @cached_property
    def colours(self) -> Colours:
        """The map from a latent, as a model sees it, to the mean colour of its pixels, in [-1, 1]: a row for each
        colour, its last number added. Fitted by least squares to what the VAE makes of blurred noise."""
        images = _coloured_noise(_FIT_IMAGES, self.image_channels, _FIT_SIDE * self.space.factor)
        with torch.no_grad():
            z = self._network.encode(images.to(self._network.device)).latent_dist.mean
            seen = (z - self.space.shift) * self.space.scale
            means = F.adaptive_avg_pool2d(self(seen).clamp(-1, 1), _FIT_SIDE)
        numbers = seen.cpu().movedim(1, -1).reshape(-1, self.space.channels).numpy()
        wanted = means.movedim(1, -1).reshape(-1, self.image_channels).numpy()
        ones = np.ones((len(numbers), 1), np.float32)
        solved = np.linalg.lstsq(np.hstack([numbers, ones]), wanted, rcond=None)[0]
        return tuple(tuple(float(value) for value in row) for row in np.nan_to_num(solved.T))


def open_decoder(space: LatentSpace, *, device: torch.device) -> Decoder:
    """Raises: CheckpointError if the VAE is not on this machine, is another one or is damaged."""
    vae = vae_of(space)
    with devices.naming_memory_errors(device):
        return Decoder(space, vae, load_vae(vae, device=device))


def _coloured_noise(count: int, channels: int, side: int) -> Tensor:
    """Blots of all sizes and colours, always the same. Shape: (count, channels, side, side), in [-1, 1]."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.zeros(count, channels, side, side)
    for cells, weight in ((1, 0.6), (2, 0.5), (4, 0.4), (8, 0.2)):
        blots = torch.randn(count, channels, cells, cells, generator=generator)
        noise += weight * F.interpolate(blots, (side, side), mode="bicubic", align_corners=False)
    return noise.clamp(-1, 1)


def _too_large_for_one(device: torch.device, error: DeviceMemoryError) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"Not even one image can be decoded in the memory of {devices.describe(device)}, tiled or not.",
        remedy="Close other programs that use it.",
        numbers=error.numbers,
    )
