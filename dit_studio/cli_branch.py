"""`dit-studio sample --branch DIR:IMAGE:STEP`: go on from an x_t that --trajectory kept."""

from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_output import UsageError
from dit_studio.errors import DataError
from dit_studio.sample_request import BranchPoint, SampleEntry

_FORM = "--branch takes DIR:IMAGE:STEP, as in drawn:0:17: a folder that --trajectory filled, an image by the number of "
_FORM += "its file, and a step from 1."


def read_branch(text: str, *, out: Path) -> tuple[BranchPoint, dict[str, Any]]:
    """Where a branch begins, and the settings of the image that it leaves: nothing changed, nothing differs.

    Raises: UsageError if the words do not make a branch; DataError if the folder holds nothing to go on from.
    """
    place, _, step = text.rpartition(":")
    folder, _, image = place.rpartition(":")
    if not (folder and image.isdecimal() and step.isdecimal()):
        raise UsageError(f"{text!r} is no place in a trajectory. {_FORM}")
    parent = Path(folder).expanduser().absolute()
    if parent.parent != out.absolute().parent:
        raise UsageError(f"--branch {folder} has to lie beside --out: its past is looked for there.")
    try:
        record = msgspec.json.decode((parent / "entry.json").read_bytes(), type=SampleEntry).record
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(
            f"{folder} holds no trajectory: entry.json cannot be read ({error}).",
            remedy="Draw one with --trajectory, or choose another folder.",
        ) from error
    settings = msgspec.structs.asdict(record.request) | {
        "classes": (record.label_of(int(image)),), "seed": record.request.seed + int(image), "count": 1,
    }  # fmt: skip
    return BranchPoint(entry=parent.name, image=int(image), step=int(step)), settings
