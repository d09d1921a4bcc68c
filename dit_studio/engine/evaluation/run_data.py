"""The data set that a run was trained on, as a reference: in the run's size and colours, from the cache of training."""

from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import msgspec

from dit_studio.config import DataConfig, load_recipe
from dit_studio.engine import data
from dit_studio.engine.checkpoint import Progressed, list_checkpoints
from dit_studio.engine.data import ImageSet
from dit_studio.errors import DataError, StudioError
from dit_studio.events import Event, Progress

_RECIPE = "run.toml"
_OF_THEN = "the reference is the decoded images of then, from the cache."


class RunData(NamedTuple):
    """`kept`: the images, where they are decoded. `note`: what became of them since training; "" if nothing did."""

    config: DataConfig
    kept: ImageSet | None
    note: str = ""


def is_run(path: Path) -> bool:
    return (path / _RECIPE).is_file()


def open_run_data(run: Path) -> Generator[Event, None, tuple[ImageSet, str]]:
    """The images, decoded now if they are not yet, and the note.

    Raises: DataError if they are not there any more; ConfigError if the recipe cannot be read.
    """
    found = yield from find_run_data(run)
    images = found.kept if found.kept is not None else (yield from data.load(found.config))
    return images, found.note


def find_run_data(run: Path) -> Generator[Progress, None, RunData]:
    """What the newest checkpoint was trained on, else what the recipe names now; nothing is decoded.

    Raises: as `open_run_data`.
    """
    config, trained_on = load_recipe(run / _RECIPE).data, _fingerprint(run)
    kept = data.open_decoded(trained_on, config.path)
    try:
        now = yield from data.find_fingerprint(config)
    except DataError as error:
        if kept is None:
            raise DataError(
                f"The images that {run.name} was trained on are not there any more. {error.message}",
                remedy="Put them back, or choose another reference.",
            ) from error
        return RunData(config, kept, f"{config.path} cannot be read any more: {_OF_THEN}")
    if trained_on in ("", now):
        return RunData(config, kept if trained_on else data.open_decoded(now, config.path))
    has_changed = f"{config.path} has changed since {run.name} was trained on it"
    if kept is not None:
        return RunData(config, kept, f"{has_changed}: {_OF_THEN}")
    note = f"{has_changed}, and the images of then are not kept: the reference is what is there now."
    return RunData(config, data.open_decoded(now, config.path), note)


def other_training_images(run: Path, reference: Path) -> Generator[Progress, None, str]:
    """The images that a run was trained on, where a reference is known to be others: another folder or archive than
    that of then, or the data set of another run; "" if it is the same, or nobody can tell.
    """
    trained_on = _fingerprint(run)
    if not trained_on or reference.resolve() == run.resolve():
        return ""
    try:
        config = load_recipe(run / _RECIPE).data
        if is_run(reference):
            if _fingerprint(reference) == trained_on:
                return ""
            reference = Path(load_recipe(reference / _RECIPE).data.path)
        now = yield from data.find_fingerprint(msgspec.structs.replace(config, path=str(reference)))
    except StudioError:
        return ""
    return "" if now == trained_on else config.path


def _fingerprint(run: Path) -> str:
    """Of the images that the newest checkpoint was trained on; "" if none says so."""
    for folder in reversed(list_checkpoints(run)):
        try:
            state = msgspec.json.decode((folder / "state.json").read_bytes(), type=Progressed)
        except (OSError, msgspec.DecodeError):
            continue
        if state.data_fingerprint:
            return state.data_fingerprint
    return ""
