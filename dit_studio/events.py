"""What a job can say: frozen, JSON-able values without tensors.

One line of `events.jsonl`, and one line of a conversation with a worker, is one of these; `kind` tells which.
"""

from enum import StrEnum

import msgspec


class JobState(StrEnum):
    """Every state a job can be in.

    idle → preparing → running ⇄ paused → stopping (saving) → stopped | finished | failed | interrupted
    """

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_active(self) -> bool:
        """A process is, or should be, at work in this state."""
        return self in (JobState.PREPARING, JobState.RUNNING, JobState.PAUSED, JobState.STOPPING)

    @property
    def can_resume(self) -> bool:
        return self in (JobState.STOPPED, JobState.FAILED, JobState.INTERRUPTED)


class Command(StrEnum):
    """What a training job can be asked to do at the next step boundary."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"  # save a checkpoint, then end
    SAVE = "save"
    PREVIEW = "preview"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The base of all events; `time` is the wall clock in seconds since 1970."""

    time: float = 0.0


class StateChanged(Event, frozen=True, kw_only=True, tag="state"):
    state: JobState
    step: int = 0
    message: str = ""


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far a stage is; `total` is None while it is not known."""

    stage: str
    done: int
    total: int | None = None
    unit: str = ""


class Notice(Event, frozen=True, kw_only=True, tag="notice"):
    """Something worth a line in the log and beside the plots; `level` is "info" or "warning"."""

    message: str
    level: str = "info"
    step: int = 0


class Failure(Event, frozen=True, kw_only=True, tag="failure"):
    """Why a job ended early: a sentence, what to do, numbers for the card, the traceback behind a button."""

    message: str
    remedy: str = ""
    code: str = "error"  # StudioError.code, or "killed"
    numbers: dict[str, float] = {}
    details: str = ""
    step: int = 0


# ------------------------------------------------------------------------------------------------- a training run


class Started(Event, frozen=True, kw_only=True, tag="started"):
    """What a run is, once data and model stand."""

    steps: int
    parameters: int
    device: str
    precision: str
    images: int
    validation_images: int
    class_names: tuple[str, ...] = ()
    batch_size: int = 1


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """The run went on from this step: whatever was said of later steps before is overwritten."""

    step: int


class Metrics(Event, frozen=True, kw_only=True, tag="metrics"):
    """One optimiser step. None stands for NaN or infinity, and for a timestep band without a sample."""

    step: int
    loss: float | None
    learning_rate: float
    grad_norm: float | None = None
    images_per_second: float | None = None
    memory_bytes: int = 0
    images_seen: int = 0
    bands: tuple[float | None, ...] = ()  # mean loss in equal bands of the timestep, clean to noisy
    seconds: float = 0.0  # of training in this run so far, pauses left out


class Validation(Event, frozen=True, kw_only=True, tag="validation"):
    """The loss of the EMA weights on held-out images, at timesteps and noise that never change."""

    step: int
    loss: float | None
    bands: tuple[float | None, ...] = ()


class PreviewSaved(Event, frozen=True, kw_only=True, tag="preview"):
    """A row of samples, one column a class, written to `file` (relative to the run folder)."""

    step: int
    file: str
    columns: int
    rows: int
    cell_size: int  # pixels; the picture is rows × columns cells without gaps
    labels: tuple[str, ...] = ()
    seed: int = 0


class CheckpointSaved(Event, frozen=True, kw_only=True, tag="checkpoint"):
    step: int
    file: str  # relative to the run folder
    size_bytes: int = 0


# ------------------------------------------------------------------------------------------------- set-up


class ClassSummary(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    images: int


class FileProblem(msgspec.Struct, frozen=True, kw_only=True):
    file: str
    reason: str


class DataSummary(Event, frozen=True, kw_only=True, tag="data"):
    """What was understood of a data set."""

    path: str
    images: int
    source: str  # where the classes come from: "folders", "labels", "suffix", "cifar" or "none"
    sources: tuple[str, ...] = ()  # what else they could come from
    classes: tuple[ClassSummary, ...] = ()
    smallest: tuple[int, int] = (0, 0)  # width, height in pixels
    largest: tuple[int, int] = (0, 0)
    size_bytes: int = 0
    problem_count: int = 0
    problems: tuple[FileProblem, ...] = ()  # the first thousand
    warnings: tuple[str, ...] = ()
    thumbnails: str = ""  # a PNG with one row of `thumbnail_count` square pictures
    thumbnail_size: int = 64
    thumbnail_labels: tuple[str, ...] = ()  # the class name below each
    fingerprint: str = ""


class ModelSummary(Event, frozen=True, kw_only=True, tag="model"):
    """What the chosen model costs."""

    parameters: int
    gflops: float  # of one forward pass of one image; a multiply-add counts once, as in the paper
    tokens: int
    training_bytes: int  # estimated, at the chosen batch and precision
    description: str = ""


class CheckStatus(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"  # Start stays off


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the preflight list."""

    name: str
    status: CheckStatus
    message: str
    remedy: str = ""


class Preflight(Event, frozen=True, kw_only=True, tag="preflight"):
    checks: tuple[Check, ...]

    @property
    def can_start(self) -> bool:
        return all(check.status is not CheckStatus.FAILED for check in self.checks)


class DeviceSummary(Event, frozen=True, kw_only=True, tag="device"):
    backend: str  # "cuda", "mps" or "cpu"
    name: str
    precision: str
    torch_version: str
    memory_used: int = 0
    memory_total: int = 0
    hint: str = ""  # for instance that a GPU is there, but this torch was built without it


AnyEvent = (
    StateChanged
    | Progress
    | Notice
    | Failure
    | Started
    | Resumed
    | Metrics
    | Validation
    | PreviewSaved
    | CheckpointSaved
    | DataSummary
    | ModelSummary
    | Preflight
    | DeviceSummary
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One line of JSON, without the line's end."""
    return _encoder.encode(event)


def decode(line: bytes | str) -> AnyEvent:
    """The event of one line. Raises: msgspec.DecodeError if the line is not one."""
    return _decoder.decode(line)
