"""Encoding a data set once: each image and, where images are mirrored at random, its mirror image.

The VAE works on the images as they are decoded, so that its own time is nearly all that it takes.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dit_studio.config import Recipe
from dit_studio.engine import data
from dit_studio.engine import device as devices
from dit_studio.engine.batches import to_float
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.data import ImageSet
from dit_studio.engine.image_files import Pixels
from dit_studio.engine.latents_cache import VERSION, Moments, MomentsWriter, Shape, open_moments, writing_moments
from dit_studio.engine.latents_space import check_fits, space_for
from dit_studio.engine.latents_vae import VaeFolder, digest_of, find_vae, load_vae, remember
from dit_studio.errors import DeviceMemoryError, NotFiniteError, RunError
from dit_studio.events import Notice, Progress

_STAGE = "Encoding images"
_TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Latents:
    """The latents of an image set. Shape: moments (N, flips, 2, C, h, w), read from disk as they are used."""

    moments: Moments
    space: LatentSpace

    def draw(
        self, indices: np.ndarray, mirrored: Tensor, generator: torch.Generator, share: slice = slice(None)
    ) -> Tensor:
        """What the model sees: draws from the posteriors of images, or of their mirror images; of all, or of a share,
        which are the same. Shape: (share, C, h, w)."""
        noise = torch.randn((len(indices), *self.moments.shape[3:]), generator=generator)
        mean, deviation = self._moments(indices[share], mirrored[share].long().numpy())
        return self._scaled(mean + deviation * noise[share])

    def means(self, indices: np.ndarray) -> Tensor:
        """What the model sees without the posterior's noise. Shape: (B, C, h, w)."""
        return self._scaled(self._moments(indices, np.zeros(len(indices), np.int64))[0])

    def _moments(self, indices: np.ndarray, flips: np.ndarray) -> tuple[Tensor, Tensor]:
        mean, deviation = torch.from_numpy(self.moments[indices, flips]).unbind(1)
        return mean, deviation

    def _scaled(self, latents: Tensor) -> Tensor:
        return (latents - self.space.shift) * self.space.scale


class Encoded(NamedTuple):
    images: ImageSet
    latents: Latents
    vae_seconds: float = 0.0  # that the VAE itself took now


def load_latents(recipe: Recipe, *, device: torch.device) -> Generator[Progress | Notice, None, Encoded]:
    """The images of a recipe and their latents, from the cache, or encoded now, from where it was stopped.

    Closing it early stops at once; what was encoded is kept.
    Raises: ConfigError or CheckpointError if the VAE is not here or does not fit; NotFiniteError if it makes NaN;
    DeviceMemoryError if not one image fits; and as `data.load`.
    """
    vae = find_vae(recipe.latents.vae)
    check_fits(recipe, vae)
    digest = digest_of(vae)
    remember(vae, digest)
    shape = moments_shape(vae, recipe)
    with ExitStack() as stack:
        encoder = _Encoder(vae, recipe, digest, device, stack)
        images: ImageSet = yield from encoder.saying_how_far(data.load(recipe.data, follow=encoder.follow))
        assert images.keys is not None
        key = latents_key(images.fingerprint, digest, recipe)
        moments = open_moments(key, shape, images.keys)
        if moments is None:
            yield from encoder.rest(images, key)
            moments = open_moments(key, shape, images.keys)
    if moments is None:
        raise RunError(f"The latents of {images.path} cannot be read back.", remedy="Check the disk, and start again.")
    space, sentence = space_for(vae, recipe.latents, digest=digest, moments=moments)
    if sentence:
        yield Notice(message=sentence, level="info" if sentence.startswith("The VAE") else "warning")
    return Encoded(images, Latents(moments, space), encoder.vae_seconds)


def moments_shape(vae: VaeFolder, recipe: Recipe) -> Shape:
    """Of an image: (flips, 2, C, h, w)."""
    side = recipe.data.image_size // vae.factor
    return (2 if recipe.data.flip else 1, 2, vae.channels, side, side)


