"""Matrix products of which one half follows from the other, or is zero, for about half the time.

By NumPy's BLAS and not torch's, which waits for a second thread at every step: on a machine that does other things
besides, that costs several times as much.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_PANEL, _STRIP = 128, 512  # columns, and rows, of a block of the triangle
_TALL = 512  # rows from which half the work is worth a matrix of its own


def add_gram(total: torch.Tensor, rows: torch.Tensor) -> None:
    """Add rowsᵀ · rows to a matrix in place. Shapes: total (d, d), rows (n, d), float64 on the CPU."""
    if len(rows) < _TALL:
        total.addmm_(rows.T, rows)
        return
    sums = total.numpy()
    sums += gram(rows).numpy()


def gram(rows: torch.Tensor) -> torch.Tensor:
    """rowsᵀ · rows. Shapes: (n, d) -> (d, d), float64 on the CPU."""
    array = rows.numpy()
    return torch.from_numpy(array.T @ array)  # NumPy sees that it is symmetric, and computes one half


def lower_sandwich(factor: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
    """The lower triangle of factorᵀ · matrix · factor in float64, for a lower triangular factor and a symmetric matrix.

    Shapes: (d, d), (d, d) -> (d, d), in which nothing above the diagonal's blocks is filled in.
    """
    size = len(factor)
    result = np.zeros_like(factor)
    for left in range(0, size, _PANEL):
        columns = slice(left, left + _PANEL)
        half = matrix[left:, left:] @ factor[left:, columns]
        for top in range(left, size, _STRIP):
            rows = slice(top, top + _STRIP)
            np.matmul(factor[top:, rows].T, half[top - left :], out=result[rows, columns])
    return result
