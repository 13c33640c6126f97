"""What a file holds, found out in one pass: for people (`dgex info`) and for choosing a scale."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex import progress
from dgex.aliases import PathLike
from dgex.dataset.metadata import columns_of
from dgex.dataset.range import Range, looked_at
from dgex.dataset.scale import decide_scale
from dgex.genes import id_type
from dgex.io.base import ExpressionFile
from dgex.io.files import open
from dgex.remote.places import located

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["describe", "described"]

_VALUES = 8 << 20  # values held at a time


def describe(
    path: PathLike | AnnData,
    *,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    block: int = 1024,
) -> dict[str, Any]:
    """Describe an expression file, or an AnnData in memory; reads it once, in blocks.

    Parameters
    ----------
    path, orientation, format, layer
        As for `dgex.io.open`.
    block : int
        Profiles held at a time; fewer where they have many genes.

    Returns
    -------
    dict
        `path`, `format`, `notes` (of the reader), `samples`, `genes`, `gene_ids` (their kind), `first_genes`,
        `first_samples`, `gene_metadata` and `sample_metadata` (column to its type, levels with their counts or range,
        and how many values are missing; see `dgex.dataset.metadata.columns_of`), `roles` and `splits` (counts, where
        the file is a dataset), `minimum`, `maximum`, `mean` (of finite values), `missing`, `infinite` (counts),
        `zeros` (share), `scale` (`"log2"`, `"ln"`, `"log10"`, `"linear"` or `"standardized"`), `unit`, `scale_by`
        (what says so) and `scale_doubt`, by the one rule of `decide_scale`, and `record` (`uns["dgex"]`).

    Raises
    ------
    FileError, DataError
        As for `dgex.io.open`; values that are missing or infinite are counted, not refused.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate("c.gctx", samples=50, landmarks=5, targets=10)
    >>> about = dgex.describe("c.gctx")
    >>> about["format"], about["samples"], about["genes"], about["scale"]
    ('GCTX', 50, 15, 'log2')
    """
    reading: dict[str, Any] = {"orientation": orientation, "format": format, "layer": layer}
    with open(path, **reading, allow_missing=True, allow_repeats=True) as source:
        return described(source, path, block)


def described(source: ExpressionFile, path: PathLike | AnnData, block: int = 1024) -> dict[str, Any]:
    """Describe a file that is open, for missing values too; see `describe`."""
    low, high, total, finite, missing, zeros = np.inf, -np.inf, 0.0, 0, 0, 0
    found = Range() if looked_at(source.shape) == [slice(0, source.shape[0])] else None  # then nothing is read twice
    with progress.bar(source.shape[0], "reading") as bar:
        for at, values in source.iter_blocks(max(1, min(block, _VALUES // max(1, source.shape[1])))):
            if found is not None:
                found.add(values, at.start)
            good = np.isfinite(values)
            count = int(good.sum())
            if count < values.size:
                missing += int(np.isnan(values).sum())
                low, high = _range(values[good], low, high)
                total += float(values.sum(dtype=np.float64, where=good))
            else:
                low, high = _range(values, low, high)
                total += float(values.sum(dtype=np.float64))
            finite += count
            zeros += int((values == 0).sum())
            bar.advance(len(values))
    size = source.shape[0] * source.shape[1]
    scale = decide_scale(source, seen=found) if finite else None
    return {
        "path": str(located(path) if isinstance(path, str | os.PathLike) else source.path),
        "format": source.format,
        "notes": {key: value for key, value in source.notes.items() if key != "format"},
        "samples": source.shape[0],
        "genes": source.shape[1],
        "gene_ids": id_type(source.var.index),
        "first_genes": source.var.index[:5].tolist(),
        "first_samples": source.obs.index[:5].tolist(),
        "gene_metadata": columns_of(source.var),
        "sample_metadata": columns_of(source.obs),
        "roles": _counts(source.var, "role"),
        "splits": _counts(source.obs, "split"),
        "minimum": low if finite else None,
        "maximum": high if finite else None,
        "mean": total / finite if finite else None,
        "missing": missing,
        "infinite": size - finite - missing,
        "zeros": zeros / size,
        "scale": None if scale is None else "linear" if scale.linear else scale.kind,
        "unit": None if scale is None else scale.unit,
        "scale_by": None if scale is None else scale.why,
        "scale_doubt": None if scale is None else scale.doubt or None,
        "record": source.uns.get("dgex"),
    }


def _range(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    if not values.size:
        return low, high
    return min(low, float(values.min())), max(high, float(values.max()))


def _counts(table: Any, column: str) -> dict[str, int] | None:
    if column not in table.columns:
        return None
    return {str(name): int(count) for name, count in table[column].value_counts().items() if count}
