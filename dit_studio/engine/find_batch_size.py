"""The largest batch that fits: doubling, then bisection, by real training steps on images made of nothing.

A batch grows by its smallest even step: one image for every part of `train.accumulate` on every device. Of several
devices the first is given its share, as each is in a run.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace

from dit_studio.config import EvaluateConfig, Recipe, fields_of, parse_recipe, resolve
from dit_studio.engine import data
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import COLOR_CHANNELS
from dit_studio.engine.data import ImageSet
from dit_studio.engine.latents_encoding import Latents
from dit_studio.engine.latents_space import planned_space
from dit_studio.engine.model_cost import model_cost
from dit_studio.engine.trainer import Trainer
from dit_studio.errors import DeviceMemoryError
from dit_studio.events import DataSummary, Progress
from dit_studio.findings import batch_found
from dit_studio.machine_events import BatchFound, BatchTried

SLOW_SECONDS = 20.0  # of one step; nobody wants a batch that takes longer
_MOST_HELD_OUT = 512  # images for validation
_STEPS = 4  # of a batch, the first of them to warm up
_TIMED_SECONDS = 2.0  # after which no further step is timed
_SHARE_OF_FREE = 0.9  # memory that a batch may take where the system ends a process that takes too much
_SMALLER = "Take gradient checkpointing, a smaller model, a larger patch or smaller images."

_Trying = Generator[Progress, None, BatchTried]
_Try = Callable[[int], _Trying]


def find_batch_size(
    recipe: dict[str, Any], num_classes: int | None = None, images: int | None = None
) -> Generator[Progress | BatchTried | BatchFound]:
    """Progress…, BatchTried…, BatchFound; nothing of the process is left changed, and no file is written.

    `num_classes` and `images` of the data set are looked up where they are not given and the recipe names one.
    Raises: ConfigError or CheckpointError if the model cannot be built here.
    """
    settings = resolve(parse_recipe(recipe))
    if settings.data.path and (images is None or num_classes is None):
        num_classes, images = yield from _looked_up(settings)
    classes = 0 if settings.data.classes == "none" else num_classes or 0
    used = devices.pick_devices(settings.train.device)
    unit = settings.train.accumulate * len(used)
    with devices.undisturbed(used[0]):
        trial = _Trial(settings, used, classes)
        tried, limit = yield from search(trial.run, unit=unit, most=most_of(settings, images))
    yield batch_found(tried, limit=limit)


def _looked_up(settings: Recipe) -> Generator[Progress, None, tuple[int, int]]:
    """The classes and images of the recipe's data set."""
    found = (0, 0)
    for event in data.scan(settings.data.path, settings.data.classes):
        if isinstance(event, DataSummary):
            found = len(event.classes), event.images
        elif isinstance(event, Progress):
            yield event
    return found


def most_of(settings: Recipe, images: int | None) -> int:
    """The largest batch that makes sense: the setting's own limit, or the images to train on where they are known."""
    limit = next(int(field.maximum or 1) for field in fields_of("train") if field.name == "batch_size")
    if not images:
        return limit
    fraction = settings.data.validation_fraction
    held_out = min(max(1, round(fraction * images)), _MOST_HELD_OUT) if fraction else 0
    return max(1, min(limit, images - held_out))


# ------------------------------------------------------------------------------------------------- the search


