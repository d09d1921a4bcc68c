"""The forward process, and the loss that teaches a model to undo it.

Sources: Ho et al. 2020 (arXiv:2006.11239), Nichol & Dhariwal 2021 (arXiv:2102.09672), as the published DiT uses them.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dit_studio.errors import ShapeError
from dit_studio.model_settings import DiffusionConfig

Model = Callable[[Tensor, Tensor, Tensor], Tensor]
BANDS = 4  # equal bands of the timestep for which the loss is reported apart


@dataclass(frozen=True)
class Loss:
    """The loss of each image, (B,): `total` is what is minimised, the sum of `mse` and `vb`.

    `mse` is the mean squared error of what the model predicts, weighted; `vb` the variational bound in bits per number,
    0 without a learned variance.
    """

    mse: Tensor
    vb: Tensor

    @property
    def total(self) -> Tensor:
        return self.mse + self.vb


class Diffusion:
    """A noise schedule with everything that follows from it. Tables are (T,) float32 tensors on `device`.

    `logit_normal`: mean and deviation of the timesteps' logits; None: all timesteps alike. `min_snr_gamma`: the limit
    of min-SNR weights; None: all losses weigh alike.
    """

    def __init__(
        self,
        *,
        schedule: str = "linear",
        timesteps: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        objective: str = "epsilon",
        logit_normal: tuple[float, float] | None = None,
        min_snr_gamma: float | None = None,
        device: torch.device | None = None,
    ) -> None:
        betas = make_betas(schedule, timesteps=timesteps, beta_start=beta_start, beta_end=beta_end)
        alphas_cumprod = torch.cumprod(1 - betas, dim=0)  # ᾱ_t
        previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])  # ᾱ_{t-1}
        posterior_variance = betas * (1 - previous) / (1 - alphas_cumprod)  # β̃_t, Ho et al. (7)

        def table(values: Tensor) -> Tensor:
            return values.float().to(device)  # the float64 arithmetic stays on the CPU

        self.timesteps = timesteps
        self.objective = objective
        self.logit_normal = logit_normal
        self.betas = betas
        self.alphas_cumprod = alphas_cumprod
        self._signal = table(alphas_cumprod.sqrt())
        self._noise = table((1 - alphas_cumprod).sqrt())
        self._inverse_signal = table(alphas_cumprod.rsqrt())
        self._inverse_noise = table((1 / alphas_cumprod - 1).sqrt())
        self._mean_of_start = table(betas * previous.sqrt() / (1 - alphas_cumprod))
        self._mean_of_now = table((1 - previous) * (1 - betas).sqrt() / (1 - alphas_cumprod))
        self._log_beta = table(betas.log())
        self._weight = None
        if min_snr_gamma is not None:
            self._weight = table(min_snr_weights(alphas_cumprod, objective=objective, gamma=min_snr_gamma))
        # β̃_0 is 0; its logarithm is taken to be that of β̃_1
        self._log_posterior = table(torch.cat([posterior_variance[1:2], posterior_variance[1:]]).log())

    @classmethod
    def from_config(cls, config: DiffusionConfig, *, device: torch.device | None = None) -> "Diffusion":
        return cls(
            schedule=config.schedule,
            timesteps=config.timesteps,
            beta_start=config.beta_start,
            beta_end=config.beta_end,
            objective=config.objective,
            logit_normal=(config.logit_mean, config.logit_std) if config.timestep_sampling == "logit-normal" else None,
            min_snr_gamma=config.min_snr_gamma if config.loss_weight == "min-snr" else None,
            device=device,
        )

    def draw_timesteps(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Timesteps to train on, whole, (count,) from 0 to T - 1, on the CPU where the generator lives.

        Logit-normal: the place in (0, 1), 0 the image and 1 noise, is the logistic function of a normal number.
        Source: Esser et al. 2024, arXiv:2403.03206, section 3.1.
        """
        if self.logit_normal is None:
            return torch.randint(self.timesteps, (count,), generator=generator)
        mean, deviation = self.logit_normal
        place = torch.sigmoid(mean + deviation * torch.randn(count, generator=generator))
        return (place * self.timesteps).long().clamp(max=self.timesteps - 1)

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t = √ᾱ_t · x_0 + √(1 - ᾱ_t) · ε. Ho et al. (4). Shapes: x (B, …), t (B,) whole -> (B, …)."""
        return _at(self._signal, t, x_start) * x_start + _at(self._noise, t, x_start) * noise

    def predict_start(self, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_0 from x_t and its noise; the inverse of `q_sample`."""
        return _at(self._inverse_signal, t, x_t) * x_t - _at(self._inverse_noise, t, x_t) * noise

    def losses(self, model: Model, x_start: Tensor, t: Tensor, y: Tensor, noise: Tensor) -> Loss:
        """The training loss of each image, in float32 whatever the model computes in; t is drawn from 0 to T - 1.

        Shapes: x_start and noise (B, C, H, W), t and y (B,). The model returns C channels, or 2·C with a learned
        variance. Raises: ShapeError if it returns anything else.
        """
        x_t, time = self._noised(x_start, t, noise)
        output = model(x_t, time, y).float()
        channels = x_start.shape[1]
        if output.shape[1] not in (channels, 2 * channels):
            raise ShapeError(
                f"The model returned {output.shape[1]} channels for {channels}; it takes 1 or 2 times as many."
            )
        predicted = output[:, :channels]
        mse = _mean((predicted - self._target(x_start, t, noise)) ** 2)
        if self._weight is not None:
            mse = self._weight[t] * mse
        if output.shape[1] == channels or self.objective == "flow":  # which has no variance: SiT's is never trained
            return Loss(mse=mse, vb=torch.zeros_like(mse))
        # the bound trains the variance alone: the mean takes no gradient from it (Nichol & Dhariwal, 3.1)
        vb = self._variational_bound(x_start, x_t, t, predicted.detach(), output[:, channels:])
        return Loss(mse=mse, vb=vb)

    def _noised(self, x_start: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """x_t, and the time that the model is told. A flow (Liu et al. 2022, arXiv:2209.03003) goes in a straight line
        from the image at time 0 to noise at time T, which is trained on from 1 to T."""
        if self.objective != "flow":
            return self.q_sample(x_start, t, noise), t
        share = self._flow_share(t, x_start)
        return (1 - share) * x_start + share * noise, t + 1

    def _target(self, x_start: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the model learns to predict."""
        match self.objective:
            case "x0":
                return x_start
            case "v":  # Salimans & Ho 2022, arXiv:2202.00512
                return _at(self._signal, t, noise) * noise - _at(self._noise, t, noise) * x_start
            case "flow":
                return noise - x_start
            case _:
                return noise

    def _flow_share(self, t: Tensor, like: Tensor) -> Tensor:
        """Of noise in x_t. Shape: t (B,) -> (B, 1, …)."""
        return ((t + 1) / self.timesteps).to(like.dtype).view(-1, *[1] * (like.dim() - 1))

    def _variational_bound(self, x_start: Tensor, x_t: Tensor, t: Tensor, epsilon: Tensor, fraction: Tensor) -> Tensor:
        """A term of the variational bound, in bits per number. Nichol & Dhariwal (4) to (7)."""
        log_variance = self.learned_log_variance(t, fraction)
        true_mean = self._posterior_mean(x_start, x_t, t)
        mean = self._posterior_mean(self.predict_start(x_t, t, epsilon), x_t, t)
        kl = _mean(_gaussian_kl(true_mean, _at(self._log_posterior, t, x_t), mean, log_variance))
        likelihood = _mean(-_discretised_log_likelihood(x_start, mean, 0.5 * log_variance))
        return torch.where(t == 0, likelihood, kl) / math.log(2.0)

    def learned_log_variance(self, t: Tensor, fraction: Tensor) -> Tensor:
        """log σ² between log β̃_t (fraction -1) and log β_t (fraction 1). Nichol & Dhariwal (15)."""
        weight = (fraction + 1) / 2
        return weight * _at(self._log_beta, t, fraction) + (1 - weight) * _at(self._log_posterior, t, fraction)

    def _posterior_mean(self, x_start: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The mean of q(x_{t-1} | x_t, x_0). Ho et al. (7)."""
        return _at(self._mean_of_start, t, x_t) * x_start + _at(self._mean_of_now, t, x_t) * x_t


def make_betas(schedule: str, *, timesteps: int, beta_start: float, beta_end: float) -> Tensor:
    """β_t as (T,) float64. "linear": the paper's, scaled so that any T ends in the same noise; "cosine": Nichol &
    Dhariwal (17), for which the two ends do not count."""
    if schedule == "cosine":
        at = [math.cos((i / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(timesteps + 1)]
        return torch.tensor([min(1 - b / a, 0.999) for a, b in itertools.pairwise(at)], dtype=torch.float64)
    scale = 1000 / timesteps
    betas = torch.linspace(scale * beta_start, scale * beta_end, timesteps, dtype=torch.float64)
    return betas.clamp(max=0.999)


def min_snr_weights(alphas_cumprod: Tensor, *, objective: str, gamma: float) -> Tensor:
    """What the squared error of each timestep weighs, (T,): min(SNR, γ) for that of x_0, which is 1/SNR of the error of
    ε, and 1/(SNR + 1) of the error of v.

    Source: Hang et al. 2023, arXiv:2303.09556, section 3.4; SNR = ᾱ / (1 - ᾱ).
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    weight = snr.clamp(max=gamma)
    match objective:
        case "x0":
            return weight
        case "v":
            return weight / (snr + 1)
        case _:
            return weight / snr


def _at(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """The entries of a (T,) table at (B,) timesteps, shaped to multiply `like` (B, …)."""
    return table[t].reshape(-1, *[1] * (like.dim() - 1))


def _mean(values: Tensor) -> Tensor:
    """Over everything but the batch: (B, …) -> (B,)."""
    return values.flatten(1).mean(dim=1)


def _gaussian_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """KL(N1 ‖ N2) in nats, elementwise."""
    ratio = log_variance1 - log_variance2
    return 0.5 * (-1.0 - ratio + ratio.exp() + (mean1 - mean2) ** 2 * (-log_variance2).exp())


def _discretised_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log of the mass that a Gaussian puts on the 1/127.5-wide bin around each number of x in [-1, 1], in nats."""
    inverse = (-log_scale).exp()
    upper = _normal_cdf(inverse * (x - mean + 1 / 255))
    lower = _normal_cdf(inverse * (x - mean - 1 / 255))
    inside = (upper - lower).clamp(min=1e-12).log()
    first, last = upper.clamp(min=1e-12).log(), (1 - lower).clamp(min=1e-12).log()
    return torch.where(x < -0.999, first, torch.where(x > 0.999, last, inside))


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation that the published code trains with."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
