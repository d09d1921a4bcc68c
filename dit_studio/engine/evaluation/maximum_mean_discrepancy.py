"""Maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012), and CMMD (Jayasumana et al. 2024)."""

import numpy as np
from numpy.typing import ArrayLike

from dit_studio.engine.evaluation.features import as_tensor, check_features, unit_rows
from dit_studio.engine.evaluation.kernel_sums import gaussian_kernel, squared_distances, sum_kernel
from dit_studio.errors import DataError

CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0
MEDIAN_IMAGES, _MEDIAN_ROWS = 5000, 512


def maximum_mean_discrepancy(
    real: ArrayLike, generated: ArrayLike, *, sigma: float | None = None, is_biased: bool = False
) -> float:
    """The squared discrepancy under exp(-|x - y|² / (2·σ²)).

    Without `sigma` it is the median distance within the reference alone: a bandwidth that depended on the generated
    images would change with every model, and no two results could be compared. Embeddings are compared as directions:
    pass `unit_rows(…)`. The unbiased estimate may be negative. Shapes: (n, d) and (m, d).
    Raises: ShapeError, DataError.
    """
    sigma = median_distance(real) if sigma is None else sigma
    if not 0 < sigma < np.inf:
        raise DataError(f"A bandwidth of {sigma} is not possible.", remedy="Take a number above 0.")
    sums = sum_kernel(real, generated, gaussian_kernel(sigma))
    return sums.biased() if is_biased else sums.unbiased()


def cmmd(real: ArrayLike, generated: ArrayLike) -> float:
    """CMMD as published, from the embeddings of CLIP ViT-L/14 at 336 pixels: σ = 10, biased, times 1,000.

    With any other extractor it is not CMMD and may not be called so. Source: arXiv:2401.09603.
    """
    biased = maximum_mean_discrepancy(unit_rows(real), unit_rows(generated), sigma=CMMD_SIGMA, is_biased=True)
    return CMMD_SCALE * biased


def median_distance(features: ArrayLike, *, most: int = MEDIAN_IMAGES, seed: int = 0) -> float:
    """The median Euclidean distance between two images of a set, of `most` of them drawn by `seed` if there are more.

    Keep it with the reference's statistics. Shape: (n, d). Raises: ShapeError, or DataError if most images are equal.
    """
    array = check_features(features, "reference", least=2)
    if len(array) > most:
        array = array[np.sort(np.random.default_rng(seed).choice(len(array), most, replace=False))]
    distances = np.empty(len(array) * (len(array) - 1) // 2, np.float32)
    filled = 0
    for first in range(0, len(array), _MEDIAN_ROWS):
        rows = as_tensor(array[first : first + _MEDIAN_ROWS])
        for start in range(first, len(array), _MEDIAN_ROWS):
            values = squared_distances(rows, as_tensor(array[start : start + _MEDIAN_ROWS])).sqrt_().numpy()
            pairs = values[np.triu_indices(len(rows), 1)] if start == first else values.ravel()
            distances[filled : filled + len(pairs)] = pairs
            filled += len(pairs)
    upper = len(distances) // 2
    distances.partition((max(0, upper - 1), upper))
    median = float(distances[upper] if len(distances) % 2 else (distances[upper - 1] / 2 + distances[upper] / 2))
    if median == 0:
        raise DataError(
            "Most images of the reference are equal, so the median distance is 0 and gives no bandwidth.",
            remedy="Remove the duplicates, or give a bandwidth.",
        )
    return median
