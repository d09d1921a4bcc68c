"""The Fréchet distance between two Gaussians (Dowson & Landau 1982), without a matrix square root by iteration."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dit_studio.errors import ShapeError


def frechet_distance(mu1: ArrayLike, sigma1: ArrayLike, mu2: ArrayLike, sigma2: ArrayLike) -> float:
    """|μ1 - μ2|² + tr(Σ1) + tr(Σ2) - 2·tr((Σ1·Σ2)^½).

    Shapes: mu (d,), sigma (d, d), symmetric and positive semi-definite; singular ones work.
    Raises: ShapeError if they do not fit.
    """
    mean1, mean2 = (np.asarray(mean, dtype=np.float64) for mean in (mu1, mu2))
    cov1, cov2 = (np.asarray(covariance, dtype=np.float64) for covariance in (sigma1, sigma2))
    if not (mean1.shape == mean2.shape and cov1.shape == cov2.shape == mean1.shape * 2 and mean1.ndim == 1):
        raise ShapeError(f"Means {mean1.shape}, {mean2.shape} and covariances {cov1.shape}, {cov2.shape} do not fit.")
    values, vectors = np.linalg.eigh(cov1)
    root = vectors * np.sqrt(np.clip(values, 0, None))  # Σ1 = root · rootᵀ
    product = np.linalg.eigvalsh(root.T @ cov2 @ root)  # the eigenvalues of Σ1·Σ2, all real
    overlap = np.sqrt(np.clip(product, 0, None)).sum()
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * overlap)


def frechet_distance_from_features(real: ArrayLike, generated: ArrayLike) -> float:
    """The Fréchet distance of the Gaussians fitted to two sets of features, covariances over n - 1.

    Shapes: (n, d) and (m, d). With fewer vectors than numbers in one, the overlap is the nuclear norm of their cross
    products, which needs no d × d matrix. Raises: ShapeError if d differs or a set has fewer than 2 vectors.
    """
    first, second = (np.asarray(features, dtype=np.float64) for features in (real, generated))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ShapeError(f"Features {first.shape} and {second.shape} do not fit: it takes (n, d) and (m, d), n, m ≥ 2.")
    if min(len(first), len(second)) > first.shape[1]:
        return frechet_distance(first.mean(0), _covariance(first), second.mean(0), _covariance(second))
    centred1, centred2 = (_centred(features) for features in (first, second))
    overlap = np.linalg.svd(centred1 @ centred2.T, compute_uv=False).sum()
    distance = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(distance + (centred1**2).sum() + (centred2**2).sum() - 2 * overlap)


def _centred(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """X with Xᵀ·X = covariance."""
    centred: NDArray[np.float64] = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return centred


def _covariance(features: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = _centred(features)
    covariance: NDArray[np.float64] = centred.T @ centred
    return covariance
