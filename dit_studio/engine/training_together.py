"""What a run of many processes settles before its first step: that they are alike, who fills the cache, and whether the
model is copied into each or split over them."""

import platform
import sys
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import torch

from dit_studio import __version__
from dit_studio.config import Recipe
from dit_studio.device_names import named
from dit_studio.engine import device as devices
from dit_studio.engine.distributed import World, digest_of
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Command, Notice

Said = TypeVar("Said")
Prepared = TypeVar("Prepared")


# ------------------------------------------------------------------------------------------------- alike


def check_settings(settings: Recipe, world: World) -> None:
    """Raises: ConfigError if there are more processes than images in a batch; StudioError if they are not alike."""
    train = settings.train
    if world.size > train.batch_size:
        message = (
            f"train.batch_size = {train.batch_size} is not possible with {world.size} processes, which take at least "
            f"one image each: take a batch of {world.size}, or start {train.batch_size}."
        )
        raise ConfigError([Problem("train.batch_size", message, train.batch_size)])
    facts = {
        "recipe": digest_of([msgspec.json.encode(settings).decode()]),
        "version of DiT Studio": __version__,
        "version of torch": str(torch.__version__),
        "version of NumPy": np.__version__,
        "version of Python": ".".join(map(str, sys.version_info[:2])),
        "kind of device": world.device.type,
        "number format": devices.pick_precision(world.device, train.precision).name,
        "kind of processor": platform.machine(),
    }
    remedies = {
        "recipe": "Start all processes with the same recipe and settings.",
        "number format": "Set train.precision to one that every device has.",
        "kind of device": "Set train.device to a kind that every machine has.",
    }
    world.check_equal(facts, remedies=remedies)


def check_images(fingerprint: str, world: World) -> None:
    """Raises: StudioError if a process sees other images than the first."""
    remedy = "Let data.path be the same images on every machine."
    world.check_equal({"data set": fingerprint}, remedies={"data set": remedy})


# ------------------------------------------------------------------------------------------------- the cache


class _Word(NamedTuple):
    """What a process says while the images are prepared."""

    is_busy: bool
    is_stopped: bool


def prepare(
    world: World,
    load: Callable[[], Generator[Said, None, Prepared]],
    next_command: Callable[[bool], Command | None],
    asked: list[Command],
) -> Generator[Said, None, Prepared | None]:
    """What `load` gives, or None if the run was stopped before it was there. Other commands wait in `asked`.

    The processes take turns: the first one fills the cache; then one on each other machine, in case it has a cache of
    its own; then all others, which find it filled. Raises: in every process, what goes wrong in one.
    """
    prepared: Prepared | None = None
    own_turn = 0 if world.is_main else 1 if world.local_rank == 0 else 2
    for turn in range(3 if world.size > 1 else 1):
        loading = load() if turn == own_turn else None
        is_busy = True
        while is_busy:
            event, is_stopped = None, False
            with world.together():
                if loading is not None:
                    try:
                        event = next(loading)
                    except StopIteration as end:
                        prepared, loading = end.value, None
                if world.is_main and (event is not None or world.size > 1):
                    is_stopped = is_stop(next_command, asked)
            words = world.gather(_Word(loading is not None, is_stopped))
            if any(word.is_stopped for word in words):
                if loading is not None:
                    loading.close()
                return None
            is_busy = any(word.is_busy for word in words)
            if event is not None:
                yield event
    return prepared


def is_stop(next_command: Callable[[bool], Command | None], asked: list[Command]) -> bool:
    """The next command is to stop; another one waits in `asked`."""
    command = next_command(False)  # noqa: FBT003
    if command is not None and command is not Command.STOP:
        asked.append(command)
    return command is Command.STOP


# ------------------------------------------------------------------------------------------------- the model


def is_to_be_sharded(settings: Recipe, world: World, *, classes: int) -> bool:
    """The model is split over the devices: as the recipe says, or where it does not fit on one of them.

    Raises: ConfigError if it is to be split in a number format that cannot be.
    """
    if world.size == 1 or settings.train.shard == "never":
        return False
    is_sharded = settings.train.shard == "always" or any(world.gather(not _fits(settings, world, classes)))
    if is_sharded and devices.pick_precision(world.device, settings.train.precision).needs_scaler:
        message = (
            'train.precision = "fp16" is not possible with a model that is split over devices: take bf16 or fp32, or '
            'set train.shard to "never".'
        )
        raise ConfigError([Problem("train.precision", message, settings.train.precision)])
    return is_sharded


def _fits(settings: Recipe, world: World, classes: int) -> bool:
    """Training with a copy of the model fits into this process's part of its device."""
    from dit_studio.engine.device_plan import fits_copied  # slow to import, and one process never asks
    from dit_studio.engine.model_cost import model_cost

    batch = -(-settings.train.batch_size // world.size)
    own = msgspec.structs.replace(
        settings.train, batch_size=batch, accumulate=min(settings.train.accumulate, batch), device=world.device.type
    )
    needed = model_cost(msgspec.structs.replace(settings, train=own), classes).training_bytes
    sharing = world.local_size if world.device.type == "cpu" else 1
    return fits_copied(needed, devices.memory_total(world.device) // sharing)


def notices(settings: Recipe, world: World, *, is_sharded: bool) -> Iterator[Notice]:
    """What a recipe asks for that this world does not do."""
    count = len(named(settings.train.device))
    if world.size == 1 and count > 1:
        message = f"train.device names {count} devices, and one process trains: it takes the first of them."
        yield Notice(message=message, level="warning")
    if is_sharded and settings.evaluate.every:
        message = "Metrics are not measured while the model is split over devices; evaluate its checkpoints instead."
        yield Notice(message=message, level="warning")
