"""The extractor that needs no download: a convolutional network with random weights, the same on every machine.

Such features rank models much as trained ones do (Naeem et al. 2020, arXiv:2002.09797, with a random VGG16), and owe
nothing to photographs. Distances between them are called "FD-random", never FID.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dit_studio.engine.evaluation.extractors.extractor import MAIN_OUTPUT, Extractor, weights_sha256
from dit_studio.engine.evaluation.preprocessing import RANDOM_64

DIM = 256
_WIDTHS = (32, 64, 128, 256)
_GRID = 4  # what is left of the picture's places
_SEED = 2002_09797


def open_random(*, device: torch.device) -> Extractor:
    """Output: "features" (256)."""
    network = RandomFeatures().eval()
    return Extractor(
        name="random",
        label="random features",
        outputs={MAIN_OUTPUT: DIM},
        weights_sha256=weights_sha256(network.state_dict()),
        preprocessing=RANDOM_64,
        device=device,
        network=network.to(device),
    )


class RandomFeatures(nn.Module):
    """Four convolutions and pools as in VGG, the last one by means, and a projection.

    Shapes: (B, 3, 64, 64) -> (B, 256).
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = list(zip((3, *_WIDTHS), _WIDTHS, strict=False))
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in sizes)
        self.projection = nn.Linear(_WIDTHS[-1] * _GRID**2, DIM, bias=False)
        random = np.random.RandomState(_SEED)  # NumPy promises never to change its stream
        for weight in self.parameters():
            weight.data = _he_uniform(random, weight.shape)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        *first, last = self.convolutions
        x = x.contiguous(memory_format=torch.channels_last)  # in which a CPU pools three times as fast
        for convolution in first:
            x = F.relu(F.max_pool2d(convolution(x), 2))  # (B, 32, 32, 32), (B, 64, 16, 16), (B, 128, 8, 8)
        x = F.avg_pool2d(F.relu(last(x)), 2)  # (B, 256, 4, 4)
        return {MAIN_OUTPUT: self.projection(x.flatten(1))}


def _he_uniform(random: np.random.RandomState, shape: torch.Size) -> Tensor:
    """Weights that keep the size of activations (He et al. 2015, arXiv:1502.01852).

    Uniform and not normal: no logarithm or cosine, whose last bits differ between processors.
    """
    bound = math.sqrt(6 / math.prod(shape[1:]))
    return torch.from_numpy(((2 * random.random_sample(tuple(shape)) - 1) * bound).astype(np.float32))
