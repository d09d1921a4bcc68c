"""Mean and covariance of features that come a batch at a time, in float64 and in memory of O(d²)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dit_studio.engine.evaluation.features import BLOCK_ROWS, as_tensor, check_features, row_blocks
from dit_studio.engine.evaluation.products import add_gram, gram
from dit_studio.errors import DataError, ShapeError

_BLOCK_SQUARES = 2.5  # a block of rows in float64 takes at most so many times the memory of the covariance


class Moments:
    """How many vectors there were, their mean, and the sum of their squared deviations from it.

    Batches and whole states merge in any order and grouping (Chan, Golub & LeVeque 1983), so an extraction can be
    split, stopped and resumed, and images can be added later.
    """

    def __init__(self, dimensions: int) -> None:
        self.n = 0
        self._mean = torch.zeros(dimensions, dtype=torch.float64)
        self._m2 = torch.zeros(dimensions, dimensions, dtype=torch.float64)

    @property
    def dimensions(self) -> int:
        return len(self._mean)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Shape: (d,)."""
        mean: NDArray[np.float64] = self._mean.numpy().copy()
        return mean

    def covariance(self, *, is_biased: bool = False) -> NDArray[np.float64]:
        """Over n - 1 as FID has it, or over n as StyleGAN's code. Shape: (d, d). Raises: DataError below 2 vectors."""
        if self.n < 2:
            raise DataError(f"A covariance needs at least 2 images; there are {self.n}.", remedy="Add images.")
        covariance: NDArray[np.float64] = (self._m2 / (self.n - (not is_biased))).numpy()
        return covariance

    def add(self, features: ArrayLike) -> None:
        """A batch. Shape: (n, d), any n. Raises: ShapeError, or DataError if a number is not finite."""
        array = check_features(features, "batch", least=0)
        if array.shape[1] != self.dimensions:
            raise ShapeError(f"A batch of {array.shape[1]} numbers an image does not fit {self.dimensions}.")
        for block in row_blocks(array, size=max(BLOCK_ROWS, int(_BLOCK_SQUARES * self.dimensions))):
            rows = block.numpy()
            mean = rows.mean(0)
            rows -= mean
            if self.n:
                add_gram(self._m2, block)
            else:
                self._m2 = gram(block)
            self._combine(len(block), torch.from_numpy(mean))

    def merge(self, other: "Moments") -> None:
        """Take in the vectors that another state has seen. Raises: ShapeError if their lengths differ."""
        if other.dimensions != self.dimensions:
            raise ShapeError(f"Moments of {other.dimensions} numbers do not fit those of {self.dimensions}.")
        self._m2 += other._m2
        self._combine(other.n, other._mean)

    def _combine(self, n: int, mean: torch.Tensor) -> None:
        """Account for the two means, once the deviations from each are summed."""
        if n == 0:
            return
        total, shift = self.n + n, mean - self._mean
        if self.n:
            self._m2.addr_(shift, shift, alpha=self.n * n / total)
        self._mean += shift * (n / total)
        self.n = total

    def state(self) -> dict[str, NDArray[Any]]:
        """What to save: n (), mean (d,), m2 (d, d)."""
        return {"n": np.array(self.n, np.int64), "mean": self.mean, "m2": self._m2.numpy().copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> "Moments":
        """Raises: DataError if the arrays are not those of `state`."""
        try:
            n, mean, m2 = int(state["n"]), np.asarray(state["mean"]), np.asarray(state["m2"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"The saved moments are not whole: {error}.", remedy="Extract the features again."
            ) from error
        if mean.ndim != 1 or m2.shape != mean.shape * 2 or n < 0:
            raise DataError(
                f"The saved moments do not fit: n {n}, mean {mean.shape}, deviations {m2.shape}.",
                remedy="Extract the features again.",
            )
        moments = cls(len(mean))
        moments.n, moments._mean, moments._m2 = n, as_tensor(mean), as_tensor(m2)
        return moments
