"""Where a published model lies on this machine: what was chosen, else the hub's cache, else the folder of models."""

from pathlib import Path
from typing import NamedTuple

from dit_studio.engine.model_files import hub_models, single_files
from dit_studio.engine.model_files.chosen_files import chosen_path
from dit_studio.engine.model_files.hub_models import HubModel, hub_state, why_not_a_model
from dit_studio.engine.model_files.single_files import ModelFile, state_of
from dit_studio.engine.model_files.states import Condition, Role
from dit_studio.engine.model_files.whole_files import why_not_whole
from dit_studio.errors import CheckpointError
from dit_studio.places import models_dir

Row = ModelFile | HubModel
_ROLES: tuple[Role, ...] = ("model", "vae", "extractor")


class Located(NamedTuple):
    """What was found of a model or a file. `path`: where it lies, even if damaged; `sentence`: what to say of it."""

    condition: Condition
    path: Path | None
    sentence: str
    is_chosen: bool = False

    @property
    def usable(self) -> Path | None:
        """What can be opened; None if it is not there, not whole or another than it should be."""
        return self.path if self.condition in ("verified", "unverified") else None


def rows() -> tuple[Row, ...]:
    """Everything that is published and of use here: pretrained models, VAEs, extractors."""
    everything: tuple[Row, ...] = (*single_files.FILES, *hub_models.MODELS)
    folders_first = sorted(everything, key=lambda row: row.role == "model" and isinstance(row, ModelFile))
    return tuple(sorted(folders_first, key=lambda row: _ROLES.index(row.role)))


def find_row(name: str) -> Row:
    """The file or model of that name. Raises: CheckpointError."""
    for row in rows():
        if name == row.name:
            return row
    known = ", ".join(row.name for row in rows())
    raise CheckpointError(f'There is no model file "{name}" in the list.', remedy=f"There are {known}.")


def locate(row: Row) -> Located:
    """Look for it; the first place that has it counts. Nothing is fetched."""
    chosen = chosen_path(row.key) if isinstance(row, HubModel) or row.role == "model" else None
    if chosen is not None and chosen.exists():
        return _chosen(row, chosen)
    found = _published(row) if isinstance(row, HubModel) else Located(*state_of(row)[1:])
    if chosen is not None:
        return found._replace(sentence=f"{chosen}, which was chosen, is not there any more. {found.sentence}")
    return found


def _chosen(row: Row, path: Path) -> Located:
    what = f"{path} was chosen"
    if isinstance(row, HubModel):
        if row.role != "extractor" and (why := why_not_a_model(path, row.files)):
            return Located("truncated", path, f"{path}, which was chosen, {why}.", is_chosen=True)
        return Located(
            "unverified", path, f"{what}; all its weights are there, their hash is not known.", is_chosen=True
        )
    if why := why_not_whole(path):
        return Located("truncated", path, f"{path}, which was chosen, {why}.", is_chosen=True)
    return Located("unverified", path, f"{what}; it is whole, its publisher gives no hash.", is_chosen=True)


def _published(model: HubModel) -> Located:
    state = hub_state(model)
    if state.folder is None and model.role != "extractor":
        for folder in (models_dir() / model.repo, models_dir() / model.repo.rpartition("/")[2]):
            if folder.is_dir() and not why_not_a_model(folder, model.files):
                return Located("unverified", folder, f"{folder} is there; its hash is not known.")
    return Located(*state[1:])
