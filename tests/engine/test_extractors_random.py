"""The extractor without a download: the same everywhere, and it tells real from other from noise."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from dit_studio.engine.demo import CLASS_NAMES, landscape
from dit_studio.engine.evaluation import frechet_distance_from_features
from dit_studio.engine.evaluation.extractors.extractor import Extractor
from dit_studio.engine.evaluation.extractors.random_features import open_random

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return open_random(device=torch.device("cpu"))


def _features(extractor: Extractor, images: Pixels) -> NDArray[np.float32]:
    return np.concatenate([extractor(images[first : first + 64])["features"] for first in range(0, len(images), 64)])


def test_the_weights_are_the_same_everywhere(extractor: Extractor) -> None:
    assert extractor.weights_sha256 == "a88c99ab6bcd5aa1e692514f0745bdaae339c7a85f8d9260b2f1efea85eed23b"
    assert open_random(device=torch.device("cpu")).weights_sha256 == extractor.weights_sha256


def test_its_features_stay_what_they_are(extractor: Extractor) -> None:
    ramp = np.arange(3 * 32 * 32, dtype=np.uint16).reshape(1, 3, 32, 32) % 251
    features = extractor(ramp.astype(np.uint8))["features"]
    assert features.shape == (1, 256)
    np.testing.assert_allclose(features[0, :3], [-0.0757074, -1.2607272, -0.4291418], rtol=1e-4)


@pytest.mark.parametrize(
    "shape", [(2, 1, 8, 8), (2, 3, 8, 8), (1, 3, 64, 64), (1, 3, 40, 300), (1, 3, 512, 512)], ids=str
)
def test_any_size_will_do(extractor: Extractor, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    features = extractor(images)["features"]
    assert (features.shape, features.dtype) == ((shape[0], 256), np.float32)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(extractor(images[-1:])["features"], features[-1:], rtol=1e-4, atol=1e-4)


def test_arrays_of_any_layout_are_taken(extractor: Extractor) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    mirrored = images[..., ::-1]
    kept = mirrored.copy()
    kept.flags.writeable = False
    np.testing.assert_array_equal(extractor(mirrored)["features"], extractor(kept)["features"])
    np.testing.assert_array_equal(extractor(torch.from_numpy(mirrored.copy()))["features"], extractor(kept)["features"])


def _distances(extractor: Extractor, real: Pixels, *others: Pixels) -> list[float]:
    """From one random half of the real images: to the other half, and to each of the others."""
    order = np.random.default_rng(1).permutation(len(real))
    half = len(real) // 2
    first = _features(extractor, real[order[:half]])
    return [frechet_distance_from_features(first, _features(extractor, each)) for each in (real[order[half:]], *others)]


def _noise(images: Pixels) -> Pixels:
    return np.random.default_rng(2).integers(0, 256, images.shape, dtype=np.uint8)


def test_digits_in_order(extractor: Extractor) -> None:
    """A real half, the half with a little noise, one digit only, and noise only."""
    digits = load_digits()
    real = (digits.images * 255 / 16).round().astype(np.uint8)[:, None]
    half = real[::2]
    worn = (0.8 * half + np.random.default_rng(0).normal(0, 25, half.shape)).clip(0, 255).astype(np.uint8)
    distances = _distances(extractor, real, worn, real[digits.target == 3], _noise(half))
    assert distances == sorted(distances)
    assert distances[1] > 10 * distances[0]
    assert distances[3] > 3 * distances[2]


def test_landscapes_in_order(extractor: Extractor) -> None:
    kinds = [
        np.stack([landscape(kind, seed=seed, size=32).transpose(2, 0, 1) for seed in range(60)]) for kind in CLASS_NAMES
    ]
    real = np.concatenate(kinds)
    floor, one_kind, noise = _distances(extractor, real, kinds[0], _noise(real[::2]))
    assert 5 * floor < one_kind < noise / 5
