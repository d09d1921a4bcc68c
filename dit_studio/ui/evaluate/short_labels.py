"""Labels that stand beside one another, without what all of them say."""

import re
from collections.abc import Sequence

_LISTED = 3  # labels in a sentence, at most
_BETWEEN = re.compile(r"( · |, | against )")  # the parts of a label


def short_labels(labels: Sequence[str]) -> tuple[list[str], str]:
    """Each with the parts that tell it from others, and what all of them share, "" for nothing.

    ("digits against real · step 200, CFG 4", "digits against real · step 400, CFG 4") become "step 200" and
    "step 400"; they share "digits against real, CFG 4".
    """
    parts = [_BETWEEN.split(label) for label in labels]
    if len(set(labels)) < 2:
        return list(labels), ""
    most = (min(len(each) for each in parts) - 1) // 2  # one part at least is left
    first = _alike(parts, most)
    last = _alike([each[::-1] for each in parts], most - first)
    before, after = parts[0][: 2 * first - 1] if first else [], parts[0][-2 * last + 1 :] if last else []
    short = ["".join(each[2 * first : len(each) - 2 * last]) for each in parts]
    return short, ", ".join("".join(each) for each in (before, after) if each)


def listed(labels: Sequence[str], *, between: str = ", ") -> str:
    """In a sentence, with how many more there are."""
    more = f" and {len(labels) - _LISTED} more" if len(labels) > _LISTED else ""
    return between.join(labels[:_LISTED]) + more


def _alike(parts: Sequence[Sequence[str]], most: int) -> int:
    """How many parts, each with what follows it, all begin with."""
    count = 0
    while count < most and len({tuple(each[2 * count : 2 * count + 2]) for each in parts}) == 1:
        count += 1
    return count
