"""How a run spreads over the devices that it names: what each of them takes, and what can be said of it beforehand."""

from collections.abc import Iterator

import msgspec
import torch

from dit_studio.config import Recipe
from dit_studio.engine import device as devices
from dit_studio.errors import ConfigError
from dit_studio.events import Check, CheckStatus

PROCESS_BYTES = 400 * 2**20  # Python, torch and the buffers of a step
_MEMORY_SHARE = 0.9  # of a device that a copied model may take in training


class DevicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`is_split`: the model's numbers are divided (FSDP2), not copied."""

    devices: tuple[torch.device, ...]  # one for each process
    is_split: bool
    bytes_each: int  # that a process takes in training
    bytes_copied: int  # that it would take with the whole model

    @property
    def count(self) -> int:
        return len(self.devices)

    @property
    def needed_of_one_memory(self) -> int:
        """Processes on the processor share its memory."""
        return self.bytes_each * (self.count if self.devices[0].type == "cpu" else 1)


def plan_devices(settings: Recipe, *, state_bytes: int, image_bytes: float) -> DevicePlan:
    """`state_bytes`: weights, gradients, moments and average; `image_bytes`: kept of one image for the backward pass.

    Raises: ConfigError if a device is not here.
    """
    train = settings.train
    named = devices.pick_devices(train.device)
    images = -(-train.batch_size // len(named))  # the largest share
    beside = int(images / min(train.accumulate, images) * image_bytes) + PROCESS_BYTES
    copied = state_bytes + beside
    fits = fits_copied(copied, memory_each(named))
    is_split = len(named) > 1 and (train.shard == "always" or (train.shard == "auto" and not fits))
    return DevicePlan(
        devices=named,
        is_split=is_split,
        bytes_each=state_bytes // len(named) + beside if is_split else copied,
        bytes_copied=copied,
    )


def fits_copied(needed_bytes: int, memory_bytes: int) -> bool:
    """Training with a copy of the model fits into a process's part of a device's memory."""
    return needed_bytes <= _MEMORY_SHARE * memory_bytes


def memory_each(named: tuple[torch.device, ...]) -> int:
    """Bytes for each process: the least of the devices; of the processor's memory, its share."""
    least = min(devices.memory_total(device) for device in named)
    return least // len(named) if named[0].type == "cpu" else least


def device_checks(settings: Recipe) -> Iterator[Check]:
    """One failed line if the devices cannot be taken."""
    try:
        count = len(devices.pick_devices(settings.train.device))
    except ConfigError as error:
        yield _failed(error.message, "Choose devices that are here.")
        return
    if settings.train.batch_size < count:
        message = f"A batch of {settings.train.batch_size} is less than {count} devices: each takes at least one image."
        yield _failed(message, f"Take a batch of {count} or more, or fewer devices.")


def plan_line(plan: DevicePlan, *, batch_size: int, cores: int) -> Check:
    """What several devices share, for instance "2 × NVIDIA H200, the model copied (DDP), 32 images each of a batch of
    64."."""
    names = [devices.describe(device) for device in plan.devices]
    counted = [f"{names.count(name)} × {name}" for name in dict.fromkeys(names)]
    if plan.devices[0].type == "cpu":
        counted = [f"{plan.count} processes on {names[0]}"]
    how = "the model split (FSDP2)" if plan.is_split else "the model copied (DDP)"
    least, rest = divmod(batch_size, plan.count)
    each = f"{least} or {least + 1}" if rest else f"{least}"
    message = f"{', '.join(counted)}, {how}, {each} image{'s' * (each != '1')} each of a batch of {batch_size}."
    if plan.devices[0].type == "cpu" and plan.count > cores:
        message = f"{message} It has {cores} cores only."
        return Check(name="Devices", status=CheckStatus.WARNING, message=message, remedy=f"Take {cores} or fewer.")
    return Check(name="Devices", status=CheckStatus.OK, message=message)


def _failed(message: str, remedy: str) -> Check:
    return Check(name="Devices", status=CheckStatus.FAILED, message=message, remedy=remedy)
