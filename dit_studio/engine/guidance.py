"""Classifier-free guidance: uncond + w · (cond - uncond), in one pass of the model (Ho & Salimans 2022, 2207.12598)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dit_studio.engine.model import DiT
from dit_studio.sample_request import SampleOptions

_PUBLISHED_CHANNELS = 3  # the published DiT models are guided on these alone


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How strongly, on which channels, and at which timesteps; at the others the class alone decides."""

    scale: float = 1.0  # 1: the class alone, 0: no class
    channels: int | None = None  # the first so many; None: all
    t_from: float = 0.0
    t_to: float = math.inf

    @classmethod
    def from_options(cls, options: SampleOptions, *, in_channels: int) -> "Guidance":
        is_partial = options.cfg_channels == "three" and in_channels > _PUBLISHED_CHANNELS
        return cls(
            scale=options.cfg,
            channels=_PUBLISHED_CHANNELS if is_partial else None,
            t_from=options.cfg_from,
            t_to=math.inf if options.cfg_to is None else options.cfg_to,
        )

    @property
    def needs_both(self) -> bool:
        """Somewhere both the class and no class are asked."""
        return self.scale not in (0, 1) or (self.scale == 0 and self.channels is not None)

    def scale_at(self, t: float) -> float:
        return self.scale if self.t_from <= t <= self.t_to else 1.0


class Guided(NamedTuple):
    """Outputs of the model, each (B, C or 2·C, H, W); the last two only where both were computed."""

    guided: Tensor
    conditional: Tensor | None = None
    unconditional: Tensor | None = None


def guided_output(model: DiT, x: Tensor, t: Tensor, y: Tensor, *, scale: float, channels: int | None = None) -> Guided:
    """The model's output under guidance; scales 1 and 0 cost a single pass of half the size.

    What is not guided, the other channels and the learned variance, stays that of the class.
    Shapes: x (B, C, H, W), t and y (B,).
    """
    if scale == 1:
        return Guided(model(x, t, y))
    null = torch.full_like(y, model.num_classes)
    if scale == 0 and channels is None:
        return Guided(model(x, t, null))
    both = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, null])).float()
    conditional, unconditional = both.chunk(2)
    count = channels or model.in_channels
    noise = torch.lerp(unconditional[:, :count], conditional[:, :count], scale)
    return Guided(torch.cat([noise, conditional[:, count:]], dim=1), conditional, unconditional)
