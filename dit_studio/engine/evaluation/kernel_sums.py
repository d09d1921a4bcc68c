"""A kernel summed over all pairs of two sets, a block at a time, and the discrepancies that follow from the sums.

Block values are summed in float64, each pair within a set is visited once, and no more than a few blocks are held. The
sums are kept by groups of images, so that leaving one group out, as a jackknife does, costs nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from dit_studio.engine.evaluation.features import BLOCK_ROWS, FeatureArray, as_tensor, check_pair

Kernel = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (n, d), (m, d) -> (n, m), float64
Rows = NDArray[np.int64]


def cubic_kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(x·y/d + 1)³. Source: Binkowski et al. 2018, arXiv:1801.01401, section 4."""
    values = torch.mm(x, y.T).div_(x.shape[1]).add_(1)
    return values.pow_(3)


def gaussian_kernel(sigma: float) -> Kernel:
    """exp(-|x - y|² / (2·σ²))."""

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return squared_distances(x, y).mul_(-0.5 / sigma**2).exp_()

    return kernel


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """|x - y|² by |x|² + |y|² - 2·x·y, in the type of both. Shapes: (n, d), (m, d) -> (n, m)."""
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
    return lengths.addmm_(x, y.T, alpha=-2).clamp_min_(0)


@dataclass(frozen=True)
class KernelSums:
    """Sums over pairs of groups (g, g): within each set, of each image with itself (g,), across; and the sizes (g,)."""

    real: NDArray[np.float64]
    generated: NDArray[np.float64]
    across: NDArray[np.float64]
    real_selves: NDArray[np.float64]
    generated_selves: NDArray[np.float64]
    real_sizes: NDArray[np.int64]
    generated_sizes: NDArray[np.int64]

    def biased(self) -> float:
        """The squared discrepancy as a V-statistic: an image's pair with itself counts; never negative."""
        n, m = int(self.real_sizes.sum()), int(self.generated_sizes.sum())
        return float(self.real.sum() / n**2 + self.generated.sum() / m**2 - 2 * self.across.sum() / (n * m))

    def unbiased(self) -> float:
        """The squared discrepancy without those pairs, as a U-statistic: 0 on average for equal distributions, and
        so negative about every other time."""
        n, m = int(self.real_sizes.sum()), int(self.generated_sizes.sum())
        real = (self.real.sum() - self.real_selves.sum()) / (n * (n - 1))
        generated = (self.generated.sum() - self.generated_selves.sum()) / (m * (m - 1))
        return float(real + generated - 2 * self.across.sum() / (n * m))

    def without(self, group: int) -> Self:
        """The sums over the images of the other groups."""
        kept = np.arange(len(self.real_sizes)) != group
        pairs = np.ix_(kept, kept)
        return replace(
            self, real=self.real[pairs], generated=self.generated[pairs], across=self.across[pairs],
            real_selves=self.real_selves[kept], generated_selves=self.generated_selves[kept],
            real_sizes=self.real_sizes[kept], generated_sizes=self.generated_sizes[kept],
        )  # fmt: skip


def sum_kernel(
    real: ArrayLike, generated: ArrayLike, kernel: Kernel, *, groups: int = 1, seed: int = 0, block: int = BLOCK_ROWS
) -> KernelSums:
    """Visit all pairs of (n, d) and (m, d). Groups are drawn by `seed`, so that the order of the images is nothing.

    Raises: ShapeError if the sets do not fit or one has fewer than 2 images, DataError if a number is not finite.
    """
    first, second = check_pair(real, generated)
    first_rows, second_rows = _groups(len(first), groups, seed), _groups(len(second), groups, seed + 1)
    within_first, first_selves = _sums_within(first, first_rows, kernel, block)
    within_second, second_selves = _sums_within(second, second_rows, kernel, block)
    across = [[_sum(first, g, second, h, kernel, block) for h in second_rows] for g in first_rows]
    sizes = [np.array([len(rows) for rows in groups]) for groups in (first_rows, second_rows)]
    return KernelSums(within_first, within_second, np.array(across), first_selves, second_selves, sizes[0], sizes[1])


def _groups(count: int, groups: int, seed: int) -> list[Rows]:
    if groups == 1:
        return [np.arange(count)]
    return np.array_split(np.random.default_rng(seed).permutation(count), groups)


def _sums_within(
    features: FeatureArray, groups: list[Rows], kernel: Kernel, block: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Over the pairs of each two groups (g, g), both orders counted, and over each group's pairs of one image (g,)."""
    sums, selves = np.zeros((len(groups), len(groups))), np.zeros(len(groups))
    for g, rows in enumerate(groups):
        parts = list(_parts(rows, block))
        for i, part in enumerate(parts):
            x = as_tensor(features[part])
            values = kernel(x, x)
            selves[g] += float(values.diagonal().sum())
            sums[g, g] += float(values.sum())
            del values
            sums[g, g] += 2 * sum(float(kernel(x, as_tensor(features[other])).sum()) for other in parts[i + 1 :])
        for h in range(g + 1, len(groups)):
            sums[g, h] = sums[h, g] = _sum(features, rows, features, groups[h], kernel, block)
    return sums, selves


def _sum(first: FeatureArray, g: Rows, second: FeatureArray, h: Rows, kernel: Kernel, block: int) -> float:
    total = 0.0
    for rows in _parts(g, block):
        x = as_tensor(first[rows])
        total += sum(float(kernel(x, as_tensor(second[others])).sum()) for others in _parts(h, block))
    return total


def _parts(rows: Rows, size: int) -> Iterator[Rows]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
