"""What a job can say: frozen, JSON-able values without tensors.

One line of `events.jsonl`, and one line of a conversation with a worker, is one of these; `kind` tells which.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from dit_studio.event_base import Event as Event
from dit_studio.event_base import WithBytes as WithBytes
from dit_studio.machine_events import (
    BatchFound,
    BatchTried,
    DevicesListed,
    DeviceSummary,
    RateFound,
    RateTried,
)
from dit_studio.model_events import (
    AttentionSeen,
    AttentionTimed,
    ExportChecked,
    FamilyTimed,
    ModelOpened,
    Reconstruction,
    VaeDescribed,
)


class JobState(StrEnum):
    """Every state a job can be in.

    idle → queued → preparing → running ⇄ paused → stopping (saving) → stopped | finished | failed | interrupted
    """

    IDLE = "idle"
    QUEUED = "queued"
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


class StateChanged(Event, frozen=True, kw_only=True, tag="state"):
    state: JobState
    step: int = 0
    message: str = ""


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """How far a stage is; `total` is None while it is not known, `rate` (units a second) 0."""

    stage: str
    done: int
    total: int | None = None
    unit: str = ""
    rate: float = 0.0


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
    numbers: dict[str, float] = msgspec.field(default_factory=dict)
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
    batch_size: int = 1  # of all processes together
    devices: tuple[str, ...] = ()  # of the first machine, as torch knows them
    processes: int = 1  # on all machines
    hosts: int = 1
    is_sharded: bool = False  # the model is split over the devices, not copied


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


class Measured(Event, frozen=True, kw_only=True, tag="measured"):
    """A figure of the averaged weights, taken while training on few images: not to be compared with others."""

    step: int
    metric: str
    name: str  # with its extractor and number: "FD-random-256"
    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None  # of one half of the training images that were drawn against the other
    floor_n: int = 0  # images of a half: `n`, where there are so many
    n: int = 0
    seconds: float = 0.0


class CaughtUp(Event, frozen=True, kw_only=True, tag="caught up"):
    """Said by whoever follows a run, never by the run: what came before is history, what comes now is news."""


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
    sampling_bytes: int = 0  # estimated, at the batch that previews take
    paper_row: str = ""  # "DiT-XL/2" where the model is one of the paper's; with what differs, where little does
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


# ------------------------------------------------------------------------------------------------- sampling


class SampleModel(WithBytes, frozen=True, kw_only=True, tag="sample_model"):
    """A model that can be sampled from. `data`: a thumbnail a class, (classes, S, S, 3) uint8, or nothing."""

    path: str
    name: str  # "landscapes · step 20,000 · EMA"
    step: int = 0
    weights: str = "ema"
    fingerprint: str = ""
    class_names: tuple[str, ...] = ()  # empty for a model without classes
    num_classes: int = 1
    has_null_class: bool = False  # without one there is no guidance
    image_size: int = 0  # pixels, after a VAE has decoded them
    channels: int = 3  # of what the model itself sees
    latent_size: int = 0  # of what the model itself sees; 0: pixels
    patch_size: int = 1  # of what the model itself sees
    depth: int = 0
    num_heads: int = 0
    dialect: str = "facebook"
    origin: str = ""  # the other program's file or folder that the weights came from
    vae: str = ""  # of a model in latents
    timesteps: int = 1000
    objective: str = "epsilon"
    samplers: tuple[str, ...] = ()  # those that serve the objective
    log_snr: tuple[float, ...] = ()  # of every timestep, t = 0 first; infinite ends are left finite
    parameters: int = 0
    device: str = ""
    precision: str = ""
    thumbnail_size: int = 0  # S
    seconds: float = 0.0  # that it took to load


class StepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where on the noise schedule a step starts."""

    t: float
    sigma: float  # noise over signal
    log_snr: float  # log(signal² / noise²); finite


class SamplingStarted(Event, frozen=True, kw_only=True, tag="sampling"):
    """What is about to be drawn: `points` are the steps, the noisiest first."""

    folder: str  # of the history's entry; empty if nothing is kept
    points: tuple[StepPoint, ...]
    labels: tuple[int, ...]  # the class of every image
    seeds: tuple[int, ...]
    height: int
    width: int
    plane_height: int = 0  # of the planes of a model in latents, where a pixel is a latent; 0: as the images
    plane_width: int = 0
    channels: int  # of pixels: 1 or 3
    planes: tuple[str, ...]  # what every frame holds, of trajectory.PLANES
    trajectory_bytes: int = 0  # what the whole trajectory takes
    in_memory: bool = True  # of the worker; otherwise on the disk


class SampleFrame(WithBytes, frozen=True, kw_only=True, tag="frame"):
    """A step of a batch. `data`: for each plane of SamplingStarted (images, H, W, C) uint8, one after the other;
    H and W are those of planes."""

    first_image: int
    images: int
    step: int  # from 1
    norms: tuple[float, ...]  # ‖x_t‖ / √numbers, an image
    moves: tuple[float, ...]  # ‖x̂₀ - x̂₀ of the step before‖ / √numbers, an image; 0 at the first step


class SamplesDrawn(WithBytes, frozen=True, kw_only=True, tag="samples"):
    """Finished images. `data`: (images, H, W, C) uint8; `files` are relative to the folder."""

    first_image: int
    images: int
    files: tuple[str, ...] = ()


class CellStarted(Event, frozen=True, kw_only=True, tag="cell_started"):
    """A sweep came to a cell; `index` is its place in the plan."""

    index: int


class CellDrawn(WithBytes, frozen=True, kw_only=True, tag="cell"):
    """A cell of a sweep is on the disk. `data`: its first `images` (images, H, W, C) uint8; `folder` has them all."""

    index: int
    folder: str
    images: int
    height: int
    width: int
    channels: int
    seconds: float = 0.0


