"""The samplers: where their steps lie on the noise schedule, and diffusers' scheduler that takes them.

One mechanism serves all: a scheduler for the respaced chain of exactly the timesteps that are taken (Nichol & Dhariwal
2021, arXiv:2102.09672, section 4), whose first step is its noisiest. So a chain can begin at any timestep.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dit_studio.engine.diffusion import Diffusion
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import Sampler


@dataclass(frozen=True)
class Solver:
    title: str
    objectives: tuple[str, ...]  # of the models that it can sample from
    spacing: str  # "leading", "ends", "inner" or "flow": see spaced_timesteps
    evaluations: int  # of the model in a step


_NOISING = ("epsilon", "x0", "v")
# name                     title                 objectives  spacing  evaluations
SOLVERS: dict[Sampler, Solver] = {
    "ddim":       Solver("DDIM",                 _NOISING,  "leading",     1),
    "ddpm":       Solver("DDPM",                 _NOISING,  "ends",        1),
    "dpm++":      Solver("DPM-Solver++ 2M",      _NOISING,  "inner",       1),
    "unipc":      Solver("UniPC",                _NOISING,  "inner",       1),
    "heun":       Solver("Heun",                 _NOISING,  "ends",        2),
    "euler":      Solver("Euler",                _NOISING,  "ends",        1),
    "flow-euler": Solver("Flow-matching Euler",  ("flow",), "flow",        1),
}  # fmt: skip
_LARGEST_LOG_SNR = 70.0  # what is beyond, is shown there


def samplers_for(objective: str) -> tuple[Sampler, ...]:
    """The samplers that serve a model's objective, the first the one to offer."""
    return tuple(name for name, solver in SOLVERS.items() if objective in solver.objectives)


