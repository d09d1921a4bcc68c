"""The job behind the Evaluate page: two sides are read once, and every metric follows from their features."""

import platform
import time
from collections.abc import Generator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from dit_studio import __version__
from dit_studio.engine.device import pick_device
from dit_studio.engine.evaluation.comparison import cautions_for
from dit_studio.engine.evaluation.copying import copying_caution, find_copies
from dit_studio.engine.evaluation.extraction import Extracted, extract
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor, open_extractor
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.metric_names import chosen_metrics, metric_name
from dit_studio.engine.evaluation.records import protocol_of, protocol_sentence, source_record
from dit_studio.engine.evaluation.sides import OpenSide, measured_side, open_generated, open_reference
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.left_out import shown
from dit_studio.errors import ConfigError, Problem, RunError, StudioError
from dit_studio.evaluation_request import (
    CautionRecord,
    Copying,
    EvaluationRequest,
    EvaluationResult,
    Metric,
    MetricResult,
    SourceRecord,
    encode_result,
)
from dit_studio.events import EvaluationDone, Event, Progress, SettingsRefused, Written
from dit_studio.files import naming_disk_errors, why_not_writable, write_atomically

_LEAST_FOR_HALVES, _MOST_IN_HALF = 8, 10_000
_OUTPUTS: dict[Metric, str] = {"sfid": "spatial", "is": "logits"}


def evaluate(request: dict[str, Any], out: str = "", device: str = "auto") -> Generator[Event]:
    """Progress…, then EvaluationDone; and Written, if `out` names a file for the result.

    Closed at any event it keeps the features so far, and the same request goes on there. A request that cannot be
    served is answered with SettingsRefused. Raises: DataError, CheckpointError, DiskFullError or RunError.
    """
    started = time.monotonic()
    _check_target(out)
    try:
        asked = parse_request(request)
        metrics = chosen_metrics(asked.metrics, asked.extractor)
        on = pick_device(device, setting="evaluate.device")
        weights = weights_for(asked.extractor, asked.weights)
        yield Progress(stage=f"Opening {asked.extractor}", done=0, total=1, unit="extractors")
        extractor = open_extractor(asked.extractor, device=on, files=weights.files, protocol=asked.protocol)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    result = yield from _Evaluation(asked, metrics, extractor, weights.are_published).run(started)
    text = encode_result(result)
    if out:
        with naming_disk_errors(Path(out)):
            Path(out).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(out), text)
    yield EvaluationDone(result=text.decode())
    if out:
        yield Written(file=out, size_bytes=len(text))


def _check_target(out: str) -> None:
    """Before the work, not after it. Raises: RunError."""
    if out and Path(out).is_dir():
        raise RunError(f"{out} is a folder, and the result goes into a file.", remedy="Name a file, as result.json.")
    if out and (why := why_not_writable(Path(out).parent)):
        raise RunError(why, remedy="Choose a folder that you may write to.")


def parse_request(request: dict[str, Any]) -> EvaluationRequest:
    """Raises: ConfigError if a field is unknown or out of range."""
    try:
        asked = msgspec.convert(request, EvaluationRequest)
    except msgspec.ValidationError as error:
        raise ConfigError([Problem("evaluate", f"The request cannot be read: {error}.")]) from error
    if asked.weights and asked.extractor == "random":
        raise ConfigError([Problem("evaluate.weights", "The extractor random takes no weights: leave them out.")])
    return asked


class _Evaluation:
    """One request on its way to its result."""

    def __init__(
        self, request: EvaluationRequest, metrics: tuple[Metric, ...], extractor: Extractor, are_weights_published: bool
    ) -> None:
        self._request, self._metrics, self._extractor = request, metrics, extractor
        self._are_weights_published = are_weights_published

    def run(self, started: float) -> Generator[Event, None, EvaluationResult]:
        request = self._request
        opened_real = yield from open_reference(request.real, self._extractor)
        opened_fake = yield from open_generated(request.fake)
        read_real = yield from self._extract(opened_real, "Reference")
        read_fake = yield from self._extract(opened_fake, "Generated images")
        real, fake = source_record(opened_real, read_real), source_record(opened_fake, read_fake)
        sides = measured_side(opened_real, read_real), measured_side(opened_fake, read_fake)
        pair = Pair(*sides, self._extractor, request.seed)
        results = yield from self._measure(pair, "Measuring")
        halves, why_no_floor = self._halves(pair)
        floor = () if halves is None else (yield from self._measure(halves, "Floor"))
        if "copying" in self._metrics:
            yield Progress(stage="Looking for copies", done=0, total=pair.fake.n, unit="images")
        copying, why_no_copying = self._copying(pair, opened_real, opened_fake, halves)
        protocol = protocol_of(
            self._extractor, real, fake, seed=request.seed, are_weights_published=self._are_weights_published
        )
        return EvaluationResult(
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
                *_too_few(request, real, fake),
            ),
            real=real,
            fake=fake,
            seconds=time.monotonic() - started,
            time=time.time(),
            versions=_versions(),
        )

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

    def _copying(self, pair: Pair, real: OpenSide, fake: OpenSide, halves: Pair | None) -> tuple[Copying | None, str]:
        """The nearest images, or why there are none; "" if nobody asked."""
        if "copying" not in self._metrics:
            return None, ""
        try:
            return find_copies(pair, real, fake, halves=halves), ""
        except StudioError as error:
            return None, str(error)


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
    versions = {"dit-studio": __version__, "python": platform.python_version(), "torch": str(torch.__version__)}
    return versions | {name: metadata.version(name) for name in ("numpy", "pillow")}
