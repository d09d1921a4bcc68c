"""Typed settings: what a schema says of each of them, for forms, help texts and checks alike."""

import difflib
import functools
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec
from msgspec import Meta

from dit_studio.errors import ConfigError, Problem


def setting(description: str, *, unit: str = "", advanced: bool = False, title: str = "", **limits: Any) -> Meta:
    return Meta(description=description, title=title or None, extra={"unit": unit, "advanced": advanced}, **limits)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a recipe, or of a request: a struct whose every field carries a `setting`."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting, as a form or a help text needs it. `minimum` and `maximum` are inclusive unless said otherwise."""

    section: str
    schema: type[Section]
    name: str
    type: type  # bool, int, float or str
    default: Any
    title: str
    description: str
    unit: str = ""
    is_advanced: bool = False
    is_optional: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    excludes_minimum: bool = False
    excludes_maximum: bool = False

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def range_text(self) -> str:
        """The values allowed, in words: "from 1 to 128", "one of ddim, ddpm"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "true or false"
        low = "" if self.minimum is None else f"{'above' if self.excludes_minimum else 'from'} {self.minimum:g}"
        high = "" if self.maximum is None else f"{'below' if self.excludes_maximum else 'to'} {_number(self.maximum)}"
        if low and not high and not self.excludes_minimum:
            low = f"at least {self.minimum:g}"
        kind = {int: "a whole number", float: "a number", str: "text"}[self.type]
        return " ".join(part for part in (kind, low, high) if part)


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"


@functools.cache
def schema_fields(section: str, schema: type[Section]) -> tuple[Field, ...]:
    """The settings of a section, in the order of its schema."""
    hints = typing.get_type_hints(schema, include_extras=True)
    defaults = {item.name: item.default for item in msgspec.structs.fields(schema)}
    return tuple(_field(section, schema, name, hints[name], default) for name, default in defaults.items())


def _field(section: str, schema: type[Section], name: str, hint: Any, default: Any) -> Field:
    members = get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kind, meta = get_args(members[0])
    choices = get_args(kind) if typing.get_origin(kind) is Literal else ()
    return Field(
        section=section,
        schema=schema,
        name=name,
        type=str if choices else kind,
        default=default,
        title=meta.title or name.replace("_", " ").capitalize(),
        description=meta.description,
        unit=meta.extra["unit"],
        is_advanced=meta.extra["advanced"],
        is_optional=len(members) > 1,
        choices=choices,
        minimum=meta.ge if meta.ge is not None else meta.gt,
        maximum=meta.le if meta.le is not None else meta.lt,
        excludes_minimum=meta.gt is not None,
        excludes_maximum=meta.lt is not None,
    )


def check_value(field: Field, value: Any) -> Any:
    """The value in the field's own type; text is read as the type asks.

    Raises: ConfigError with one problem that names the field, the value and the range.
    """
    try:
        converted = msgspec.convert({field.name: value}, field.schema, strict=not isinstance(value, str))
        result = getattr(converted, field.name)
    except (msgspec.ValidationError, ValueError, OverflowError):  # ValueError: it is text that cannot be encoded
        raise ConfigError([_out_of_range(field, value)]) from None
    if isinstance(result, float) and not math.isfinite(result):
        raise ConfigError([_out_of_range(field, value)])
    if field.maximum is not None and isinstance(result, int | float) and result > field.maximum:
        raise ConfigError([_out_of_range(field, value)])  # a field that was given a lower limit than its schema's
    return result


def _out_of_range(field: Field, value: Any) -> Problem:
    hint = ""
    if field.choices and (near := difflib.get_close_matches(str(value), field.choices, n=1, cutoff=0.4)):
        hint = f' Did you mean "{near[0]}"?'
    return Problem(field.key, f"{field.key} = {value!r} is not possible: it takes {field.range_text}.{hint}", value)
