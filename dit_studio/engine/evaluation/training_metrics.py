"""Metrics while training: a few images of the averaged weights against as many training images.

Few images make large distances, which fall with their number: such figures show the way of one run, and are comparable
with nothing else. Nothing that training draws from is touched.
"""

import hashlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dit_studio.config import EvaluateConfig, Recipe, metrics_while_training
from dit_studio.engine.checkpoint import ModelDescription, checkpoint_name
from dit_studio.engine.data import ImageSet
from dit_studio.engine.device import Precision
from dit_studio.engine.evaluation.comparison import cautions_for
from dit_studio.engine.evaluation.extraction import drawn_numbers, extract, hashes_of, pixel_hash
from dit_studio.engine.evaluation.extractors import Extractor, Features, open_extractor
from dit_studio.engine.evaluation.fit_caution import fit_caution
from dit_studio.engine.evaluation.image_sources import data_set_source
from dit_studio.engine.evaluation.measurements import Pair, measure
from dit_studio.engine.evaluation.records import protocol_of, protocol_sentence
from dit_studio.engine.evaluation.sides import Side
from dit_studio.engine.evaluation.versions import versions_for
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.latents_decoding import Decoder
from dit_studio.engine.model import DiT
from dit_studio.engine.sampling import Samples, sample
from dit_studio.errors import DataError
from dit_studio.evaluation_request import (
    DrawnBy,
    EvaluationRequest,
    EvaluationResult,
    Metric,
    MetricResult,
    SourceRecord,
    encode_result,
)
from dit_studio.events import Event, Measured, Notice, Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.sample_request import ModelReference, SampleRequest

FOLDER = "evaluations"  # in the run's folder
_SEED = 0  # that chooses the training images


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """The training images that are compared with, and what two halves of all that were drawn make of each other."""

    side: Side
    record: SourceRecord
    extractor: Extractor
    are_weights_published: bool
    floor: tuple[MetricResult, ...]


class TrainingMetrics:
    """What a run measures again and again. Extractor and reference are kept from the first time on.

    Twice as many training images are drawn as are compared with, as far as there are so many: one half of them against
    the other is the floor.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSet,
        train_indices: NDArray[np.int64],
        description: ModelDescription,
        run: Path,
    ) -> None:
        self._recipe, self._images, self._run = recipe, images, run
        self._train_indices, self._description = train_indices, description
        self._metrics = metrics_while_training(recipe.evaluate)
        self._reference: _Reference | None = None

    def measure(
        self, model: DiT, *, step: int, device: torch.device, precision: Precision, decoder: Decoder | None = None
    ) -> Generator[Event]:
        """Progress…, then Measured for each metric, or a Notice where one has no value; `evaluations/step-….json`.

        Raises: StudioError, or what an extractor's library raises.
        """
        started = time.monotonic()
        if self._reference is None:
            self._reference = yield from self._open_reference(device)
        reference, request = self._reference, sample_request(self._recipe, self._description, model)
        side = yield from self._draw(model, request, reference.extractor, precision, decoder)
        results = _measured(self._metrics, Pair(reference.side, side, reference.extractor, _SEED))
        drawn_by = self._drawn_by(request, step, precision)
        fake = _generated_record(self._run, self._images, side, drawn_by)
        result = _result(self._recipe, reference, request, fake, results, time.monotonic() - started)
        _write(self._run / FOLDER / f"{checkpoint_name(step)}.json", encode_result(result))
        yield from _events(step, result)

    def _open_reference(self, device: torch.device) -> Generator[Event, None, _Reference]:
        settings = self._recipe.evaluate
        with torch.random.fork_rng(devices=[]):  # networks are filled at random before their weights are read
            weights = weights_for(settings.extractor)
            extractor = open_extractor(settings.extractor, device=device, files=weights.files)
        images = _chosen_images(self._images, self._train_indices, 2 * settings.count)
        source = data_set_source(images)
        stage = "Metrics: training images"
        extracted = yield from extract(
            source, extractor, stage=stage, count=None, seed=_SEED, batch_size=settings.batch_size
        )
        everything = Side(
            n=len(extracted.numbers),
            features=extracted.features,
            numbers=extracted.numbers,
            hashes=extracted.hashes,
            labels=images.labels[extracted.numbers] if images.class_names else None,
            class_names=images.class_names,
        )
        outputs = frozenset(extractor.outputs)
        first, second = (everything.rows(rows, outputs) for rows in np.array_split(np.arange(everything.n), 2))
        compared = everything.rows(np.arange(min(settings.count, everything.n)), outputs)
        return _Reference(
            side=compared,
            record=_data_record(images, compared),
            extractor=extractor,
            are_weights_published=weights.are_published,
            floor=_measured(self._metrics, Pair(first, second, extractor, _SEED)),
        )

    def _draw(
        self,
        model: DiT,
        request: SampleRequest,
        extractor: Extractor,
        precision: Precision,
        decoder: Decoder | None,
    ) -> Generator[Event, None, Side]:
        """The features of the model's images, and hashes of their pixels."""
        hashes, parts = list[NDArray[np.uint64]](), list[dict[str, Features]]()
        labels: list[int] = []
        yield Progress(stage="Metrics: drawing", done=0, total=request.count, unit="images")
        for drawn in sample(model, self._description, request, precision=precision, decoder=decoder):
            if isinstance(drawn, Notice):
                yield drawn
            elif isinstance(drawn, Samples):
                hashes.append(hashes_of(drawn.images.numpy()))
                parts.append(extractor(drawn.images))
                labels += drawn.labels
                if len(labels) < request.count:
                    yield Progress(stage="Metrics: drawing", done=len(labels), total=request.count, unit="images")
        features = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if not all(np.isfinite(array).all() for array in features.values()):
            raise DataError("The features of the drawn images are not all finite.")
        names = self._images.class_names
        return Side(
            n=len(labels),
            features=features,
            hashes=np.concatenate(hashes),
            labels=np.array(labels) if names else None,
            class_names=names,
        )

    def _drawn_by(self, request: SampleRequest, step: int, precision: Precision) -> DrawnBy:
        names = ("sampler", "steps", "cfg", "cfg_channels", "seed")
        name, latents = f"{self._run.name} · step {step:,} · EMA", self._description.latents
        return DrawnBy(
            model=ModelReference(path=str(self._run), name=name, step=step, vae=latents.vae if latents else ""),
            settings={name: getattr(request, name) for name in names},
            precision=precision.name,
        )


