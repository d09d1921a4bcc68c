"""Precision, recall, density, coverage and copies: golden figures, a dense computation, and sets made to collapse."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from dit_studio.engine.evaluation import density_coverage, nearest_images, precision_recall
from dit_studio.engine.evaluation.distances import nearest_neighbours
from dit_studio.engine.evaluation.nearest import leave_one_out_distances
from dit_studio.errors import DataError, ShapeError
from tests.engine.evaluation_golden import digits, golden


@pytest.mark.parametrize("block", [37, 100, 2048])
@pytest.mark.parametrize(
    ("k", "expected"), [(3, (0.7633333, 0.524, 1.3505556, 0.956)), (5, (0.835, 0.62, 1.3326667, 0.996))]
)
def test_golden_numbers(k: int, expected: tuple[float, ...], block: int) -> None:
    generated, real, _ = golden()
    found = (
        *precision_recall(real, generated, k=k, block=block), *density_coverage(real, generated, k=k, block=block)
    )  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-6)


def test_swapping_the_sides_swaps_precision_and_recall() -> None:
    generated, real, _ = golden()
    assert precision_recall(real, generated) == precision_recall(generated, real)[::-1]


def test_a_collapsed_model_has_precision_and_no_recall() -> None:
    draws = np.random.RandomState(42)
    generated, real = 0.1 * draws.randn(200, 16), 3 * draws.randn(200, 16)
    precision, recall = precision_recall(real, generated)
    assert precision > 0.8
    assert recall < 0.3


def test_a_set_against_itself_is_reached_whole() -> None:
    real = golden().real
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, real.copy()) == (1, 1)
    assert density_coverage(real, real).coverage == 1


def test_far_from_the_origin_float32_keeps_its_digits() -> None:
    generated, real, _ = golden()
    assert precision_recall(real + 5000, generated + 5000) == precision_recall(real, generated)


@pytest.mark.parametrize("block", [10, 64, 2048])
def test_neighbours_are_scikit_learns(block: int) -> None:
    generated, real, _ = golden()
    reference = NearestNeighbors(n_neighbors=4).fit(real)
    distances, indices = reference.kneighbors(generated)
    found = nearest_neighbours(generated, real, k=4, block=block)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.squared.sqrt(), distances, rtol=1e-5)
    others = nearest_neighbours(real, real, k=3, is_same_set=True, block=block)
    np.testing.assert_array_equal(others.indices, reference.kneighbors(real)[1][:, 1:])


def test_digits_are_nearer_to_digits_than_noise_is() -> None:
    half, other, _, noise = digits()
    for real, noisy in zip(precision_recall(half, other), precision_recall(half, noise), strict=True):
        assert real > 0.5 > noisy
    for real, noisy in zip(density_coverage(half, other), density_coverage(half, noise), strict=True):
        assert real > 0.8 > 0.1 > noisy


# ------------------------------------------------------------------------------------------------- copies


def test_copies_are_found_and_come_first() -> None:
    half, other, _, _ = digits()
    generated = np.concatenate([other[:90], half[[5, 700]].astype(np.float32)])
    found = nearest_images(half, generated, k=3)
    assert set(found.order[:2]) == {90, 91}
    assert found.indices[90, 0] == 5
    assert found.indices[91, 0] == 700
    assert (found.distances[90:, 0] == 0).all()  # not a rounding
    assert found.is_closer[90:].all()
    assert found.distances.shape == found.indices.shape == (92, 3)
    assert (np.diff(found.distances[found.order, 0]) >= 0).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_unseen_images_are_close_as_often_as_chance_has_it_and_copies_always() -> None:
    half, other, _, noise = digits()
    between = leave_one_out_distances(half)
    unseen = nearest_images(half, other, leave_one_out=between)
    assert 0.02 < unseen.share_closer < 0.1
    assert unseen.share_closer == unseen.is_closer.mean()
    copied = nearest_images(half, half[:300] + 1e-3, leave_one_out=between)
    assert copied.share_closer == 1
    np.testing.assert_array_equal(copied.indices[:, 0], np.arange(300))
    assert nearest_images(half, noise).share_closer == 0


def test_the_threshold_is_a_quantile_of_the_distances_between_training_images() -> None:
    half, other, _, _ = digits()
    reference = NearestNeighbors(n_neighbors=2).fit(half).kneighbors(half)[0][:, 1]
    np.testing.assert_allclose(leave_one_out_distances(half), reference, rtol=1e-10)
    assert nearest_images(half, other).threshold == pytest.approx(np.quantile(reference, 0.05), rel=1e-10)


def test_duplicates_among_training_images_do_not_move_the_threshold() -> None:
    half, other, _, _ = digits()
    doubled = np.concatenate([half, half[:200]])
    found = nearest_images(doubled, other)
    assert found.duplicates == 400
    reference = leave_one_out_distances(half)[200:]
    assert found.threshold == pytest.approx(np.quantile(reference, 0.05), rel=0.05)
    same = nearest_images(np.ones((4, 3)), np.ones((2, 3)), k=1)
    assert (same.threshold, same.share_closer, same.duplicates) == (0, 1, 4)


def test_too_few_images_for_k_neighbours() -> None:
    with pytest.raises(DataError, match="3 nearest neighbours cannot be taken of 2 images"):
        precision_recall(np.eye(3), np.eye(3))
    with pytest.raises(DataError, match="5 nearest neighbours cannot be taken of 3"):
        nearest_images(np.eye(3), np.eye(3))
    with pytest.raises(ShapeError, match=r"\(4,\)"):
        density_coverage(np.ones(4), np.ones((4, 2)))
    with pytest.raises(ShapeError, match="do not fit 6 of them"):
        nearest_images(np.eye(6), np.eye(6), leave_one_out=np.ones(5))