def search(
    try_batch: _Try, *, unit: int, most: int
) -> Generator[Progress | BatchTried, None, tuple[list[BatchTried], str]]:
    """Every batch that was tried, all multiples of `unit`, and the sentence that says what ended the search.

    Doubling goes on until a batch does not fit or is `most`; bisection then finds the largest that does.
    """
    tried: list[BatchTried] = []
    fits, too_large, limit = 0, None, ""
    last = max(1, most // unit)
    while too_large is None or too_large - fits > 1:
        count = min(2 * fits or 1, last) if too_large is None else (fits + too_large) // 2
        one = yield from try_batch(count * unit)
        tried.append(one)
        yield one
        if not one.fits:
            too_large, limit = count, one.reason
        elif one.reason:  # it is slow
            return tried, one.reason
        elif count == last:
            return tried, f"No larger batch was tried: {_why_no_more(most)}"
        else:
            fits = count
    return tried, limit if fits else f"{limit} {_SMALLER}"


def _why_no_more(most: int) -> str:
    is_of_setting = most == most_of(Recipe(), None)
    return f"the setting takes {most:,} at most." if is_of_setting else f"there are {most:,} images to train on."


# ------------------------------------------------------------------------------------------------- one batch


class _Trial:
    """Tries a batch after the other, each with a model of its own, so that none sees what another left."""

    def __init__(self, settings: Recipe, used: tuple[torch.device, ...], classes: int) -> None:
        self._settings, self._devices, self._classes = settings, used, classes
        self._budget = None if devices.raises_when_full(used[0]) else Budget(used[0], processes=len(used))

    def run(self, batch: int) -> _Trying:
        device, share = self._devices[0], batch // len(self._devices)
        settings = _for_trial(self._settings, device, share)
        if self._budget and (why_not := self._budget.why_not(share, lambda: self._estimate(settings))):
            return BatchTried(batch_size=batch, fits=False, reason=why_not)
        reason = ""
        try:
            steps = yield from self._steps(settings, batch)
        except DeviceMemoryError:
            reason = f"A batch of {batch:,} does not fit into the memory of {devices.describe(device)}."
        if reason:
            devices.release_memory(device)  # out here, where no error keeps the tensors of its step
            return BatchTried(batch_size=batch, fits=False, reason=reason)
        devices.empty_cache(device)
        if self._budget:
            self._budget.note(share, steps.peak_bytes)
        return BatchTried(
            batch_size=batch,
            fits=True,
            peak_bytes=steps.peak_bytes,
            images_per_second=steps.images_per_second * len(set(self._devices)),
            reason=steps.why_last(batch),
        )

    def _estimate(self, settings: Recipe) -> int:
        return model_cost(settings, self._classes).training_bytes

    def _steps(self, settings: Recipe, batch: int) -> Generator[Progress, None, "_Steps"]:
        """A first step, and timed ones as long as they are quick. Raises: DeviceMemoryError."""
        device, taken = self._devices[0], _Steps()
        stage = f"Trying a batch of {batch:,}"
        yield Progress(stage=stage, done=0, total=_STEPS, unit="steps")
        with devices.naming_memory_errors(device, batch_size=settings.train.batch_size):
            trainer = _trainer(settings, self._classes)
        while not taken.are_enough:
            with trainer.within_memory():
                taken.peak_bytes = max(taken.peak_bytes, devices.most_held(device, lambda: taken.take(trainer)))
            yield Progress(stage=stage, done=len(taken.speeds), total=_STEPS, unit="steps")
        return taken


class _Steps:
    """What the steps of one batch took."""

    def __init__(self) -> None:
        self.speeds: list[float] = []  # images a second
        self.seconds: list[float] = []
        self.peak_bytes = 0

    def take(self, trainer: Trainer) -> None:
        speed = trainer.train_step().images_per_second or 0.0
        self.speeds.append(speed)
        self.seconds.append(trainer.recipe.train.batch_size / speed if speed else 0.0)

    @property
    def are_enough(self) -> bool:
        return len(self.seconds) >= _STEPS or sum(self.seconds) > _TIMED_SECONDS

    @property
    def images_per_second(self) -> float:
        """The middle one; the first step, which is slower, counts where there is no other."""
        return median(self.speeds[1:] or self.speeds)

    def why_last(self, batch: int) -> str:
        seconds = min(self.seconds)
        if seconds <= SLOW_SECONDS:
            return ""
        return f"A step with a batch of {batch:,} takes {seconds:.0f} s; larger ones were not tried."


def _for_trial(settings: Recipe, device: torch.device, batch: int) -> Recipe:
    """The recipe with this batch, and without what only a run on its own images does."""
    train = replace(settings.train, batch_size=batch, device=str(device), start_from="")
    return replace(
        settings, train=train, data=replace(settings.data, validation_fraction=0.0), evaluate=EvaluateConfig()
    )


def _trainer(settings: Recipe, classes: int) -> Trainer:
    """On images that take no memory but in a batch: each is the same one. Nothing is ever saved."""
    count, size = settings.train.batch_size + 1, settings.data.image_size
    pixels = np.zeros((1, COLOR_CHANNELS[settings.data.color], size, size), np.uint8)
    images = ImageSet(
        images=np.broadcast_to(pixels, (count, *pixels.shape[1:])),
        labels=np.arange(count, dtype=np.int64) % max(1, classes),
        class_names=tuple(str(number) for number in range(classes)),
        fingerprint="",
        problems=(),
        path="",
        keys=np.arange(count, dtype=np.uint64),
    )
    return Trainer(settings, images, Path(), _latents(settings, count))


def _latents(settings: Recipe, count: int) -> Latents | None:
    space = planned_space(settings)
    if space is None:
        return None
    side = settings.data.image_size // space.factor
    moments = np.ones((1, 2, 2, space.channels, side, side), np.float32)
    return Latents(np.broadcast_to(moments, (count, *moments.shape[1:])), space)


# ------------------------------------------------------------------------------------------------- memory of a CPU


@dataclass(frozen=True)
class _Seen:
    batch: int
    peak_bytes: int


class Budget:
    """What a batch may take where nobody raises an error: nine tenths of what is free now, for `processes` together.

    A batch takes what the larger ones so far lead to on a straight line, the steepest that two of them make; the second
    one at most twice the first, the first what the model's walk says.
    """

    def __init__(self, device: torch.device, *, processes: int = 1) -> None:
        self._device, self._processes = device, processes
        self._before = devices.memory_used(device)
        self._seen: list[_Seen] = []

    def note(self, batch: int, peak_bytes: int) -> None:
        self._seen.append(_Seen(batch, peak_bytes - self._before))

    def why_not(self, batch: int, estimate: Callable[[], int]) -> str:
        """The sentence that says why this batch is not tried; "" if it may be."""
        ours = max(0, devices.memory_used(self._device) - self._before)  # which the next batch takes again
        allowed = _SHARE_OF_FREE * (devices.memory_free(self._device) / self._processes + ours)
        needed = self._needed(batch) if self._seen else estimate()
        if needed <= allowed:
            return ""
        return (
            f"A batch of {batch * self._processes:,} would take about {needed * self._processes / 1e9:.2g} GB, and "
            f"{allowed * self._processes / 1e9:.2g} GB may be taken: nine tenths of what is free. It was not tried."
        )

    def _needed(self, batch: int) -> float:
        largest = max(self._seen, key=lambda seen: seen.batch)
        others = [seen for seen in self._seen if seen.batch < largest.batch]
        if not others:
            return largest.peak_bytes * max(1.0, batch / largest.batch)
        slope = max((largest.peak_bytes - seen.peak_bytes) / (largest.batch - seen.batch) for seen in others)
        return largest.peak_bytes + max(0.0, slope) * (batch - largest.batch)