def latents_key(fingerprint: str, digest: str, recipe: Recipe) -> str:
    """What the moments in the cache depend on."""
    text = f"{VERSION} {fingerprint} {digest} {recipe.data.flip}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class _Encoder:
    """Takes images in their order, one by one, and encodes those that are not encoded yet, in batches."""

    def __init__(self, vae: VaeFolder, recipe: Recipe, digest: str, device: torch.device, stack: ExitStack) -> None:
        self._vae, self._recipe, self._digest, self._device, self._stack = vae, recipe, digest, device, stack
        self._network: Any = None
        self._writer: MomentsWriter | None = None
        self._waiting: list[tuple[Pixels, int]] = []
        self._batch_size = recipe.latents.batch_size
        self._notices: list[Notice] = []
        self._seen = self._encoded_now = 0
        self._started = time.monotonic()
        self.vae_seconds = 0.0

    def follow(self, fingerprint: str) -> Callable[[Pixels, int], None]:
        """What is to be called with every image that is decoded now, and its key."""
        self._open(latents_key(fingerprint, self._digest, self._recipe))
        return self.add

    def saying_how_far(
        self, loading: Generator[Progress | Notice, None, ImageSet]
    ) -> Generator[Progress | Notice, None, ImageSet]:
        """The events of decoding, as those of encoding once that has begun. The generator's value is the data set."""
        try:
            while True:
                event = next(loading)
                if isinstance(event, Progress) and self._writer is not None:
                    if event.total and not self._seen:
                        self._writer.check_room(event.total)
                    event = self._progress(event.total)
                yield event
                yield from self._said()
        except StopIteration as end:
            images: ImageSet = end.value
            return images
        finally:
            loading.close()

    def rest(self, images: ImageSet, key: str) -> Iterator[Progress | Notice]:
        """Encode what is not encoded yet of images that are decoded, and finish."""
        assert images.keys is not None
        writer = self._open(key)
        if not self._seen:  # none was decoded now
            self._seen = self._keep_equal(images.keys)
            writer.check_room(len(images.labels))
        told = 0.0
        for image in range(self._seen, len(images.labels)):
            self.add(images.images[image], int(images.keys[image]))
            if time.monotonic() - told > _TELL_SECONDS:
                yield self._progress(len(images.labels))
                told = time.monotonic()
            yield from self._said()
        while self._waiting:
            self._encode_batch()
            yield from self._said()
        writer.forget_from(len(images.labels))
        writer.finish()
        yield self._progress(len(images.labels))

    def add(self, pixels: Pixels, key: int) -> None:
        """Take the next image. Raises: NotFiniteError, DeviceMemoryError, DiskFullError or RunError."""
        assert self._writer is not None
        image, self._seen = self._seen, self._seen + 1
        if image < len(self._writer):
            if self._writer.key_of(image) == key:
                return
            self._writer.forget_from(image)
        self._waiting.append((pixels, key))
        while len(self._waiting) >= self._batch_size:
            self._encode_batch()

    def _open(self, key: str) -> MomentsWriter:
        if self._writer is None:
            shape = moments_shape(self._vae, self._recipe)
            self._writer = self._stack.enter_context(writing_moments(key, shape))
        return self._writer

    def _keep_equal(self, keys: np.ndarray) -> int:
        """How many of the first images are encoded; what is not of these images is dropped."""
        assert self._writer is not None
        there = np.array([self._writer.key_of(image) for image in range(min(len(self._writer), len(keys)))], np.uint64)
        others = np.flatnonzero(there != keys[: len(there)])
        same = int(others[0]) if len(others) else len(there)
        self._writer.forget_from(same)
        return same

    def _encode_batch(self) -> None:
        """The images that wait, or as many of them as fit; those that were too many wait on."""
        assert self._writer is not None
        batch = self._waiting[: self._batch_size]
        try:
            moments = self._moments([pixels for pixels, _ in batch])
        except DeviceMemoryError as error:
            if len(batch) == 1:
                raise _too_large_for_one(self._device, error) from error
            self._halve(len(batch))
            return
        if not np.isfinite(moments).all():
            first = len(self._writer) + int(np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2, 3, 4, 5)))[0])
            raise NotFiniteError(
                f"The VAE {self._vae.name} makes NaN or infinity of image {first:,} of {self._recipe.data.path}.",
                remedy="Choose another VAE: the weights of this one do not suit its configuration.",
                numbers={"image": first},
            )
        self._writer.append([key for _, key in batch], moments)
        self._encoded_now += len(batch)
        del self._waiting[: len(batch)]

    def _halve(self, size: int) -> None:
        self._batch_size = size // 2
        name = devices.describe(self._device)
        message = f"{size} images at once do not fit into the memory of {name}; encoding goes on with {size // 2}."
        self._notices.append(Notice(message=message, level="warning"))

    def _moments(self, images: list[Pixels]) -> Moments:
        """Shape: (B, flips, 2, C, h, w)."""
        if self._network is None:
            self._network = load_vae(self._vae, device=self._device)
            self._started = time.monotonic()
        started = time.perf_counter()
        with devices.naming_memory_errors(self._device, batch_size=len(images)):
            result = encode(self._network, torch.from_numpy(np.stack(images)), flip=self._recipe.data.flip)
            found: Moments = result.cpu().numpy()
        self.vae_seconds += time.perf_counter() - started
        return found

    def _progress(self, total: int | None) -> Progress:
        rate = self._encoded_now / max(1e-9, time.monotonic() - self._started)
        done = self._seen - len(self._waiting)
        return Progress(stage=_STAGE, done=done, total=total, unit="images", rate=rate)

    def _said(self) -> Iterator[Notice]:
        while self._notices:
            yield self._notices.pop(0)


@torch.no_grad()
def encode(network: Any, images: Tensor, *, flip: bool) -> Tensor:
    """The posteriors of pixels and of their mirror images: means and deviations.

    Shapes: (B, C, H, W) uint8 -> (B, flips, 2, latent C, h, w), float32.
    """
    x = to_float(images, network.device)
    posteriors = [network.encode(side).latent_dist for side in ([x, x.flip(-1)] if flip else [x])]
    return torch.stack([torch.stack([found.mean, found.std], dim=1) for found in posteriors], dim=1)


def _too_large_for_one(device: torch.device, error: DeviceMemoryError) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"Not even one image can be encoded in the memory of {devices.describe(device)}.",
        remedy="Close other programs that use it, take smaller images (data.image_size), or another device "
        "(train.device).",
        numbers=error.numbers,
    )
