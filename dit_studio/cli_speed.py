"""`dit-studio benchmark attention` and `family`: the rows of the Speed page, as text and for scripts."""

from collections.abc import Iterator

from dit_studio.cli_output import Ticker, show
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.events import Event
from dit_studio.model_events import AttentionTimed, FamilyTimed
from dit_studio.speed_settings import AttentionSizes, FamilySizes, batch_sizes, family_members


def measure_speed(what: str) -> Figures:
    return _attention() if what == "attention" else _family()


def _attention() -> Figures:
    from dit_studio.engine.benchmark_attention import measure_window, time_attention

    sizes = AttentionSizes()
    events = time_attention(list(batch_sizes(sizes)), sizes.tokens, sizes.heads, sizes.head_size)
    rows = [event for event in _shown(events) if isinstance(event, AttentionTimed)]
    lines = [f"attention of {sizes.tokens} tokens, {sizes.heads} heads of {sizes.head_size}"]
    lines += [_attention_line(row) for row in rows]
    values = {f"{row.name} at {row.batch}": row.seconds for row in rows if row.seconds is not None}
    windowed = measure_window()
    return Figures(lines=[*lines, *windowed.lines], values={**values, **windowed.values})


def _attention_line(row: AttentionTimed) -> str:
    name = f"  batch {row.batch:<5}{row.name:<16}"
    if row.seconds is None:
        return name + row.note
    both = "" if row.backward_seconds is None else f"{1e3 * row.backward_seconds:9.2f} ms with backward"
    held = "" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:9.1f} MB"
    far = "" if row.difference is None else f"   {row.difference:.1e} from plain"
    return f"{name}{1e3 * row.seconds:9.2f} ms {both:<26}{held}{far}"


def _family() -> Figures:
    from dit_studio.engine.benchmark_family import time_family

    sizes = FamilySizes()
    events = time_family(list(family_members(sizes)), sizes.image_size, sizes.batch)
    rows = [event for event in _shown(events) if isinstance(event, FamilyTimed)]
    title = f"the family on {sizes.image_size}×{sizes.image_size}×4, batch {sizes.batch}, forward passes"
    values = {row.name: row.images_per_second for row in rows if row.images_per_second is not None}
    return Figures(lines=[title, *(_family_line(row) for row in rows)], values={**values})


def _family_line(row: FamilyTimed) -> str:
    line = f"  {row.name:<8}{row.parameters / 1e6:8.1f} M {row.gflops:8.2f} Gflops"
    if row.images_per_second is None:
        return f"{line}   {row.note}"
    held = "" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:9.0f} MB"
    return f"{line} {row.images_per_second:9.1f} images/s {held}"


def _shown(events: Iterator[Event]) -> Iterator[Event]:
    """The events, with what they say of progress shown."""
    ticker = Ticker()
    for event in events:
        show(event, ticker, 0)
        yield event
