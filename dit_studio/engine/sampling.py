"""From noise to images: one generator that yields a frame a step and ends each batch with its images.

The solvers are diffusers' schedulers, run on the respaced chain of the steps that are taken, as the published DiT does
(Nichol & Dhariwal 2021, arXiv:2102.09672, section 4).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.device import Precision
from dit_studio.engine.diffusion import Diffusion
from dit_studio.engine.model import DiT
from dit_studio.errors import ConfigError, Problem

SAMPLERS = ("ddim", "ddpm")


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """What to draw. Image k has the k-th class, taken in turn, and seed `seed` + k."""

    classes: tuple[int, ...] = (0,)
    count: int = 1
    seed: int = 0
    sampler: str = "ddim"
    steps: int = 50
    cfg: float = 1.0  # guidance scale: 1 none, 0 unconditional
    batch_size: int = 64


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One denoising step of a batch: x_t before it, and the clean images x̂₀ that the model predicts from it."""

    first_image: int
    step: int  # 1 … steps
    steps: int
    t: int  # of the noise schedule that the model was trained on
    sigma: float  # √((1 - ᾱ) / ᾱ)
    log_snr: float  # log(ᾱ / (1 - ᾱ))
    x_t: Tensor  # (B, C, H, W)
    x_start: Tensor  # (B, C, H, W)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A finished batch."""

    first_image: int
    images: Tensor  # (B, C, H, W) uint8, on the CPU
    labels: tuple[int, ...]
    seeds: tuple[int, ...]


def sample(
    model: DiT, config: ModelDescription, request: SampleRequest, *, precision: Precision | None = None
) -> Iterator[Frame | Samples]:
    """Draw the images of a request. The same request gives the same images in any batch size.

    Raises: ConfigError if the request asks for what the model cannot give.
    """
    check_request(request, config)
    for first in range(0, request.count, request.batch_size):
        size = min(request.batch_size, request.count - first)
        yield from _sample_batch(model, config, request, first, size, precision or Precision("fp32"))


def check_request(request: SampleRequest, config: ModelDescription) -> None:
    """Raises: ConfigError that lists everything the model cannot give."""
    problems = []

    def add(field: str, value: object, limit: str) -> None:
        problems.append(Problem(f"sample.{field}", f"{field} = {value} is not possible: it takes {limit}.", value))

    steps = config.diffusion.timesteps
    if request.sampler not in SAMPLERS:
        add("sampler", request.sampler, "one of " + ", ".join(SAMPLERS))
    if not 1 <= request.steps <= steps:
        add("steps", request.steps, f"a whole number from 1 to {steps}, the length of the model's noise schedule")
    if request.batch_size < 1:
        add("batch_size", request.batch_size, "a whole number at least 1")
    if request.count < 1:
        add("count", request.count, "a whole number at least 1")
    if not 0 <= request.seed <= 2**63 - request.count:
        add("seed", request.seed, "a whole number at least 0")
    if not (math.isfinite(request.cfg) and request.cfg >= 0):
        add("cfg", request.cfg, "a number at least 0")
    elif request.cfg != 1 and not config.class_dropout_prob:
        add("cfg", request.cfg, "1 only, as this model was trained without a null class")
    wrong = [number for number in request.classes if not 0 <= number < config.num_classes]
    if wrong or not request.classes:
        add("classes", wrong[0] if wrong else "nothing", f"whole numbers from 0 to {config.num_classes - 1}")
    if problems:
        raise ConfigError(problems)


