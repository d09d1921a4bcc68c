"""What every event is."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The base of all events; `time` is the wall clock in seconds since 1970."""

    time: float = 0.0
