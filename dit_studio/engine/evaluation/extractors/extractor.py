"""What every extractor is to those who use it: pixels in, named features out, and who made them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dit_studio.engine.device import move
from dit_studio.engine.evaluation.preprocessing import Preprocessing

Features = NDArray[np.float32]

MAIN_OUTPUT = "features"


@dataclass(frozen=True)
class Extractor:
    """A network with its preprocessing. `outputs` gives the length of each kind of feature vector, "features" first."""

    name: str  # "inception"; what `open_extractor` takes
    label: str  # "Inception-v3"; what a person reads
    outputs: Mapping[str, int]
    weights_sha256: str  # of the tensors by name, whatever file they came in
    preprocessing: Preprocessing
    device: torch.device
    network: Callable[[Tensor], Mapping[str, Tensor]]
    copies: tuple["Extractor", ...] = ()  # on other devices, to share the work with

    @property
    def protocol(self) -> str:
        """The name of the way of preprocessing."""
        return self.preprocessing.name

    @property
    def dim(self) -> int:
        """The length of the main feature vectors."""
        return self.outputs[MAIN_OUTPUT]

    def __call__(self, images: Tensor | NDArray[np.uint8]) -> dict[str, Features]:
        """The features of a batch, on the CPU.

        Shapes: uint8 (B, 1 or 3, H, W) -> float32 (B, outputs[name]) by name. Raises: ShapeError.
        """
        if not isinstance(images, Tensor):
            images = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # torch takes no others
        with torch.inference_mode():
            found = self.network(self.preprocessing.prepare(move(images, self.device)))
            return {name: found[name].float().cpu().numpy() for name in self.outputs}


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and numbers; counters of batches, which nothing is computed from, aside."""
    state = hashlib.sha256()
    for name in sorted(name for name in tensors if not name.endswith("num_batches_tracked")):
        numbers = tensors[name].detach().float().cpu().contiguous().numpy()
        state.update(f"{name} {numbers.shape}\0".encode())
        state.update(numbers.astype("<f4", copy=False).data)
    return state.hexdigest()
