"""The latents that a recipe trains in: whether the VAE, the images and the model fit, and how latents are scaled."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.config import Recipe
from dit_studio.engine.checkpoint import COLOR_CHANNELS, LatentSpace
from dit_studio.engine.latents_vae import VaeFolder, find_vae
from dit_studio.errors import ConfigError, Problem
from dit_studio.model_settings import LatentsConfig, model_problems, resolve_model

FITTED_IMAGES = 256  # the first of the data set, from which scale and shift are fitted
_USUAL_DEVIATION = (0.5, 2.0)


def planned_space(recipe: Recipe) -> LatentSpace | None:
    """What is known of a recipe's latents before anything is encoded; None for pixels. A scale to be fitted is 1 here.

    Raises: CheckpointError if the VAE is not here; ConfigError if the images or the model do not fit it.
    """
    if not recipe.latents.vae:
        return None
    vae = find_vae(recipe.latents.vae)
    check_fits(recipe, vae)
    return msgspec.structs.replace(_space(vae, recipe.latents), digest="")


def check_fits(recipe: Recipe, vae: VaeFolder) -> None:
    """Raises: ConfigError that lists what of the images and the model does not fit the VAE."""
    problems = list(_image_problems(recipe, vae))
    if not recipe.data.image_size % vae.factor:
        side = recipe.data.image_size // vae.factor
        problems += model_problems(resolve_model(recipe.model), grid=(side, "latents"))
    if problems:
        raise ConfigError(problems)


def check_images_fit(recipe: Recipe, vae: VaeFolder) -> None:
    """Raises: ConfigError that lists what of the images alone does not fit the VAE."""
    if problems := list(_image_problems(recipe, vae)):
        raise ConfigError(problems)


def _image_problems(recipe: Recipe, vae: VaeFolder) -> Iterator[Problem]:
    size, color = recipe.data.image_size, recipe.data.color
    if COLOR_CHANNELS[color] != vae.image_channels:
        fits = next((name for name, count in COLOR_CHANNELS.items() if count == vae.image_channels), "")
        remedy = f"set it to {fits}." if fits else "choose another VAE."
        message = f"the VAE {vae.name} takes {vae.image_channels} channels; {remedy}"
        yield Problem("data.color", f"data.color = {color} is not possible: {message}", color)
    if size % vae.factor:
        low, high = size // vae.factor * vae.factor, -(-size // vae.factor) * vae.factor
        fits = " or ".join(str(number) for number in (low, high) if number)
        message = f"the VAE {vae.name} makes one latent of {vae.factor} × {vae.factor} pixels; {fits} would do."
        yield Problem("data.image_size", f"data.image_size = {size} is not possible: {message}", size)


def needs_fit(vae: VaeFolder, config: LatentsConfig) -> bool:
    """Neither the recipe nor the VAE says how latents are scaled."""
    return config.scale is None and vae.scale is None


def space_for(
    vae: VaeFolder, config: LatentsConfig, *, digest: str, moments: NDArray[np.float32]
) -> tuple[LatentSpace, str]:
    """The latents of an encoded data set, and a sentence if their scale was fitted or is unusual.

    Shape: moments (N, flips, 2, C, h, w), of which the first images are looked at: means, and deviations.
    """
    first = np.asarray(moments[:FITTED_IMAGES, 0], np.float64)
    mean = float(first[:, 0].mean())
    deviation = math.sqrt(float(first[:, 0].var() + np.square(first[:, 1]).mean()))
    space = msgspec.structs.replace(_space(vae, config), digest=digest)
    if needs_fit(vae, config):
        is_fixed = config.shift is not None or vae.shift is not None
        shift = space.shift if is_fixed else _rounded(mean)
        space = msgspec.structs.replace(space, scale=_rounded(1 / max(deviation, 1e-6)), shift=shift)
        return space, (
            f"The VAE does not say how its latents are scaled. Fitted to the first {len(first)} images: "
            f"scale {space.scale:g}, shift {space.shift:g}."
        )
    scaled = deviation * space.scale
    if not _USUAL_DEVIATION[0] <= scaled <= _USUAL_DEVIATION[1]:
        return space, (
            f"Scaled by {space.scale:g}, the latents have a deviation of {scaled:.2g}; the noise schedule is made for "
            f"one near 1, which latents.scale = {_rounded(1 / max(deviation, 1e-6)):g} would give."
        )
    return space, ""


def _space(vae: VaeFolder, config: LatentsConfig) -> LatentSpace:
    """As the recipe says, else as the VAE does; without a word on it no shift, as in Stable Diffusion."""
    return LatentSpace(
        vae=vae.name,
        factor=vae.factor,
        channels=vae.channels,
        scale=config.scale or vae.scale or 1.0,
        shift=next((shift for shift in (config.shift, vae.shift) if shift is not None), 0.0),
    )


def _rounded(value: float) -> float:
    """To four digits, so that another machine's last bit makes no other model of it."""
    return float(f"{value:.4g}")


def latent_bytes(space: LatentSpace, *, image_size: int, flip: bool) -> int:
    """What an image takes when it is encoded: means and deviations in float32, of its mirror image, too."""
    side = image_size // space.factor
    return 2 * 4 * space.channels * side * side * (2 if flip else 1)


def vae_warnings(vae: VaeFolder) -> tuple[str, ...]:
    """What should be known of a VAE before training in its latents."""
    warnings = []
    if vae.scale is None:
        warnings.append("It does not say how its latents are scaled: that is fitted to the first images encoded.")
    if _is_given(vae.config, "latents_mean") or _is_given(vae.config, "latents_std"):
        warnings.append("It names a mean and a deviation for each channel; one scale and shift for all are used.")
    if vae.image_channels not in (1, 3):
        warnings.append(f"It takes images of {vae.image_channels} channels; only grey and colour can be trained on.")
    return tuple(warnings)


def _is_given(config: dict[str, Any], name: str) -> bool:
    return config.get(name) is not None
