"""What preflight says of training in latents: whether the VAE is here and fits, and the room that its latents take."""

from collections.abc import Iterator

from dit_studio.config import Recipe
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.latents_space import latent_bytes, planned_space, vae_warnings
from dit_studio.engine.latents_vae import find_vae
from dit_studio.errors import ConfigError, StudioError
from dit_studio.events import Check, CheckStatus
from dit_studio.files import free_bytes
from dit_studio.places import cache_dir

_NAME = "VAE"
_FEW_LATENTS = 8  # on a side: less than that is seen to lose what images are about


def latents_checks(settings: Recipe, images: int) -> list[Check]:
    """Nothing for a model of pixels. A failed check means that nothing more can be said of the model."""
    if not settings.latents.vae:
        return []
    try:
        space = planned_space(settings)
        assert space is not None
        return [*_of_the_vae(settings, space), _room(settings, space, images)]
    except ConfigError as error:
        return [_failed(problem.message, "") for problem in error.problems]
    except StudioError as error:
        return [_failed(error.message, error.remedy)]


def _of_the_vae(settings: Recipe, space: LatentSpace) -> Iterator[Check]:
    vae, side = find_vae(settings.latents.vae), settings.data.image_size // space.factor
    _ = vae.weights  # that they are there
    grid = f"{side} × {side} latents of {space.channels} channels"
    yield Check(name=_NAME, status=CheckStatus.OK, message=f"{vae.name}: images become {grid}.")
    if side < _FEW_LATENTS:
        yield Check(
            name=_NAME,
            status=CheckStatus.WARNING,
            message=f"{side} × {side} latents hold little of an image of {settings.data.image_size} pixels.",
            remedy="Look at the reconstruction check first, or take larger images (data.image_size).",
        )
    for warning in vae_warnings(vae):
        yield Check(name=_NAME, status=CheckStatus.WARNING, message=f"{vae.name}: {warning}")


def _room(settings: Recipe, space: LatentSpace, images: int) -> Check:
    """Of the latents alone; the decoded images have a line of their own."""
    needed = images * latent_bytes(space, image_size=settings.data.image_size, flip=settings.data.flip)
    free = free_bytes(cache_dir())
    flips = ", each with its mirror image" if settings.data.flip else ""
    message = f"{needed / 1e6:,.0f} MB needed for the latents{flips}, {free / 1e6:,.0f} MB free."
    if needed > free:  # they may be there already; encoding itself knows, and stops before it begins
        remedy = "Unless they are encoded already: free some space, turn random flip off, or set DIT_STUDIO_CACHE to a "
        remedy += "folder on another disk."
        return Check(name="Latents", status=CheckStatus.WARNING, message=message, remedy=remedy)
    return Check(name="Latents", status=CheckStatus.OK, message=message)


def _failed(message: str, remedy: str) -> Check:
    return Check(name=_NAME, status=CheckStatus.FAILED, message=message, remedy=remedy)