def spaced_timesteps(sampler: Sampler, *, steps: int, timesteps: int) -> Sequence[float]:
    """The timesteps of a sampler, the noisiest first; all are spaced evenly in t.

    leading: every (T/n)-th from 0 where n divides T ("ddim50" of the published code), else as "ends"; a single step
    begins at the noisiest, where the published code would begin at 0, from which nothing is left to do.
    ends: both ends are taken. inner: the noisiest, and none at 0, as diffusers does for few steps. flow: T·(1 - i/n).
    """
    spacing = SOLVERS[sampler].spacing
    if spacing == "flow":
        return [timesteps * (1 - i / steps) for i in range(steps)]
    if spacing == "leading" and timesteps % steps == 0 and steps > 1:
        return list(range(0, timesteps, timesteps // steps))[::-1]
    if steps in (1, timesteps):
        return [timesteps - 1] if steps == 1 else list(range(timesteps))[::-1]
    if spacing == "inner":
        return [int(t) for t in np.linspace(0, timesteps - 1, steps + 1).round()[:0:-1]]
    return [round(i * (timesteps - 1) / (steps - 1)) for i in range(steps)][::-1]


# ------------------------------------------------------------------------------------------------- the schedule


@dataclass(frozen=True)
class NoiseLevel:
    """How much of an image is left at a timestep: x_t = signal · x_0 + noise · ε."""

    t: float
    signal: float
    noise: float

    @property
    def sigma(self) -> float:
        """Noise over signal, finite."""
        return math.exp(-self.log_snr / 2)

    @property
    def log_snr(self) -> float:
        """log(signal² / noise²), finite."""
        if not self.signal or not self.noise:
            return math.copysign(_LARGEST_LOG_SNR, self.signal - self.noise)
        return max(-_LARGEST_LOG_SNR, min(_LARGEST_LOG_SNR, 2 * math.log(self.signal / self.noise)))


class NoiseSchedule:
    """The noise levels of the schedule that a model was trained on."""

    def __init__(self, config: DiffusionConfig) -> None:
        self.timesteps = config.timesteps
        self.is_flow = str(config.objective) == "flow"
        self._alphas_cumprod = Diffusion.from_config(config).alphas_cumprod

    def at(self, t: float) -> NoiseLevel:
        """The level of a timestep: whole from 0 to T - 1, or for a flow any from 0 to T."""
        if self.is_flow:
            return _Flow(t, 1 - t / self.timesteps, t / self.timesteps, self.timesteps)
        alpha_cumprod = float(self._alphas_cumprod[int(t)])
        return NoiseLevel(t, math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod))

    def log_snr_table(self) -> tuple[float, ...]:
        """Of every timestep, t = 0 first; a flow has T + 1 of them."""
        return tuple(self.at(t).log_snr for t in range(self.timesteps + self.is_flow))

    def levels(self, sampler: Sampler, *, steps: int, start: float | None = None) -> tuple[NoiseLevel, ...]:
        """Where the steps of a sampler begin, the noisiest first; from `start` on where it is given."""
        chain = spaced_timesteps(sampler, steps=steps, timesteps=self.timesteps)
        if start is not None:
            chain = [start, *(t for t in chain if t < start)]
        return tuple(self.at(t) for t in chain)


@dataclass(frozen=True)
class _Flow(NoiseLevel):
    """Pure noise and pure image have no finite ratio: they count as half a timestep away from it."""

    timesteps: int

    @property
    def log_snr(self) -> float:
        least = 0.5 / self.timesteps
        return 2 * math.log(max(self.signal, least) / max(self.noise, least))


# ------------------------------------------------------------------------------------------------- the steps


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the model says of x_t, after guidance. Shapes: all (B, C, H, W)."""

    x_start: Tensor
    variance: Tensor | None = None  # where the variance of the step lies between its bounds, from -1 to 1
    conditional: Tensor | None = None  # x̂₀ of the class alone
    unconditional: Tensor | None = None


Predict = Callable[[Tensor, NoiseLevel], Prediction]


class Chain:
    """The steps of one batch, taken in their order, by diffusers' scheduler.

    `generators`, one an image, give the noise of the samplers that draw some.
    """

    def __init__(
        self,
        sampler: Sampler,
        levels: Sequence[NoiseLevel],
        *,
        generators: list[torch.Generator],
        learned_variance: bool = False,
        eta: float = 0.0,
    ) -> None:
        self.levels = levels
        self._sampler = sampler
        self._eta = eta
        self._generators = generators
        self._scheduler = _scheduler(sampler, levels, learned_variance=learned_variance)

    def step(self, number: int, x: Tensor, prediction: Prediction, predict: Predict) -> Tensor:
        """x after step `number` (from 0), for which `prediction` was made; `predict` gives more where it is needed."""
        match self._sampler:
            case "ddim":
                generators = self._generators if self._eta else None
                return self._take(number, prediction.x_start, x, eta=self._eta, generator=generators)
            case "ddpm":
                output = prediction.x_start
                if prediction.variance is not None:
                    output = torch.cat([output, prediction.variance], dim=1)
                return self._take(number, output, x, generator=self._generators)
            case "euler":
                self._scheduler.is_scale_input_called = True  # it was: x is scaled already
                return self._take(number, prediction.x_start, x * self._scale(number)) / self._scale(number + 1)
            case "heun":
                return self._heun_step(number, x, prediction, predict)
            case "flow-euler":
                velocity = (x - prediction.x_start) / self.levels[number].noise
                return self._take(number, velocity, x)
            case _:
                return self._take(number, prediction.x_start, x)

    def _heun_step(self, number: int, x: Tensor, prediction: Prediction, predict: Predict) -> Tensor:
        """Two calls of the scheduler, the second at where the first led; the last step of all is Euler's."""
        ahead = self._take(2 * number, prediction.x_start, x * self._scale(number))
        if number + 1 == len(self.levels):
            return ahead
        scale = self._scale(number + 1)
        there = predict(ahead / scale, self.levels[number + 1])
        return self._take(2 * number + 1, there.x_start, ahead) / scale

    def _take(self, index: int, output: Tensor, x: Tensor, **options: Any) -> Tensor:
        result: Tensor = self._scheduler.step(output, self._scheduler.timesteps[index], x, **options).prev_sample
        return result

    def _scale(self, number: int) -> float:
        """From the model's x_t, whose variance is that of the images, to x_0 + σ·ε: √(1 + σ²), which is 1 / signal."""
        return 1 / self.levels[number].signal if number < len(self.levels) else 1.0


def _scheduler(sampler: Sampler, levels: Sequence[NoiseLevel], *, learned_variance: bool) -> Any:
    """A diffusers scheduler that steps through all of `levels` and is told x̂₀ (for a flow: the velocity)."""
    import diffusers  # costs a second, which training does not need to pay

    if sampler == "flow-euler":
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=[level.noise for level in levels])
        return scheduler
    shared = {
        "num_train_timesteps": len(levels),
        "trained_betas": _betas(levels),
        "prediction_type": "sample",
        "timestep_spacing": "trailing",
    }
    match sampler:
        case "ddim":
            scheduler = diffusers.DDIMScheduler(**shared, clip_sample=False, set_alpha_to_one=True)
        case "ddpm":
            variance = "learned_range" if learned_variance else "fixed_small"
            scheduler = diffusers.DDPMScheduler(**shared, clip_sample=False, variance_type=variance)
        case "dpm++":
            scheduler = diffusers.DPMSolverMultistepScheduler(**shared)
        case "unipc":
            scheduler = diffusers.UniPCMultistepScheduler(**shared)
        case "heun":
            scheduler = diffusers.HeunDiscreteScheduler(**shared)
        case "euler":
            scheduler = diffusers.EulerDiscreteScheduler(**shared)
    # what it makes of β in float32 loses the noisiest levels: there 1 - β rounds to 0, and σ to infinity
    scheduler.alphas_cumprod = torch.from_numpy(_alphas_cumprod(levels)).float()  # Apple's GPUs have no float64
    scheduler.set_timesteps(len(levels))
    return scheduler


def _alphas_cumprod(levels: Sequence[NoiseLevel]) -> NDArray[np.float64]:
    """ᾱ of the respaced chain, the least noisy first."""
    return np.array([level.signal**2 for level in reversed(levels)])


def _betas(levels: Sequence[NoiseLevel]) -> NDArray[np.float32]:
    """β of the respaced chain, the least noisy first: 1 - ᾱ_i / ᾱ_{i-1}."""
    alphas_cumprod = _alphas_cumprod(levels)
    previous = np.concatenate([[1.0], alphas_cumprod[:-1]])
    betas: NDArray[np.float32] = (1 - alphas_cumprod / previous).astype(np.float32)
    return betas
