"""The names of devices in a recipe: one, or several that train together. The engine knows which of them are here."""

from collections import Counter

AUTO = "auto"
PROCESSOR = "cpu"  # the one device that takes several processes


def named(device: str) -> tuple[str, ...]:
    """The devices of a setting such as "cuda:0,cuda:1", in order; "auto" stands for itself.

    "cpu,cpu" are two processes on the processor.
    """
    return tuple(name.strip() for name in device.split(",") if name.strip())


def first_named(device: str) -> str:
    """The first of several, or the one; what names none as it is."""
    return (named(device) or (device,))[0]


def kind_of(name: str) -> str:
    """ "cuda" of "cuda:1"."""
    return name.partition(":")[0]


def is_same(name: str, other: str) -> bool:
    """Both are of one device; the first of a kind may go without its number."""
    return name.removesuffix(":0") == other.removesuffix(":0")


def why_not_together(device: str) -> str:
    """Why these devices cannot train together, as the end of a sentence; "" if they can, or if it is one."""
    names = named(device)
    if not names:
        return 'it is empty; "auto" takes the best one.'
    kinds = {kind_of(name) for name in names}
    if len(names) > 1 and AUTO in kinds:
        return "auto is one device; name each of several, as in cuda:0,cuda:1."
    if len(kinds) > 1:
        return f"{' and '.join(sorted(kinds))} cannot train together; take devices of one kind."
    twice = [name for name, count in Counter(names).items() if count > 1 and name != PROCESSOR]
    return f"{twice[0]} is named twice; a device takes one process." if twice else ""
