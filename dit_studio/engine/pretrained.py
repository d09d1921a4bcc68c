"""Pretrained models and VAEs by their published names: where they lie on this machine.

Without torch and without the network. A name that is not in the list is looked for in the hub's cache, too.
"""

import re
from pathlib import Path

from dit_studio.engine.model_files.hub_models import AUTOENCODER, PIPELINE, HubModel, Wanted, why_not_a_model
from dit_studio.engine.model_files.licences import Licence
from dit_studio.engine.model_files.locating import Located, Row, locate, rows
from dit_studio.engine.model_files.states import Role
from dit_studio.errors import CheckpointError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def find_pretrained(name: str) -> Path | None:
    """A diffusers folder or a published file: "facebook/DiT-XL-2-256", "DiT-XL-2-256x256.pt"; None if it is not here.

    A large file is hashed when it is found for the first time, which takes seconds.
    """
    row = _row(name, "model", PIPELINE)
    return locate(row).usable if row else None


def find_vae(name: str) -> Path | None:
    """The folder of an AutoencoderKL: "stabilityai/sd-vae-ft-ema", or the VAE of a pipeline; None if it is not here."""
    row = _row(name, "vae", AUTOENCODER)
    if row is not None and (found := locate(row).usable):
        return found
    pipeline = find_pretrained(name)
    if pipeline is None or why_not_a_model(pipeline / "vae", AUTOENCODER):
        return None
    return pipeline / "vae"


def need_pretrained(name: str) -> Path:
    """As `find_pretrained`. Raises: CheckpointError that says what there is of it, and how to get it."""
    return _needed(name, find_pretrained(name), _row(name, "model", PIPELINE))


def need_vae(name: str) -> Path:
    """As `find_vae`. Raises: CheckpointError that says what there is of it, and how to get it."""
    return _needed(name, find_vae(name), _row(name, "vae", AUTOENCODER))


def find_published(name: str) -> Path | None:
    """Whatever is of that name and here: a pretrained model, else a VAE."""
    return find_pretrained(name) or find_vae(name)


def need_published(name: str) -> Path:
    """As `find_published`. Raises: CheckpointError that says what there is of it, and how to get it."""
    is_vae = any(row.role == "vae" and name in _names(row) for row in rows())
    return need_vae(name) if is_vae else need_pretrained(name)


def is_published(name: str) -> bool:
    """Whether it names a pretrained model or a VAE of the list, with or without its owner."""
    return any(name in _names(row) for row in rows() if row.role != "extractor")


def _needed(name: str, found: Path | None, row: Row | None) -> Path:
    if found is not None:
        return found
    located = locate(row) if row else Located("missing", None, f"{name} is not on this machine.")
    remedy = "Choose a file or folder that is here."
    if row is not None and is_published(row.name):
        remedy = f"Get it under Model files, or with: dit-studio download {row.name}"
    raise CheckpointError(located.sentence, remedy=remedy)


def _row(name: str, role: Role, files: Wanted) -> Row | None:
    """What is published under a name, or under the last part of it; else whatever the hub may call so."""
    for row in rows():
        if row.role == role and name in _names(row):
            return row
    return HubModel(name, "", name, 0, Licence(""), role, files) if _HUB_NAME.fullmatch(name) else None


def _names(row: Row) -> tuple[str, str]:
    return row.name, row.name.rpartition("/")[2]
