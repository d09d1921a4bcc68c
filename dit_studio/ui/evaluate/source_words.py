"""What was understood of a source, in a line."""

import itertools
from collections.abc import Iterator
from typing import Literal

from dit_studio.evaluation_request import CautionRecord
from dit_studio.events import Progress, SourceDescribed
from dit_studio.ui.train.amounts import count, counted

_Level = Literal["red", "amber"]
_KINDS = {"npz": ".npz", "statistics": "saved statistics", "data set": "data set of a run"}


def source_line(source: SourceDescribed) -> str:
    """ "1,797 images · 10 classes · folder"."""
    parts = [counted(source.images, "image")] if source.images else []
    if source.classes:
        parts.append(counted(len(source.classes), "class", "classes"))
    elif source.images:
        parts.append("with labels" if source.has_labels else "without classes")
    return " · ".join([*parts, _KINDS.get(source.source, source.source)])


def facts_line(source: SourceDescribed) -> str:
    """ "step 20,000 · protocol adm-tf1"."""
    return " · ".join(f"{name} {value}" for name, value in source.facts)


def cautions_of(source: SourceDescribed | None) -> tuple[CautionRecord, ...]:
    """Its warnings, each with its level."""
    if source is None:
        return ()
    levels: Iterator[_Level] = itertools.chain(source.levels, itertools.repeat("amber"))
    return tuple(_caution(level, text) for text, level in zip(source.warnings, levels, strict=False))


def misfits(model: SourceDescribed | None, reference: SourceDescribed | None) -> tuple[CautionRecord, ...]:
    """In what the images that a model draws are unlike those of a reference, as far as that is known."""
    if model is None or reference is None:
        return ()
    found = []
    if {model.colour, reference.colour} == {"grey", "colour"}:
        words = {"grey": "grey", "colour": "in colour"}
        text = (
            f"The model draws images that are {words[model.colour]}, the reference is {words[reference.colour]}: that "
            "alone makes most of a distance."
        )
        found.append(_caution("red", text))
    if 0 not in (*model.size, *reference.size) and model.size != reference.size:
        first = "the first image of the reference is" if reference.source not in ("data set", "npz") else "these are"
        text = f"The model draws {_size(model)}, {first} {_size(reference)}: resizing alone makes a distance."
        found.append(_caution("amber", text))
    return tuple(found)


def _caution(level: _Level, text: str) -> CautionRecord:
    return CautionRecord(level=level, metric="", message=text)


def _size(source: SourceDescribed) -> str:
    width, height = source.size
    return f"{width}×{height}"


def progress_line(progress: Progress) -> str:
    """ "Reading: 300 / 1,797 images"."""
    total = f" / {count(progress.total)}" if progress.total else ""
    stage = progress.stage[:1].upper() + progress.stage[1:]
    return f"{stage}: {count(progress.done)}{total} {progress.unit}".strip()
