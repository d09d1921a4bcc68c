"""A sweep as an entry of the history: what its cells have in common, and how many of them there are."""

import time
from contextlib import suppress
from pathlib import Path

from dit_studio.errors import DataError
from dit_studio.locks import is_locked
from dit_studio.sample_request import ModelReference, SampleEntry, SampleRecord
from dit_studio.sweep import INDEX, LOCK, SweepRecord, open_sweep

_LARGEST = 64 * 2**20  # bytes of a sweep.json


def read_sweep(folder: Path) -> tuple[SweepRecord, SampleEntry] | None:
    """The sweep of a folder, and an entry that says what its first cell was drawn with; `images` counts the cells that
    are drawn. None if there is no sweep, or a damaged one."""
    try:
        if (folder / INDEX).stat().st_size > _LARGEST:
            return None
        record = open_sweep(folder)
    except (OSError, DataError, RecursionError):
        return None
    first = record.plan.cells[0]
    entry = SampleEntry(
        record=SampleRecord(
            request=first.request,
            model=ModelReference(path=first.model, name=_name_of(first.model), weights=first.weights),
            time=_time_of(folder),
        ),
        state=record.state if any(cell.state == "waiting" for cell in record.states) else "finished",
        images=len(drawn_cells(record)),
        seconds=sum(cell.seconds for cell in record.states),
    )
    return record, entry


def drawn_cells(record: SweepRecord) -> list[int]:
    """The places in the plan of the cells that are on the disk."""
    return [place for place, cell in enumerate(record.states) if cell.state == "drawn"]


def is_being_drawn(folder: Path) -> bool:
    """Whether a process draws the sweep of a folder now."""
    return is_locked(folder / LOCK)


def _name_of(model: str) -> str:
    """A checkpoint of a run is called by the run, whatever its own name."""
    path = Path(model)
    checkpoint = path.parent if path.suffix == ".safetensors" and path.parent.parent.name == "checkpoints" else path
    return checkpoint.parent.parent.name if checkpoint.parent.name == "checkpoints" else path.name


def _time_of(folder: Path) -> float:
    """When a sweep was begun, from its folder's name; of a foreign name, when it was written last."""
    with suppress(ValueError, OverflowError):
        return time.mktime(time.strptime(folder.name[:15], "%Y%m%d-%H%M%S"))
    return (folder / INDEX).stat().st_mtime
