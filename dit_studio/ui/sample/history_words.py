"""What the history says of an entry: its settings in a line, what a branch changed, when it was."""

import time
from collections.abc import Iterator

from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.sample_request import SampleRecord
from dit_studio.ui.sample.history_search import class_names
from dit_studio.ui.train.amounts import count, counted

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400  # seconds
_STATES = {"drawing": "not finished", "stopped": "stopped", "failed": "failed"}


def title_of(item: HistoryEntry, *, with_model: bool = True) -> str:
    """ "7 · cfg 4 · seed 12 · ddim 50 · digits"; "sweep cfg=1,4 × steps=10,50 · digits".

    What tells entries apart comes first: the end is cut where there is no room.
    """
    record = item.entry.record
    request = record.request
    model = [model_of(record)] if with_model else []
    if item.sweep:
        return " · ".join((f"sweep {' × '.join(map(str, item.sweep.plan.axes))}", *model))
    settings = f"cfg {request.cfg:g} · seed {request.seed} · {request.sampler} {request.steps}"
    return " · ".join((classes_of(item), settings, *model))


def model_of(record: SampleRecord) -> str:
    """The model's first name: "digits" of "digits · step 2,000 · EMA"."""
    return record.model.name.partition(" · ")[0] or record.model.path.rpartition("/")[2] or "model"


def classes_of(item: HistoryEntry) -> str:
    """Those that were drawn: "sea, beach", "7 classes", or "4 of 7 classes" where there are fewer images."""
    names, asked = class_names(item), len(set(item.entry.record.request.classes))
    if len(names) <= 2:
        return ", ".join(names)
    return (
        counted(asked, "class", "classes") if len(names) >= asked else f"{count(len(names))} of {count(asked)} classes"
    )


def branch_text(item: HistoryEntry, parent: HistoryEntry | None, shared: int = 0) -> str:
    """ "↳ from step 17 · class 3 → 5 · t = 640"; "" of what began with noise.

    `shared`: how many steps the parent itself shares with what it goes on from; the slider counts them, too.
    """
    branch = item.entry.record.branch
    if branch is None:
        return ""
    if parent is None:
        return f"↳ from t = {branch.t:.4g} of an entry that was deleted"
    changes = _changes(parent.entry.record, item.entry.record, branch.image)
    return " · ".join((f"↳ from step {shared + branch.step}", *changes, f"t = {branch.t:.4g}"))


def _changes(before: SampleRecord, after: SampleRecord, image: int) -> Iterator[str]:
    old, new = before.request, after.request
    drawn = range(min(len(new.classes), new.count))
    classes = ", ".join(dict.fromkeys(after.class_of(place) for place in drawn))
    if classes != before.class_of(image):
        yield f"class {before.class_of(image)} → {classes}"
    for name in ("sampler", "steps", "cfg", "eta"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name} {_short(getattr(old, name))} → {_short(getattr(new, name))}"
    if old.seed + image != new.seed:
        yield f"seed {old.seed + image} → {new.seed}"


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def state_text(item: HistoryEntry) -> str:
    """What kept an entry from being whole; "" if it is. A sweep that is finished may have cells that failed."""
    cells = item.sweep.states if item.sweep else ()
    failed = sum(cell.state == "failed" for cell in cells)
    words = (_STATES.get(item.entry.state, ""), f"{counted(failed, 'cell')} failed" if failed else "")
    return ", ".join(part for part in words if part)


def amount_text(item: HistoryEntry) -> str:
    """ "4 images", or "2 of 4 images" of what was stopped; a sweep's are cells."""
    asked = len(item.sweep.plan.cells) if item.sweep else item.entry.record.request.count
    there = item.entry.images
    noun = "cell" if item.sweep else "image"
    return counted(there, noun) if there >= asked else f"{there} of {counted(asked, noun)}"


def time_in_words(then: float, now: float) -> str:
    """ "5 min ago", "yesterday 14:22", "3 March 2026": seconds since 1970, in the time of this place."""
    past = now - then
    if past < _MINUTE:
        return "just now"
    if past < _HOUR:
        return f"{past // _MINUTE:.0f} min ago"
    day, today = time.localtime(then), time.localtime(now)
    clock = time.strftime("%H:%M", day)
    if day[:3] == today[:3]:
        return f"today {clock}"
    if day[:3] == time.localtime(now - _DAY)[:3]:
        return f"yesterday {clock}"
    date = f"{day.tm_mday} {time.strftime('%B', day)}"
    return f"{date} {clock}" if day.tm_year == today.tm_year else f"{date} {day.tm_year}"


def tooltip_of(item: HistoryEntry, branch: str) -> str:
    """Everything that the row had no room for."""
    record = item.entry.record
    request = record.request
    drawn = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(item.time))
    if item.sweep:
        how = ", ".join(part for part in (amount_text(item), state_text(item)) if part)
        return "\n".join((record.model.path, *map(str, item.sweep.plan.axes), how, f"Begun on {drawn}"))
    steps = f"Sampler {request.sampler}, {request.steps} steps, CFG {request.cfg:g}, η {request.eta:g}"
    size = f"{item.entry.width} × {item.entry.height} pixels"
    lines = (
        record.model.name or record.model.path,
        "Classes: " + ", ".join(class_names(item)[:20]),
        f"{steps}, seed {request.seed}",
        branch,
        f"{amount_text(item)} of {size}, drawn in {item.entry.seconds:.1f} s on {drawn}",
        "With its trajectory." if item.has_trajectory else "Without a trajectory: only the images were kept.",
        item.entry.message,
    )
    return "\n".join(line for line in lines if line)
