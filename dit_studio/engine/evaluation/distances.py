"""Distances between all pairs of two sets, a block at a time in float32, and the nearest neighbours among them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from dit_studio.engine.evaluation.features import BLOCK_ROWS, FeatureArray
from dit_studio.engine.evaluation.kernel_sums import squared_distances
from dit_studio.errors import DataError


class DistanceBlock(NamedTuple):
    rows: slice
    columns: slice
    squared: torch.Tensor  # (rows, columns), float32


class Neighbours(NamedTuple):
    squared: torch.Tensor  # (n, k), float32, the nearest first
    indices: torch.Tensor  # (n, k)


def distance_blocks(
    first: FeatureArray,
    second: FeatureArray,
    *,
    centre: FeatureArray,
    is_same_set: bool = False,
    block: int = BLOCK_ROWS,
) -> Iterator[DistanceBlock]:
    """All pairs of (n, d) and (m, d), row by row of blocks.

    `centre` (d,) is taken off both in float64 first, which changes no distance and leaves float32 its digits. Of a set
    with itself the diagonal is infinite: an image is no neighbour of its own, and rounding leaves no exact 0 there.
    """
    for start in range(0, len(first), block):
        rows = slice(start, min(start + block, len(first)))
        x = _centred(first[rows], centre)
        for other in range(0, len(second), block):
            columns = slice(other, min(other + block, len(second)))
            squared = squared_distances(x, _centred(second[columns], centre))
            if is_same_set and rows == columns:
                squared.fill_diagonal_(torch.inf)
            yield DistanceBlock(rows, columns, squared)


def nearest_neighbours(
    queries: FeatureArray, references: FeatureArray, *, k: int, is_same_set: bool = False, block: int = BLOCK_ROWS
) -> Neighbours:
    """The k nearest references (m, d) of each query (n, d); in the same set, an image is no neighbour of its own.

    Raises: DataError if there are not k of them.
    """
    there = len(references) - is_same_set
    if not 1 <= k <= there:
        raise DataError(
            f"{k} nearest neighbours cannot be taken of {there} images.", remedy="Give more images, or a smaller k."
        )
    centre = references.mean(0, dtype=np.float64)
    blocks = distance_blocks(queries, references, centre=centre, is_same_set=is_same_set, block=block)
    squared, indices = torch.full((len(queries), k), torch.inf), torch.zeros((len(queries), k), dtype=torch.int64)
    for rows, columns, distances in blocks:
        best = distances.topk(min(k, distances.shape[1]), dim=1, largest=False)
        candidates = torch.cat([squared[rows], best.values], 1)
        numbers = torch.cat([indices[rows], best.indices + columns.start], 1)
        squared[rows], kept = candidates.topk(k, dim=1, largest=False)
        indices[rows] = numbers.gather(1, kept)
    return Neighbours(squared, indices)


def _centred(rows: FeatureArray, centre: FeatureArray) -> torch.Tensor:
    return torch.from_numpy((rows - centre).astype(np.float32))
