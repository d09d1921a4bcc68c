"""The columns of the Speed page: of a measured implementation, and of a member of the family."""

from dit_studio.ui.speed.bars import Column
from dit_studio.ui.train.amounts import memory, rate, short


def milliseconds(seconds: float | None) -> str:
    """0.0123 as "12.3 ms"; "" for none."""
    if seconds is None:
        return ""
    value = 1000 * seconds
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def difference(value: float | None) -> str:
    """How far an implementation is from the plain one: "0", "3e-07"."""
    return "" if value is None else f"{value:.0e}" if value else "0"


def _memory(tooltip: str) -> Column:
    return Column(
        title="Memory",
        tooltip=tooltip,
        text=lambda row: "" if row.memory_bytes is None else memory(row.memory_bytes),
        value=lambda row: row.memory_bytes,
    )


ATTENTION = (
    Column(title="Attention", tooltip="The implementation; plain is a softmax written out.", text=lambda row: row.name),
    Column(title="Batch", tooltip="Images at once.", text=lambda row: f"{row.batch:,}"),
    Column(title="Tokens", tooltip="Patches of an image.", text=lambda row: f"{row.tokens:,}"),
    Column(
        title="Forward",
        tooltip="Time of one pass in milliseconds, the median of paired rounds; shorter is better.",
        text=lambda row: milliseconds(row.seconds),
        value=lambda row: row.seconds,
    ),
    Column(
        title="With backward",
        tooltip="Time of a pass and its gradients in milliseconds; shorter is better.",
        text=lambda row: milliseconds(row.backward_seconds),
        value=lambda row: row.backward_seconds,
    ),
    _memory("The peak above what was there before; less is better."),
    Column(
        title="Off by",
        tooltip="The largest difference from the plain implementation of the same meaning.",
        text=lambda row: difference(row.difference),
    ),
    Column(title="Note", tooltip="Why it does not run here.", text=lambda row: row.note),
)

FAMILY = (
    Column(title="Model", tooltip="Size and patch.", text=lambda row: row.name),
    Column(
        title="Parameters",
        tooltip="Numbers in the model.",
        text=lambda row: short(row.parameters),
        value=lambda row: row.parameters,
    ),
    Column(
        title="Gflops",
        tooltip="Multiply-adds of a forward pass of one image, in thousands of millions, as the paper counts.",
        text=lambda row: f"{row.gflops:.2f}",
        value=lambda row: row.gflops,
    ),
    Column(
        title="Images/s",
        tooltip="Forward passes of one image in a second; more is better.",
        text=lambda row: "" if row.images_per_second is None else rate(row.images_per_second),
        value=lambda row: row.images_per_second,
    ),
    _memory("The peak while it runs."),
    Column(title="Note", tooltip="Why it was not measured.", text=lambda row: row.note),
)
