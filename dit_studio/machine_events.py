"""What is said of this machine: its devices, and what fits and suits them."""

import msgspec

from dit_studio.event_base import Event


class DeviceSummary(Event, frozen=True, kw_only=True, tag="device"):
    backend: str  # "cuda", "mps" or "cpu"
    name: str
    precision: str
    torch_version: str
    memory_used: int = 0
    memory_total: int = 0
    hint: str = ""  # for instance that a GPU is there, but this torch was built without it


class DeviceDescribed(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can be chosen."""

    name: str  # as train.device takes it: "cuda:0", "mps", "cpu"
    title: str  # as a person knows it
    memory_used: int = 0  # bytes
    memory_total: int = 0


class DevicesListed(Event, frozen=True, kw_only=True, tag="devices"):
    """Every device of this machine, the one that "auto" takes first."""

    devices: tuple[DeviceDescribed, ...]
    cores: int = 1  # of the processor, which may take as many processes


class BatchTried(Event, frozen=True, kw_only=True, tag="batch tried"):
    """A training step was tried with this batch."""

    batch_size: int
    fits: bool
    peak_bytes: int | None = None  # of the device, at the most; None where nobody counts
    images_per_second: float | None = None
    reason: str = ""  # why it does not fit


class BatchFound(Event, frozen=True, kw_only=True, tag="batch found"):
    """The largest batch that fits, and the one that is fastest; None if not even one image does."""

    batch_size: int | None
    fastest: int | None = None
    images_per_second: float | None = None  # of the fastest
    limit: str = ""  # what ended the search, as a sentence


class RateTried(Event, frozen=True, kw_only=True, tag="rate tried"):
    """A step of a learning-rate range test."""

    step: int
    learning_rate: float
    loss: float | None  # None: not a number
    smoothed: float | None


class RateFound(Event, frozen=True, kw_only=True, tag="rate found"):
    """What the test suggests, in two digits; None if the loss never fell."""

    learning_rate: float | None
    steepest: float | None = None  # where the smoothed loss falls fastest
    lowest: float | None = None  # where it is lowest
    diverged: float | None = None  # where it ran away; None if it did not
    reason: str = ""  # why there is no suggestion, or what to know of it
