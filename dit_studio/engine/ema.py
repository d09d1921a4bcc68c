"""An exponential moving average of a model's weights, of use from the first hundred steps on."""

import copy

import torch
from torch import Tensor

from dit_studio.engine.model import DiT
from dit_studio.engine.parallel import local


def decay_at(update: int, *, decay: float) -> float:
    """The decay at the n-th update, counted from 1: it grows as (1 + n) / (10 + n) until it reaches `decay`.

    So the average reaches back over about a tenth of the updates so far, and random first weights are soon forgotten.
    """
    return min(decay, (1 + update) / (10 + update))


class Ema:
    """The averaged copy. `model` is in eval mode and takes no gradients."""

    def __init__(self, model: DiT, *, decay: float, copied: DiT | None = None) -> None:
        """`copied`: a model with the same weights, where one that is split cannot be copied."""
        self.model = (copied or copy.deepcopy(model)).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: DiT) -> None:
        """Take in the weights of `model` after an optimiser step."""
        self.updates += 1
        weight = 1 - decay_at(self.updates, decay=self.decay)
        pairs = [
            (ours, theirs)
            for ours, theirs in zip(self.model.parameters(), model.parameters(), strict=True)
            if theirs.requires_grad
        ]
        averages: list[Tensor] = [local(ours) for ours, _ in pairs]
        torch._foreach_lerp_(averages, [local(theirs.data) for _, theirs in pairs], weight)
