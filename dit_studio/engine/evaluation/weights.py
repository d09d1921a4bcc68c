"""Where an extractor takes its weights from, and what to do where they are missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dit_studio.engine.model_files import single_files
from dit_studio.engine.model_files.chosen_files import chosen_path
from dit_studio.engine.model_files.folders import files_dir, hugging_face_dir
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.engine.model_files.hub_models import hub_model, hub_state
from dit_studio.engine.model_files.single_files import state_of
from dit_studio.errors import CheckpointError


class Weights(NamedTuple):
    """`files` as `open_extractor` takes them; whether they are the published ones."""

    files: Mapping[str, Path]
    are_published: bool


def weights_for(extractor: str, chosen: str = "") -> Weights:
    """The `chosen` file or folder, else the one that was chosen once and is still there, else the usual places'.

    Raises: CheckpointError that names the file, its size and hash, where it comes from and where it goes.
    """
    if extractor == "random":
        return Weights({}, are_published=True)
    if chosen:
        return _chosen(extractor, Path(chosen).expanduser())
    if (remembered := chosen_path(extractor)) is not None and remembered.exists():
        return _chosen(extractor, remembered)
    if extractor == "inception":
        _need_file(extractor)
        return Weights({}, are_published=True)
    return _hub(extractor)


def _chosen(extractor: str, path: Path) -> Weights:
    if not path.exists():
        raise CheckpointError(f"{path} does not exist.", remedy=f"Choose the weights of {extractor}.")
    hashes = {file.sha256 for file in single_files.FILES if file.extractor == extractor}
    return Weights({extractor: path}, are_published=path.is_file() and sha256_of(path) in hashes)


def _need_file(extractor: str) -> None:
    states = [state_of(file) for file in single_files.FILES if file.extractor == extractor]
    if any(state.condition == "verified" for state in states):
        return
    file = states[0].file
    found = " ".join(state.sentence for state in states if state.condition != "missing")
    raise CheckpointError(
        f"{extractor} needs {file.name} ({file.size_bytes:,} bytes, SHA-256 {file.sha256}), which is not on this "
        f"machine. {found}".rstrip(),
        remedy=f"Get it from {file.url} and put it into {files_dir()}; or take --features random, which needs no file.",
    )


def _hub(extractor: str) -> Weights:
    model = hub_model(extractor)
    state = hub_state(model)
    if state.folder is None:
        raise CheckpointError(
            f"{extractor} needs the model {model.repo}. {state.sentence}",
            remedy=f"Download it from {model.url} into the cache {hugging_face_dir()}, or name its folder with "
            "--weights; or take --features random, which needs no file.",
        )
    return Weights({extractor: state.folder}, are_published=state.condition == "verified")