def spaced_timesteps(sampler: str, *, steps: int, timesteps: int) -> list[int]:
    """The timesteps of a sampler, the noisiest first.

    DDIM takes every (T/n)-th step from 0 where n divides T ("ddim50" of the published code); everything else is
    spaced evenly and includes both ends.
    """
    if sampler == "ddim" and timesteps % steps == 0:
        return list(range(0, timesteps, timesteps // steps))[::-1]
    if steps == 1:
        return [timesteps - 1]
    return [round(i * (timesteps - 1) / (steps - 1)) for i in range(steps)][::-1]


def to_uint8(images: Tensor) -> Tensor:
    """Pixels from numbers in [-1, 1]: clamp(127.5·x + 128, 0, 255), as in the published evaluation."""
    return (127.5 * images.float() + 128).clamp(0, 255).to(torch.uint8).cpu()


@torch.no_grad()
def _sample_batch(
    model: DiT, config: ModelDescription, request: SampleRequest, first: int, size: int, precision: Precision
) -> Iterator[Frame | Samples]:
    device = model.pos_embed.device
    seeds = tuple(request.seed + first + k for k in range(size))
    labels = tuple(request.classes[(first + k) % len(request.classes)] for k in range(size))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    shape = (config.in_channels, config.input_size, config.input_size)
    x = torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(device)
    y = torch.tensor(labels, device=device)

    alphas_cumprod = Diffusion.from_config(config.diffusion).alphas_cumprod
    chain = spaced_timesteps(request.sampler, steps=request.steps, timesteps=config.diffusion.timesteps)
    scheduler = _scheduler(request.sampler, alphas_cumprod[chain[::-1]], learn_sigma=config.learn_sigma)
    for number, (t, index) in enumerate(zip(chain, scheduler.timesteps, strict=True), start=1):
        with precision.autocast(device):
            output = guided_output(model, x, torch.full((size,), t, device=device), y, cfg=request.cfg)
        output = output.float()
        if request.sampler == "ddim":
            output = output[:, : config.in_channels]  # DDIM has a variance of its own
            done = scheduler.step(output, index, x, use_clipped_model_output=True)
        else:
            done = scheduler.step(output, index, x, generator=generators)
        signal = float(alphas_cumprod[t])
        yield Frame(
            first_image=first,
            step=number,
            steps=len(chain),
            t=t,
            sigma=math.sqrt((1 - signal) / signal),
            log_snr=math.log(signal / (1 - signal)),
            x_t=x,
            x_start=done.pred_original_sample,
        )
        x = done.prev_sample
    yield Samples(first_image=first, images=to_uint8(x), labels=labels, seeds=seeds)


def guided_output(model: DiT, x: Tensor, t: Tensor, y: Tensor, *, cfg: float) -> Tensor:
    """The model's output with classifier-free guidance on the noise: uncond + w·(cond - uncond), in one pass.

    The variance, where it is learned, stays that of the class. w = 1 and w = 0 cost a single pass of half the size.
    Shapes: x (B, C, H, W), t and y (B,) -> (B, C or 2·C, H, W).
    """
    if cfg == 1:
        return model(x, t, y)  # type: ignore[no-any-return]
    null = torch.full_like(y, model.num_classes)
    if cfg == 0:
        return model(x, t, null)  # type: ignore[no-any-return]
    conditional, unconditional = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, null])).chunk(2)
    channels = model.in_channels
    noise = unconditional[:, :channels] + cfg * (conditional[:, :channels] - unconditional[:, :channels])
    return torch.cat([noise, conditional[:, channels:]], dim=1)


def _scheduler(sampler: str, alphas_cumprod: Tensor, *, learn_sigma: bool) -> Any:
    """A diffusers scheduler for the chain whose ᾱ are given, the least noisy first. It steps through all of them."""
    from diffusers import DDIMScheduler, DDPMScheduler  # costs a second, which training does not need to pay

    previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
    betas = (1 - alphas_cumprod / previous).numpy().astype(np.float32)
    shared = {"num_train_timesteps": len(betas), "trained_betas": betas, "clip_sample": True, "clip_sample_range": 1.0}
    if sampler == "ddim":
        scheduler = DDIMScheduler(**shared, set_alpha_to_one=True)
    else:
        scheduler = DDPMScheduler(**shared, variance_type="learned_range" if learn_sigma else "fixed_small")
    scheduler.set_timesteps(len(betas))
    return scheduler
