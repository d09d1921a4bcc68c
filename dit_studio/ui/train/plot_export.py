"""The curves of a run as a table, for a spreadsheet."""

import numpy as np

from dit_studio.ui.train.curve import Curve
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.lines import band_name


def to_csv(history: RunHistory) -> bytes:
    """One line a step; a cell is empty where nothing was measured."""
    columns = {
        "images_seen": history.images_seen,
        "seconds": history.seconds,
        "loss": history.loss,
        "validation_loss": history.validation,
        "learning_rate": history.learning_rate,
        "grad_norm": history.grad_norm,
        "images_per_second": history.images_per_second,
        "memory_bytes": history.memory_bytes,
    }
    for index, curve in enumerate(history.bands):
        columns[f"loss {band_name(index, len(history.bands))}"] = curve
    for name, measured in history.measured.items():
        columns |= {name: measured.value, f"{name} low": measured.low, f"{name} high": measured.high}
        columns |= {f"{name} floor": measured.floor}
    steps = np.unique(np.concatenate([curve.x for curve in columns.values()]))
    cells = [_column(curve, steps) for curve in columns.values()]
    head = ",".join(["step", *columns])
    body = (",".join(row) for row in zip((f"{step:.0f}" for step in steps), *cells, strict=True))
    return ("\r\n".join([head, *body]) + "\r\n").encode()


def _column(curve: Curve, steps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
    values = np.full(steps.size, np.nan)
    values[np.searchsorted(steps, curve.x)] = curve.y
    return ["" if value != value else f"{value:.9g}" for value in values.tolist()]  # NaN alone differs from itself
