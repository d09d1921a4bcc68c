"""What every event is."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """The base of all events; `time` is the wall clock in seconds since 1970."""

    time: float = 0.0


class WithBytes(Event, frozen=True, kw_only=True):
    """An event with pixels: on its way between processes `data` follows its line as raw bytes."""

    data_bytes: int = 0
    data: bytes = b""
