"""A learning-rate range test: the rate rises at every step, and the loss tells where it learns and where it runs away.

Source: Smith 2017, arXiv:1506.01186, section 3.3.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace

from dit_studio.config import EvaluateConfig, Recipe, parse_recipe, resolve
from dit_studio.engine import data, fine_tune
from dit_studio.engine import device as devices
from dit_studio.engine.data import ImageSet
from dit_studio.engine.latents_encoding import Latents, load_latents
from dit_studio.engine.trainer import Trainer
from dit_studio.errors import DataError
from dit_studio.events import Notice, Progress
from dit_studio.findings import HIGHEST_RATE, has_run_away, rate_found
from dit_studio.machine_events import RateFound, RateTried

LOWEST_RATE = 1e-7  # where the test begins
STEPS = 140  # twenty a decade
_SMOOTHING = 0.8  # decay of the mean loss: it remembers about five steps, a quarter of a decade
_LOOKED_AT = (64, 256)  # images whose loss is taken, at least and at most


def find_learning_rate(
    recipe: dict[str, Any], steps: int = STEPS
) -> Generator[Progress | Notice | RateTried | RateFound]:
    """Progress…, RateTried…, RateFound; nothing of the process is left changed, and no run is written.

    Raises: DataError without images; DeviceMemoryError if the batch does not fit; and as loading and building do.
    """
    settings = resolve(parse_recipe(recipe))
    if not settings.data.path:
        raise DataError("There are no images to learn from.", remedy="Choose images, in a recipe as data.path.")
    device = devices.pick_device(settings.train.device)
    images, latents = yield from _load(settings, device)
    tried: list[RateTried] = []
    with devices.undisturbed(device):
        yield from _rise(settings, images, latents, tried, steps)
    yield rate_found(tried)


def _load(
    settings: Recipe, device: torch.device
) -> Generator[Progress | Notice, None, tuple[ImageSet, Latents | None]]:
    if not settings.latents.vae:
        return (yield from data.load(settings.data)), None
    encoded = yield from load_latents(settings, device=device)
    return encoded.images, encoded.latents


def _rise(
    settings: Recipe, images: ImageSet, latents: Latents | None, tried: list[RateTried], steps: int
) -> Iterator[Progress | Notice | RateTried]:
    """Train at rates that rise evenly on a logarithmic scale, until the loss runs away."""
    device = devices.pick_device(settings.train.device)
    with devices.naming_memory_errors(device, batch_size=settings.train.batch_size):
        trainer = _trainer(settings, images, latents)
    if settings.train.start_from:
        with trainer.within_memory():
            yield fine_tune.start_from(
                trainer.model, trainer.ema.model, trainer.description, Path(settings.train.start_from)
            )
    mean = _Mean()
    yield Progress(stage="Training", done=0, total=steps, unit="steps")
    for step, rate in enumerate(np.geomspace(LOWEST_RATE, HIGHEST_RATE, steps).tolist(), start=1):
        loss = _loss_after(trainer, rate)
        smoothed = None if loss is None else mean.after(loss)
        tried.append(RateTried(step=step, learning_rate=rate, loss=loss, smoothed=smoothed))
        yield tried[-1]
        yield Progress(stage="Training", done=step, total=steps, unit="steps")
        if has_run_away(tried):
            return


def _trainer(settings: Recipe, images: ImageSet, latents: Latents | None) -> Trainer:
    """A trainer whose averaged weights are the newest, and whose validation looks at a few images to train on.

    So the loss of every step is that of the same images at the same timesteps and noise: the draws of a batch would
    hide how it changes.
    """
    used = devices.pick_devices(settings.train.device)
    parts = _parts(settings.train.batch_size, at_least=settings.train.accumulate * len(used))
    train = replace(settings.train, ema_decay=0.0, device=str(used[0]), accumulate=parts)
    trainer = Trainer(replace(settings, train=train, evaluate=EvaluateConfig()), images, Path(), latents)
    count = min(max(_LOOKED_AT[0], train.batch_size), _LOOKED_AT[1], len(trainer.train_indices))
    evenly = np.linspace(0, len(trainer.train_indices) - 1, count).round().astype(np.int64)
    trainer.validation_indices = trainer.train_indices[evenly]
    return trainer


def _parts(batch: int, *, at_least: int) -> int:
    """In how many parts one device takes the batch of several: the step is the same."""
    return next((parts for parts in range(at_least, batch) if batch % parts == 0), batch)


def _loss_after(trainer: Trainer, rate: float) -> float | None:
    """The loss after a step at this rate; None if it is not a number any more."""
    train = replace(trainer.recipe.train, learning_rate=rate, warmup_steps=0, learning_rate_schedule="constant")
    trainer.recipe = replace(trainer.recipe, train=train)
    with trainer.within_memory():
        if trainer.train_step().loss is None:
            return None
        return trainer.validate().loss


class _Mean:
    """The mean of the losses so far, exponential, with the first ones counted as Adam counts them."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def after(self, loss: float) -> float:
        self._sum, self._count = _SMOOTHING * self._sum + (1 - _SMOOTHING) * loss, self._count + 1
        return self._sum / (1 - _SMOOTHING**self._count)
