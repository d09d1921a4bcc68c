"""How much of the samples looks real, and how much of the real images the samples reach, by nearest neighbours.

Both depend on the extractor, on k and on how many images there are: print all three, and take as many of each side.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from dit_studio.engine.evaluation.distances import distance_blocks, nearest_neighbours
from dit_studio.engine.evaluation.features import BLOCK_ROWS, FeatureArray, check_pair


class PrecisionRecall(NamedTuple):
    precision: float  # the share of generated images within the reach of a real one
    recall: float  # the share of real images within the reach of a generated one


class DensityCoverage(NamedTuple):
    density: float  # how many real images reach a generated one, over k; 1 on average for equal distributions
    coverage: float  # the share of real images that have a generated one within their own reach


def precision_recall(real: ArrayLike, generated: ArrayLike, *, k: int = 3, block: int = BLOCK_ROWS) -> PrecisionRecall:
    """An image's reach is the distance to its k-th nearest neighbour in its own set; what lies at it counts ("≤").

    Shapes: (n, d) and (m, d), n, m > k. Raises: ShapeError, DataError. Source: Kynkäänniemi et al. 2019,
    arXiv:1904.06991; the published evaluators differ by about 0.001, for they compare in float16.
    """
    first, second = check_pair(real, generated)
    real_reach, generated_reach = (_squared_reach(features, k, block) for features in (first, second))
    is_realistic, is_reached = (torch.zeros(len(features), dtype=torch.bool) for features in (second, first))
    for rows, columns, squared in distance_blocks(first, second, centre=_mean(first), block=block):
        is_realistic[columns] |= (squared <= real_reach[rows, None]).any(0)
        is_reached[rows] |= (squared <= generated_reach[None, columns]).any(1)
    return PrecisionRecall(float(is_realistic.double().mean()), float(is_reached.double().mean()))


def density_coverage(real: ArrayLike, generated: ArrayLike, *, k: int = 5, block: int = BLOCK_ROWS) -> DensityCoverage:
    """As precision and recall, but counting, and by the reach of real images alone; what lies at it does not count.

    Shapes: (n, d) and (m, d), n > k. Raises: ShapeError, DataError. Source: Naeem et al. 2020, arXiv:2002.09797.
    """
    first, second = check_pair(real, generated)
    reach, within = _squared_reach(first, k, block), 0
    is_covered = torch.zeros(len(first), dtype=torch.bool)
    for rows, _, squared in distance_blocks(first, second, centre=_mean(first), block=block):
        is_within = squared < reach[rows, None]
        within += int(is_within.sum())
        is_covered[rows] |= is_within.any(1)
    return DensityCoverage(within / (k * len(second)), float(is_covered.double().mean()))


def _squared_reach(features: FeatureArray, k: int, block: int) -> torch.Tensor:
    return nearest_neighbours(features, features, k=k, is_same_set=True, block=block).squared[:, -1]


def _mean(features: FeatureArray) -> FeatureArray:
    mean: FeatureArray = features.mean(0, dtype=np.float64)
    return mean
