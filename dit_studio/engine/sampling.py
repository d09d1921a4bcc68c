"""From noise to images: one generator that yields a frame a step and ends each batch with its images."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.device import Precision
from dit_studio.engine.guidance import Guidance, guided_output
from dit_studio.engine.latents_decoding import Decoder, open_decoder
from dit_studio.engine.model import DiT
from dit_studio.engine.sample_checks import check_request
from dit_studio.engine.solvers import Chain, NoiseLevel, NoiseSchedule, Prediction
from dit_studio.errors import ConfigError, DeviceMemoryError, NotFiniteError, Problem
from dit_studio.events import Notice
from dit_studio.sample_request import SampleRequest

_SAME_LOG_SNR = 0.01


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One denoising step of a batch: x_t before it, and the clean images x̂₀ that the model predicts from it."""

    first_image: int
    step: int  # 1 … steps
    steps: int
    t: float  # of the noise schedule that the model was trained on
    sigma: float  # noise over signal
    log_snr: float  # log(signal² / noise²), finite
    x_t: Tensor  # (B, C, H, W)
    x_start: Tensor  # (B, C, H, W), after guidance
    conditional: Tensor | None = None  # x̂₀ of the class alone, where both were computed
    unconditional: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A finished batch."""

    first_image: int
    images: Tensor  # (B, 3 or 1, H, W) uint8, on the CPU; latents are decoded
    labels: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class StartPoint:
    """The x_t of another trajectory, from which every image of a request goes on."""

    x_t: Tensor  # (C, H, W)
    t: float
    draws: int = 1  # of noise that an image had made until then, the first noise among them
    log_snr: float | None = None  # of x_t, where it is known


def sample(
    model: DiT,
    config: ModelDescription,
    request: SampleRequest,
    *,
    precision: Precision | None = None,
    start: StartPoint | None = None,
    decoder: Decoder | None = None,
) -> Generator[Frame | Samples | Notice, None, None]:
    """Draw the images of a request. The same request gives the same images in any batch size.

    `decoder`: of a model in latents; without one its VAE is opened for this request.
    From `start`, with the settings of the trajectory that it is of, the rest of that trajectory comes out again; only
    dpm++ and unipc, which look back on steps before, begin afresh with a step of first order.
    A batch that does not fit into memory is begun again with half as many images, after a Notice.
    Raises: ConfigError if the request asks for what the model cannot give; DeviceMemoryError if one image does not fit;
    NotFiniteError if an image becomes NaN or infinite; CheckpointError if the VAE is not here.
    """
    check_request(request, config)
    schedule = NoiseSchedule(config.diffusion)
    check_start(start, config, schedule)
    levels = schedule.levels(request.sampler, steps=request.steps, start=start.t if start else None)
    if config.latents is not None and decoder is None:
        decoder = open_decoder(config.latents, device=model.pos_embed.device)
    drawing = _Drawing(model, config, request, levels, precision or Precision("fp32"), start, decoder)
    first, size = 0, request.batch_size
    while first < request.count:
        size, is_too_large = min(size, request.count - first), False
        try:
            yield from drawing.batch(first, size)
        except DeviceMemoryError as error:
            if size == 1:
                raise _too_large_for_one(model, error) from error
            is_too_large = True
        if is_too_large:  # out of the handler, which holds on to the tensors
            yield Notice(message=_halved(size, size // 2, model), level="warning")
            size = size // 2
        else:
            first += size


def check_start(start: StartPoint | None, config: ModelDescription, schedule: NoiseSchedule) -> None:
    """Raises: ConfigError if the model cannot go on from there."""
    if start is None:
        return
    expected = (config.in_channels, config.input_size, config.input_size)
    if tuple(start.x_t.shape) != expected:
        sizes = ["×".join(map(str, shape)) for shape in (start.x_t.shape, expected)]
        message = f"The x_t to go on from is {sizes[0]}, and the model takes {sizes[1]}; choose a model of that shape."
        raise ConfigError([Problem("branch", message)])
    highest = schedule.timesteps - (not schedule.is_flow)
    if not 0 <= start.t <= highest or not (schedule.is_flow or float(start.t).is_integer()):
        message = f"t = {start.t:g} is not on the model's noise schedule, which goes from 0 to {highest}."
        raise ConfigError([Problem("branch", message, start.t)])
    level = schedule.at(start.t)
    if start.log_snr is not None and abs(start.log_snr - level.log_snr) > _SAME_LOG_SNR:
        message = (
            f"At t = {start.t:g} the x_t to go on from has a log-SNR of {start.log_snr:.2f}, and the model's schedule "
            f"{level.log_snr:.2f}; choose a model that was trained on the same schedule."
        )
        raise ConfigError([Problem("branch", message, start.t)])


def has_pixels(config: ModelDescription) -> bool:
    """The model draws pixels, in [-1, 1], and no latents."""
    return config.latents is None


def to_uint8(images: Tensor) -> Tensor:
    """Pixels from numbers in [-1, 1]: clamp(127.5·x + 128, 0, 255), as in the published evaluation."""
    return (127.5 * images.float() + 128).clamp(0, 255).to(torch.uint8).cpu()


@dataclass(frozen=True)
class _Drawing:
    """What all batches of a request share."""

    model: DiT
    config: ModelDescription
    request: SampleRequest
    levels: tuple[NoiseLevel, ...]
    precision: Precision
    start: StartPoint | None
    decoder: Decoder | None

    @torch.no_grad()
    def batch(self, first: int, size: int) -> Iterator[Frame | Samples | Notice]:
        device = self.model.pos_embed.device
        seeds = tuple(self.request.seed + first + k for k in range(size))
        labels = tuple(self.request.classes[(first + k) % len(self.request.classes)] for k in range(size))
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        chain = self._chain(generators)
        y = torch.tensor(labels, device=device)

        def predict(x: Tensor, level: NoiseLevel) -> Prediction:
            return self._predict(x, y, level)

        with devices.naming_memory_errors(device):
            x = torch.stack([self._first_noise(generator) for generator in generators]).to(device)
        for number, level in enumerate(self.levels):
            with devices.naming_memory_errors(device):
                prediction = predict(x, level)
            self._check_finite(prediction.x_start, number)
            yield self._frame(first, number, level, x, prediction)
            with devices.naming_memory_errors(device):
                x = chain.step(number, x, prediction, predict)
            self._check_finite(x, number)
        was_tiled = self.decoder is not None and self.decoder.is_tiled
        pixels = self.decoder(x) if self.decoder is not None else x
        if self.decoder is not None and self.decoder.is_tiled and not was_tiled:
            yield Notice(message=_tiled(self.model), level="info")
        yield Samples(first_image=first, images=to_uint8(pixels), labels=labels, seeds=seeds)

    def _check_finite(self, images: Tensor, number: int) -> None:
        if not images.isfinite().all():
            remedy = "Choose an earlier checkpoint" + (", or draw in fp32." if self.precision.name != "fp32" else ".")
            raise NotFiniteError(
                f"The images became NaN or infinite at step {number + 1} of {len(self.levels)} "
                f"(t = {self.levels[number].t:g}): the model diverged.",
                remedy=remedy,
                numbers={"step": number + 1},
            )

    def _chain(self, generators: list[torch.Generator]) -> Chain:
        request, learned = self.request, self.config.learn_sigma
        return Chain(request.sampler, self.levels, generators=generators, learned_variance=learned, eta=request.eta)

    def _first_noise(self, generator: torch.Generator) -> Tensor:
        """An image's x_t at the start. Its generator stands afterwards where it stood at that point of the chain."""
        shape = (self.config.in_channels, self.config.input_size, self.config.input_size)
        for _ in range(self.start.draws if self.start else 1):
            noise = torch.randn(shape, generator=generator)
        return self.start.x_t if self.start else noise

    def _predict(self, x: Tensor, y: Tensor, level: NoiseLevel) -> Prediction:
        guidance = Guidance.from_options(self.request, in_channels=self.config.in_channels)
        t = torch.full((len(x),), float(level.t), device=x.device)
        with self.precision.autocast(x.device):
            outputs = guided_output(self.model, x, t, y, scale=guidance.scale_at(level.t), channels=guidance.channels)
        channels = self.config.in_channels
        guided = outputs.guided.float()
        return Prediction(
            x_start=self._x_start(x, guided[:, :channels], level),
            variance=guided[:, channels:] if self.config.learn_sigma else None,
            conditional=self._x_start_of(x, outputs.conditional, level),
            unconditional=self._x_start_of(x, outputs.unconditional, level),
        )

    def _x_start_of(self, x: Tensor, output: Tensor | None, level: NoiseLevel) -> Tensor | None:
        if output is None:
            return None
        return self._x_start(x, output[:, : self.config.in_channels].float(), level)

    def _x_start(self, x: Tensor, output: Tensor, level: NoiseLevel) -> Tensor:
        """x̂₀ from what the model predicts: the noise, the image, or a velocity. Pixels are kept in [-1, 1]."""
        match str(self.config.diffusion.objective):
            case "epsilon":
                x_start = (x - level.noise * output) / level.signal
            case "x0":
                x_start = output
            case "v":  # v = signal · ε - noise · x_0: Salimans & Ho 2022, arXiv:2202.00512
                x_start = level.signal * x - level.noise * output
            case _:  # flow: v = ε - x_0
                x_start = x - level.noise * output
        return x_start.clamp(-1, 1) if has_pixels(self.config) else x_start

    def _frame(self, first: int, number: int, level: NoiseLevel, x: Tensor, prediction: Prediction) -> Frame:
        return Frame(
            first_image=first,
            step=number + 1,
            steps=len(self.levels),
            t=level.t,
            sigma=level.sigma,
            log_snr=level.log_snr,
            x_t=x,
            x_start=prediction.x_start,
            conditional=prediction.conditional,
            unconditional=prediction.unconditional,
        )


def _halved(size: int, half: int, model: DiT) -> str:
    name = devices.describe(model.pos_embed.device)
    return f"A batch of {size} images does not fit into the memory of {name}; it goes on with {half} at a time."


def _tiled(model: DiT) -> str:
    name = devices.describe(model.pos_embed.device)
    return f"Memory of {name} is short: the images are decoded in tiles, which may be seen as faint seams."


def _too_large_for_one(model: DiT, error: DeviceMemoryError) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"Not even one image can be drawn in the memory of {devices.describe(model.pos_embed.device)}.",
        remedy="Close other programs that use it, or choose a smaller model.",
        numbers=error.numbers,
    )
