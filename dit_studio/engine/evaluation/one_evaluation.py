"""One comparison from its request to its result: two sides are read once, and every metric follows from that."""

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from dit_studio import __version__
from dit_studio.engine.device import pick_device
from dit_studio.engine.evaluation.comparison import cautions_for
from dit_studio.engine.evaluation.copying import copying_caution, find_copies
from dit_studio.engine.evaluation.drawing import draw_for, is_model, sample_of
from dit_studio.engine.evaluation.extraction import Extracted, extract
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor, open_extractor, protocols_of
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.metric_names import chosen_metrics, metric_name
from dit_studio.engine.evaluation.records import protocol_of, protocol_sentence, source_record
from dit_studio.engine.evaluation.sides import OpenSide, measured_side, open_generated, open_reference
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.left_out import shown
from dit_studio.errors import ConfigError, Problem, StudioError
from dit_studio.evaluation_request import (
    CautionRecord,
    Copy,
    Copying,
    EvaluationRequest,
    EvaluationResult,
    Metric,
    MetricResult,
    SourceRecord,
)
from dit_studio.events import Event, Progress

_LEAST_FOR_HALVES, _MOST_IN_HALF = 8, 10_000
_OUTPUTS: dict[Metric, str] = {"sfid": "spatial", "is": "logits"}


class OpenExtractor(NamedTuple):
    extractor: Extractor
    are_weights_published: bool


