"""The errors a user may see. Each message holds the bad value, the limit and the remedy.

StudioError                 anything we can say in a sentence; exit status 1
├── ConfigError             a setting is out of range, misspelt or contradicts another; exit status 2
├── DataError               a data set that cannot be read or trained on
├── CheckpointError         a checkpoint that is missing, damaged, unsafe or of another shape
├── RunError                a run folder that cannot be used: locked, not writable, not a run
│   └── UnwritableError     the disk does not take what has to be written; it may be gone for a while only
├── DiskFullError           there is no room for what has to be written
├── DeviceMemoryError       a step does not fit into the memory of the device
├── NotFiniteError          the loss became NaN or infinite and stayed so; or a drawn image did
├── ProcessLostError        another process of the same run failed or is gone
└── ShapeError              a tensor or image whose shape does not fit
"""

import dataclasses

_LONGEST_MESSAGE = 300  # letters of what a library says


class StudioError(Exception):
    """A failure that has a sentence, and usually something to do about it."""

    code = "error"

    def __init__(self, message: str, *, remedy: str = "", numbers: dict[str, float] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.numbers = numbers or {}

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


@dataclasses.dataclass(frozen=True)
class Problem:
    """One setting that cannot be used: `field` is "section.key", `message` a whole sentence."""

    field: str
    message: str
    value: object = dataclasses.field(default=None, compare=False)


class ConfigError(StudioError):
    """Some settings cannot be used; `problems` names each of them."""

    code = "config"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = problems


class DataError(StudioError):
    """A data set that cannot be read or trained on."""

    code = "data"


class CheckpointError(StudioError):
    """A checkpoint that is missing, damaged, unsafe or of another shape."""

    code = "checkpoint"


class RunError(StudioError):
    """A run folder that cannot be used."""

    code = "run"


class UnwritableError(RunError):
    """The disk does not take what has to be written, and not because it is full; it may be gone for a while only."""

    code = "unwritable"


class DiskFullError(StudioError):
    """There is no room for what has to be written."""

    code = "disk_full"


class DeviceMemoryError(StudioError):
    """A step does not fit into the memory of the device."""

    code = "out_of_memory"


class NotFiniteError(StudioError):
    """The loss became NaN or infinite and stayed so; or a drawn image did."""

    code = "not_finite"


class ProcessLostError(StudioError):
    """Another process of the same run failed or is gone."""

    code = "process_lost"


class ShapeError(StudioError):
    """A tensor or image whose shape does not fit."""

    code = "shape"


def in_a_line(error: Exception) -> str:
    """What an error that nobody foresaw says, as the middle of a sentence: "RuntimeError: CUDA error: …"."""
    words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return words if len(words) <= _LONGEST_MESSAGE else words[: _LONGEST_MESSAGE - 1] + "…"