def sample_request(recipe: Recipe, description: ModelDescription, model: DiT) -> SampleRequest:
    """The [sample] settings; the classes in turn, or evenly chosen ones where there are more of them than images."""
    settings, count = recipe.sample, recipe.evaluate.count
    classes = np.linspace(0, description.num_classes - 1, min(count, description.num_classes)).round().astype(int)
    return SampleRequest(
        classes=tuple(classes.tolist()),
        count=count,
        seed=settings.seed,
        sampler=settings.sampler,
        steps=settings.steps,
        cfg=settings.cfg if model.null_class is not None else 1.0,
        batch_size=min(count, recipe.evaluate.batch_size),
    )


def _chosen_images(images: ImageSet, train_indices: NDArray[np.int64], count: int) -> ImageSet:
    """At most `count` training images in a random order that never changes, with a fingerprint of their own."""
    kept = train_indices[drawn_numbers(len(train_indices), count, _SEED)]
    order = np.random.default_rng(_SEED).permutation(kept)
    key = hashlib.sha256(f"{images.fingerprint} {order.tolist()}".encode()).hexdigest()[:32]
    return replace(images, images=images.images[order], labels=images.labels[order], fingerprint=key, keys=None)


def _measured(metrics: tuple[Metric, ...], pair: Pair) -> tuple[MetricResult, ...]:
    return tuple(measure(metric, pair) for metric in metrics)


# ------------------------------------------------------------------------------------------------- what is said


def _events(step: int, result: EvaluationResult) -> Iterator[Measured | Notice]:
    floors = {found.metric: found for found in result.floor}
    for found in result.results:
        if found.value is None:
            message = f"No {found.name} at step {step:,}: {found.why_no_value}"
            yield Notice(message=message, level="warning", step=step)
            continue
        floor = floors[found.metric]
        yield Measured(
            step=step,
            metric=found.metric,
            name=found.name,
            value=found.value,
            low=found.interval.low if found.interval else None,
            high=found.interval.high if found.interval else None,
            floor=floor.value,
            floor_n=floor.n_fake if floor.value is not None else 0,
            n=found.n_fake,
            seconds=result.seconds,
        )


def _result(
    recipe: Recipe, reference: _Reference, request: SampleRequest, fake: SourceRecord,
    results: tuple[MetricResult, ...], seconds: float,
) -> EvaluationResult:  # fmt: skip
    extractor, real = reference.extractor, reference.record
    published = reference.are_weights_published
    protocol = protocol_of(extractor, real, fake, seed=_SEED, are_weights_published=published)
    metrics = metrics_while_training(recipe.evaluate)
    return EvaluationResult(
        request=_evaluation_request(recipe.evaluate, real, fake, request),
        protocol=protocol,
        protocol_line=protocol_sentence(protocol, real, fake),
        results=results,
        floor=reference.floor,
        cautions=(*cautions_for(extractor, metrics, protocol, real=real, fake=fake), *fit_caution(results)),
        real=real,
        fake=fake,
        seconds=seconds,
        time=time.time(),
        versions=versions_for(extractor.name),
    )


def _evaluation_request(
    settings: EvaluateConfig, real: SourceRecord, fake: SourceRecord, request: SampleRequest
) -> EvaluationRequest:
    return EvaluationRequest(
        real=real.path,
        fake=fake.path,
        metrics=metrics_while_training(settings),
        extractor=settings.extractor,
        count=settings.count,
        seed=_SEED,
        batch_size=settings.batch_size,
        sample=request,
    )


def _data_record(images: ImageSet, side: Side) -> SourceRecord:
    size = (images.images.shape[3], images.images.shape[2])
    return SourceRecord(
        path=images.path, kind="data set", content_hash=_pixel_hash(side), images=len(images.labels), measured=side.n,
        smallest=size, largest=size, class_names=images.class_names, has_labels=bool(images.class_names),
    )  # fmt: skip


def _generated_record(run: Path, images: ImageSet, side: Side, drawn_by: DrawnBy) -> SourceRecord:
    size = (images.images.shape[3], images.images.shape[2])
    return SourceRecord(
        path=str(run), kind="model", content_hash=_pixel_hash(side), images=side.n, measured=side.n,
        smallest=size, largest=size, class_names=images.class_names, has_labels=bool(images.class_names),
        drawn_by=drawn_by,
    )  # fmt: skip


def _pixel_hash(side: Side) -> str:
    assert side.hashes is not None
    return pixel_hash(side.hashes)


def _write(file: Path, data: bytes) -> None:
    with naming_disk_errors(file):
        file.parent.mkdir(exist_ok=True)
    write_atomically(file, data)
