"""What a picture's settings would change in a request, and which of them a model cannot take."""

from dataclasses import dataclass
from typing import Any

import msgspec

from dit_studio.events import SampleModel
from dit_studio.fields import schema_fields
from dit_studio.image_settings import FoundSettings
from dit_studio.sample_request import ModelReference, SampleOptions, SampleRequest
from dit_studio.ui.widgets.editors import format_value

_TITLES = {field.name: field.title for field in schema_fields("request", SampleOptions)} | {"classes": "Classes"}
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting that would change, in words."""

    title: str
    now: str
    then: str


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """The request after, what that changes, and sentences on what cannot be taken."""

    request: SampleRequest
    differences: tuple[Difference, ...]
    problems: tuple[str, ...]


def restore(
    found: FoundSettings, now: SampleRequest, model: SampleModel | None, *, alone: bool, with_its_model: bool = False
) -> Restoring:
    """Lay the settings of a picture over a request: those of this image alone, or of the whole request that drew it.

    The classes are those of the same names; with the picture's own model its numbers are right as they are.
    """
    settings: dict[str, Any] = dict(found.of_this_image() if alone else found.settings)
    problems = [refused.message for refused in found.refused]
    if model is not None and not with_its_model:
        _fit_model(settings, found.model, model, problems)
    request = msgspec.structs.replace(now, **settings)
    names = model.class_names if model is not None else ()
    old = found.model.class_names if found.model else ()
    differences = tuple(
        Difference(
            title=_TITLES[name],
            now=_words(name, getattr(now, name), names),
            then=_words(name, value, old if with_its_model else names),
        )
        for name, value in settings.items()
        if value != getattr(now, name) or (name == "classes" and with_its_model)
    )
    return Restoring(request=request, differences=differences, problems=tuple(problems))


def _fit_model(
    settings: dict[str, Any], drawn_by: ModelReference | None, model: SampleModel, problems: list[str]
) -> None:
    """Leave out what the model cannot do, and say so."""
    if (labels := settings.pop("classes", None)) is not None and model.num_classes > 1:
        settings["classes"] = _classes_here(labels, drawn_by.class_names if drawn_by else (), model, problems)
        if not settings["classes"]:
            del settings["classes"]
    sampler = settings.get("sampler")
    if sampler is not None and model.samplers and sampler not in model.samplers:
        del settings["sampler"]
        problems.append(f"Sampler = {sampler} is not possible: it does not serve this model.")
    if settings.get("steps", 0) > model.timesteps:
        steps = settings.pop("steps")
        problems.append(f"Steps = {steps} is not possible: this model has {model.timesteps} timesteps.")
    if not model.has_null_class and settings.pop("cfg", 1.0) != 1.0:
        problems.append("The CFG scale is not taken: this model has no guidance.")


def _classes_here(
    labels: tuple[int, ...], names: tuple[str, ...], model: SampleModel, problems: list[str]
) -> tuple[int, ...]:
    """The same classes in this model, by name where both have names."""
    here = {name: label for label, name in enumerate(model.class_names)}
    kept: list[int] = []
    lacking: list[str] = []
    for label in labels:
        name = names[label] if label < len(names) else ""
        number = here.get(name, -1) if name and here else label
        if 0 <= number < model.num_classes:
            kept.append(number)
        elif (name or str(label)) not in lacking:
            lacking.append(name or str(label))
    if lacking:
        more = " …" if len(lacking) > _MOST_NAMED else ""
        problems.append(f"This model lacks the picture's class {', '.join(lacking[:_MOST_NAMED])}{more}.")
    return tuple(kept)


def _words(name: str, value: Any, class_names: tuple[str, ...]) -> str:
    if name == "classes":
        shown = [class_names[label] if label < len(class_names) else str(label) for label in value[:_MOST_NAMED]]
        return ", ".join(shown) + (f" and {len(value) - _MOST_NAMED} more" if len(value) > _MOST_NAMED else "")
    return format_value(value) or "the noisiest"
