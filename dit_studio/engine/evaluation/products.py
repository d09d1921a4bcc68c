"""Matrix products of which one half follows from the other, or is zero, for about half the time."""

import torch

_PANEL = 256  # rows
_TALL = 512  # rows from which half the work is worth a matrix of its own


def add_gram(total: torch.Tensor, rows: torch.Tensor) -> None:
    """Add rowsᵀ · rows to a matrix in place. Shapes: total (d, d), rows (n, d), float64 on the CPU."""
    if len(rows) < _TALL:
        total.addmm_(rows.T, rows)
        return
    array = rows.numpy()
    total += torch.from_numpy(array.T @ array)  # NumPy sees that it is symmetric, and computes one half


def triangular_product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """firstᵀ · second of two lower triangular matrices. Shapes: (d, d), (d, d) -> (d, d)."""
    product = torch.zeros_like(first)
    for start in range(0, len(first), _PANEL):
        stop = min(start + _PANEL, len(first))
        rows = slice(start, stop)
        product[:stop, :stop].addmm_(first[rows, :stop].T, second[rows, :stop])
    return product
