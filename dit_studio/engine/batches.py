"""Which images a step sees, and with which random draws: functions of the seed and the step, and of nothing else.

So a run that is resumed, or one that is spread over more devices, sees what one that was never stopped sees.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dit_studio.engine.data import ImageSet
from dit_studio.engine.device import move

if TYPE_CHECKING:
    from dit_studio.engine.latents_encoding import Latents

_PURPOSES = {"order": 0, "draws": 1, "noise": 2, "validation": 3, "initialisation": 4, "latents": 5}


class Batches:
    """The training batches of an image set, endless: epochs of new permutations, one after another."""

    def __init__(
        self,
        images: ImageSet,
        indices: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        flip: bool,
        latents: "Latents | None" = None,
    ) -> None:
        self._images, self._indices, self._latents = images, indices, latents
        self._batch_size, self._seed, self._flip = batch_size, seed, flip
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def indices_at(self, step: int) -> np.ndarray:
        """The images of a step, counted from 0. Shape: (batch_size,) indices into the image set."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs, offsets = np.divmod(positions, len(self._indices))
        parts = [self._permutation(int(epoch))[offsets[epochs == epoch]] for epoch in np.unique(epochs)]
        chosen: np.ndarray = self._indices[np.concatenate(parts)]
        return chosen

    def at(self, step: int, share: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """The images of a step, or of a share of it, mirrored at random where asked, and the labels of the whole step.

        Only the share is read from the disk; what is drawn does not depend on it. Pixels are uint8; latents float32,
        drawn from the posteriors. Shapes: (share, C, H, W), (B,).
        """
        indices = self.indices_at(step)
        labels, mirrored = torch.from_numpy(self._images.labels[indices]), torch.zeros(len(indices), dtype=torch.bool)
        if self._flip:
            mirrored = torch.rand(len(indices), generator=generator_for(self._seed, step, "order")) < 0.5
        if self._latents is not None:
            return self._latents.draw(indices, mirrored, generator_for(self._seed, step, "latents"), share), labels
        images = torch.from_numpy(self._images.images[indices[share]])
        images[mirrored[share]] = images[mirrored[share]].flip(-1)
        return images, labels

    def _permute(self, epoch: int) -> np.ndarray:
        return np.random.Generator(np.random.Philox(key=[self._seed, epoch])).permutation(len(self._indices))


def seed_for(seed: int, step: int, purpose: str) -> int:
    """A seed of its own for each step and purpose."""
    words = np.random.SeedSequence([seed, step, _PURPOSES[purpose]]).generate_state(2, np.uint32)
    return int(words[0]) << 31 ^ int(words[1])


def generator_for(seed: int, step: int, purpose: str, *, device: torch.device | None = None) -> torch.Generator:
    """A fresh generator for the draws of one step."""
    return torch.Generator(device or "cpu").manual_seed(seed_for(seed, step, purpose))


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """What a model sees, on the device: pixels in [-1, 1], latents as they are. Shape: (B, C, H, W) -> float32."""
    if images.is_floating_point():
        return move(images, device)
    return move(images, device).float() / 127.5 - 1
