"""Someone's VAE: where it lies, what its configuration says, and the network itself, which diffusers builds."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dit_studio.engine import device as devices
from dit_studio.engine import pretrained
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.errors import CheckpointError, StudioError
from dit_studio.files import write_atomically
from dit_studio.places import models_dir

_CLASS = "AutoencoderKL"
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_NO_PART_OF_THE_NETWORK = (
    "scaling_factor",
    "shift_factor",
    "sample_size",
    "force_upcast",
    "latents_mean",
    "latents_std",
)
_UNWRITTEN_SCALE = 0.18215  # the first published VAEs do not write it down; diffusers takes it for them
_REMEDY = "Choose the folder of an AutoencoderKL, with its config.json and its weights."


@dataclass(frozen=True, kw_only=True)
class VaeFolder:
    """A VAE on this machine, as its config.json describes it; no tensor of it has been read."""

    name: str  # that was asked for: a folder, or a name on the hub
    folder: Path
    config: dict[str, Any]
    factor: int  # pixels on a side that become one latent
    channels: int  # of latents
    image_channels: int
    scale: float | None  # None: it does not say
    shift: float | None

    @property
    def weights(self) -> Path:
        """Raises: CheckpointError if there are none."""
        for file in (self.folder / name for name in _WEIGHTS):
            if file.is_file():
                return file
        raise CheckpointError(f"{self.folder} holds no weights: there is no {_WEIGHTS[0]} in it.", remedy=_REMEDY)


def find_vae(name: str) -> VaeFolder:
    """The VAE of a folder, of a pipeline's folder, or of a name on the hub that is on this machine already.

    Raises: CheckpointError with what is wrong, or with where to get it; nothing is ever downloaded here.
    """
    folder, is_name = Path(name).expanduser(), not Path(name).expanduser().exists()
    if is_name and (name.startswith(("/", "~", ".", "\\")) or len(name.split("/")) != 2):
        raise CheckpointError(f"There is no VAE at {name}.", remedy=_REMEDY)
    if folder.is_file():
        raise CheckpointError(f"{name} is a file, and a VAE is a folder.", remedy=_REMEDY)
    place = pretrained.need_vae(name) if is_name else _within(folder)
    return _described(name if is_name else str(folder.absolute()), place)


def is_vae(path: Path) -> bool:
    """A folder with an AutoencoderKL and no transformer."""
    return not (path / "transformer").is_dir() and any(
        _read(place).get("_class_name") == _CLASS for place in (path, path / "vae") if (place / "config.json").is_file()
    )


def _within(folder: Path) -> Path:
    """The folder itself, or the vae/ of a pipeline. Raises: CheckpointError."""
    for place in (folder / "vae", folder):
        if (place / "config.json").is_file():
            return place
    raise CheckpointError(f"{folder} holds no VAE: there is no config.json in it.", remedy=_REMEDY)


def _described(name: str, folder: Path) -> VaeFolder:
    config = _read(folder)
    if (found := config.get("_class_name", "nothing that says its class")) != _CLASS:
        raise CheckpointError(f"{folder} holds {found}, and latents are those of an {_CLASS}.", remedy=_REMEDY)
    try:
        factor = 2 ** (len(config["block_out_channels"]) - 1)
        channels, image_channels = int(config["latent_channels"]), int(config["in_channels"])
        scale, shift = (
            None if value is None else float(value)
            for value in (config.get("scaling_factor", _UNWRITTEN_SCALE), config.get("shift_factor"))
        )
        if not (factor <= 1024 and 1 <= channels <= 1024 and image_channels == int(config["out_channels"])):
            raise ValueError("its numbers are impossible")
        if not (scale is None or 0 < scale < 1e6):
            raise ValueError(f"scaling_factor is {scale:g}")
    except (KeyError, TypeError, ValueError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{folder / 'config.json'} does not describe a VAE: {why}.", remedy=_REMEDY) from error
    return VaeFolder(
        name=name, folder=folder, config=config, factor=factor, channels=channels, image_channels=image_channels,
        scale=scale, shift=shift,
    )  # fmt: skip


def _read(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read: {error}.", remedy=_REMEDY) from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{folder / 'config.json'} holds no settings.", remedy=_REMEDY)
    return config


# ------------------------------------------------------------------------------------------------- which one it is


def digest_of(vae: VaeFolder) -> str:
    """Equal for equal networks, wherever they lie: of the weights' file, and of what the network is built from.

    Raises: CheckpointError if the file is not what the hub's cache says it is.
    """
    file = vae.weights
    try:
        content = sha256_of(file)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}.", remedy=_REMEDY) from error
    named = file.resolve().name  # the hub's cache names large files by their hash
    if len(named) == len(content) and named != content:
        raise CheckpointError(
            f"{file} is damaged: its hash is {content[:12]}… in place of {named[:12]}….",
            remedy="Download it again under Model files.",
        )
    network = {key: value for key, value in vae.config.items() if key[0] != "_" and key not in _NO_PART_OF_THE_NETWORK}
    text = f"{content} {json.dumps(network, sort_keys=True)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def vae_of(space: LatentSpace) -> VaeFolder:
    """The VAE of a model's latents: where it was, or wherever the same one was opened since.

    Raises: CheckpointError if it is not here, or another lies in its place.
    """
    try:
        found = find_vae(space.vae)
        if space.digest in ("", digest_of(found)):
            return _fitting(found, space)
        error = CheckpointError(
            f"{space.vae} is not the VAE that this model was trained with: its weights are others.", remedy=""
        )
    except CheckpointError as missing:
        error = missing
    for path in _known(space.digest):
        with suppress(CheckpointError):
            if digest_of(found := find_vae(path)) == space.digest:
                return _fitting(found, space)
    remedy = "Or open the VAE where it lies now, once: dit-studio inspect FOLDER; it is known again by its weights."
    raise CheckpointError(
        f"The model draws latents, which its VAE turns into images. {error.message}",
        remedy=f"{error.remedy} {remedy}".strip() if space.digest else error.remedy,
    ) from error


def _fitting(vae: VaeFolder, space: LatentSpace) -> VaeFolder:
    if (vae.factor, vae.channels) != (space.factor, space.channels):
        raise CheckpointError(
            f"{vae.name} makes {vae.channels} channels of latents, {vae.factor} times smaller; the model takes "
            f"{space.channels}, {space.factor} times smaller.",
            remedy="Choose the VAE that the model was trained with.",
        )
    return vae


def remember(vae: VaeFolder, digest: str) -> None:
    """Know it again by its weights, should a model look for it where it was before. Not worth an error."""
    with suppress(StudioError, OSError):
        file = models_dir() / "vaes" / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        paths = [vae.name, *(path for path in _known(digest) if path != vae.name)]
        write_atomically(file, "\n".join(paths[:20]).encode())


def _known(digest: str) -> list[str]:
    try:
        return (models_dir() / "vaes" / digest).read_text().splitlines() if digest else []
    except (OSError, ValueError):
        return []


# ------------------------------------------------------------------------------------------------- the network


def load_vae(vae: VaeFolder, *, device: torch.device) -> Any:
    """diffusers' AutoencoderKL in float32, in eval mode. Raises: CheckpointError if it is damaged or not whole."""
    file = vae.weights
    with _naming_errors(vae), _quiet_diffusers(), torch.random.fork_rng(devices=[]):  # it is filled at random first
        from diffusers import AutoencoderKL

        network, loaded = AutoencoderKL.from_pretrained(
            str(vae.folder), local_files_only=True, output_loading_info=True, low_cpu_mem_usage=False,
            torch_dtype=torch.float32, use_safetensors=file.suffix == ".safetensors",
        )  # fmt: skip
    if missing := sorted(loaded["missing_keys"]):
        raise CheckpointError(
            f"{file} is not whole: it lacks {missing[0]} ({len(missing)} tensors in all).", remedy=_REMEDY
        )
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f"{file} is damaged: {name} holds NaN or infinity.", remedy="Take another copy of it."
            )
    network.requires_grad_(requires_grad=False)
    devices.set_float32_matmul(device)
    return network.eval().to(device)


@contextmanager
def _naming_errors(vae: VaeFolder) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise CheckpointError(
            f"A VAE takes diffusers, which cannot be imported here: {error}.", remedy="Run: pip install diffusers"
        ) from error
    except StudioError:
        raise
    except Exception as error:  # a damaged folder makes diffusers raise whatever it likes
        words = " ".join(str(error).split())[:300].rstrip(". ") or type(error).__name__
        raise CheckpointError(f"{vae.folder} cannot be opened as a VAE: {words}.", remedy=_REMEDY) from error


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """What diffusers would say of a damaged folder, is said by us."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)
