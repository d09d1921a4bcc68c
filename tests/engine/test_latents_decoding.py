"""Latents back to images: as diffusers decodes them, in tiles where memory is short, and at once by a linear map."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import LatentSpace, ModelDescription
from dit_studio.engine.latents_decoding import Decoder, open_decoder
from dit_studio.engine.sampling import Frame, Samples, has_pixels, sample, to_uint8
from dit_studio.errors import CheckpointError, DeviceMemoryError, NotFiniteError
from dit_studio.events import Notice
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import SampleRequest
from dit_studio.trajectory import latents_to_pixels, noise_to_pixels
from tests.engine.tiny_vaes import write_tiny_vae, write_trained_vae

_CPU = torch.device("cpu")


def _blots(count: int, side: int) -> Tensor:
    """Smooth colours. Shape: (count, 3, side, side), in [-1, 1]."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    return F.interpolate(coarse, (side, side), mode="bilinear").mul(0.7).clamp(-1, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes 8 channels of 2 × 2 pixels, and reconstructs blots."""
    return write_trained_vae(tmp_path_factory.mktemp("vae"), _blots(64, 16), steps=200)


def _decoder(folder: Path, **changes: Any) -> Decoder:
    settings: dict[str, Any] = {"factor": 2, "channels": 8, "scale": 0.5, "shift": 0.25, **changes}
    space = LatentSpace(vae=str(folder), **settings)
    return open_decoder(space, device=_CPU)


def _encoded(folder: Path, images: Tensor) -> Tensor:
    """As a model sees them. Shape: (B, 8, h, w)."""
    vae = AutoencoderKL.from_pretrained(folder).eval()
    with torch.no_grad():
        means: Tensor = vae.encode(images).latent_dist.mean
    return (means - 0.25) * 0.5


