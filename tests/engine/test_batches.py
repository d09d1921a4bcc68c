"""Batches are functions of the seed and the step."""

import numpy as np
import pytest
import torch

from dit_studio.engine.batches import Batches, generator_for, seed_for, to_float
from dit_studio.engine.data import ImageSet


@pytest.fixture
def images() -> ImageSet:
    pixels = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    pixels[..., 1] += 100
    return ImageSet(images=pixels, labels=np.arange(10), class_names=(), fingerprint="", problems=(), path="")


def test_every_epoch_sees_every_image_once_in_another_order(images: ImageSet) -> None:
    batches = Batches(images, np.arange(10), batch_size=4, seed=1, flip=False)
    seen = np.concatenate([batches.indices_at(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])
    other = Batches(images, np.arange(10), batch_size=4, seed=2, flip=False)
    assert list(other.indices_at(0)) != list(batches.indices_at(0))


def test_a_step_is_the_same_whatever_came_before(images: ImageSet) -> None:
    one, two = (Batches(images, np.array([1, 3, 5]), batch_size=7, seed=3, flip=True) for _ in range(2))
    for step in range(4):
        one.at(step)
    for a, b in zip(one.at(4), two.at(4), strict=True):
        assert torch.equal(a, b)
    assert set(two.at(4)[1].tolist()) <= {1, 3, 5}


def test_half_of_the_images_are_mirrored_and_the_data_set_stays_as_it_is(images: ImageSet) -> None:
    batches, before = Batches(images, np.arange(10), batch_size=10, seed=0, flip=True), images.images.copy()
    drawn = torch.cat([batches.at(step)[0] for step in range(100)])
    mirrored = (drawn[:, 0, 0, 0] > drawn[:, 0, 0, 1]).float().mean().item()
    assert mirrored == pytest.approx(0.5, abs=0.06)
    assert np.array_equal(images.images, before)


def test_seeds_differ_by_step_and_purpose() -> None:
    seeds = {seed_for(seed, step, purpose) for seed in range(3) for step in range(50) for purpose in ("draws", "noise")}
    assert len(seeds) == 300
    assert torch.equal(
        torch.rand(3, generator=generator_for(1, 2, "draws")), torch.rand(3, generator=generator_for(1, 2, "draws"))
    )


def test_pixels_become_numbers_between_minus_one_and_one() -> None:
    values = to_float(torch.tensor([[[[0, 255, 127]]]], dtype=torch.uint8), torch.device("cpu"))
    torch.testing.assert_close(values.flatten(), torch.tensor([-1.0, 1.0, 127 / 127.5 - 1]))
