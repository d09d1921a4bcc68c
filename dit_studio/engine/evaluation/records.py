"""What a result says of its two sides and of how it was made, as values and as one sentence."""

from pathlib import Path

import numpy as np
import torch

from dit_studio.engine.evaluation.drawn import drawn_by, drawn_words
from dit_studio.engine.evaluation.extraction import Extracted
from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.engine.evaluation.sides import OpenSide
from dit_studio.engine.left_out import LeftOut, shown
from dit_studio.evaluation_plan import DRAWN
from dit_studio.evaluation_request import Protocol, SourceRecord


def source_record(opened: OpenSide, extracted: Extracted | None) -> SourceRecord:
    """One side of a result. Its hash: of the file of statistics that stand for it, else of the pixels measured."""
    source = opened.source
    if source is None or extracted is None:
        statistics = opened.statistics
        assert statistics is not None
        return SourceRecord(
            path=shown(opened.path),
            kind="statistics",
            content_hash=opened.statistics_hash,
            statistics_images=statistics.n,
            is_from_statistics=True,
            statistics=_meta(opened),
        )
    sizes = sorted(_size(text) for text in extracted.seen.sizes)
    seen, left_out = extracted.seen, LeftOut(extracted.seen.problems, count=extracted.seen.left_out)
    return SourceRecord(
        path=shown(opened.path),
        kind=source.kind,
        content_hash=opened.statistics_hash or extracted.pixel_hash,
        images=source.count,
        measured=len(extracted.numbers),
        statistics_images=opened.statistics.n if opened.statistics is not None else 0,
        duplicates=_duplicates(extracted),
        formats=tuple(sorted(seen.formats, key=lambda name: -seen.formats[name])),
        grey=seen.grey,
        smallest=sizes[0],
        largest=sizes[-1],
        class_names=source.class_names,
        has_labels=source.labels is not None,
        is_sorted_by_class=source.is_sorted_by_class,
        left_out=left_out.sentence(left_out.count + len(extracted.numbers)) if left_out.count else "",
        is_from_statistics=opened.statistics is not None,
        statistics=_meta(opened),
        drawn_by=drawn_by(opened),
    )


def protocol_of(
    extractor: Extractor, real: SourceRecord, fake: SourceRecord, *, seed: int, are_weights_published: bool
) -> Protocol:
    return Protocol(
        extractor=extractor.name,
        extractor_name=extractor.label,
        weights_sha256=extractor.weights_sha256,
        are_weights_published=are_weights_published,
        resize=extractor.protocol,
        arithmetic="fp32",
        device=extractor.device.type,
        statistics="float64 on the CPU, covariance over n - 1",
        seed=seed,
        n_real=real.measured,
        n_fake=fake.measured,
        real_hash=real.content_hash,
        fake_hash=fake.content_hash,
        drawn=drawn_words(fake.drawn_by) if fake.drawn_by else "",
    )


def protocol_sentence(protocol: Protocol, real: SourceRecord, fake: SourceRecord) -> str:
    """The protocol line."""
    of_real = f"{protocol.n_real:,} reference images" if protocol.n_real else "reference statistics"
    if real.is_from_statistics and protocol.n_real:
        of_real = f"reference statistics (and {protocol.n_real:,} images)"
    name = f"the data set of {Path(real.path).name}" if real.kind == "data set" else Path(real.path).name
    was_drawn = Path(fake.path).parent.name == DRAWN
    of_fake = "images drawn for this" if was_drawn else f"of {Path(fake.path).name}"
    drawn = f" Drawn: {protocol.drawn}." if protocol.drawn else ""
    return (
        f"{protocol.extractor_name} (weights {protocol.weights_sha256[:8]}), resized as {protocol.resize}, "
        f"{protocol.arithmetic} on {protocol.device}; statistics in {protocol.statistics}; "
        f"{of_real} of {name} ({protocol.real_hash[:8]}) against {protocol.n_fake:,} {of_fake} "
        f"({protocol.fake_hash[:8]}); seed {protocol.seed}.{drawn}"
    )


def _meta(opened: OpenSide) -> dict[str, str]:
    return {} if opened.statistics is None else {key: str(value) for key, value in opened.statistics.meta.items()}


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("×")
    return int(width), int(height)


def _duplicates(extracted: Extracted) -> int:
    """How many images are there more than once."""
    _, counts = np.unique(extracted.hashes, return_counts=True)
    return int(counts[counts > 1].sum())


def input_size(extractor: Extractor) -> int:
    """The side of the pictures that the network gets, in pixels."""
    blank = torch.zeros(1, 3, 8, 8, dtype=torch.uint8, device=extractor.device)
    return int(extractor.preprocessing.prepare(blank).shape[-1])
