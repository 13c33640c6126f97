"""Large symmetric systems in place and in blocks, which go beyond what one call of LAPACK or cuSOLVER takes."""

from __future__ import annotations

import torch

__all__ = ["NotPositive", "cholesky_", "solve_"]

BLOCK = 4096


class NotPositive(ArithmeticError):
    """The matrix is not positive definite, as far as float32 can tell."""


def cholesky_(matrix: torch.Tensor, block: int = BLOCK) -> torch.Tensor:
    """Replace the lower triangle of a symmetric matrix by its Cholesky factor; what is above it means nothing then.

    Left-looking: a panel takes all that is to its left off it by one product, then is solved with its diagonal block.

    Raises
    ------
    NotPositive
    """
    n = len(matrix)
    for start in range(0, n, block):
        end = min(start + block, n)
        panel = matrix[start:, start:end]
        if start:
            panel -= matrix[start:, :start] @ matrix[start:end, :start].T
        corner, failed = torch.linalg.cholesky_ex(matrix[start:end, start:end])
        if int(failed) or not bool(torch.isfinite(corner.diagonal()).all()):
            raise NotPositive
        matrix[start:end, start:end] = corner
        if end < n:
            below = matrix[end:, start:end]
            below.copy_(torch.linalg.solve_triangular(corner.T, below, upper=True, left=False))
    return matrix


def solve_(factor: torch.Tensor, right: torch.Tensor, block: int = BLOCK) -> torch.Tensor:
    """Replace the right-hand sides [n, k] by the solution, given the factor of `cholesky_`."""
    n = len(factor)
    starts = range(0, n, block)
    for start in starts:
        end = min(start + block, n)
        if start:
            right[start:end] -= factor[start:end, :start] @ right[:start]
        right[start:end] = torch.linalg.solve_triangular(factor[start:end, start:end], right[start:end], upper=False)
    for start in reversed(starts):
        end = min(start + block, n)
        if end < n:
            right[start:end] -= factor[end:, start:end].T @ right[end:]
        corner = factor[start:end, start:end].T
        right[start:end] = torch.linalg.solve_triangular(corner, right[start:end], upper=True)
    return right
