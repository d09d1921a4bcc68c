"""The Fréchet distance between two Gaussians (Dowson & Landau 1982), without the square root of a matrix.

With Σ1 = F·Fᵀ and Σ2 = G·Gᵀ, tr((Σ1·Σ2)^½) is the sum of the singular values of Fᵀ·G, and of the square roots of the
eigenvalues of Fᵀ·Σ2·F. Any factors will do: Cholesky's, truncated eigenvectors of a singular covariance, or the centred
vectors themselves where they are few.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dit_studio.engine.evaluation.features import check_features
from dit_studio.engine.evaluation.moments import Moments
from dit_studio.engine.evaluation.products import lower_sandwich
from dit_studio.errors import DataError, ShapeError

Matrix = NDArray[np.floating[Any]]  # in float64

_RANK_TOLERANCE = 1e-12  # of the largest eigenvalue of a covariance; below it there is rounding only
_SHORT_WAY_TOLERANCE = 1e-10  # relative error that rounding may bring into the sum of the eigenvalues' square roots


class Factor(NamedTuple):
    """A matrix (d, r) whose product with its own transpose is a covariance; Cholesky's is triangular."""

    matrix: Matrix
    is_triangular: bool


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """A mean (d,) and a covariance (d, d), or the few vectors (d, r) it is made of; factorised once, where need be."""

    mean: Matrix
    trace: float
    covariance: Matrix | None = None
    vectors: Matrix | None = None

    @classmethod
    def from_moments(cls, mu: ArrayLike, sigma: ArrayLike) -> Self:
        """Shapes: mu (d,), sigma (d, d), symmetric and positive semi-definite; singular ones work.

        Raises: ShapeError if they do not fit, DataError if a number is not finite.
        """
        mean, covariance = np.asarray(mu, np.float64), np.asarray(sigma, np.float64)
        if mean.ndim != 1 or covariance.shape != mean.shape * 2:
            raise ShapeError(
                f"A mean {mean.shape} and a covariance {covariance.shape} do not fit: (d,) and (d, d) are needed."
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise DataError("The mean or the covariance is not finite.", remedy="Compute the statistics again.")
        return cls(mean=mean, trace=float(np.trace(covariance)), covariance=covariance)

    @classmethod
    def from_features(cls, features: ArrayLike, name: str = "features") -> Self:
        """Fitted to vectors (n, d), covariance over n - 1. Raises: ShapeError, DataError."""
        array = check_features(features, name, least=2)
        if len(array) > array.shape[1]:
            moments = Moments(array.shape[1])
            moments.add(array)
            return cls.from_moments(moments.mean, moments.covariance())
        rows = array.astype(np.float64)
        mean = rows.mean(0)
        vectors = (rows - mean).T / (len(array) - 1) ** 0.5
        return cls(mean=mean, trace=float(np.square(vectors).sum()), vectors=vectors)

    @cached_property
    def factor(self) -> Factor:
        """Raises: DataError if what was given as a covariance is none."""
        if self.covariance is None:
            assert self.vectors is not None
            return Factor(self.vectors, is_triangular=False)
        return _factor(self.covariance)

    @cached_property
    def norm(self) -> float:
        """Frobenius's, of the covariance: at least its largest eigenvalue."""
        if self.covariance is None:
            assert self.vectors is not None
            return float(np.linalg.norm(self.vectors.T @ self.vectors))
        return float(np.linalg.norm(self.covariance))

    def distance(self, other: "Gaussian") -> float:
        """|μ1 - μ2|² + tr(Σ1) + tr(Σ2) - 2·tr((Σ1·Σ2)^½).

        Raises: ShapeError if the lengths differ, DataError if a covariance has negative eigenvalues.
        """
        if len(self.mean) != len(other.mean):
            raise ShapeError(
                f"Statistics of {len(self.mean)} and of {len(other.mean)} numbers do not fit.",
                remedy="Extract both sides with the same extractor.",
            )
        overlap = _sum_of_singular_values(self, other)
        return float(np.square(self.mean - other.mean).sum()) + (self.trace + other.trace - 2 * overlap)


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


def _factor(covariance: Matrix) -> Factor:
    """F with F·Fᵀ = covariance, of as many columns as its rank. Raises: DataError if it has negative eigenvalues."""
    try:
        return Factor(np.linalg.cholesky(covariance), is_triangular=True)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-6 * abs(values[-1]):
        raise DataError(
            f"The covariance has the eigenvalue {float(values[0]):.3g}, and none may be negative.",
            remedy="Compute the statistics again; if they are from a file, it is damaged or holds something else.",
        )
    kept = values > _RANK_TOLERANCE * values[-1]
    return Factor(vectors[:, kept] * np.sqrt(values[kept]), is_triangular=False)


def _sum_of_singular_values(first: Gaussian, second: Gaussian) -> float:
    """Of Fᵀ·G: by eigenvalues, several times as fast, where their rounding cannot show; else directly."""
    if first.covariance is not None and second.covariance is None:
        first, second = second, first
    if not (first.norm and second.norm and first.factor.matrix.size):
        return 0.0
    squares, rounding = _squared_singular_values(first, second)
    total = np.sqrt(squares.clip(0)).sum()
    error = (rounding / np.sqrt(squares.clip(rounding))).sum() / 2
    if squares[0] >= -len(squares) * rounding and error <= _SHORT_WAY_TOLERANCE * total:
        return float(total)
    product = first.factor.matrix.T @ second.factor.matrix
    return float(np.linalg.svd(product, compute_uv=False).sum()) if product.size else 0.0


def _squared_singular_values(first: Gaussian, second: Gaussian) -> tuple[Matrix, float]:
    """In rising order, and how far rounding may have moved each."""
    factor, is_triangular = first.factor
    if second.covariance is None:
        product = factor.T @ second.factor.matrix
        gram = product @ product.T if len(product) <= product.shape[1] else product.T @ product
    else:
        gram = lower_sandwich(factor, second.covariance) if is_triangular else factor.T @ second.covariance @ factor
    return np.linalg.eigvalsh(gram), float(np.finfo(np.float64).eps * first.norm * second.norm)
