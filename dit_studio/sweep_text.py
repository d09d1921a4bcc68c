"""The axis of a sweep as it is typed: "cfg=1,4,7,12", "steps=10-50 (+10)", "cfg=1-10 [4]"."""

import csv
import re

from dit_studio.errors import ConfigError, Problem
from dit_studio.sweep import AXES, MOST_CELLS, SweepAxis, unknown_axis

_NUMBER = r"(\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}(?:\s*\(([+-]){_NUMBER}\)|\s*\[(\d+)\])?")
_NUMERIC = ("cfg", "steps", "seed", "class")


def parse_axis(text: str, *, option: str = "--sweep") -> SweepAxis:
    """The axis of "name=values", which an option of the command line was given. Raises: ConfigError."""
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals:
        raise _problem(name, f"{option} {text} is not possible: it takes a setting and its values, like cfg=1,4,7,12.")
    if name not in AXES:
        raise _problem(name, unknown_axis(name))
    return SweepAxis(name=name, values=parse_values(name, values))


def parse_values(name: str, text: str) -> tuple[str, ...]:
    """The values of an axis: separated by commas, ranges of numbers written out, names with a comma in quotes.

    "1-10" goes by ones, "1-10 (+2)" and "10-1 (-2)" by twos, "1-10 [5]" takes five evenly spaced. Raises: ConfigError.
    """
    words = [word.strip() for word in next(csv.reader([" ".join(text.split())], skipinitialspace=True), [])]
    values: list[str] = []
    for word in filter(None, words):
        match = _RANGE.fullmatch(word) if name in _NUMERIC else None
        values += _written_out(name, word, match) if match else [word]
    return tuple(values)


def _written_out(name: str, word: str, match: re.Match[str]) -> list[str]:
    first, last = float(match[1]), float(match[2])
    if match[5]:
        count = int(match[5])
        step = (last - first) / max(1, count - 1)
    else:
        step = float(match[4] or 1) * (-1 if match[3] == "-" else 1)
        count = int((last - first) / step + 1e-9) + 1 if step else 0
    if not 1 <= count <= MOST_CELLS or (not match[5] and (last - first) * step < 0):
        raise _problem(name, f"{name} = {word} is not possible: a range takes from 1 to {MOST_CELLS:,} values.")
    numbers = (first + k * step for k in range(count))
    return [f"{number:.6g}" if name == "cfg" else str(round(number)) for number in numbers]


def _problem(name: str, sentence: str) -> ConfigError:
    return ConfigError([Problem(f"sweep.{name}", sentence)])
