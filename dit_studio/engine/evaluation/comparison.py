"""What may be wrong with a result, from what is known of its two sides."""

from typing import Literal

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.engine.evaluation.records import input_size
from dit_studio.engine.evaluation.warnings import NEIGHBOURS, Comparison, Side, warnings_for
from dit_studio.evaluation_request import CautionRecord, Metric, Protocol, SourceRecord

_NO_FORMATS = frozenset({"npz", "cache", "cifar"})
_IMAGENET_CLASSES = 1000


def cautions_for(
    extractor: Extractor, metrics: tuple[Metric, ...], protocol: Protocol, *, real: SourceRecord, fake: SourceRecord
) -> tuple[CautionRecord, ...]:
    """The worst first."""
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
    )
    return tuple(
        CautionRecord(level=level, metric="fid" if name == "fd" else name, message=text)
        for level, name, text in warnings_for(facts)
    )


def _side(record: SourceRecord) -> Side:
    has_images = record.kind != "statistics"
    sizes = {record.smallest, record.largest} if has_images else set()
    return Side(
        n=record.statistics_images if record.is_from_statistics else record.measured,
        is_sorted_by_class=record.is_sorted_by_class,
        formats=frozenset(name.lower() for name in record.formats) - _NO_FORMATS,
        sizes=frozenset((height, width) for width, height in sizes),
        duplicates=record.duplicates,
        is_statistics=record.is_from_statistics,
        protocol=record.statistics.get("protocol", ""),
        weights_sha256=record.statistics.get("weights_sha256", ""),
        is_spatial_order_known="protocol" in record.statistics,
    )


def _model_weights(fake: SourceRecord) -> Literal["ema", "raw", ""]:
    drawn = fake.drawn_by
    if drawn is None or drawn.model is None:
        return ""
    return "raw" if drawn.model.weights == "raw" else "ema"
