"""What may be wrong with a result, from what is known of its two sides."""

from collections.abc import Collection
from typing import Literal

import msgspec

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.engine.evaluation.records import input_size
from dit_studio.engine.evaluation.warnings import (
    NEIGHBOURS,
    UNEQUAL_NUMBERS,
    Comparison,
    Side,
    unequal_numbers,
    warnings_for,
)
from dit_studio.evaluation_request import CautionRecord, EvaluationResult, Metric, Protocol, SourceRecord

_NO_FORMATS = frozenset({"npz", "cache", "cifar"})
_IMAGENET_CLASSES = 1000
_NEARLY_ALL = 0.9  # of the images: a set in colour may hold some that are grey


def cautions_for(
    extractor: Extractor,
    metrics: tuple[Metric, ...],
    protocol: Protocol,
    *,
    real: SourceRecord,
    fake: SourceRecord,
    trained_on: str = "",
) -> tuple[CautionRecord, ...]:
    """The worst first. `trained_on`: the images of the model's training, where the reference is known to be others."""
    is_fid = extractor.name == "inception"
    asked = [metric for metric in metrics if metric not in NEIGHBOURS]  # of which as many of each side are taken
    facts = Comparison(
        real=_side(real),
        generated=_side(fake),
        metrics=tuple("fd" if metric == "fid" and not is_fid else metric for metric in asked),
        protocol=protocol.resize,
        weights_sha256=protocol.weights_sha256,
        are_weights_verified=protocol.are_weights_published,
        input_size=input_size(extractor),
        is_imagenet=len(real.class_names) == _IMAGENET_CLASSES,
        arithmetic=protocol.arithmetic,
        model_weights=_model_weights(fake),
        cfg=float(fake.drawn_by.settings.get("cfg", 1.0)) if fake.drawn_by else 1.0,
        trained_on=trained_on,
    )
    return tuple(
        CautionRecord(level=level, metric="fid" if name == "fd" else name, message=text)
        for level, name, text in warnings_for(facts)
    )


def beside(result: EvaluationResult, numbers: Collection[int]) -> EvaluationResult:
    """A result that is shown with others, of these numbers of generated images: it says so if they differ."""
    own = [caution for caution in result.cautions if UNEQUAL_NUMBERS not in caution.message]
    found = unequal_numbers(result.protocol.n_fake, numbers)
    marked = [CautionRecord(level=level, metric=metric, message=text) for level, metric, text in found]
    before = [caution for caution in own if caution.level == "red"]
    after = [caution for caution in own if caution.level != "red"]
    return msgspec.structs.replace(result, cautions=(*before, *marked, *after))


def _side(record: SourceRecord) -> Side:
    has_images = record.kind != "statistics"
    sizes = {record.smallest, record.largest} if has_images else set()
    return Side(
        n=record.statistics_images if record.is_from_statistics else record.measured,
        images=record.images,
        is_sorted_by_class=record.is_sorted_by_class,
        formats=frozenset(name.lower() for name in record.formats) - _NO_FORMATS,
        sizes=frozenset((height, width) for width, height in sizes),
        duplicates=record.duplicates,
        is_statistics=record.is_from_statistics,
        has_images=has_images,
        protocol=record.statistics.get("protocol", ""),
        weights_sha256=record.statistics.get("weights_sha256", ""),
        is_spatial_order_known="protocol" in record.statistics,
        left_out=record.left_out,
        colour=_colour(record),
    )


def _colour(record: SourceRecord) -> Literal["grey", "colour", ""]:
    if record.grey is None or not record.measured:
        return ""
    if record.grey > _NEARLY_ALL * record.measured:
        return "grey"
    return "colour" if record.grey < (1 - _NEARLY_ALL) * record.measured else ""


def _model_weights(fake: SourceRecord) -> Literal["ema", "raw", ""]:
    drawn = fake.drawn_by
    if drawn is None or drawn.model is None:
        return ""
    return "raw" if drawn.model.weights == "raw" else "ema"