def test_it_decodes_as_diffusers_does(trained: Path) -> None:
    latents = torch.randn(20, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    vae = AutoencoderKL.from_pretrained(trained).eval()

    images = _decoder(trained)(latents)

    with torch.no_grad():
        torch.testing.assert_close(images, vae.decode(latents / 0.5 + 0.25).sample, atol=1e-5, rtol=1e-4)


def test_tiles_are_near_the_whole(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = _blots(2, 160)
    latents = _encoded(trained, pictures)
    whole = _decoder(trained)(latents)
    monkeypatch.setattr(devices, "memory_free", lambda _: 2**20)
    decoder = _decoder(trained)

    tiled = decoder(latents)

    assert decoder.is_tiled
    assert tiled.shape == whole.shape == (2, 3, 160, 160)
    assert not torch.equal(tiled, whole)
    apart = (tiled - whole).clamp(-1, 1).square().mean().sqrt()
    wrong = (whole - pictures).square().mean().sqrt()
    assert apart < wrong  # tiling costs less than the VAE itself


def _short_of_memory(decode: Callable[..., Any], most: int) -> Callable[..., Any]:
    """Images at once, beyond which there is no memory; below 1, tiles fit only."""

    def short(z: Tensor) -> Any:
        if len(z) > max(most, 1) or (most < 1 and not short.network.use_tiling):  # type: ignore[attr-defined]
            raise MemoryError("out of memory")
        return decode(z)

    return short


@pytest.mark.parametrize(("most", "is_tiled"), [(3, False), (0, True)])
def test_without_memory_it_takes_fewer_at_once_and_then_tiles(
    trained: Path, monkeypatch: pytest.MonkeyPatch, most: int, is_tiled: bool
) -> None:
    latents, decoder = torch.randn(10, 8, 40, 40), _decoder(trained)
    expected = decoder(latents)
    network: Any = decoder._network
    short: Any = _short_of_memory(network.decode, most)
    short.network = network
    monkeypatch.setattr(network, "decode", short)

    images = decoder(latents)

    assert decoder.is_tiled is is_tiled
    assert images.shape == expected.shape
    if not is_tiled:
        torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-4)


def test_an_image_that_fits_in_no_way_is_a_sentence(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = _decoder(trained)

    def full(_: Tensor) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(decoder._network, "decode", full)
    with pytest.raises(DeviceMemoryError, match="Not even one image can be decoded"):
        decoder(torch.randn(3, 8, 40, 40))


def test_nan_is_a_sentence(trained: Path) -> None:
    with pytest.raises(NotFiniteError, match="into NaN or infinity"):
        _decoder(trained)(torch.full((1, 8, 4, 4), torch.nan))


def test_colours_are_nearly_those_of_the_decoded_images(trained: Path) -> None:
    pictures = _blots(8, 32)
    latents, decoder = _encoded(trained, pictures), _decoder(trained)

    shown = latents_to_pixels(latents.numpy(), decoder.colours)

    decoded = F.avg_pool2d(decoder(latents).clamp(-1, 1), 2)
    real = to_uint8(decoded).permute(0, 2, 3, 1).numpy().astype(np.float64)
    assert shown.shape == (8, 16, 16, 3)
    assert np.corrcoef(shown.ravel(), real.ravel())[0, 1] > 0.9
    assert np.array_equal(noise_to_pixels(latents.numpy(), decoder.colours), shown)
    assert _decoder(trained).colours == decoder.colours


# ------------------------------------------------------------------------------------------------- sampling


def _model(folder: Path) -> ModelDescription:
    return ModelDescription(
        input_size=4, patch_size=2, in_channels=8, hidden_size=32, depth=1, num_heads=2, mlp_ratio=4.0,
        class_dropout_prob=0.1, num_classes=2, learn_sigma=False, diffusion=DiffusionConfig(),
        latents=LatentSpace(vae=str(folder), factor=2, channels=8, scale=0.5, shift=0.25),
    )  # fmt: skip


def test_samples_are_the_decoded_end_of_the_chain(trained: Path) -> None:
    config = _model(trained)
    torch.manual_seed(0)
    model = config.build().eval()
    request = SampleRequest(classes=(0, 1), count=3, steps=4, sampler="ddim", cfg=2.0)

    *frames, samples = list(sample(model, config, request))

    assert config.image_size == 8
    assert not has_pixels(config)
    assert isinstance(samples, Samples)
    last = frames[-1]
    assert isinstance(last, Frame)
    assert last.x_start.shape == (3, 8, 4, 4)
    vae = AutoencoderKL.from_pretrained(trained).eval()
    with torch.no_grad():  # DDIM ends at the last x̂₀
        expected = to_uint8(vae.decode(last.x_start / 0.5 + 0.25).sample)
    assert int((samples.images.int() - expected.int()).abs().max()) <= 1
    assert float(last.x_start.abs().max()) > 1  # latents are not cut off at 1


def test_that_images_are_tiled_is_said_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _model(trained)
    config = ModelDescription(**{name: getattr(config, name) for name in config.__struct_fields__} | {"input_size": 40})
    monkeypatch.setattr(devices, "memory_free", lambda _: 2**16)
    request = SampleRequest(count=4, steps=1, sampler="ddim", batch_size=2)

    drawn = list(sample(config.build().eval(), config, request))

    (notice,) = [event for event in drawn if isinstance(event, Notice)]
    assert "decoded in tiles" in notice.message


def test_without_its_vae_a_model_says_what_is_missing(tmp_path: Path) -> None:
    config = _model(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="The model draws latents, which its VAE turns into images"):
        next(iter(sample(config.build(), config, SampleRequest())))


def test_a_grey_vae_draws_grey(tmp_path: Path) -> None:
    folder = write_tiny_vae(tmp_path, factor=2, in_channels=1, out_channels=1)
    decoder = _decoder(folder, channels=4)
    assert decoder(torch.randn(2, 4, 3, 3)).shape == (2, 1, 6, 6)
    assert len(decoder.colours) == 1
    assert latents_to_pixels(np.zeros((2, 4, 3, 3)), decoder.colours).shape == (2, 3, 3, 1)
