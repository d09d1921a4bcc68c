"""What a sweep's axis can take: its title, an example, and likely values to fill in."""

import re
from pathlib import Path

from dit_studio.events import SampleModel
from dit_studio.jobs.run_folder import RunFolder, checkpoint_step
from dit_studio.sweep import ModelLimits
from dit_studio.ui.titles import with_titles
from dit_studio.ui.train.amounts import count

TITLES = {
    "cfg": "CFG scale",
    "steps": "Steps",
    "sampler": "Sampler",
    "class": "Class",
    "seed": "Seed",
    "checkpoint": "Checkpoint",
    "weights": "EMA or raw",
    "interval": "Guidance interval",
}
EXAMPLES = {
    "cfg": "1, 4, 7, 12",
    "steps": "10, 20, 50, 250",
    "sampler": "ddim, dpm++, unipc",
    "class": "0, 3, or names",
    "seed": "0, 1, 2, 3",
    "checkpoint": "5000, 10000, 20000",
    "weights": "ema, raw",
    "interval": "all, 0-499, 500-999",
}
_STEPS = (5, 10, 20, 50, 100, 250)
_MOST_CLASSES, _MOST_CHECKPOINTS = 10, 6


def read_values(text: str) -> tuple[str, ...]:
    """The values of a line of text, which commas part."""
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)


def in_titles(message: str, axis: str) -> str:
    """An axis called as the window calls it: "cfg = -1 is not …" becomes "CFG scale = -1 is not …"."""
    return with_titles(re.sub(rf"^{axis}(?= = | is swept)", TITLES.get(axis, axis), message))


def fillings(name: str, model: SampleModel | ModelLimits | None, path: str) -> list[tuple[str, str]]:
    """Likely values of an axis for a model: what the menu says, and the text that it fills in."""
    timesteps = model.timesteps if model else 1000
    third = timesteps // 3
    if name == "class":
        return _class_fillings(model)
    if name == "checkpoint":
        return _checkpoint_fillings(path)
    lists = {
        "cfg": ["1, 4, 7, 12", "1, 1.5, 2, 4, 7", "1, 1.5, 2, 3, 4", "0, 1, 2, 4, 8"],
        "steps": [", ".join(str(steps) for steps in _STEPS if steps <= timesteps), "10, 50"],
        "sampler": [", ".join(model.samplers if model else ())],
        "seed": ["0, 1, 2, 3", ", ".join(map(str, range(10)))],
        "weights": ["ema, raw"],
        "interval": [
            f"all, 0-{third}, {third}-{2 * third}, {2 * third}-{timesteps - 1}",
            f"all, 0-{timesteps // 2 - 1}, {timesteps // 2}-{timesteps - 1}",
        ],
    }
    return [(text, text) for text in lists.get(name, []) if text]


def _class_fillings(model: SampleModel | ModelLimits | None) -> list[tuple[str, str]]:
    if model is None or model.num_classes <= 1:
        return []
    total = model.num_classes
    found = [(f"The first {_MOST_CLASSES}", range(min(total, _MOST_CLASSES)))] if total > _MOST_CLASSES else []
    if total <= 100:
        found.append((f"Every class ({count(total)})", range(total)))
    return [(text, ", ".join(_class_text(model, label) for label in labels)) for text, labels in found]


def _class_text(model: SampleModel | ModelLimits, label: int) -> str:
    """The name, if it can stand in a list and is not taken for a number."""
    name = model.class_names[label] if label < len(model.class_names) else ""
    is_plain = name and "," not in name and name == name.strip() and not name.isdecimal()
    return name if is_plain and model.class_names.count(name) == 1 else str(label)


def _checkpoint_fillings(path: str) -> list[tuple[str, str]]:
    place = Path(path)
    run = RunFolder(place.parent.parent if place.parent.name == "checkpoints" else place)
    steps = [checkpoint_step(one) for one in run.checkpoints()] if path and run.is_run() else []
    if not steps:
        return []
    spread = sorted(
        {steps[round(place * (len(steps) - 1) / (_MOST_CHECKPOINTS - 1))] for place in range(_MOST_CHECKPOINTS)}
    )
    found = [(f"Every checkpoint ({len(steps)})", steps)] if len(steps) <= 50 else []
    if len(spread) < len(steps):
        found.insert(0, (f"{len(spread)} over all of training", spread))
    return [(text, ", ".join(map(str, chosen))) for text, chosen in found]
