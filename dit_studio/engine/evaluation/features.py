"""Sets of features as every metric takes them: float arrays (n, d), checked, and read a block of rows at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dit_studio.errors import DataError, ShapeError

FeatureArray = NDArray[Any]
BLOCK_ROWS = 2048


def check_features(features: ArrayLike, name: str, *, least: int = 1) -> FeatureArray:
    """The features as an array (n, d) with n ≥ `least`; a memory-mapped one stays on the disk.

    Raises: ShapeError if it has another shape, DataError if a number in it is NaN or infinite.
    """
    array = np.asarray(features)
    if array.ndim != 2 or len(array) < least or not array.shape[1]:
        raise ShapeError(
            f"The features of the {name} have the shape {array.shape}; (n, d) is needed, with n ≥ {least}.",
            remedy="Give one row per image." if array.ndim != 2 else "Give more images.",
        )
    for first in range(0, len(array), BLOCK_ROWS):
        bad = ~np.isfinite(array[first : first + BLOCK_ROWS]).all(1)
        if bad.any():
            raise DataError(
                f"The features of image {first + int(bad.argmax())} of the {name} are not all finite.",
                remedy="Extract them again in float32; an image or a weight file is damaged, or float16 overflowed.",
            )
    return array


def check_pair(real: ArrayLike, generated: ArrayLike, *, least: int = 2) -> tuple[FeatureArray, FeatureArray]:
    """Two sets of features of the same length each. Raises: ShapeError or DataError."""
    first, second = np.asarray(real), np.asarray(generated)
    if first.ndim == second.ndim == 2 and first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"The features {first.shape} and {second.shape} do not fit: they have {first.shape[1]} and "
            f"{second.shape[1]} numbers an image.",
            remedy="Extract both with the same extractor.",
        )
    return check_features(first, "reference", least=least), check_features(second, "generated images", least=least)


def as_tensor(rows: FeatureArray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A tensor of its own: nothing that is written to it reaches `rows`."""
    return torch.from_numpy(np.array(rows, dtype=np.float32 if dtype == torch.float32 else np.float64))


def row_blocks(features: FeatureArray, *, size: int = BLOCK_ROWS) -> Iterator[torch.Tensor]:
    """The features in float64, `size` rows at a time."""
    for first in range(0, len(features), size):
        yield as_tensor(features[first : first + size])


def unit_rows(features: ArrayLike) -> NDArray[np.float64]:
    """Each row divided by its length, as embeddings are compared. Raises: DataError if a row is all zeros."""
    array = np.array(features, dtype=np.float64)
    lengths = np.linalg.norm(array, axis=-1, keepdims=True)
    if not lengths.all():
        raise DataError(
            f"The embedding of image {int(lengths.ravel().argmin())} is zero and has no direction.",
            remedy="Leave that image out, or choose another extractor.",
        )
    array /= lengths
    return array
