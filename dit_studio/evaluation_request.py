"""What can be measured, and what came of it: the request, and the record that keeps each figure with its protocol.

The engine answers a request, the window and the command line fill one in, and `evaluations/*.json` holds the answers.
"""

from typing import Annotated, Any, Literal

import msgspec

from dit_studio.errors import DataError
from dit_studio.fields import Section, setting
from dit_studio.sample_request import ModelReference, SampleRequest

ExtractorName = Literal["random", "inception", "clip-b32", "clip-l14-336", "siglip", "align", "dinov2"]
Metric = Literal[
    "fid", "sfid", "fid-infinity", "is", "kid", "kid-subsets", "cmmd", "mmd",
    "precision", "recall", "density", "coverage", "agreement", "copying",
]  # fmt: skip
METRICS: tuple[Metric, ...] = (
    "fid", "sfid", "fid-infinity", "is", "kid", "kid-subsets", "cmmd", "mmd",
    "precision", "recall", "density", "coverage", "agreement", "copying",
)  # fmt: skip
ALIASES: dict[str, Metric] = {"fd": "fid", "kd": "kid", "kd-subsets": "kid-subsets", "fd-infinity": "fid-infinity"}

VERSION = 1


class EvaluationOptions(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How images are measured, whatever they are."""

    extractor: Annotated[
        ExtractorName,
        setting("The network that turns images into features; random needs no download.", title="Features"),
    ] = "random"
    protocol: Annotated[str, setting("The way of resizing; empty: the extractor's usual one.")] = ""
    weights: Annotated[
        str,
        setting(
            "A weights file, or a model's folder, to take in place of the usual places'.",
            title="Weights file",
            advanced=True,
        ),
    ] = ""
    count: (
        Annotated[
            int,
            setting(
                "Images of each side, drawn by the seed; empty: all there are.",
                title="Images (N)",
                unit="images",
                ge=2,
                le=10**8,
            ),
        ]
        | None
    ) = None
    seed: Annotated[int, setting("Of every drawing of images.", ge=0, le=2**32 - 1)] = 0
    batch_size: Annotated[
        int, setting("Images measured at once.", title="Batch", unit="images", advanced=True, ge=1, le=4096)
    ] = 32
    has_floor: Annotated[
        bool, setting("Measure one half of the reference against the other, too.", title="Floor", advanced=True)
    ] = True


class EvaluationRequest(EvaluationOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure (`fake`) against what (`real`); without metrics, all that the extractor supports.

    Either may be a folder, an archive or an .npz; `real` also saved statistics or a run, whose data set is meant;
    `fake` also a run, a checkpoint or a model's file, whose images are drawn as `sample` says.
    """

    real: str
    fake: str
    metrics: tuple[str, ...] = ()
    sample: SampleRequest | None = None  # of a model; without it the run's own settings, the classes taken in turn
    model_weights: Literal["ema", "raw"] = "ema"


class ValueInterval(msgspec.Struct, frozen=True, kw_only=True):
    """95 %, with the method in words. `n`: of how many generated images; another number than the figure's own says
    that it holds there, and not around the figure."""

    low: float
    high: float
    method: str
    n: int


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, or the reason why there is none; the same of its interval."""

    metric: Metric
    name: str  # as it is printed: "FD-random-500", "FID-5k (ADM)"
    value: float | None = None
    why_no_value: str = ""
    interval: ValueInterval | None = None
    why_no_interval: str = ""
    smaller: ValueInterval | None = None  # at fewer images, where there can be none at all of them
    estimator: str = ""
    unit: str = ""  # empty: a pure number
    better: Literal["lower", "higher", ""] = ""
    n_real: int = 0  # that the figure is of; 0: none, or the statistics do not say
    n_fake: int = 0
    details: dict[str, float] = {}  # for instance what there is of each class


class DrawnBy(msgspec.Struct, frozen=True, kw_only=True):
    """How generated images were drawn, as they say themselves; `settings` are some of SampleRequest's."""

    model: ModelReference | None = None
    settings: dict[str, Any] = {}
    precision: str = ""


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One side: where its images came from, and which of them were measured."""

    path: str
    kind: str  # "folder", "zip", "tar", "npz", "data set" or "statistics"
    content_hash: str
    images: int = 0  # that there are; 0: the statistics do not say
    measured: int = 0
    statistics_images: int = 0  # that saved statistics are of; 0: none, or they do not say
    duplicates: int = 0  # of the measured ones, those that are there more than once, to the last byte
    formats: tuple[str, ...] = ()  # the most frequent first
    grey: int | None = None  # of the measured ones; None: an earlier version did not look
    smallest: tuple[int, int] = (0, 0)  # width, height in pixels
    largest: tuple[int, int] = (0, 0)
    class_names: tuple[str, ...] = ()
    has_labels: bool = False
    is_sorted_by_class: bool = False
    left_out: str = ""  # a sentence about files that could not be used
    is_from_statistics: bool = False  # Fréchet distances are of saved statistics, whether or not there are images
    statistics: dict[str, str] = {}  # what the file of statistics says of itself
    drawn_by: DrawnBy | None = None


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure was made. Two figures of different protocols are not comparable."""

    extractor: str  # "random"
    extractor_name: str  # "random features"
    weights_sha256: str
    are_weights_published: bool
    resize: str  # "adm-tf1"
    arithmetic: str  # "fp32"
    device: str
    statistics: str
    seed: int
    n_real: int
    n_fake: int
    real_hash: str
    fake_hash: str
    drawn: str = ""  # model, step, weights, sampler, steps, CFG and seeds of the images, where they carry them

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for figures that may stand on one axis, if their numbers of images are equal, too."""
        return (self.extractor, self.weights_sha256, self.resize, self.arithmetic, self.real_hash)


class NearImage(msgspec.Struct, frozen=True, kw_only=True):
    image: str  # the name of its file, or "#17"
    number: int  # in its source
    distance: float


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A generated image and the training images that are nearest to it."""

    image: str
    number: int
    nearest: tuple[NearImage, ...]
    is_closer: bool  # than most training images are to each other


class Copying(msgspec.Struct, frozen=True, kw_only=True):
    """Is it copying? `share_closer` of an honest model is about `expected`."""

    share_closer: float
    threshold: float
    expected: float
    floor: float | None  # the share of one half of the reference that is as close to the other half
    is_suspicious: bool  # the share is at least twice what either leads to expect, and not by chance
    exact: int  # generated images that are a reference image to the last byte
    searched: int = 0  # reference images among which copies were looked for; 0: an earlier version does not say
    copies: tuple[Copy, ...]  # the closest first


class CautionRecord(msgspec.Struct, frozen=True, kw_only=True):
    level: Literal["red", "amber", "note"]
    metric: str  # that it is about; "" for all
    message: str


class EvaluationResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a card shows, a file of `evaluations/`."""

    version: int = VERSION
    request: EvaluationRequest
    protocol: Protocol
    protocol_line: str
    results: tuple[MetricResult, ...]
    floor: tuple[MetricResult, ...] = ()  # one half of the reference against the other
    why_no_floor: str = ""
    copying: Copying | None = None
    why_no_copying: str = ""  # where it was asked for
    cautions: tuple[CautionRecord, ...] = ()
    real: SourceRecord
    fake: SourceRecord
    seconds: float = 0.0
    time: float = 0.0  # seconds since 1970
    versions: dict[str, str] = {}

    def value(self, metric: str) -> float | None:
        return next((result.value for result in self.results if result.metric == metric), None)


def encode_result(result: EvaluationResult) -> bytes:
    """The text of a file of `evaluations/`: JSON, indented, with every field."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def decode_result(text: bytes | str, *, name: str = "the evaluation") -> EvaluationResult:
    """Raises: DataError if it is not one, or of a later version."""
    try:
        result = msgspec.json.decode(text, type=EvaluationResult)
    except msgspec.DecodeError as error:
        raise DataError(f"{name} is damaged: {error}.", remedy="Evaluate again.") from error
    if result.version > VERSION:
        raise DataError(
            f"{name} is of version {result.version}; this program reads up to {VERSION}.", remedy="Update the program."
        )
    return result