class CellFailed(Event, frozen=True, kw_only=True, tag="cell_failed"):
    index: int
    message: str
    remedy: str = ""


class SettingsRefused(Event, frozen=True, kw_only=True, tag="refused"):
    """A request that the model cannot serve: (field, sentence) for each setting at fault; nothing was begun."""

    problems: tuple[tuple[str, str], ...]


class Written(Event, frozen=True, kw_only=True, tag="written"):
    """A file is whole and on the disk."""

    file: str
    size_bytes: int = 0
    images: int = 0
    note: str = ""  # what should be known of it, for instance that a trajectory was cut short


# ------------------------------------------------------------------------------------------------- evaluation


class EvaluationDone(Event, frozen=True, kw_only=True, tag="evaluation"):
    """What was measured. `result`: an `evaluation_request.EvaluationResult` as JSON."""

    result: str


class PointStarted(Event, frozen=True, kw_only=True, tag="point_started"):
    """A plan of evaluations came to a point; `index` is its place in the plan."""

    index: int


class PointDone(Event, frozen=True, kw_only=True, tag="point"):
    """A point is measured and on the disk. `result`: an EvaluationResult as JSON; `samples`: where its images are."""

    index: int
    result: str
    samples: str = ""
    seconds: float = 0.0


class PointFailed(Event, frozen=True, kw_only=True, tag="point_failed"):
    index: int
    message: str
    remedy: str = ""


class SourceDescribed(Event, frozen=True, kw_only=True, tag="source"):
    """What a path turned out to be, before anything is measured. Of a model `images` is 0."""

    path: str
    role: str  # "real" or "fake"
    source: str  # "folder", "zip", "tar", "npz", "statistics", "data set" or "model"
    images: int = 0  # that there seem to be; 0: statistics that do not say
    classes: tuple[str, ...] = ()
    has_labels: bool = False
    has_images: bool = True  # not: saved statistics alone
    facts: tuple[tuple[str, str], ...] = ()  # for the card: ("step", "20,000"), ("protocol", "adm-tf1")
    warnings: tuple[str, ...] = ()
    levels: tuple[Literal["red", "amber"], ...] = ()  # of the warnings, in their order; where there is none, amber
    size: tuple[int, int] = (0, 0)  # width, height of the first image, or of all that a model draws; (0, 0): not known
    colour: Literal["grey", "colour", ""] = ""  # empty: not known
    steps: tuple[int, ...] = ()  # of a run's checkpoints
    samplers: tuple[str, ...] = ()
    timesteps: int = 0
    has_null_class: bool = False
    settings: str = ""  # of a run: its own SampleRequest as JSON, the classes taken in turn


class Pictures(WithBytes, frozen=True, kw_only=True, tag="pictures"):
    """Some images of a source, each fitted into a square. `data`: (images, S, S, 3) uint8, in the order asked for."""

    path: str
    numbers: tuple[int, ...]
    size: int  # S
    missing: tuple[int, ...] = ()  # of the numbers, those that cannot be read; grey in `data`


class ModelFileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A published file, or a model of several, and its state on this machine."""

    name: str  # of the file, or of the model on the hub: what the jobs take
    title: str
    role: str = "extractor"  # or "model", a pretrained DiT, or "vae"
    extractor: str = ""  # that needs it
    is_on_hub: bool
    size_bytes: int  # 0: not known beforehand
    sha256: str  # empty: the hub names it
    licence: str
    licence_url: str = ""
    terms: str = ""  # of the licence, to be agreed to before a download
    url: str
    folder: str = ""  # that a download puts it into
    condition: str  # "missing", "truncated", "wrong hash", "unverified" or "verified"
    path: str = ""  # where it was found
    sentence: str = ""
    arrived_bytes: int = 0  # of a download that was not finished
    is_chosen: bool = False  # a folder or file that the user chose


class ModelFiles(Event, frozen=True, kw_only=True, tag="model_files"):
    """All published files; `folder` is where this program keeps those of extractors."""

    files: tuple[ModelFileInfo, ...]
    folder: str = ""
    hub_folder: str = ""
    searched: tuple[str, ...] = ()  # the folders in which files are looked for


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
    | SampleModel
    | SamplingStarted
    | SampleFrame
    | SamplesDrawn
    | CellStarted
    | CellDrawn
    | CellFailed
    | SettingsRefused
    | Written
    | EvaluationDone
    | PointStarted
    | PointDone
    | PointFailed
    | SourceDescribed
    | Pictures
    | ModelFiles
    | Measured
    | ModelOpened
    | ExportChecked
    | VaeDescribed
    | Reconstruction
    | AttentionSeen
    | AttentionTimed
    | FamilyTimed
    | DevicesListed
    | BatchTried
    | BatchFound
    | RateTried
    | RateFound
    | CaughtUp
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One line of JSON, without the line's end."""
    return _encoder.encode(event)


def split_bytes(event: Event) -> tuple[Event, bytes]:
    """An event as it goes over a border, and the raw bytes that follow its line."""
    if not isinstance(event, WithBytes) or not event.data:
        return event, b""
    return msgspec.structs.replace(event, data=b"", data_bytes=len(event.data)), event.data


def join_bytes(event: AnyEvent, data: bytes) -> AnyEvent:
    """The inverse of `split_bytes`."""
    return msgspec.structs.replace(event, data=data, data_bytes=0)


def decode(line: bytes | str) -> AnyEvent:
    """The event of one line. Raises: msgspec.DecodeError if the line is not one."""
    return _decoder.decode(line)
