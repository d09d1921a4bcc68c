"""What a folder or a file of the user's is: which published model it holds, or a sentence why it is taken for none."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dit_studio.engine.model_files import hub_models, single_files
from dit_studio.engine.model_files.hub_models import HubModel, why_not_a_model
from dit_studio.engine.model_files.locating import Row
from dit_studio.engine.model_files.single_files import ModelFile
from dit_studio.engine.model_files.whole_files import why_not_whole
from dit_studio.errors import CheckpointError

_IN_A_MODEL = re.compile(r"(config|model_index)\.json|(diffusion_pytorch_|pytorch_)?model\.(safetensors|bin)")
_ANYTHING_GOES = "Any checkpoint can be opened on the Sample page, and any VAE be named in the latents' settings."

CheckExtractor = Callable[[Path, str], str]


class OwnModel(NamedTuple):
    """`path` is what to open for it."""

    row: Row
    path: Path


def model_folder(path: Path) -> Path | None:
    """The folder of a model that is meant by it, or by one of its files; None if it is another file.

    Raises: CheckpointError for a folder that holds no model.
    """
    if path.is_file():
        if not _IN_A_MODEL.fullmatch(path.name):
            return None
        path = path.parent
    for folder in (path.parent, path):
        if (folder / "model_index.json").is_file() and (folder == path or path.name == "transformer"):
            return folder
    if (path / "config.json").is_file():
        return path
    in_cache = sorted(
        found.parent for name in ("config", "model_index") for found in path.glob(f"snapshots/*/{name}.json")
    )
    if in_cache:
        return in_cache[-1]
    raise CheckpointError(
        f"{path} holds no model: there is neither config.json nor model_index.json in it.",
        remedy="Choose the folder that holds one of them, with the weights.",
    )


def own_folder(folder: Path, wanted: Row | None, *, check_extractor: CheckExtractor) -> OwnModel:
    """The published model in a folder; `wanted`: the one that it is chosen for, if any.

    `check_extractor` takes a folder and the extractor that it must be for, or "", and gives the extractor.
    Raises: CheckpointError that says what the folder holds instead, or what it lacks.
    """
    kind = _kind(folder)
    if wanted is not None and wanted.role == "vae" and (folder / "vae" / "config.json").is_file():
        return own_folder(folder / "vae", wanted, check_extractor=check_extractor)
    if kind == "DiTPipeline":
        found: Row = _pipeline(folder, wanted)
    elif kind == "AutoencoderKL":
        found = _vae(folder, wanted)
    elif kind.startswith("_"):
        asked = wanted.extractor if isinstance(wanted, HubModel) else ""
        found = hub_models.hub_model(check_extractor(folder, asked))
    else:
        raise CheckpointError(f"{folder} holds a {kind}, which is none of the models listed.", remedy=_ANYTHING_GOES)
    if wanted is not None and isinstance(wanted, HubModel) and found != wanted:
        raise CheckpointError(
            f"{folder} holds {found.title}, not {wanted.title}.",
            remedy=f"Choose the folder of {wanted.title}, or add this one as {found.title}.",
        )
    return OwnModel(found, folder)


def own_file(path: Path, wanted: Row | None) -> OwnModel | None:
    """The published checkpoint that a file is, by its name or because it is chosen for it; None if it is neither.

    Raises: CheckpointError if it is not whole, or of another size.
    """
    by_name = {file.name: file for file in single_files.FILES if file.role == "model"}
    file = wanted if isinstance(wanted, ModelFile) and wanted.role == "model" else by_name.get(path.name)
    if file is None:
        return None
    if not file.fits(path.stat().st_size):
        raise CheckpointError(
            f"{path} has {path.stat().st_size:,} bytes, and {file.name} has about {file.size_bytes:,}.",
            remedy=f"Choose the published file. {_ANYTHING_GOES}",
        )
    if why := why_not_whole(path):
        raise CheckpointError(f"{path} {why}.", remedy="Download it again.")
    return OwnModel(file, path)


def _kind(folder: Path) -> str:
    """The class that diffusers writes into a configuration; "_" where transformers wrote it."""
    index = folder / "model_index.json"
    file = index if index.is_file() else folder / "config.json"
    return str(_read(file).get("_class_name", "_"))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} cannot be read as a configuration.", remedy="Download the model again."
        ) from error
    return found if isinstance(found, dict) else {}


def _pipeline(folder: Path, wanted: Row | None) -> HubModel:
    """DiT-XL/2 at one of its two sizes."""
    models = [model for model in hub_models.MODELS if model.role == "model"]
    asked = wanted if isinstance(wanted, HubModel) and wanted.role == "model" else models[0]
    _check_whole(folder, asked)
    config = _read(folder / "transformer" / "config.json")
    for model in models:
        if not _difference(config, _transformer_of(model)):
            return model
    raise CheckpointError(
        f"{folder} is not {asked.title}: {_difference(config, _transformer_of(asked))}.", remedy=_ANYTHING_GOES
    )


def _transformer_of(model: HubModel) -> dict[str, Any]:
    side = int(model.repo.rpartition("-")[2])
    return {
        "num_layers": 28,
        "num_attention_heads": 16,
        "attention_head_dim": 72,
        "patch_size": 2,
        "sample_size": side // 8,
    }


def _vae(folder: Path, wanted: Row | None) -> HubModel:
    """One of the two fine-tuned decoders, which only a name tells apart."""
    models = [model for model in hub_models.MODELS if model.role == "vae"]
    _check_whole(folder, models[0])
    config = _read(folder / "config.json")
    if difference := _difference(config, {"latent_channels": 4, "block_out_channels": [128, 256, 512, 512]}):
        raise CheckpointError(f"{folder} holds another VAE: {difference}.", remedy=_ANYTHING_GOES)
    if isinstance(wanted, HubModel) and wanted.role == "vae":
        return wanted
    names = f"{folder.resolve()} {config.get('_name_or_path', '')}"
    for model in models:
        if model.repo.rpartition("/")[2] in names:
            return model
    raise CheckpointError(
        f"{folder} holds one of {models[0].title} and {models[1].title}; only its name would tell which.",
        remedy="Press Choose a folder… on the card of the one that it is.",
    )


def _check_whole(folder: Path, model: HubModel) -> None:
    if why := why_not_a_model(folder, model.files):
        raise CheckpointError(f"{folder} {why}.", remedy=f"Choose a folder that holds all of {model.title}.")


def _difference(config: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """ "num_layers is 2, not 28"; empty if there is none."""
    return next(
        (f"{name} is {config.get(name)}, not {value}" for name, value in expected.items() if config.get(name) != value),
        "",
    )
