"""What a failed run offers as buttons, and what each of them changes in the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dit_studio.events import Failure
from dit_studio.model_settings import PRESETS, suitable_learning_rate

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """New values by section and name, and the sentence that says so."""

    values: dict[str, dict[str, Any]]
    message: str


def actions_for(failure: Failure, tables: Tables, *, can_resume: bool) -> list[tuple[str, str]]:
    """The buttons of a failure's card, (key, label): what would change nothing in the settings is not offered."""
    actions = [action for action in _ACTIONS.get(failure.code, []) if _helps(action[0], tables)]
    return [*actions, ("resume", "Resume")] if can_resume else actions


def change_for(key: str, tables: Tables) -> Change | None:
    """What a remedy changes in the settings; None if `key` is not a remedy of the settings."""
    remedy = _REMEDIES.get(key)
    return remedy(tables) if remedy else None


def _helps(key: str, tables: Tables) -> bool:
    change = change_for(key, tables)
    return change is None or bool(change.values)


def with_numbers(failure: Failure) -> Failure:
    """The same failure, its numbers told in words before what to do."""
    words = [_number(name, value) for name, value in failure.numbers.items()]
    return msgspec.structs.replace(
        failure, remedy="\n".join(part for part in (" · ".join(words), failure.remedy) if part)
    )


def _number(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes').replace('_', ' ')}: {value / 1e9:.2f} GB"
    return f"{name.replace('_', ' ')}: {value:g}"


def _smaller_batch(tables: Tables) -> Change:
    old, accumulate = tables["train"]["batch_size"], tables["train"]["accumulate"]
    new = max(1, old // 2)
    if new == old:
        return Change(values={}, message="The batch is a single image already: try a smaller model.")
    values: dict[str, Any] = {"batch_size": new}
    if new % accumulate:
        values["accumulate"] = 1
    return Change(values={"train": values}, message=f"Batch size is now {new} (it was {old}). Start a new run with it.")


def _gradient_checkpointing(tables: Tables) -> Change:
    if tables["train"]["gradient_checkpointing"]:
        return Change(values={}, message="Gradient checkpointing is on already: try a smaller batch or model.")
    return Change(
        values={"train": {"gradient_checkpointing": True}},
        message="Gradient checkpointing is now on: less memory, a third slower. Start a new run with it.",
    )


def _smaller_model(tables: Tables) -> Change:
    size, _, patch = tables["model"]["preset"].partition("/")
    sizes = list(dict.fromkeys(name.partition("/")[0] for name in PRESETS))
    position = sizes.index(size)
    if position == 0:
        return Change(values={}, message=f"{size} is the smallest preset: try a larger patch or a smaller batch.")
    new = f"{sizes[position - 1]}/{patch}"
    values = {"preset": new, "hidden_size": None, "depth": None, "num_heads": None}
    return Change(
        values={"model": values}, message=f"The model is now {new} (it was {size}/{patch}). Start a new run with it."
    )


def _lower_rate(tables: Tables) -> Change:
    model = tables["model"]
    width = model.get("hidden_size") or PRESETS[model["preset"]][0]
    old = tables["train"]["learning_rate"] or suitable_learning_rate(width)
    new = float(f"{min(old / 3, suitable_learning_rate(width)):.1g}")
    return Change(
        values={"train": {"learning_rate": new}},
        message=f"The learning rate is now {new:g} (it was {old:g}). Start a new run with it.",
    )


def _clip_gradients(tables: Tables) -> Change:
    if 0 < tables["train"]["clip_grad_norm"] <= 1:
        return Change(values={}, message="Gradients are clipped already: lower the learning rate.")
    return Change(
        values={"train": {"clip_grad_norm": 1.0}}, message="Gradients are now clipped at 1. Start a new run with it."
    )


def _float32(tables: Tables) -> Change:
    if tables["train"]["precision"] == "fp32":
        return Change(values={}, message="The precision is fp32 already: lower the learning rate.")
    return Change(
        values={"train": {"precision": "fp32"}},
        message="The precision is now fp32: slower, and safer. Start a new run with it.",
    )


_ACTIONS = {
    "out_of_memory": [
        ("smaller_batch", "Smaller batch"),
        ("gradient_checkpointing", "Gradient checkpointing"),
        ("smaller_model", "Smaller model"),
    ],
    "not_finite": [("lower_rate", "Lower the learning rate"), ("clip", "Clip gradients"), ("float32", "Use fp32")],
    "disk_full": [("open_folder", "Open the folder")],
}
_REMEDIES: dict[str, Callable[[Tables], Change]] = {
    "smaller_batch": _smaller_batch,
    "gradient_checkpointing": _gradient_checkpointing,
    "smaller_model": _smaller_model,
    "lower_rate": _lower_rate,
    "clip": _clip_gradients,
    "float32": _float32,
}
