"""Leaving out rows or columns of a matrix in its own memory or file."""

from __future__ import annotations

import numpy as np

from dgex.arrays.rowfile import RowFile, Rows

__all__ = ["drop_columns", "drop_rows"]

_BLOCK = 1024


def drop_rows(X: Rows, keep: np.ndarray) -> Rows:
    """Move the rows to keep to the front and return them, without a second matrix.

    Parameters
    ----------
    X : ndarray, C-contiguous, or RowFile
        Its content is used up.
    keep : ndarray of bool, shape (rows,)
    """
    chosen = np.flatnonzero(keep)
    if isinstance(X, RowFile):
        X.keep_rows(chosen)
        return X
    for at in range(0, len(chosen), _BLOCK):
        part = chosen[at : at + _BLOCK]
        if part[-1] != at + len(part) - 1:  # a row never moves back, so nothing unread is overwritten
            X[at : at + len(part)] = X[part]
    return X[: len(chosen)]


def drop_columns(X: Rows, keep: np.ndarray) -> Rows:
    """Pack the columns to keep into the front of the memory and return them as a C-contiguous matrix.

    Parameters
    ----------
    X : ndarray, C-contiguous, or RowFile
        Its content is used up.
    keep : ndarray of bool, shape (columns,)
    """
    chosen = np.flatnonzero(keep)
    if isinstance(X, RowFile):
        X.keep_columns(chosen)
        return X
    flat = X.reshape(-1)
    for at in range(0, len(X), _BLOCK):
        block = X[at : at + _BLOCK][:, chosen]
        flat[at * len(chosen) : (at + len(block)) * len(chosen)] = block.reshape(-1)
    return flat[: len(X) * len(chosen)].reshape(len(X), len(chosen))
