"""Sets of profiles that stay in the file they came in, for methods that go through it in blocks and hold none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import anndata as ad
import numpy as np

from dgex.confidence.held_out import MOST
from dgex.confidence.index import MOST_INDEXED
from dgex.dataset.signatures import signatures
from dgex.digests import RowsDigest, of_names, spread
from dgex.io.base import ExpressionFile
from dgex.models.matrices import dense, role_matrix

__all__ = ["BLOCK", "FileRows", "FileSet"]

# Profiles in a block: as many as are multiplied at once, so that the sums are those of matrices in memory.
BLOCK = 4096
# Profiles read at once; a part of these.
READ = 1024
ROLES = "landmark", "target"
# Numbers of training profiles, spread evenly, whose landmark values are asked for once all were gone through: by trust,
# by the index and its directions, by the fingerprint. What else is asked for is read again.
KEPT = 10 * MOST, MOST_INDEXED, 4000, 64


class FileRows:
    """Rows of a matrix that lies in a file, read when they are asked for.

    It has what methods that go by blocks need of an array: `len`, `shape`, and rows by slice or by positions, which
    are arrays. It is never turned into an array as a whole.

    Parameters
    ----------
    pair : FileSet
        The profiles that the rows are of.
    role : int
        0 for landmark, 1 for target genes.
    """

    def __init__(self, pair: FileSet, role: int) -> None:
        self._set, self._role = pair, role
        self.shape = (len(pair.rows), len(pair.columns[role]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(index, slice):
            return self._set.block(*index.indices(len(self))[:2])[self._role]
        some = np.atleast_1d(index)
        rows = self._set.some(some, self._role)
        return rows if np.ndim(index) else rows[0]

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("rows of a file that memory does not hold are taken in blocks")


class FileSet:
    """The profiles of one set of a dataset, in a file that stays open; see `dgex.models.linear.from_moments.Profiles`.

    The first time that all are gone through, what training remembers of them is taken along: digest, signatures and,
    of training profiles, landmark values of at most 24,000, spread evenly, for trust and for `dgex.explain`.

    Parameters
    ----------
    source : ExpressionFile
    rows : ndarray of int
        Positions of the profiles.
    columns : list of ndarray of int
        Positions of the landmark and of the target genes.
    training : bool
        They are learned from, and are to be known again.
    """

    def __init__(self, source: ExpressionFile, rows: np.ndarray, columns: list[np.ndarray], training: bool) -> None:
        self.source, self.rows, self.columns, self._training = source, rows, columns, training
        self._last: tuple[tuple[int, int], tuple[np.ndarray, np.ndarray]] | None = None
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._digest = ""
        self._signatures: dict[str, np.ndarray] = {}
        empty = [ad.AnnData(np.empty((0, len(part)), np.float32), var=source.var.iloc[part]) for part in columns]
        self.landmarks, self.targets = (role_matrix(m, role, role)[1] for m, role in zip(empty, ROLES))

    @property
    def X(self) -> np.ndarray:
        """Landmark values, as `FileRows`."""
        return cast(np.ndarray, FileRows(self, 0))

    @property
    def Y(self) -> np.ndarray:
        """Target values, as `FileRows`."""
        return cast(np.ndarray, FileRows(self, 1))

    def annotated(self) -> tuple[ad.AnnData, ad.AnnData]:
        """Names of the profiles and the genes, without values."""
        obs = self.source.obs.iloc[self.rows][[]]
        x, y = (ad.AnnData(obs=obs, var=self.source.var.iloc[part]) for part in self.columns)
        return x, y

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Landmark and target values of all profiles in order, in blocks; a block is overwritten by the next.

        Raises
        ------
        DataError
            NaN, infinity, or values so large that they cannot be squared.
        FileError
            The file is damaged.
        """
        if self._digest:
            yield from (pair for _, pair in self._blocks())
            return
        digests = [RowsDigest((len(self.rows), len(part))) for part in self.columns]
        known: list[dict[str, np.ndarray]] = []
        wanted = [self._wanted(), spread(len(self.rows))] if self._training else []
        kept = [(at, np.empty((len(at), len(part)), np.float32)) for at, part in zip(wanted, self.columns)]
        for where, pair in self._blocks():
            for digest, values in zip(digests, pair):
                digest.update(values)
            for (positions, found), values in zip(kept, pair):
                part = slice(*np.searchsorted(positions, [where.start, where.stop]))
                found[part] = values[positions[part] - where.start]
            if self._training:
                names = self.landmarks.index.tolist()
                known.append(signatures(self.source, self.rows[where], self.columns[0], names, pair[0]))
            yield pair
        self._kept = kept
        self._signatures = {name: np.concatenate([one[name] for one in known]) for name in known[0]} if known else {}
        self._digest = of_names(*((f"{role}s", one.hexdigest()) for role, one in zip(ROLES, digests)))

    def digest(self) -> str:
        """What `of_matrices` gives of landmarks and targets in memory; where nobody has gone through all, now."""
        self._pass()
        return self._digest

    def signatures(self) -> dict[str, np.ndarray]:
        """By which training profiles are known again."""
        self._pass()
        return self._signatures

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Landmark and target values of consecutive profiles; the last block is remembered, for the other role."""
        if self._last is None or self._last[0] != (start, stop):
            self._last = None
            block = self.source.read(samples=self.rows[start:stop])
            x, y = (np.take(block, columns, axis=1) for columns in self.columns)
            self._last = (start, stop), (x, y)
        return self._last[1]

    def some(self, index: np.ndarray, role: int) -> np.ndarray:
        """Landmark or target values of profiles at any positions: of those kept, else read."""
        if self._kept:
            positions, values = self._kept[role]
            at = np.searchsorted(positions, index)
            if (at < len(positions)).all() and (positions[at] == index).all():
                return np.asarray(values[at])
        return self.source.read(genes=self.columns[role], samples=self.rows[index])

    def _pass(self) -> None:
        if not self._digest:
            for _ in self.pairs():
                pass

    def _blocks(self) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
        x, y = (np.empty((min(BLOCK, len(self.rows)), len(part)), np.float32) for part in self.columns)
        held = 0
        for where, part in self.source.iter_blocks(READ, samples=self.rows):
            for values, columns in zip((x, y), self.columns):
                np.take(part, columns, axis=1, out=values[held : held + len(part)], mode="clip")
            held += len(part)
            if held == BLOCK or where.stop == len(self.rows):
                for values, role in zip((x, y), ROLES):
                    first = self.source.obs.index[self.rows[where.stop - held]]
                    dense(values[:held], f"{role} genes of the profiles from {first} on")
                yield slice(where.stop - held, where.stop), (x[:held], y[:held])
                held = 0

    def _wanted(self) -> np.ndarray:
        """Positions of the profiles whose landmark values are asked for once all were gone through."""
        n = len(self.rows)
        return np.unique(np.concatenate([spread(n, min(n, most)) for most in KEPT]))