@dataclass
class Shared:
    """What comparisons one after the other need not do again: one extractor stays open, floors are remembered."""

    device: str = "auto"
    extractors: dict[tuple[str, ...], OpenExtractor] = field(default_factory=dict)  # one at most
    floors: dict[tuple[object, ...], tuple[MetricResult, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A result, with what is too large for it."""

    result: EvaluationResult
    generated: OpenSide
    copies: tuple[Copy, ...] = ()  # all, or the 10,000 closest


def parse_request(request: dict[str, Any]) -> EvaluationRequest:
    """Raises: ConfigError if a field is unknown or out of range."""
    try:
        asked = msgspec.convert(request, EvaluationRequest)
    except msgspec.ValidationError as error:
        raise ConfigError([Problem("evaluate", f"The request cannot be read: {error}.")]) from error
    check_request(asked)
    return asked


def check_request(asked: EvaluationRequest) -> None:
    """What can be said before anything is opened but the head of a model. Raises: ConfigError."""
    if asked.weights and asked.extractor == "random":
        raise ConfigError([Problem("evaluate.weights", "The extractor random takes no weights: leave them out.")])
    if asked.protocol and asked.protocol not in (known := protocols_of(asked.extractor)):
        there = f"one protocol, {known[0]}" if len(known) == 1 else f"the protocols {', '.join(known)}"
        message = f'"{asked.extractor}" has {there}, not "{asked.protocol}".'
        raise ConfigError([Problem("evaluate.protocol", message, asked.protocol)])
    chosen_metrics(asked.metrics, asked.extractor)
    if is_model(Path(asked.fake).expanduser()):
        sample_of(asked)


def evaluate_one(asked: EvaluationRequest, shared: Shared) -> Generator[Event, None, Evaluated]:
    """Draw what is to be drawn, and measure it. Closed at any event it keeps images and features.

    Raises: ConfigError if the request cannot be served; StudioError.
    """
    started = time.monotonic()
    metrics = chosen_metrics(asked.metrics, asked.extractor)
    opened = yield from _open(asked, shared)
    return (yield from _Evaluation(asked, metrics, opened, shared).run(started))


def _open(asked: EvaluationRequest, shared: Shared) -> Generator[Event, None, OpenExtractor]:
    key = (asked.extractor, asked.weights, asked.protocol)
    if key not in shared.extractors:
        shared.extractors.clear()  # before the next one takes memory
        on = pick_device(shared.device, setting="evaluate.device")
        weights = weights_for(asked.extractor, asked.weights)
        yield Progress(stage=f"Opening {asked.extractor}", done=0, total=1, unit="extractors")
        extractor = open_extractor(asked.extractor, device=on, files=weights.files, protocol=asked.protocol)
        shared.extractors[key] = OpenExtractor(extractor, weights.are_published)
    return shared.extractors[key]


class _Evaluation:
    """One request on its way to its result."""

    def __init__(
        self, request: EvaluationRequest, metrics: tuple[Metric, ...], opened: OpenExtractor, shared: Shared
    ) -> None:
        self._request, self._metrics, self._shared = request, metrics, shared
        self._extractor, self._are_weights_published = opened
        self._is_of_model = is_model(Path(request.fake).expanduser())

    def run(self, started: float) -> Generator[Event, None, Evaluated]:
        opened_real = yield from open_reference(self._request.real, self._extractor)
        opened_fake = None if self._is_of_model else (yield from open_generated(self._request.fake))
        read_real = yield from self._extract(opened_real, "Reference")
        opened_fake = opened_fake or (yield from self._draw())
        read_fake = yield from self._extract(opened_fake, "Generated images")
        request = self._request
        real, fake = source_record(opened_real, read_real), source_record(opened_fake, read_fake)
        sides = measured_side(opened_real, read_real), measured_side(opened_fake, read_fake)
        pair = Pair(*sides, self._extractor, request.seed)
        results = yield from self._measure(pair, "Measuring")
        halves, why_no_floor = self._halves(pair)
        floor = () if halves is None else (yield from self._floor(halves, real))
        if "copying" in self._metrics:
            yield Progress(stage="Looking for copies", done=0, total=pair.fake.n, unit="images")
        copying, copies, why_no_copying = self._copying(pair, opened_real, opened_fake, halves)
        protocol = protocol_of(
            self._extractor, real, fake, seed=request.seed, are_weights_published=self._are_weights_published
        )
        result = EvaluationResult(
            request=msgspec.structs.replace(request, real=shown(request.real), fake=shown(request.fake)),
            protocol=protocol,
            protocol_line=protocol_sentence(protocol, real, fake),
            results=results,
            floor=floor,
            why_no_floor=why_no_floor,
            copying=copying,
            why_no_copying=why_no_copying,
            cautions=(
                *copying_caution(copying),
                *cautions_for(self._extractor, self._metrics, protocol, real=real, fake=fake),
                *_notes(opened_real, opened_fake),
                *_too_few(request, real, fake),
            ),
            real=real,
            fake=fake,
            seconds=time.monotonic() - started,
            time=time.time(),
            versions=_versions(),
        )
        return Evaluated(result=result, generated=opened_fake, copies=copies)

    def _draw(self) -> Generator[Event, None, OpenSide]:
        """What the model draws; from here on the request says how."""
        drawn = yield from draw_for(self._request, device=self._shared.device)
        self._request = msgspec.structs.replace(self._request, sample=drawn.sample)
        return (yield from open_generated(str(drawn.folder)))

    def _extract(self, opened: OpenSide, stage: str) -> Generator[Event, None, Extracted | None]:
        if opened.source is None:
            return None
        request = self._request
        return (
            yield from extract(
                opened.source,
                self._extractor,
                stage=stage,
                count=request.count,
                seed=request.seed,
                batch_size=request.batch_size,
            )
        )

    def _measure(self, pair: Pair, stage: str) -> Generator[Progress, None, tuple[MetricResult, ...]]:
        metrics = [metric for metric in self._metrics if metric != "copying"]
        found = []
        for done, metric in enumerate(metrics):
            name = metric_name(metric, self._extractor, pair.fake.n)
            yield Progress(stage=f"{stage}: {name}", done=done, total=len(metrics), unit="metrics")
            found.append(measure(metric, pair))
        yield Progress(stage=stage, done=len(metrics), total=len(metrics), unit="metrics")
        return tuple(found)

    def _floor(self, halves: Pair, real: SourceRecord) -> Generator[Progress, None, tuple[MetricResult, ...]]:
        """The same for every comparison with this reference, so measured once."""
        extractor, request = self._extractor, self._request
        whose = (extractor.name, extractor.weights_sha256, extractor.protocol, real.content_hash, real.measured)
        key = (*whose, request.seed, self._metrics)
        if key not in self._shared.floors:
            self._shared.floors[key] = yield from self._measure(halves, "Floor")
        return self._shared.floors[key]

    def _halves(self, pair: Pair) -> tuple[Pair | None, str]:
        """One half of the reference against the other, or why there is none."""
        if not self._request.has_floor:
            return None, "It was not asked for."
        if not pair.real.features:
            return None, "The reference is statistics without images, which cannot be halved."
        if pair.real.n < _LEAST_FOR_HALVES:
            return None, f"{pair.real.n} reference images are too few to be halved; {_LEAST_FOR_HALVES} would do."
        order = np.random.default_rng(self._request.seed).permutation(pair.real.n)[: 2 * _MOST_IN_HALF]
        first, second = (pair.real.rows(np.sort(rows), self._outputs()) for rows in np.array_split(order, 2))
        return Pair(first, second, self._extractor, self._request.seed), ""

    def _outputs(self) -> frozenset[str]:
        """The features that the floor needs."""
        needed = {MAIN_OUTPUT} | {output for metric, output in _OUTPUTS.items() if metric in self._metrics}
        return frozenset(needed)

    def _copying(
        self, pair: Pair, real: OpenSide, fake: OpenSide, halves: Pair | None
    ) -> tuple[Copying | None, tuple[Copy, ...], str]:
        """The nearest images, or why there are none; "" if nobody asked."""
        if "copying" not in self._metrics:
            return None, (), ""
        try:
            return *find_copies(pair, real, fake, halves=halves), ""
        except StudioError as error:
            return None, (), str(error)


def _notes(*sides: OpenSide) -> list[CautionRecord]:
    return [CautionRecord(level="amber", metric="", message=side.note) for side in sides if side.note]


def _too_few(request: EvaluationRequest, *sides: SourceRecord) -> list[CautionRecord]:
    """Where there were fewer images than asked for."""
    return [
        CautionRecord(
            level="note",
            metric="",
            message=f"{request.count:,} images were asked for; {side.path} has {side.measured:,}.",
        )
        for side in sides
        if request.count is not None and side.kind != "statistics" and side.measured < request.count
    ]


def _versions() -> dict[str, str]:
    """Of what made a result."""
    versions = {"dit-studio": __version__, "python": platform.python_version(), "torch": str(torch.__version__)}
    return versions | {name: metadata.version(name) for name in ("numpy", "pillow")}
