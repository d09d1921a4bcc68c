"""The settings inside an image: written into every PNG, and read back from one that anybody may have made.

A PNG carries two texts: `dit_studio`, a SampleRecord as JSON, and `parameters`, the same for people and for other
programs, in the customary words of this field. Reading loads and executes nothing: a model's path is text, no more.
"""

import contextlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.errors import ConfigError, DataError
from dit_studio.fields import check_value, schema_fields
from dit_studio.png_text import read_texts
from dit_studio.sample_request import ModelReference, SampleOptions, SampleRecord

KEY = "dit_studio"
READABLE_KEY = "parameters"
_FIELDS = {field.name: field for field in schema_fields("request", SampleOptions)}
_LONG_TEXT = 4096
_MOST_CLASSES = 20_000
_HIGHEST_CLASS = 10**7
_MOST_IMAGES = 10**7
_MOST_DEPTH = 12
_MOST_DIGITS = 40
_MOST_LISTED = 50  # settings that are unknown
_NAME_LENGTH, _PATH_LENGTH, _VALUE_LENGTH = 80, 1000, 60
# as other programs call the same samplers
_SAMPLER_NAMES = {"dpm++ 2m": "dpm++", "dpm++ 2m karras": "dpm++", "euler": "euler", "heun": "heun", "unipc": "unipc",
                  "ddim": "ddim", "ddpm": "ddpm", "flow-euler": "flow-euler"}  # fmt: skip
_FOREIGN_KEYS = {"Steps": "steps", "Sampler": "sampler", "CFG scale": "cfg", "Seed": "seed"}


# ------------------------------------------------------------------------------------------------- writing


def write_text(record: SampleRecord, image: int | None, *, size: tuple[int, int] | None = None) -> dict[str, str]:
    """The two texts of one of a record's images, or of a picture of all; `size`: its width and height in pixels."""
    text = _json(msgspec.structs.replace(record, image=image))
    if len(text) > _LONG_TEXT:
        text = _json(msgspec.structs.replace(_with_own_class_only(record, image or 0), image=image))
    return {KEY: text, READABLE_KEY: _readable(record, image or 0, size)}


def _json(record: SampleRecord) -> str:
    return json.dumps(msgspec.to_builtins(record), separators=(",", ":"))


def _with_own_class_only(record: SampleRecord, image: int) -> SampleRecord:
    """Without the names of the other classes: a thousand of them would outweigh a small image."""
    own, names = record.label_of(image), record.model.class_names
    kept = tuple(name if label == own else "" for label, name in enumerate(names))
    return msgspec.structs.replace(record, model=msgspec.structs.replace(record.model, class_names=kept))


def _readable(record: SampleRecord, image: int, size: tuple[int, int] | None) -> str:
    request, model = record.request, record.model
    words: dict[str, object] = {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "CFG scale": f"{request.cfg:g}",
        "Seed": request.seed + image,
        "Class": record.label_of(image),
    }
    words |= {"Size": f"{size[0]}x{size[1]}"} if size else {}
    words |= {"Eta": f"{request.eta:g}"} if request.eta else {}
    words |= {"Guided channels": request.cfg_channels} if request.cfg_channels != "all" else {}
    if request.cfg_from or request.cfg_to is not None:
        words["Guidance interval"] = f"{request.cfg_from}-{'' if request.cfg_to is None else request.cfg_to}"
    words |= {"Model hash": model.fingerprint, "Model": model.name or Path(model.path).name, "Weights": model.weights}
    words |= {"Precision": record.precision, "Device": record.device, "Image": image}
    words["Branch"] = (
        f"{record.branch.entry} image {record.branch.image} t {record.branch.t:g}" if record.branch else ""
    )
    words["Version"] = f"DiT Studio {record.studio_version}".strip()
    line = ", ".join(f"{key}: {_quoted(str(value))}" for key, value in words.items() if value != "")
    return f"{clean(record.class_of(image), _NAME_LENGTH)}\n{line}"


def _quoted(text: str) -> str:
    """In quotes where the text would otherwise end early for who reads it."""
    text = clean(text, _PATH_LENGTH)
    return json.dumps(text, ensure_ascii=False) if re.search('[,:"]', text) else text


# ------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, kw_only=True)
class RefusedSetting:
    """A setting of the image that cannot be used here."""

    name: str
    value: str
    message: str


@dataclass(frozen=True, kw_only=True)
class FoundSettings:
    """What an image says of how it was drawn. `settings` fit SampleRequest, by its names, each checked by itself."""

    settings: dict[str, Any]
    refused: tuple[RefusedSetting, ...] = ()
    unknown: tuple[str, ...] = ()  # settings that this version does not know
    image: int | None = None  # its number among the images of its request
    model: ModelReference | None = None  # text only
    precision: str = ""  # of products, as the text says
    is_branch: bool = False  # it went on from another image's x_t, which its settings alone do not give again
    is_foreign: bool = False  # another program wrote it

    def of_this_image(self) -> dict[str, Any]:
        """The settings that draw this image alone: one class, its own seed, a count of one; of a grid, all of them."""
        if self.image is None:
            return self.settings
        alone = {**self.settings, "count": 1, "seed": self.settings.get("seed", 0) + self.image}
        if classes := self.settings.get("classes"):
            alone["classes"] = (classes[self.image % len(classes)],)
        return alone


