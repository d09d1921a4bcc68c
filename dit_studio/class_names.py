"""The names of ImageNet's classes, and what else each is called."""

from collections.abc import Mapping, Sequence
from functools import cache

from dit_studio.places import resources_dir

_MOST_OF = 0.95  # lists differ in how they call some classes


def imagenet_names() -> tuple[str, ...]:
    """The 1,000 names in the standard order, each once: 0 is "tench", 999 "toilet tissue"."""
    return tuple(_table())


def other_names(name: str) -> tuple[str, ...]:
    """The synonyms of one of ImageNet's names: "red panda" and others of "lesser panda"; none of any other name."""
    return _table().get(name, ())


def are_imagenets(labels: Sequence[str]) -> bool:
    """Whether these are ImageNet's classes in their order, however each is called: "tench, Tinca tinca"."""
    if len(labels) != len(_table()):
        return False
    firsts = (label.partition(",")[0].strip() for label in labels)
    known = sum(first in (name, *others) for first, (name, others) in zip(firsts, _table().items(), strict=True))
    return known >= _MOST_OF * len(labels)


@cache
def _table() -> Mapping[str, tuple[str, ...]]:
    lines = (resources_dir() / "class_names" / "imagenet.txt").read_text(encoding="utf-8").splitlines()
    named = (line.partition("\t") for line in lines if not line.startswith("#"))
    return {name: tuple(others.split(", ")) if others else () for name, _, others in named}
