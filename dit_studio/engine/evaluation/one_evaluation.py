"""One comparison from its request to its result: two sides are read once, and every metric follows from that."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from dit_studio.engine.device import pick_devices
from dit_studio.engine.evaluation.comparison import cautions_for
from dit_studio.engine.evaluation.copying import copying_caution, find_copies, searched_note
from dit_studio.engine.evaluation.drawing import draw_for, is_model, run_of, sample_of
from dit_studio.engine.evaluation.extraction import Extracted, extract
from dit_studio.engine.evaluation.extractors import Extractor, open_on_each, protocols_of
from dit_studio.engine.evaluation.fit_caution import fit_caution
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.metric_names import chosen_metrics, metric_name
from dit_studio.engine.evaluation.records import protocol_of, protocol_sentence, source_record
from dit_studio.engine.evaluation.reference import Halves, Reference, halves_of
from dit_studio.engine.evaluation.run_data import other_training_images
from dit_studio.engine.evaluation.sides import OpenSide, Side, measured_side, open_generated, open_reference
from dit_studio.engine.evaluation.versions import versions_for
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.left_out import shown
from dit_studio.engine.several_devices import check_alone
from dit_studio.errors import ConfigError, Problem, StudioError, in_a_line
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


class OpenExtractor(NamedTuple):
    extractor: Extractor
    are_weights_published: bool


@dataclass
class Shared:
    """What comparisons one after the other need not do again: one extractor and one reference stay open."""

    device: str = "auto"
    extractors: dict[tuple[str, ...], OpenExtractor] = field(default_factory=dict)  # one at most
    references: dict[tuple[object, ...], Reference] = field(default_factory=dict)  # one at most
    trained_on: dict[tuple[Path, Path], str] = field(default_factory=dict)  # other images than the reference, by run


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
        check_alone()
        on = pick_devices(shared.device, setting="evaluate.device")
        weights = weights_for(asked.extractor, asked.weights)
        yield Progress(stage=f"Opening {asked.extractor}", done=0, total=1, unit="extractors")
        extractor = open_on_each(asked.extractor, on, files=weights.files, protocol=asked.protocol)
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
        opened_fake = None if self._is_of_model else (yield from open_generated(self._request.fake))
        reference = yield from self._open_reference()
        opened_fake = opened_fake or (yield from self._draw())
        read_fake = yield from self._extract(opened_fake, "Generated images", self._request.count)
        request = self._request
        real, fake = reference.record, source_record(opened_fake, read_fake)
        pair = Pair(reference.side, measured_side(opened_fake, read_fake), self._extractor, request.seed)
        results = yield from self._measure(pair, "Measuring")
        floor = yield from self._floor(reference)
        if "copying" in self._metrics:
            yield Progress(stage="Looking for copies", done=0, total=pair.fake.n, unit="images")
        copying, copies, why_no_copying = self._copying(pair, reference, opened_fake)
        trained_on = yield from self._trained_on()
        protocol = protocol_of(
            self._extractor, real, fake, seed=request.seed, are_weights_published=self._are_weights_published
        )
        result = EvaluationResult(
            request=msgspec.structs.replace(request, real=shown(request.real), fake=shown(request.fake)),
            protocol=protocol,
            protocol_line=protocol_sentence(protocol, real, fake),
            results=results,
            floor=floor,
            why_no_floor=reference.halves.why_not,
            copying=copying,
            why_no_copying=why_no_copying,
            cautions=(
                *copying_caution(copying),
                *cautions_for(self._extractor, self._metrics, protocol, real=real, fake=fake, trained_on=trained_on),
                *fit_caution(results),
                *_notes(reference.opened),
                *searched_note(copying, real.measured),
                *_too_few(request, real, fake),
            ),
            real=real,
            fake=fake,
            seconds=time.monotonic() - started,
            time=time.time(),
            versions=versions_for(self._extractor.name),
        )
        return Evaluated(result=result, generated=opened_fake, copies=copies)

    def _open_reference(self) -> Generator[Event, None, Reference]:
        request, extractor = self._request, self._extractor
        whose = (request.real, extractor.name, extractor.weights_sha256, extractor.protocol)
        key = (*whose, request.count, request.seed, request.has_floor, self._metrics)
        if key not in self._shared.references:
            self._shared.references.clear()
            opened = _comparable((yield from open_reference(request.real, extractor)), extractor)
            whole = yield from self._whole(opened)
            read = yield from self._extract(opened, "Reference", request.count, is_whole_read=whole is not None)
            side = measured_side(opened, read)
            searched = side if whole is None else measured_side(opened, whole)
            halves = self._halves_of(side)
            self._shared.references[key] = Reference(
                opened=opened,
                record=source_record(opened, read),
                side=side,
                halves=halves,
                searched=searched,
                searched_halves=halves if searched is side else self._halves_of(searched),
            )
        return self._shared.references[key]

    def _whole(self, opened: OpenSide) -> Generator[Event, None, Extracted | None]:
        """All of the reference's images where copies are looked for among more of them than are measured.

        They are read from a source of their own: that of the measured ones tells which of these are left out.
        """
        count = self._request.count
        if "copying" not in self._metrics or opened.source is None or count is None or count >= opened.source.count:
            return None
        whole = yield from open_reference(self._request.real, self._extractor)
        return (yield from self._extract(whole, "Reference, to find copies", None))

    def _halves_of(self, side: Side) -> Halves:
        request = self._request
        return halves_of(side, self._extractor, self._metrics, seed=request.seed, is_asked_for=request.has_floor)

    def _draw(self) -> Generator[Event, None, OpenSide]:
        """What the model draws; from here on the request says how."""
        drawn = yield from draw_for(self._request, device=self._shared.device)
        self._request = msgspec.structs.replace(self._request, sample=drawn.sample)
        return (yield from open_generated(str(drawn.folder)))

    def _trained_on(self) -> Generator[Progress, None, str]:
        """What the model that drew the images was trained on, where the reference is other images."""
        run = run_of(Path(self._request.fake).expanduser().absolute()) if self._is_of_model else None
        reference = Path(self._request.real).expanduser()
        if run is None or reference.suffix.lower() == ".npz":
            return ""
        known = self._shared.trained_on
        if (run, reference) not in known:
            known[run, reference] = shown((yield from other_training_images(run, reference)))
        return known[run, reference]

    def _extract(
        self, opened: OpenSide, stage: str, count: int | None, *, is_whole_read: bool = False
    ) -> Generator[Event, None, Extracted | None]:
        if opened.source is None:
            return None
        request = self._request
        return (
            yield from extract(
                opened.source,
                self._extractor,
                stage=stage,
                count=count,
                seed=request.seed,
                batch_size=request.batch_size,
                is_whole_read=is_whole_read,
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

    def _floor(self, reference: Reference) -> Generator[Progress, None, tuple[MetricResult, ...]]:
        """The same for every comparison with this reference, so measured once."""
        if reference.halves.pair is None:
            return ()
        if reference.floor is None:
            reference.floor = yield from self._measure(reference.halves.pair, "Floor")
        return reference.floor

    def _copying(
        self, pair: Pair, reference: Reference, fake: OpenSide
    ) -> tuple[Copying | None, tuple[Copy, ...], str]:
        """The nearest images, or why there are none; "" if nobody asked."""
        if "copying" not in self._metrics:
            return None, (), ""
        try:
            pair.need_images()
            searched = Pair(reference.searched, pair.fake, self._extractor, pair.seed)
            return *find_copies(searched, reference.opened, fake, spacing=reference.spacing), ""
        except StudioError as error:
            return None, (), str(error)
        except Exception as error:  # noqa: BLE001  whatever a library raises, the figures stay
            return None, (), f"It could not be computed: {in_a_line(error)}."


def _comparable(opened: OpenSide, extractor: Extractor) -> OpenSide:
    """Without saved statistics that were made in another way, where their file has images to measure instead."""
    statistics = opened.statistics
    made_as = "" if statistics is None else str(statistics.meta.get("protocol", ""))
    if opened.source is None or made_as in ("", extractor.protocol):
        return opened
    note = (
        f"The statistics of the reference were made as {made_as}, not as {extractor.protocol}: the "
        f"{opened.source.count:,} images in the same file are measured instead."
    )
    return replace(opened, statistics=None, statistics_hash="", note=note)


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
