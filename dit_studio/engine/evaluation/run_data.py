"""The data set that a run was trained on, as a reference: in the run's size and colours, from the cache of training."""

from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import msgspec

from dit_studio.config import DataConfig, load_recipe
from dit_studio.engine import data
from dit_studio.engine.checkpoint import Progressed, list_checkpoints
from dit_studio.engine.data import ImageSet
from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source
from dit_studio.errors import DataError
from dit_studio.events import Event

_RECIPE = "run.toml"


class RunData(NamedTuple):
    """`note`: what became of the images since training; "" if they are as they were."""

    source: ImageSource
    note: str


def is_run(path: Path) -> bool:
    return (path / _RECIPE).is_file()


def open_run_data(run: Path) -> Generator[Event, None, RunData]:
    """The images that the newest checkpoint was trained on, else those that its recipe names now.

    Raises: DataError if neither is there any more; ConfigError if the recipe cannot be read.
    """
    config, trained_on = load_recipe(run / _RECIPE).data, _fingerprint(run)
    try:
        now = yield from data.find_fingerprint(config)
    except DataError as error:
        return _from_cache(trained_on, config, error)
    if trained_on in ("", now):
        return RunData(data_set_source((yield from data.load(config))), "")
    kept = data.open_decoded(trained_on, config.path)
    if kept is not None:
        return RunData(
            data_set_source(kept), f"{config.path} has changed since {run.name} was trained on it: {_OF_THEN}"
        )
    images: ImageSet = yield from data.load(config)
    return RunData(
        data_set_source(images),
        f"{config.path} has changed since {run.name} was trained on it, and the images of then are not kept: the "
        "reference is what is there now.",
    )


_OF_THEN = "the reference is the decoded images of then, from the cache."


def _from_cache(trained_on: str, config: DataConfig, error: DataError) -> RunData:
    """Raises: DataError if there are none."""
    kept = data.open_decoded(trained_on, config.path)
    if kept is None:
        raise DataError(
            f"The images that the run was trained on are not there any more. {error.message}",
            remedy="Put them back, or choose another reference.",
        ) from error
    return RunData(data_set_source(kept), f"{config.path} cannot be read any more: {_OF_THEN}")


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
