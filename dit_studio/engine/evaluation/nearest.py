"""Is it copying? The training images that are nearest to each generated one, and how near that is."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dit_studio.engine.evaluation.distances import nearest_neighbours
from dit_studio.engine.evaluation.features import FeatureArray, check_features, check_pair
from dit_studio.errors import ShapeError

CLOSE_QUANTILE = 0.05
_SPARE_CANDIDATES = 4  # that float32 may have put in the wrong order
_REFINED_ROWS = 64
_SAME_IMAGE = 1e-5  # of the median distance between neighbours; below it two images are the same one twice


@dataclass(frozen=True, kw_only=True)
class NearestImages:
    """`threshold` is the distance that 5 % of the training images (those that are there twice left out) are nearer to
    their nearest neighbour than. An image that was never trained on falls below it about as often, a copy always.
    """

    distances: NDArray[np.float64]  # (m, k), the nearest first
    indices: NDArray[np.int64]  # (m, k), of training images
    order: NDArray[np.int64]  # (m,), generated images, the closest to a training image first
    threshold: float
    share_closer: float  # of generated images at or below the threshold; 0.05 is what chance gives
    duplicates: int  # training images of which there is another one

    @property
    def is_closer(self) -> NDArray[np.bool_]:
        """Which generated images are. Shape: (m,)."""
        closer: NDArray[np.bool_] = self.distances[:, 0] <= self.threshold
        return closer


def nearest_images(
    train: ArrayLike, generated: ArrayLike, *, k: int = 5, leave_one_out: NDArray[np.float64] | None = None
) -> NearestImages:
    """Compare with the training images by the distance of features. Shapes: (n, d) and (m, d), n > k.

    `leave_one_out` saves time if it is known from an earlier call. The share among real images that were held out says
    what to expect of a model that does not copy. Raises: ShapeError, DataError.
    """
    first, second = check_pair(train, generated)
    if leave_one_out is not None and leave_one_out.shape != (len(first),):
        raise ShapeError(
            f"{leave_one_out.shape} distances between training images do not fit {len(first):,} of them.",
            remedy="Compute them again from these images.",
        )
    between = leave_one_out_distances(first) if leave_one_out is None else leave_one_out
    distances, indices = _exact_neighbours(second, first, k)
    is_twice = between <= _SAME_IMAGE * np.median(between[between > 0]) if between.any() else between == 0
    threshold = float(np.quantile(between[~is_twice], CLOSE_QUANTILE)) if not is_twice.all() else 0.0
    return NearestImages(
        distances=distances,
        indices=indices,
        order=np.argsort(distances[:, 0], kind="stable"),
        threshold=threshold,
        share_closer=float((distances[:, 0] <= threshold).mean()),
        duplicates=int(is_twice.sum()),
    )


def leave_one_out_distances(train: ArrayLike) -> NDArray[np.float64]:
    """How far each image's nearest other one is. Shapes: (n, d) -> (n,). Raises: ShapeError, DataError."""
    array = check_features(train, "training images", least=2)
    return _exact_neighbours(array, array, 1, is_same_set=True)[0][:, 0]


def _exact_neighbours(
    queries: FeatureArray, references: FeatureArray, k: int, *, is_same_set: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Candidates by float32, then distances from differences in float64: those of a copy are 0, not a rounding."""
    spare = max(0, min(_SPARE_CANDIDATES, len(references) - is_same_set - k))
    candidates = nearest_neighbours(queries, references, k=k + spare, is_same_set=is_same_set).indices
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _REFINED_ROWS):
        rows = slice(start, start + _REFINED_ROWS)
        numbers = candidates[rows].numpy()
        between = references[numbers].astype(np.float64) - queries[rows, None].astype(np.float64)
        best = torch.from_numpy(np.linalg.norm(between, axis=2)).sort(dim=1, stable=True)
        distances[rows] = best.values[:, :k].numpy()
        indices[rows] = np.take_along_axis(numbers, best.indices[:, :k].numpy(), 1)
    return distances, indices
