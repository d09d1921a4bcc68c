"""What was understood of a source, in a line."""

from dit_studio.events import Check, CheckStatus, Progress, SourceDescribed
from dit_studio.ui.train.amounts import count, counted

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


def warning_checks(source: SourceDescribed | None) -> tuple[Check, ...]:
    """Its warnings, as lines of a list of checks."""
    texts = source.warnings if source is not None else ()
    return tuple(Check(name="", status=CheckStatus.WARNING, message=text) for text in texts)


def progress_line(progress: Progress) -> str:
    """ "Reading: 300 / 1,797 images"."""
    total = f" / {count(progress.total)}" if progress.total else ""
    stage = progress.stage[:1].upper() + progress.stage[1:]
    return f"{stage}: {count(progress.done)}{total} {progress.unit}".strip()
