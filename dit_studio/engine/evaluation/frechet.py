"""The Fréchet distance between two Gaussians (Dowson & Landau 1982), without the square root of a matrix.

With Σ1 = F·Fᵀ and Σ2 = G·Gᵀ, tr((Σ1·Σ2)^½) is the sum of the singular values of Fᵀ·G. Any factors will do: Cholesky's,
truncated eigenvectors of a singular covariance, or the centred vectors themselves where they are few.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from dit_studio.engine.evaluation.features import as_tensor, check_features
from dit_studio.engine.evaluation.moments import Moments
from dit_studio.engine.evaluation.products import add_gram, triangular_product
from dit_studio.errors import DataError, ShapeError

_RANK_TOLERANCE = 1e-12  # of the largest eigenvalue of a covariance; below it there is rounding only
_GRAM_TOLERANCE = 1e-10  # relative error that rounding may bring into the short way to the singular values


@dataclass(frozen=True)
class Gaussian:
    """A mean (d,) and a covariance that is factorised once, as factor · factorᵀ, for any number of comparisons."""

    mean: torch.Tensor
    factor: torch.Tensor  # (d, r)
    trace: float
    is_triangular: bool = False  # the factor is Cholesky's

    @classmethod
    def from_moments(cls, mu: ArrayLike, sigma: ArrayLike) -> Self:
        """Shapes: mu (d,), sigma (d, d), symmetric and positive semi-definite; singular ones work.

        Raises: ShapeError if they do not fit, DataError if a number is not finite or sigma is no covariance.
        """
        mean, covariance = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
        if mean.ndim != 1 or covariance.shape != mean.shape * 2:
            raise ShapeError(
                f"A mean {mean.shape} and a covariance {covariance.shape} do not fit: (d,) and (d, d) are needed."
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise DataError("The mean or the covariance is not finite.", remedy="Compute the statistics again.")
        factor, is_triangular = _factor(as_tensor(covariance))
        return cls(as_tensor(mean), factor, float(np.trace(covariance)), is_triangular)

    @classmethod
    def from_features(cls, features: ArrayLike, name: str = "features") -> Self:
        """Fitted to vectors (n, d), covariance over n - 1. Raises: ShapeError, DataError."""
        array = check_features(features, name, least=2)
        if len(array) > array.shape[1]:
            moments = Moments(array.shape[1])
            moments.add(array)
            return cls.from_moments(moments.mean, moments.covariance())
        vectors = as_tensor(array)
        mean = vectors.mean(0)
        factor = (vectors - mean).T / (len(array) - 1) ** 0.5
        return cls(mean, factor, float(factor.square().sum()))

    def distance(self, other: "Gaussian") -> float:
        """|μ1 - μ2|² + tr(Σ1) + tr(Σ2) - 2·tr((Σ1·Σ2)^½). Raises: ShapeError if the lengths differ."""
        if len(self.mean) != len(other.mean):
            raise ShapeError(
                f"Statistics of {len(self.mean)} and of {len(other.mean)} numbers do not fit.",
                remedy="Extract both sides with the same extractor.",
            )
        multiply = triangular_product if self.is_triangular and other.is_triangular else _product
        overlap = _sum_of_singular_values(multiply(self.factor, other.factor))
        return float((self.mean - other.mean).square().sum()) + (self.trace + other.trace - 2 * overlap)


def frechet_distance(mu1: ArrayLike, sigma1: ArrayLike, mu2: ArrayLike, sigma2: ArrayLike) -> float:
    """The distance of two Gaussians. Shapes: mu (d,), sigma (d, d). Raises: as `Gaussian.from_moments`."""
    shapes = [np.shape(array) for array in (mu1, mu2, sigma1, sigma2)]
    if shapes[0] != shapes[1] or shapes[2] != shapes[3]:
        raise ShapeError(f"Means {shapes[0]}, {shapes[1]} and covariances {shapes[2]}, {shapes[3]} do not fit.")
    return Gaussian.from_moments(mu1, sigma1).distance(Gaussian.from_moments(mu2, sigma2))


def frechet_distance_from_features(real: ArrayLike, generated: ArrayLike) -> float:
    """The distance of the Gaussians fitted to two sets of features, covariances over n - 1.

    Shapes: (n, d) and (m, d), of any float type, n, m ≥ 2; of large sets only a block at a time is in float64.
    Raises: ShapeError if they do not fit, DataError if a number is not finite.
    """
    if np.ndim(real) != 2 or np.ndim(generated) != 2 or np.shape(real)[1] != np.shape(generated)[1]:
        raise ShapeError(f"Features {np.shape(real)} and {np.shape(generated)} do not fit: it takes (n, d) and (m, d).")
    return Gaussian.from_features(real, "reference").distance(Gaussian.from_features(generated, "generated images"))


def _product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first.T @ second


def _factor(covariance: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """F with F·Fᵀ = covariance, of as many columns as its rank, and whether it is triangular.

    Raises: DataError if the covariance has negative eigenvalues.
    """
    factor: torch.Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return factor, True
    values, vectors = torch.linalg.eigh(covariance)
    if values[0] < -1e-6 * values[-1].abs():
        raise DataError(
            f"The covariance has the eigenvalue {float(values[0]):.3g}, and none may be negative.",
            remedy="Compute the statistics again; if they are from a file, it is damaged or holds something else.",
        )
    kept = values > _RANK_TOLERANCE * values[-1]
    factor = vectors[:, kept] * values[kept].sqrt()
    return factor, False


def _sum_of_singular_values(matrix: torch.Tensor) -> float:
    """By the eigenvalues of the Gram matrix, several times as fast, where their rounding cannot show; else directly."""
    if 0 in matrix.shape:
        return 0.0
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = wide.new_zeros(len(wide), len(wide))
    add_gram(gram, wide.T)
    squares = torch.linalg.eigvalsh(gram)
    rounding = torch.finfo(torch.float64).eps * squares[-1]
    total = squares.clamp_min(0).sqrt().sum()
    error = (rounding / squares.clamp_min(rounding).sqrt()).sum() / 2
    return float(total if error <= _GRAM_TOLERANCE * total else torch.linalg.svdvals(matrix).sum())
