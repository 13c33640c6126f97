"""Mean and deviation of every gene, block by block, on the device that will train."""

from __future__ import annotations

import numpy as np
import torch

from dgex.training.batches.loader import Rows

__all__ = ["gene_statistics"]

_BYTES = 64 << 20  # of a block of rows
_CONSTANT = 1e-5  # of its size: a gene that spreads less is told apart from others by rounding alone


def gene_statistics(matrix: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every gene over profiles, and its deviation: what standard units are counted from and in.

    Sums are float64, taken around the first profile, so that genes far from zero lose no digits.

    Parameters
    ----------
    matrix : ndarray of float32, shape (profiles, genes)
        May be a memory map; a block of it is on the device at a time.
    device : torch.device

    Returns
    -------
    mean, scale : ndarray of float32, shape (genes,)
        The deviation divides by the number of profiles. It is 1 for a gene that is the same in all profiles to within
        rounding.

    Examples
    --------
    >>> gene_statistics(np.array([[1, 7], [3, 7]], dtype=np.float32), torch.device("cpu"))
    (array([2., 7.], dtype=float32), array([1., 1.], dtype=float32))
    """
    profiles, genes = matrix.shape
    rows, step = Rows(matrix, device), max(1, _BYTES // max(1, 4 * genes))
    shift = rows[0:1].double()
    total, square = torch.zeros_like(shift[0]), torch.zeros_like(shift[0])
    for start in range(0, profiles, step):
        block = rows[start : start + step].double() - shift
        total += block.sum(0)
        square += block.square_().sum(0)
    total, square = total / profiles, square / profiles
    mean = shift[0] + total
    spread = (square - total.square()).clamp_(min=0).sqrt_()
    constant = spread <= _CONSTANT * mean.abs().clamp_(min=1e-30)
    scale = torch.where(constant, torch.ones_like(spread), spread)
    found = mean.float().cpu().numpy(), scale.float().cpu().numpy()
    return found[0], found[1]
