"""The forward process and the loss, against diffusers and against float64 arithmetic written down from the papers."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from dit_studio.engine.diffusion import Diffusion, make_betas, min_snr_weights
from dit_studio.errors import ShapeError
from dit_studio.model_settings import DiffusionConfig


@pytest.mark.parametrize(("ours", "theirs"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
def test_schedule_and_q_sample_agree_with_diffusers(ours: str, theirs: str) -> None:
    diffusion = Diffusion(schedule=ours)
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule=theirs)
    torch.testing.assert_close(diffusion.betas.float(), scheduler.betas, rtol=1e-5, atol=1e-7)
    x, noise, t = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([0, 400, 999])
    torch.testing.assert_close(diffusion.q_sample(x, t, noise), scheduler.add_noise(x, noise, t), rtol=1e-4, atol=1e-5)


def test_a_shorter_linear_schedule_ends_in_the_same_noise() -> None:
    long, short = Diffusion(timesteps=1000), Diffusion(timesteps=250)
    assert short.alphas_cumprod[-1] == pytest.approx(float(long.alphas_cumprod[-1]), rel=0.25)
    assert make_betas("linear", timesteps=10, beta_start=1e-4, beta_end=0.02).max() <= 0.999


def test_predict_start_undoes_q_sample() -> None:
    diffusion = Diffusion()
    x, noise, t = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8), torch.tensor([0, 10, 500, 900])
    torch.testing.assert_close(
        diffusion.predict_start(diffusion.q_sample(x, t, noise), t, noise), x, rtol=1e-3, atol=1e-3
    )


def reference_bound(x0: np.ndarray, x_t: np.ndarray, t: int, epsilon: np.ndarray, v: np.ndarray) -> float:
    """The bound in bits per number, in float64, from the formulas of Ho et al. and Nichol & Dhariwal."""
    beta = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - beta)
    bar_before = np.append(1.0, bar)[:-1]
    tilde = beta * (1 - bar_before) / (1 - bar)
    low, high = math.log(tilde[max(t, 1)]), math.log(beta[t])
    log_variance = (v + 1) / 2 * high + (1 - v) / 2 * low

    def mean(start: np.ndarray) -> np.ndarray:
        now = math.sqrt(1 - beta[t]) * (1 - bar_before[t]) / (1 - bar[t])
        return math.sqrt(bar_before[t]) * beta[t] / (1 - bar[t]) * start + now * x_t

    predicted = mean((x_t - math.sqrt(1 - bar[t]) * epsilon) / math.sqrt(bar[t]))
    if t > 0:
        kl = 0.5 * (log_variance - low + (np.exp(low) + (mean(x0) - predicted) ** 2) / np.exp(log_variance) - 1)
        return float(kl.mean() / math.log(2))
    scale = np.exp(0.5 * log_variance)

    def cdf(z: np.ndarray) -> np.ndarray:
        return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))

    upper, lower = cdf((x0 - predicted + 1 / 255) / scale), cdf((x0 - predicted - 1 / 255) / scale)
    mass = np.where(x0 < -0.999, upper, np.where(x0 > 0.999, 1 - lower, upper - lower))
    return float(-np.log(np.maximum(mass, 1e-12)).mean() / math.log(2))


@pytest.mark.parametrize("t", [0, 1, 2, 50, 500, 999])
def test_variational_bound_agrees_with_float64(t: int) -> None:
    generator = torch.Generator().manual_seed(t)
    x0 = (torch.randint(0, 256, (1, 2, 6, 6), generator=generator) / 127.5 - 1).float()
    noise, v = torch.randn(x0.shape, generator=generator), torch.rand(x0.shape, generator=generator) * 2 - 1
    epsilon = noise + 0.1 * torch.randn(x0.shape, generator=generator)
    diffusion, step = Diffusion(), torch.tensor([t])
    loss = diffusion.losses(lambda *_: torch.cat([epsilon, v], dim=1), x0, step, step, noise)
    x_t = diffusion.q_sample(x0, step, noise)
    expected = reference_bound(
        *(a.double().numpy() for a in (x0, x_t)), t, epsilon.double().numpy(), v.double().numpy()
    )
    assert loss.vb.item() == pytest.approx(expected, rel=2e-3, abs=2e-5)
    assert loss.mse.item() == pytest.approx(((epsilon - noise) ** 2).mean().item(), rel=1e-5)
    torch.testing.assert_close(loss.total, loss.mse + loss.vb)


def test_the_bound_gives_the_mean_no_gradient() -> None:
    diffusion = Diffusion()
    x, noise, t = torch.rand(2, 3, 4, 4) * 2 - 1, torch.randn(2, 3, 4, 4), torch.tensor([3, 700])
    output = torch.cat([noise, torch.zeros_like(noise)], dim=1).requires_grad_()
    loss = diffusion.losses(lambda *_: output, x, t, t, noise)
    (gradient,) = torch.autograd.grad(loss.vb.sum(), output)
    assert torch.count_nonzero(gradient[:, :3]) == 0
    assert torch.count_nonzero(gradient[:, 3:]) > 0


def test_plain_epsilon_has_no_bound() -> None:
    diffusion, noise = Diffusion(), torch.randn(2, 3, 4, 4)
    loss = diffusion.losses(lambda x, *_: torch.zeros_like(x), torch.zeros(2, 3, 4, 4), torch.tensor([1, 2]),
                            torch.tensor([0, 0]), noise)  # fmt: skip
    assert torch.count_nonzero(loss.vb) == 0
    torch.testing.assert_close(loss.total, noise.square().mean(dim=(1, 2, 3)))
    with pytest.raises(ShapeError, match="returned 5 channels for 3"):
        diffusion.losses(lambda *_: torch.zeros(2, 5, 4, 4), noise, torch.tensor([1, 2]), torch.zeros(2), noise)


@pytest.mark.parametrize("objective", ["x0", "v", "flow"])
def test_other_objectives_teach_what_they_say(objective: str) -> None:
    """A model that knows the image and the noise has no loss, and what it was told determines x_t."""
    diffusion = Diffusion(objective=objective)
    x, noise, t = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([0, 400, 999])
    told = []

    def model(x_t: torch.Tensor, time: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        told.append((x_t, time))
        return answer

    scheduler = DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02)
    answer = {"x0": x, "v": scheduler.get_velocity(x, noise, t), "flow": noise - x}[objective]
    loss = diffusion.losses(model, x, t, t, noise)
    torch.testing.assert_close(loss.total, torch.zeros(3), atol=1e-6, rtol=0)
    ((x_t, time),) = told
    if objective == "flow":
        assert time.tolist() == [1, 401, 1000]
        share = torch.tensor([0.001, 0.401, 1.0]).view(3, 1, 1, 1)
        torch.testing.assert_close(x_t, (1 - share) * x + share * noise)
    else:
        assert time is t
        torch.testing.assert_close(x_t, scheduler.add_noise(x, noise, t), rtol=1e-4, atol=1e-5)
    answer = answer + 0.5
    torch.testing.assert_close(
        diffusion.losses(model, x, t, t, noise).mse, torch.full((3,), 0.25), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-0.8, 0.6)])
def test_timesteps_are_logit_normal(mean: float, deviation: float) -> None:
    """Esser et al. (19): the logit of the place is normal, so its distribution is Φ((logit u - m) / s)."""
    config = DiffusionConfig(timestep_sampling="logit-normal", logit_mean=mean, logit_std=deviation)
    diffusion = Diffusion.from_config(config)
    t = diffusion.draw_timesteps(200_000, generator=torch.Generator().manual_seed(0))
    assert t.dtype == torch.long
    assert 0 <= t.min() < t.max() < 1000
    for place in (0.1, 0.3, 0.5, 0.7, 0.9):
        expected = NormalDist().cdf((math.log(place / (1 - place)) - mean) / deviation)
        assert float((t < 1000 * place).float().mean()) == pytest.approx(expected, abs=0.005)


def test_timesteps_are_uniform_unless_asked_otherwise() -> None:
    t = Diffusion(timesteps=10).draw_timesteps(50_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(t, torch.randint(10, (50_000,), generator=torch.Generator().manual_seed(0)))
    assert t.bincount().tolist() == pytest.approx([5000] * 10, rel=0.06)


def test_logit_normal_timesteps_never_leave_the_schedule() -> None:
    """Far out the logistic function rounds to 1."""
    diffusion = Diffusion(logit_normal=(5.0, 5.0))
    t = diffusion.draw_timesteps(100_000, generator=torch.Generator().manual_seed(0))
    assert int(t.max()) == 999


@pytest.mark.parametrize(
    ("objective", "formula"),
    [("epsilon", lambda snr: min(snr, 5.0) / snr), ("x0", lambda snr: min(snr, 5.0)),
     ("v", lambda snr: min(snr, 5.0) / (snr + 1))],
)  # fmt: skip
def test_min_snr_weights_are_those_of_the_paper(objective: str, formula: Callable[[float], float]) -> None:
    """Hang et al., section 3.4, for each thing that can be predicted."""
    alphas_cumprod = Diffusion().alphas_cumprod
    weights = min_snr_weights(alphas_cumprod, objective=objective, gamma=5.0)
    for t in (0, 1, 200, 500, 999):
        snr = float(alphas_cumprod[t] / (1 - alphas_cumprod[t]))
        assert float(weights[t]) == pytest.approx(formula(snr), rel=1e-9)


def test_min_snr_losses_are_the_same_whatever_is_predicted() -> None:
    """One guess of x_0, told as ε, x_0 and v, costs the same under min-SNR."""
    x, guess, noise = torch.rand(3, 4, 3, 8, 8)
    t, y = torch.tensor([5, 300, 700, 990]), torch.zeros(4, dtype=torch.long)
    losses = []
    for objective in ("epsilon", "x0", "v"):
        config = DiffusionConfig(objective=objective, loss_weight="min-snr", min_snr_gamma=2.0)  # type: ignore[arg-type]
        diffusion = Diffusion.from_config(config)
        a = diffusion.alphas_cumprod[t].view(-1, 1, 1, 1)

        def model(x_t: torch.Tensor, *_: torch.Tensor, a: torch.Tensor = a, kind: str = objective) -> torch.Tensor:
            epsilon = (x_t - a.sqrt() * guess) / (1 - a).sqrt()
            return {"epsilon": epsilon, "x0": guess, "v": a.sqrt() * epsilon - (1 - a).sqrt() * guess}[kind]

        losses.append(diffusion.losses(model, x, t, y, noise).total.double())
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses[0], losses[2], rtol=1e-4, atol=1e-6)


def test_min_snr_leaves_the_bound_as_it_is() -> None:
    x, noise = torch.rand(2, 2, 3, 8, 8)
    t, y = torch.tensor([100, 900]), torch.zeros(2, dtype=torch.long)

    def model(x_t: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.cat([x_t, x_t], dim=1)

    weighted = Diffusion(min_snr_gamma=5.0).losses(model, x, t, y, noise)
    plain = Diffusion().losses(model, x, t, y, noise)
    torch.testing.assert_close(weighted.vb, plain.vb)
    assert weighted.mse[0] < plain.mse[0]
