"""The models that lie on the Hugging Face hub: which there are, which of their files are needed, what its cache has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dit_studio.engine.model_files.folders import hugging_face_dir
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.engine.model_files.licences import CC_BY_NC, MIT, Licence
from dit_studio.engine.model_files.states import Condition, Role
from dit_studio.engine.model_files.whole_files import why_not_whole
from dit_studio.errors import CheckpointError

_SHA256 = re.compile("[0-9a-f]{64}")


class Wanted(NamedTuple):
    """Files of a model, by their paths in its folder. Of each row of `weights` the first that there is."""

    needed: tuple[str, ...]
    weights: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()


def _diffusers_weights(folder: str = "") -> tuple[str, ...]:
    return tuple(f"{folder}diffusion_pytorch_model.{ending}" for ending in ("safetensors", "bin"))


TRANSFORMERS = Wanted(
    needed=("config.json",),
    weights=(("model.safetensors", "pytorch_model.bin"),),
    optional=("preprocessor_config.json",),
)
AUTOENCODER = Wanted(needed=("config.json",), weights=(_diffusers_weights(),))
PIPELINE = Wanted(
    needed=("model_index.json", "scheduler/scheduler_config.json", "transformer/config.json", "vae/config.json"),
    weights=(_diffusers_weights("transformer/"), _diffusers_weights("vae/")),
)


class HubModel(NamedTuple):
    """A published model. Its hash is not listed here: the hub names each large file by it."""

    repo: str
    extractor: str  # that it is for; empty for the others
    title: str
    parameters: int  # of all its parts, in float32
    licence: Licence
    role: Role = "extractor"
    files: Wanted = TRANSFORMERS

    @property
    def name(self) -> str:
        return self.repo

    @property
    def key(self) -> str:
        """What a chosen folder is remembered by."""
        return self.extractor or self.repo

    @property
    def size_bytes(self) -> int:
        """Of its weights, but for a few thousand."""
        return 4 * self.parameters

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo}"


class HubState(NamedTuple):
    """What the cache holds of a model; `folder` is what is opened, None if it is not whole."""

    repo: str
    condition: Condition
    folder: Path | None
    sentence: str


_VAE_PARAMETERS = 83_653_863
_XL_PARAMETERS = 749_826_464  # diffusers keeps the two embedders once in each block
_APACHE = Licence("Apache-2.0")

MODELS = (
    *(
        HubModel(
            f"facebook/DiT-XL-2-{side}", "", f"DiT-XL/2, {side} pixels", _XL_PARAMETERS + _VAE_PARAMETERS, CC_BY_NC,
            "model", PIPELINE,
        )
        for side in (256, 512)
    ),
    HubModel(
        "stabilityai/sd-vae-ft-ema", "", "Stable Diffusion VAE, ft-EMA", _VAE_PARAMETERS, MIT, "vae", AUTOENCODER
    ),
    HubModel(
        "stabilityai/sd-vae-ft-mse", "", "Stable Diffusion VAE, ft-MSE", _VAE_PARAMETERS, MIT, "vae", AUTOENCODER
    ),
    HubModel("openai/clip-vit-base-patch32", "clip-b32", "CLIP ViT-B/32", 151_277_313, MIT),
    HubModel("openai/clip-vit-large-patch14-336", "clip-l14-336", "CLIP ViT-L/14-336", 427_944_193, MIT),
    HubModel("google/siglip-base-patch16-224", "siglip", "SigLIP base-p16-224", 203_155_970, _APACHE),
    HubModel("kakaobrain/align-base", "align", "ALIGN base", 172_424_627, Licence("as stated on its page")),
    HubModel("facebook/dinov2-large", "dinov2", "DINOv2 ViT-L/14", 304_368_640, _APACHE),
)  # fmt: skip


def hub_model(extractor: str) -> HubModel:
    """The model that an extractor needs."""
    return next(model for model in MODELS if model.extractor == extractor)


def hub_state(model: HubModel) -> HubState:
    """What the cache holds of a model's main branch. Weights are verified against the hash that the hub gives them."""
    repo, folder = model.repo, _snapshot(model)
    if folder is None or _missing(folder, model.files):
        if any(place_of(model).glob("blobs/*.incomplete")) or any(_whole_blobs(model)):
            return HubState(repo, "truncated", None, f"{repo} has arrived in part only.")
        return HubState(repo, "missing", None, f"{repo} is not on this machine.")
    condition: Condition = "verified"
    for weights in _weights(folder, model.files):
        blob = weights.resolve().name
        if not _SHA256.fullmatch(blob):
            condition = "unverified"
            if why := why_not_whole(weights):
                return HubState(repo, "truncated", None, f"{weights} {why}.")
        elif (found := sha256_of(weights)) != blob:
            sentence = f"{weights} is damaged: its hash is {found[:12]}… in place of {blob[:12]}…."
            return HubState(repo, "wrong hash", None, sentence)
    known = "is verified" if condition == "verified" else "is there; its hash is not known"
    return HubState(repo, condition, folder, f"{folder} {known}.")


def hub_folder(extractor: str) -> Path:
    """The folder of the model that an extractor needs. Raises: CheckpointError if it is not there or damaged."""
    state = hub_state(hub_model(extractor))
    if state.folder is None:
        raise CheckpointError(
            state.sentence,
            remedy=f"Download {state.repo} or choose its folder under Model files, "
            'or take the extractor "random", which needs no file.',
        )
    return state.folder


def why_not_a_model(folder: Path, files: Wanted) -> str:
    """What a folder lacks to hold these files: "holds no config.json"; empty if they are there and whole."""
    if missing := _missing(folder, files):
        return f"holds no {missing}"
    return next(
        (f"holds {file.name}, which {why}" for file in _weights(folder, files) if (why := why_not_whole(file))), ""
    )


def arrived_bytes(model: HubModel) -> int:
    """What the cache holds of a model, finished or not."""
    return sum(file.stat().st_size for file in place_of(model).glob("blobs/*") if file.is_file())


def remove_damaged_weights(model: HubModel) -> None:
    """Those that are cut short or whose hash is wrong, which the hub's client would take for whole."""
    folder = _snapshot(model)
    for path in _weights(folder, model.files) if folder else ():
        blob = path.resolve()
        if sha256_of(path) != blob.name if _SHA256.fullmatch(blob.name) else why_not_whole(path):
            blob.unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def place_of(model: HubModel) -> Path:
    """The folder of a model in the hub's cache."""
    return hugging_face_dir() / f"models--{model.repo.replace('/', '--')}"


def _missing(folder: Path, files: Wanted) -> str:
    """The first that is not there; empty if all are."""
    for name in files.needed:
        if not (folder / name).is_file():
            return name
    return next(
        (" or ".join(names) for names in files.weights if not any((folder / name).is_file() for name in names)), ""
    )


def _weights(folder: Path, files: Wanted) -> Iterator[Path]:
    for names in files.weights:
        yield from [folder / name for name in names if (folder / name).is_file()][:1]


def _whole_blobs(model: HubModel) -> Iterator[Path]:
    """Large files that are finished, whether or not the model is."""
    return (blob for blob in place_of(model).glob("blobs/*") if _SHA256.fullmatch(blob.name))


def _snapshot(model: HubModel) -> Path | None:
    place = place_of(model)
    try:
        commit = (place / "refs" / "main").read_text().strip()
    except OSError:
        return None
    folder = place / "snapshots" / commit
    return folder if commit and folder.is_dir() else None
