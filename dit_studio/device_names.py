"""The names of devices in a recipe: one, or several that train together. The engine knows which of them are here."""

from collections import Counter

AUTO = "auto"


def named(device: str) -> tuple[str, ...]:
    """The devices of a setting such as "cuda:0,cuda:1", in order; "auto" stands for itself.

    "cpu,cpu" are two processes on the processor.
    """
    return tuple(name.strip() for name in device.split(",") if name.strip())


def why_not_together(device: str) -> str:
    """Why these devices cannot train together, as the end of a sentence; "" if they can, or if it is one."""
    names = named(device)
    if not names:
        return 'it is empty; "auto" takes the best one.'
    kinds = {name.partition(":")[0] for name in names}
    if len(names) > 1 and AUTO in kinds:
        return "auto is one device; name each of several, as in cuda:0,cuda:1."
    if len(kinds) > 1:
        return f"{' and '.join(sorted(kinds))} cannot train together; take devices of one kind."
    twice = [name for name, count in Counter(names).items() if count > 1 and name != "cpu"]
    return f"{twice[0]} is named twice; a device takes one process." if twice else ""
