"""What is measured of this machine: the sizes of attention, and the members of the family."""

from collections.abc import Sequence
from typing import Annotated

from dit_studio.errors import ConfigError, Problem
from dit_studio.fields import Section, setting
from dit_studio.model_settings import PRESETS

_MOST_BATCHES, _LARGEST_BATCH = 8, 65_536


class AttentionSizes(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    batches: Annotated[
        str, setting("Batch sizes to measure, with commas between them.", title="Batch sizes", unit="images")
    ] = "10, 50, 100, 200"
    tokens: Annotated[int, setting("Patches of an image; a square number.", unit="patches", ge=4, le=65_536)] = 64
    heads: Annotated[int, setting("Attention heads.", ge=1, le=128)] = 6
    head_size: Annotated[int, setting("Numbers of a head.", title="Head width", ge=8, le=256)] = 64


class FamilySizes(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    models: Annotated[
        str, setting("Sizes with their patch, as in S/2, B/4, with commas between them.", title="Models")
    ] = "XXS/2, XS/2, S/8, S/4, S/2, B/8, B/4, B/2, L/8, XL/8"
    image_size: Annotated[
        int, setting("Side of what the model sees: of 256 pixels in latents 32.", unit="pixels", ge=8, le=256)
    ] = 32
    batch: Annotated[int, setting("Images at once.", unit="images", ge=1, le=65_536)] = 8


def batch_sizes(sizes: AttentionSizes) -> tuple[int, ...]:
    """Each once, in their order. Raises: ConfigError for what is no batch size."""
    found: dict[int, None] = {}
    for word in _words(sizes.batches):
        if not word.isdecimal() or not 1 <= int(word) <= _LARGEST_BATCH:
            raise _impossible("batches", word, f"a batch size is a whole number from 1 to {_LARGEST_BATCH:,}.")
        found[int(word)] = None
    if not 1 <= len(found) <= _MOST_BATCHES:
        raise _impossible("batches", sizes.batches, f"it takes from 1 to {_MOST_BATCHES} batch sizes.")
    return tuple(found)


def family_members(sizes: FamilySizes) -> tuple[str, ...]:
    """Each once, in their order. Raises: ConfigError for what is no size of the family."""
    found = dict.fromkeys(word.upper() for word in _words(sizes.models))
    for name in found:
        if name not in PRESETS:
            raise _impossible("models", name, f"it takes {', '.join(PRESETS)}.")
    if not found:
        raise _impossible("models", sizes.models, "name at least one, as in S/2.")
    return tuple(found)


def _words(text: str) -> Sequence[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _impossible(name: str, value: str, why: str) -> ConfigError:
    return ConfigError([Problem(f"speed.{name}", f"{value or 'nothing'} is not possible for {name}: {why}", value)])
