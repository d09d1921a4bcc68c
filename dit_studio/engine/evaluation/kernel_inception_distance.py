"""The kernel distance of Binkowski et al. 2018 (arXiv:1801.01401), over all pairs or as the mean over subsets."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dit_studio.engine.evaluation.features import check_pair
from dit_studio.engine.evaluation.kernel_sums import Kernel, cubic_kernel, sum_kernel
from dit_studio.errors import DataError

SUBSETS, SUBSET_SIZE, SEED = 100, 1000, 2020


def kernel_inception_distance(
    real: ArrayLike, generated: ArrayLike, *, subsets: int = 0, subset_size: int = SUBSET_SIZE, seed: int = SEED
) -> float:
    """The unbiased estimate from all pairs or, with `subsets`, the mean over that many subsets, as papers quote it.

    All pairs give the same expectation with less variance, and need no seed. Below 0 is possible, and means no
    difference. Papers print it times 1,000. Shapes: (n, d) and (m, d). Raises: ShapeError, DataError.
    """
    if not subsets:
        return sum_kernel(real, generated, cubic_kernel).unbiased()
    return float(kernel_distances_of_subsets(real, generated, subsets=subsets, size=subset_size, seed=seed).mean())


def kernel_distances_of_subsets(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = SEED,
    kernel: Kernel = cubic_kernel,
) -> NDArray[np.float64]:
    """The unbiased estimate of each subset, drawn as torch-fidelity draws them. Shape: (subsets,).

    Their spread says how much subsets of this size differ; it is no standard error, for they overlap. A `size` above
    the smaller set is clamped to it (see `subset_size_used`). Raises: ShapeError, DataError.
    """
    first, second = check_pair(real, generated)
    if subsets < 1 or size < 2:
        raise DataError(
            f"{subsets} subsets of {size} images are not possible.", remedy="Take at least 1 of at least 2 images."
        )
    size, draws = subset_size_used(len(first), len(second), size), np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        theirs = second[draws.choice(len(second), size, replace=False)]
        ours = first[draws.choice(len(first), size, replace=False)]
        values.append(sum_kernel(ours, theirs, kernel).unbiased())
    return np.array(values)


def subset_size_used(real_images: int, generated_images: int, size: int = SUBSET_SIZE) -> int:
    """Subsets cannot be larger than either set."""
    return min(size, real_images, generated_images)