def read_settings(path: Path) -> FoundSettings:
    """The settings inside a PNG, whoever wrote it.

    Raises: DataError with a sentence if it is no PNG, or holds no settings.
    """
    texts = read_texts(path)
    found = _from_record(texts[KEY]) if KEY in texts else None
    if found is None and READABLE_KEY in texts:
        found = _from_readable(texts[READABLE_KEY])
    if found is None:
        reason = "its settings are damaged" if KEY in texts else "it holds no settings of how it was drawn"
        raise DataError(f"{path.name} cannot restore anything: {reason}.", remedy="Choose a PNG that DiT Studio wrote.")
    return found


def _from_record(text: str) -> FoundSettings | None:
    values = _parse_json(text)
    if not isinstance(values, dict) or not isinstance(values.get("request"), dict):
        return None
    settings, refused, unknown = _sorted_out(values["request"])
    unknown += [name for name in values if name not in SampleRecord.__struct_fields__]
    image = values.get("image")
    return FoundSettings(
        settings=settings,
        refused=tuple(refused),
        unknown=_listed(unknown),
        image=image if type(image) is int and 0 <= image < _MOST_IMAGES else None,
        model=_model(values.get("model")),
        precision=_text(values.get("precision")),
        is_branch=values.get("branch") is not None,
    )


def _from_readable(text: str) -> FoundSettings | None:
    """What other programs write: the settings are the last line that starts with "Steps: "."""
    lines = [line for line in text.splitlines() if line.startswith("Steps: ")]
    if not lines:
        return None
    pairs = dict(re.findall(r'([A-Za-z][\w ]{0,40}): ("[^"]*"|[^,]*)', lines[-1]))
    values = {name: pairs[key].strip() for key, name in _FOREIGN_KEYS.items() if key in pairs}
    if "sampler" in values:
        values["sampler"] = _SAMPLER_NAMES.get(values["sampler"].lower(), values["sampler"])
    settings, refused, _ = _sorted_out(values)
    unknown = _listed(key for key in pairs if key not in _FOREIGN_KEYS)
    return FoundSettings(settings=settings, refused=tuple(refused), unknown=unknown, is_foreign=True)


def _sorted_out(values: dict[str, Any]) -> tuple[dict[str, Any], list[RefusedSetting], list[str]]:
    """What fits, what does not, and the names that are not known."""
    settings: dict[str, Any] = {}
    refused, unknown = [], []
    for name, value in values.items():
        if name == "classes":
            limit = f"whole numbers from 0 to {_HIGHEST_CLASS:,}, at most {_MOST_CLASSES:,} of them"
            if _are_classes(value):
                settings[name] = tuple(value)
                continue
        elif (field := _FIELDS.get(name)) is None:
            unknown.append(name)
            continue
        else:
            limit = field.range_text
            with contextlib.suppress(ConfigError):
                settings[name] = check_value(field, value)
                continue
        message = f"{name} = {_shown(value)} is not possible: it takes {limit}."
        refused.append(RefusedSetting(name=name, value=_shown(value), message=message))
    return settings, refused, unknown


def _are_classes(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= _MOST_CLASSES
        and all(type(number) is int and 0 <= number <= _HIGHEST_CLASS for number in value)
    )


def _model(values: object) -> ModelReference | None:
    """What is said of the model, as text that is safe to show."""
    if not isinstance(values, dict):
        return None
    names, step = values.get("class_names"), values.get("step")
    return ModelReference(
        path=_text(values.get("path"), _PATH_LENGTH),
        name=_text(values.get("name")),
        step=step if type(step) is int and 0 <= step < 2**53 else 0,
        weights="raw" if values.get("weights") == "raw" else "ema",
        fingerprint=_text(values.get("fingerprint")),
        class_names=tuple(_text(name) for name in names[:_MOST_CLASSES]) if isinstance(names, list) else (),
        vae=_text(values.get("vae"), _PATH_LENGTH),
    )


# ------------------------------------------------------------------------------------------------- hostile text


def clean(text: str, length: int = _NAME_LENGTH) -> str:
    """A text in one line that can be shown: without control characters, lone surrogates or changes of direction."""
    shown = "".join("�" if unicodedata.category(char)[0] == "C" else char for char in text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def _text(value: object, length: int = _NAME_LENGTH) -> str:
    return clean(value, length) if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return clean(value if isinstance(value, str) else repr(value), _VALUE_LENGTH)


def _listed(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(clean(name) for name in itertools.islice(names, _MOST_LISTED))


def _parse_json(text: str) -> Any:
    """The value of a text, None where it is none, or is nested deeper than any of ours."""
    if _depth(text) > _MOST_DEPTH:
        return None
    try:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS else digits)
    except ValueError:
        return None


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside of strings."""
    depth = deepest = 0
    for bracket in re.findall(r'(?s)"(?:[^"\\]|\\.)*+"?|[\[\]{}]', text):
        depth += (bracket in "[{") - (bracket in "]}")
        deepest = max(deepest, depth)
    return deepest
