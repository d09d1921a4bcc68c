"""Figures for the README: measured side by side in one run, in turn, and given as ratios of medians."""

import itertools
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from dit_studio.engine import device as devices
from dit_studio.engine.benchmark_data import measure_cache
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.device import Precision
from dit_studio.engine.diffusion import Diffusion
from dit_studio.engine.ema import Ema
from dit_studio.engine.model import DiT
from dit_studio.engine.plan import matmul_rate

_BATCH, _ROUNDS, _WARM_UP = 8, 12, 2
_S2: dict[str, Any] = {"hidden_size": 384, "depth": 12, "num_heads": 6}


def measure_training(*, rounds: int = _ROUNDS) -> Figures:
    """A training step of DiT-S/2 on 32×32×4 at batch 8: ours in float32 and in the device's own precision, and
    diffusers' DiTTransformer2DModel in a plain float32 loop, one after another, `rounds` times.

    Ours also clips the gradient, trains the variance and averages the weights; the plain loop does none of it.
    """
    device = devices.pick_device()
    devices.set_float32_matmul(device)
    chosen = devices.pick_precision(device)
    steps = {
        "diffusers fp32": _diffusers_step(device),
        "ours fp32": _our_step(device, Precision("fp32")),
        f"ours as chosen, {chosen.name}": _our_step(device, chosen),
    }
    seconds = _in_turn(steps, device, rounds)
    theirs, ours, fast = (median(times) for times in seconds.values())
    flops = 3 * 2e9 * 6.056 * _BATCH  # the backward pass costs two forward passes
    shares = {name: flops / median(times) / _matmul_rate(name, device) for name, times in seconds.items()}
    pairs = list(zip(*seconds.values(), strict=True))
    ratio32 = median(them / us for them, us, _ in pairs)
    ratio = median(them / us for them, _, us in pairs)
    lines = [
        f"DiT-S/2, 32×32×4, batch {_BATCH}, {devices.describe(device)}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}; medians of {rounds} rounds in turn",
        *(f"  {name:<22}{1000 * median(times):8.0f} ms a step   {100 * shares[name]:3.0f} % of the machine's own "
          f"{name.split()[-1]} matmul rate" for name, times in seconds.items()),
        f"  ours in fp32 is {ratio32:.2f} times as fast as diffusers, in {chosen.name} {ratio:.2f} times",
    ]  # fmt: skip
    values: dict[str, float | str] = {
        "device": devices.describe(device), "precision": chosen.name, "diffusers_fp32_seconds": theirs,
        "ours_fp32_seconds": ours, "ours_seconds": fast, "speedup_fp32": ratio32, "speedup": ratio,
        "matmul_share": shares[f"ours as chosen, {chosen.name}"],
    }  # fmt: skip
    return Figures(lines=lines, values=values)


def measure_data() -> Figures:
    """Filling the cache at 64×64 from JPEG files of 512×512."""
    values: dict[str, float | str] = dict(measure_cache())
    lines = [f"  {name.replace('_', ' ')}: {value:,.1f}" for name, value in values.items() if isinstance(value, float)]
    return Figures(lines=["cache of 64×64 from JPEG files of 512×512", *lines], values=values)


def _in_turn(steps: dict[str, Callable[[], None]], device: torch.device, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number, (name, step) in itertools.product(range(-_WARM_UP, rounds), steps.items()):
        devices.synchronise(device)
        started = time.perf_counter()
        step()
        devices.synchronise(device)
        if number >= 0:
            seconds[name].append(time.perf_counter() - started)
    return seconds


def _matmul_rate(name: str, device: torch.device) -> float:
    return matmul_rate(device, Precision(name.split()[-1]).dtype, size=2048)


def _batch(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_BATCH, 4, 32, 32, generator=generator)
    return x.to(device), torch.randint(1000, (_BATCH,), generator=generator).to(device)


def _our_step(device: torch.device, precision: Precision) -> Callable[[], None]:
    model = DiT(**_S2).to(device).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0, fused=True)
    ema, diffusion = Ema(model, decay=0.9999), Diffusion(device=device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision.needs_scaler)
    x, y = _batch(device)

    def forward(x_t: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with precision.autocast(device):
            output: torch.Tensor = model(x_t, t, labels)
            return output

    def step() -> None:
        t, noise = torch.randint(1000, (_BATCH,), device=device), torch.randn_like(x)
        loss = diffusion.losses(forward, x, t, y, noise).total.mean()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        ema.update(model)
        loss.item()

    return step


def _diffusers_step(device: torch.device) -> Callable[[], None]:
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=6, attention_head_dim=64, in_channels=4, out_channels=8, num_layers=12, sample_size=32,
        patch_size=2, num_embeds_ada_norm=1000,
    ).to(device).train()  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)
    diffusion = Diffusion(device=device)
    x, y = _batch(device)

    def step() -> None:
        t, noise = torch.randint(1000, (_BATCH,), device=device), torch.randn_like(x)
        output = model(diffusion.q_sample(x, t, noise), timestep=t, class_labels=y).sample
        loss = torch.nn.functional.mse_loss(output[:, :4], noise)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step
