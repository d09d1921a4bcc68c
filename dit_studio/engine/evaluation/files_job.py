"""The jobs of the model files: what there is, fetch one on request, take in what the user has."""

import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from dit_studio.engine.evaluation import hub_models, model_files
from dit_studio.engine.evaluation.chosen_files import choose, chosen_path, forget
from dit_studio.engine.evaluation.extractors.model_folder import check_model, extractor_in
from dit_studio.engine.evaluation.hub_models import HubModel, arrived_bytes, download_model, hub_state
from dit_studio.engine.evaluation.model_download import download
from dit_studio.engine.evaluation.model_files import (
    ModelFile,
    hugging_face_dir,
    models_dir,
    state_of,
    take_in,
    torch_hub_dir,
)
from dit_studio.errors import CheckpointError, DiskFullError
from dit_studio.events import ModelFileInfo, ModelFiles, Progress

_IN_A_MODEL = ("config.json", "model.safetensors", "pytorch_model.bin")


def list_files() -> Generator[Progress | ModelFiles, None, None]:
    """Every file that an extractor may need, and its state; nothing is fetched."""
    found: list[ModelFileInfo] = []
    rows = (*model_files.FILES, *hub_models.MODELS)
    for row in rows:
        yield Progress(stage="Looking for model files", done=len(found), total=len(rows), unit="files")
        found.append(_about_file(row) if isinstance(row, ModelFile) else _about_model(row))
    yield ModelFiles(
        files=tuple(found),
        folder=str(models_dir()),
        hub_folder=str(hugging_face_dir()),
        searched=tuple(str(folder) for folder in (models_dir(), torch_hub_dir(), hugging_face_dir())),
    )


def download_file(name: str, base_url: str = "", endpoint: str = "") -> Generator[Progress | ModelFiles, None, None]:
    """Fetch a file, or a model of the hub, by its name. Closed early it keeps what arrived, and goes on from there.

    `base_url`, `endpoint`: other addresses than the file's folder and the hub's.
    Raises: CheckpointError for an unknown name or a wrong file; DataError if the line or the server fails;
    DiskFullError.
    """
    row = _named(name)
    size_bytes, arrived = row.size_bytes, _arrived(row)
    _check_room(name, size_bytes - arrived, models_dir() if isinstance(row, ModelFile) else hugging_face_dir())
    if isinstance(row, ModelFile):
        yield from _with_rate(download(name, base_url=base_url or None))
    else:
        yield from _with_rate(download_model(name, endpoint=endpoint))
    yield from list_files()


def add_file(path: str, extractor: str = "") -> Generator[Progress | ModelFiles, None, None]:
    """Take in a file of the table, known by its content, or choose a folder that holds a model of the hub.

    `extractor`: what it must be for; empty: whatever it is. An empty path forgets what was chosen for the extractor.
    Raises: CheckpointError that says what it is instead; DiskFullError or RunError.
    """
    if not path:
        forget(extractor)
        yield from list_files()
        return
    place = Path(path).expanduser()
    if not place.exists():
        raise CheckpointError(f"{place} does not exist.", remedy="Choose another file or folder.")
    yield Progress(stage=f"Checking {place.name}", done=0)
    if (folder := _model_folder(place)) is not None:
        extractor = extractor if extractor in {model.extractor for model in hub_models.MODELS} else extractor_in(folder)
        check_model(folder, extractor)
        choose(extractor, folder)
    else:
        _check_room(place.name, place.stat().st_size, models_dir())
        take_in(place)
    yield from list_files()


def _named(name: str) -> ModelFile | HubModel:
    rows = (*model_files.FILES, *hub_models.MODELS)
    for row in rows:
        if name == _name(row):
            return row
    known = ", ".join(_name(row) for row in rows)
    raise CheckpointError(f'There is no model file "{name}" in the list.', remedy=f"There are {known}.")


def _name(row: ModelFile | HubModel) -> str:
    return row.name if isinstance(row, ModelFile) else row.repo


def _about_file(file: ModelFile) -> ModelFileInfo:
    state = state_of(file)
    return ModelFileInfo(
        name=file.name,
        title=file.title,
        extractor=file.extractor,
        is_on_hub=False,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        licence=file.licence,
        url=file.url,
        condition=state.condition,
        path=str(state.path or ""),
        sentence=state.sentence,
        arrived_bytes=_arrived(file),
    )


def _about_model(model: HubModel) -> ModelFileInfo:
    state, chosen = hub_state(model.repo), chosen_path(model.extractor)
    condition, path, sentence = state.condition, str(state.folder or ""), state.sentence
    is_there = chosen is not None and chosen.exists()
    if is_there:
        condition, path = "unverified", str(chosen)
        sentence = f"{chosen} was chosen; all its weights are there, their hash is not known."
    elif chosen is not None:
        sentence = f"{chosen}, which was chosen, is not there any more. {sentence}"
    return ModelFileInfo(
        name=model.repo,
        title=model.title,
        extractor=model.extractor,
        is_on_hub=True,
        size_bytes=model.size_bytes,
        sha256="",
        licence=model.licence,
        url=model.url,
        condition=condition,
        path=path,
        sentence=sentence,
        arrived_bytes=_arrived(model) if state.condition in ("missing", "truncated") else 0,
        is_chosen=is_there,
    )


def _arrived(row: ModelFile | HubModel) -> int:
    if isinstance(row, HubModel):
        return arrived_bytes(row.repo)
    part = models_dir() / f"{row.name}.part"
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


def _model_folder(path: Path) -> Path | None:
    """The folder of a model that is meant by it, or by one of its files; None if it is another file.

    Raises: CheckpointError for a folder that holds no model.
    """
    if path.is_file():
        return path.parent if path.name in _IN_A_MODEL else None
    if (path / "config.json").is_file():
        return path
    in_cache = sorted(config.parent for config in path.glob("snapshots/*/config.json"))
    if in_cache:
        return in_cache[-1]
    raise CheckpointError(
        f"{path} holds no model: there is no config.json in it.",
        remedy="Choose the folder that holds config.json with model.safetensors or pytorch_model.bin.",
    )
