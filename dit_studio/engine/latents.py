"""The jobs about a VAE before any training: what it is, and what it makes of one's own images."""

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dit_studio.config import DataConfig, Recipe, parse_recipe
from dit_studio.engine import data, pictures
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.file_list import list_files
from dit_studio.engine.image_files import Pixels
from dit_studio.engine.latents_decoding import Decoder
from dit_studio.engine.latents_encoding import encode
from dit_studio.engine.latents_space import check_images_fit, vae_warnings
from dit_studio.engine.latents_vae import VaeFolder, digest_of, find_vae, load_vae, remember
from dit_studio.engine.pictures import find_pictures
from dit_studio.engine.sampling import to_uint8
from dit_studio.errors import ConfigError, DataError, Problem
from dit_studio.events import Progress
from dit_studio.model_events import Reconstruction, VaeDescribed

_MOST_IMAGES = 256
_HIGHEST_PSNR = 99.0  # dB, of images that are equal
_STAGE = "Reconstructing"


def describe_vae(vae: str) -> Iterator[VaeDescribed]:
    """What a VAE is; it is opened to find out whether it is whole. Raises: CheckpointError.

    A scale of 0 is one that the VAE does not name: it is fitted when images are encoded.
    """
    found = find_vae(vae)
    network = load_vae(found, device=torch.device("cpu"))
    digest = digest_of(found)
    remember(found, digest)
    yield VaeDescribed(
        path=str(found.folder),
        name=_name(found),
        factor=found.factor,
        channels=found.channels,
        scale=found.scale or 0.0,
        shift=found.shift or 0.0,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        digest=digest,
        size_bytes=found.weights.stat().st_size,
        warnings=vae_warnings(found),
    )


def _name(vae: VaeFolder) -> str:
    """As a person calls it: of the hub as it is, of a folder its name, "model/vae" of one in a model's folder."""
    if not Path(vae.name).is_absolute():
        return vae.name
    return f"{vae.folder.parent.name}/vae" if vae.folder.name == "vae" else vae.folder.name


def reconstruct(recipe: dict[str, Any], count: int) -> Iterator[Progress | Reconstruction]:
    """Some of a recipe's images, as training sees them, beside what the VAE makes of them without a model between.

    Raises: ConfigError, CheckpointError, DataError or DeviceMemoryError.
    """
    settings = parse_recipe(recipe)
    if not 1 <= count <= _MOST_IMAGES:
        message = f"count = {count} is not possible: it takes from 1 to {_MOST_IMAGES} images."
        raise ConfigError([Problem("count", message, count)])
    if not settings.latents.vae:
        message = 'latents.vae = "" is not possible here: name the VAE that is to be looked at.'
        raise ConfigError([Problem("latents.vae", message, "")])
    vae = find_vae(settings.latents.vae)
    check_images_fit(settings, vae)
    chosen = yield from _chosen_images(settings.data, count)
    yield Progress(stage=_STAGE, done=0, total=len(chosen), unit="images")
    yield from _reconstructed(settings, vae, chosen)


class _Chosen(NamedTuple):
    """An image of the data set, by its number in it. Shape: pixels (C, S, S)."""

    number: int
    pixels: Pixels


def _reconstructed(settings: Recipe, vae: VaeFolder, chosen: list[_Chosen]) -> Iterator[Progress | Reconstruction]:
    device = devices.pick_device(settings.train.device)
    network = load_vae(vae, device=device)
    space = LatentSpace(vae=vae.name, factor=vae.factor, channels=vae.channels, scale=1.0)  # nothing lies between
    decoder = Decoder(space, vae, network)
    made = []
    for done, image in enumerate(chosen, start=1):
        with devices.naming_memory_errors(device, batch_size=1):
            means = encode(network, torch.from_numpy(image.pixels[None].copy()), flip=False)[:, 0, 0]
        made.append(to_uint8(decoder(means))[0].numpy())
        yield Progress(stage=_STAGE, done=done, total=len(chosen), unit="images")
    originals = np.stack([image.pixels for image in chosen])
    figures = tuple(psnr(one, other) for one, other in zip(originals, made, strict=True))
    shown = np.stack([_in_colour(originals), _in_colour(np.stack(made))])
    yield Reconstruction(
        size=settings.data.image_size,
        latent_size=settings.data.image_size // vae.factor,
        numbers=tuple(image.number for image in chosen),
        psnr=figures,
        mean_psnr=sum(figures) / len(figures),
        data=shown.tobytes(),
    )


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio of two images of 8 bits, in dB: 10·log₁₀(255² / mean square error); at most 99."""
    error = float(np.square(one.astype(np.float64) - other).mean())
    return min(_HIGHEST_PSNR, 10 * math.log10(255**2 / error)) if error else _HIGHEST_PSNR


def _in_colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shapes: (B, 3 or 1, S, S) -> (B, S, S, 3)."""
    last = images.transpose(0, 2, 3, 1)
    return np.repeat(last, 3, axis=-1) if last.shape[-1] == 1 else last


# ------------------------------------------------------------------------------------------------- which images


def _chosen_images(config: DataConfig, count: int) -> Generator[Progress, None, list[_Chosen]]:
    """Evenly spread over the data set; only these are decoded, unless all are already. Raises: DataError."""
    files = yield from list_files(config.path)
    kept = data.open_decoded(data.fingerprint_of(files, config), config.path)
    if kept is not None:
        return [_Chosen(number, np.asarray(kept.images[number])) for number in _spread(len(kept.labels), count)]
    found = find_pictures(files, config.classes)
    chosen: list[_Chosen] = []
    wanted = set(_spread(found.total or count, 2 * count))  # twice as many: some may be unusable
    with found.open() as opened:
        for number, picture in enumerate(opened):
            if number not in wanted:
                continue
            pixels = pictures.decode(picture, image_size=config.image_size, color=config.color)
            if not isinstance(pixels, str):
                chosen.append(_Chosen(number, pixels))
    if not chosen:
        raise DataError(f"{config.path} holds no image that can be read.", remedy="Look at its data card.")
    return [chosen[place] for place in _spread(len(chosen), count)]


def _spread(total: int, count: int) -> list[int]:
    return sorted({int(number) for number in np.linspace(0, total - 1, min(count, total)).round()})
