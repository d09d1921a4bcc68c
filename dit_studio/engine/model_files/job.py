"""The jobs of the model files: what there is, fetch one on request, take in what the user has."""

import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from dit_studio.engine.model_files.chosen_files import choose, forget
from dit_studio.engine.model_files.download import download
from dit_studio.engine.model_files.folders import files_dir, hugging_face_dir, torch_hub_dir
from dit_studio.engine.model_files.hub_download import download_model
from dit_studio.engine.model_files.hub_models import HubModel, arrived_bytes
from dit_studio.engine.model_files.locating import Row, find_row, locate, rows
from dit_studio.engine.model_files.own_models import model_folder, own_file, own_folder
from dit_studio.engine.model_files.single_files import ModelFile, take_in
from dit_studio.errors import CheckpointError, DiskFullError, StudioError
from dit_studio.events import ModelFileInfo, ModelFiles, Progress
from dit_studio.places import models_dir


def list_files() -> Generator[Progress | ModelFiles, None, None]:
    """Every published file and model, and its state; nothing is fetched."""
    found: list[ModelFileInfo] = []
    for row in rows():
        yield Progress(stage="Looking for model files", done=len(found), total=len(rows()), unit="files")
        found.append(_about(row))
    searched = (files_dir(), models_dir(), torch_hub_dir(), hugging_face_dir())
    yield ModelFiles(
        files=tuple(found),
        folder=str(files_dir()),
        hub_folder=str(hugging_face_dir()),
        searched=tuple(str(folder) for folder in searched),
    )


def download_file(
    name: str, *, accepts_licence: bool = False, base_url: str = "", endpoint: str = ""
) -> Generator[Progress | ModelFiles, None, None]:
    """Fetch a file, or a model of the hub, by its name. Closed early it keeps what arrived, and goes on from there.

    `accepts_licence`: its terms, where it has some, were shown and agreed to. `base_url`, `endpoint`: other addresses
    than the file's folder and the hub's.
    Raises: CheckpointError for an unknown name or a wrong file; StudioError if there are terms that nobody agreed to;
    DataError if the line or the server fails; DiskFullError.
    """
    row = find_row(name)
    if row.licence.terms and not accepts_licence:
        raise StudioError(
            f"{name} is under {row.licence.name}, {row.licence.url}: {row.licence.terms} Nothing was fetched.",
            remedy="Agree to the licence first.",
        )
    _check_room(name, row.size_bytes - _arrived(row), _home(row))
    if isinstance(row, ModelFile):
        yield from _with_rate(download(name, base_url=base_url or None))
    else:
        yield from _with_rate(download_model(row, endpoint=endpoint))
    yield from list_files()


def add_file(path: str, name: str = "") -> Generator[Progress | ModelFiles, None, None]:
    """Take in a file of the table, known by its content, or choose a published model that lies elsewhere.

    `name`: what it must be; empty: whatever it is. An empty path forgets what was chosen for the name.
    Raises: CheckpointError that says what it is instead; DiskFullError or RunError.
    """
    wanted = find_row(name) if name else None
    if not path:
        assert wanted is not None
        forget(wanted.key)
        yield from list_files()
        return
    place = Path(path).expanduser()
    if not place.exists():
        raise CheckpointError(f"{place} does not exist.", remedy="Choose another file or folder.")
    yield Progress(stage=f"Checking {place.name}", done=0)
    _add(place, wanted)
    yield from list_files()


def _add(place: Path, wanted: Row | None) -> None:
    folder = model_folder(place)
    own = own_file(place, wanted) if folder is None else own_folder(folder, wanted, check_extractor=_check_extractor)
    if own is not None:
        choose(own.row.key, own.path)
        return
    _check_room(place.name, place.stat().st_size, files_dir())
    take_in(place)


def _check_extractor(folder: Path, extractor: str) -> str:
    # opens the model once, with torch, which the other jobs do without
    from dit_studio.engine.evaluation.extractors.model_folder import check_model, extractor_in

    extractor = extractor or extractor_in(folder)
    check_model(folder, extractor)
    return extractor


def _about(row: Row) -> ModelFileInfo:
    located = locate(row)
    is_there = located.usable is not None
    return ModelFileInfo(
        name=row.name,
        title=row.title,
        role=row.role,
        extractor=row.extractor,
        is_on_hub=isinstance(row, HubModel),
        size_bytes=row.size_bytes,
        sha256=row.sha256 if isinstance(row, ModelFile) else "",
        licence=row.licence.name,
        licence_url=row.licence.url,
        terms=row.licence.terms,
        url=row.url,
        folder=str(_home(row)),
        condition=located.condition,
        path=str(located.path or ""),
        sentence=located.sentence,
        arrived_bytes=0 if is_there or located.condition == "wrong hash" else _arrived(row),
        is_chosen=located.is_chosen,
    )


def _home(row: Row) -> Path:
    """The folder that a download puts it into."""
    return row.home if isinstance(row, ModelFile) else hugging_face_dir()


def _arrived(row: Row) -> int:
    if isinstance(row, HubModel):
        return arrived_bytes(row)
    part = row.home / f"{row.name}.part"
    return part.stat().st_size if part.is_file() else 0


def _check_room(name: str, needed_bytes: int, folder: Path) -> None:
    """Raises: DiskFullError, before anything is fetched or copied."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_bytes = shutil.disk_usage(place).free
    if needed_bytes > free_bytes:
        raise DiskFullError(
            f"{name} needs {needed_bytes / 1e6:,.0f} MB, and {place} has {free_bytes / 1e6:,.0f} MB left.",
            remedy="Make room there, or choose another cache folder in the settings.",
        )


def _with_rate(steps: Iterator[Progress]) -> Iterator[Progress]:
    """How many bytes a second arrive since the first step."""
    first: tuple[int, float] | None = None
    for step in steps:
        done_before, started = first = first or (step.done, time.monotonic())
        seconds = time.monotonic() - started
        rate = (step.done - done_before) / seconds if seconds else 0.0
        yield Progress(stage=step.stage, done=step.done, total=step.total, unit=step.unit, rate=max(rate, 0.0))
