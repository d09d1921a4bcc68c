"""What is typed into the history's search box: words, and terms such as cfg>4, seed=7, class:dog, is:favourite."""

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.sample_request import SampleRequest

Test = Callable[[HistoryEntry], bool]

HELP = (
    "Words of classes, model or sampler, and terms: cfg=4, cfg>4, steps<20, seed=7, images>1, eta=0, "
    "t<400 (where a branch begins), class:dog, sampler:ddim, model:digits, weights:raw, is:favourite, is:branch, "
    'is:sweep, is:trajectory, is:unfinished. Quote what has spaces: class:"polar bear".'
)
_TERM = re.compile(r"^([\wη]+)(<=|>=|!=|[=<>:])(.*)$")
_PIECE = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS: dict[str, Callable[[HistoryEntry], list[float]]] = {  # one that fits is enough
    "cfg": lambda item: [request.cfg for request in _requests(item)],
    "steps": lambda item: [request.steps for request in _requests(item)],
    "images": lambda item: [item.entry.images],
    "eta": lambda item: [request.eta for request in _requests(item)],
    "t": lambda item: [item.entry.record.branch.t] if item.entry.record.branch else [],
}
_TEXTS: dict[str, Callable[[HistoryEntry], str]] = {
    "class": lambda item: " ".join(class_names(item)),
    "sampler": lambda item: " ".join(request.sampler for request in _requests(item)),
    "model": lambda item: f"{item.entry.record.model.name} {item.entry.record.model.path}",
    "weights": lambda item: item.entry.record.model.weights,
}
_STATES: dict[str, Test] = {
    "favourite": lambda item: bool(item.favourites),
    "branch": lambda item: item.entry.record.branch is not None,
    "sweep": lambda item: item.sweep is not None,
    "trajectory": lambda item: item.has_trajectory,
    "unfinished": lambda item: item.entry.state != "finished",
}
_SYNONYMS = {"favorite": "favourite", "star": "favourite", "count": "images", "η": "eta", "scale": "cfg"}
_EXAMPLES = {
    "cfg": "cfg>4",
    "seed": "seed=7",
    "class": "class:dog",
    "sampler": "sampler:ddim",
    "model": "model:digits",
    "weights": "weights:ema",
    "is": "is:favourite",
}
_KEYS = (*_NUMBERS, "seed", *_TEXTS, "is")


@dataclass(frozen=True)
class Query:
    """What entries must fulfil, all of it; `problems` are sentences about terms that were left out."""

    tests: tuple[Test, ...] = ()
    problems: tuple[str, ...] = ()

    def matches(self, item: HistoryEntry) -> bool:
        return all(test(item) for test in self.tests)


def parse(text: str) -> Query:
    """The query of a line of text. A term that cannot be understood is said, and the others count."""
    found = [_term(piece) for piece in _PIECE.findall(text)]
    return Query(
        tuple(item for item in found if not isinstance(item, str)),
        tuple(item for item in found if isinstance(item, str)),
    )


def class_names(item: HistoryEntry) -> list[str]:
    """The classes that an entry has images of, in their order and each once."""
    record = item.entry.record
    drawn = min(len(record.request.classes), record.request.count)
    return list(dict.fromkeys(record.class_of(place) for place in range(drawn)))


def _requests(item: HistoryEntry) -> list[SampleRequest]:
    """What was drawn: one request, or that of every cell of a sweep."""
    return [cell.request for cell in item.sweep.plan.cells] if item.sweep else [item.entry.record.request]


def _term(piece: str) -> Test | str:
    match = _TERM.match(piece)
    if match is None:
        return _word(piece.replace('"', ""))
    key, sign, value = match[1].lower(), match[2], match[3].replace('"', "").strip()
    key = _SYNONYMS.get(key, key)
    if key not in _KEYS:
        return _unknown(key)
    if not value:
        return f'"{piece}" lacks a value, for instance {_example(key)}.'
    if key == "is":
        return _state(value)
    if key == "seed":
        return _seed(sign, value)
    return _number(key, sign, value) if key in _NUMBERS else _text(key, sign, value)


def _word(word: str) -> Test:
    wanted = word.lower()
    return lambda item: wanted in _all_words(item)


def _all_words(item: HistoryEntry) -> str:
    record = item.entry.record
    axes = (f"sweep {axis}" for axis in item.sweep.plan.axes) if item.sweep else ()
    return " ".join((*class_names(item), record.model.name, record.request.sampler, *axes)).lower()


def _state(value: str) -> Test | str:
    name = _SYNONYMS.get(value.lower(), value.lower())
    if name in _STATES:
        return _STATES[name]
    return f'"is:{value}" is not known: there is {", ".join(f"is:{state}" for state in _STATES)}.'


def _seed(sign: str, value: str) -> Test | str:
    """An entry has the seeds of all its images."""
    if not re.fullmatch(r"\d{1,16}", value):
        return f'"seed{sign}{value}" is not possible: a seed is a whole number from 0 on.'
    seed, compare = int(value), _COMPARE[sign]
    if sign in ("=", ":", "!="):
        return lambda item: any(seed in seeds for seeds in _seeds(item)) == (sign != "!=")
    return lambda item: any(compare(seeds[0], seed) or compare(seeds[-1], seed) for seeds in _seeds(item))


def _seeds(item: HistoryEntry) -> list[range]:
    return [range(request.seed, request.seed + request.count) for request in _requests(item)]


def _number(key: str, sign: str, value: str) -> Test | str:
    try:
        limit = float(value.replace(",", "."))
        if math.isnan(limit):
            raise ValueError
    except ValueError:
        return f'"{key}{sign}{value}" is not possible: {key} takes a number, for instance {_example(key)}.'
    read, compare = _NUMBERS[key], _COMPARE[sign]
    return lambda item: any(compare(number, limit) for number in read(item))


def _text(key: str, sign: str, value: str) -> Test | str:
    if sign not in (":", "=", "!="):
        return f'"{key}{sign}{value}" is not possible: {key} is text, for instance {_example(key)}.'
    if key == "class" and value.isdecimal():  # 1 is not meant to find 10
        return lambda item: (value in class_names(item)) == (sign != "!=")
    read, wanted = _TEXTS[key], value.lower()
    return lambda item: (wanted in read(item).lower()) == (sign != "!=")


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"there is {', '.join(_KEYS)}."
    return f'There is no "{key}" to search by: {hint}'


def _example(key: str) -> str:
    return _EXAMPLES.get(key, f"{key}<20")
