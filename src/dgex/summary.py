"""What a file or a model folder holds, in words: the library side of `dgex info`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dgex.errors import first
from dgex.genes import align

__all__ = ["lines", "summary"]


def summary(
    path: str | os.PathLike[str],
    *,
    genes: Sequence[str | os.PathLike[str]] | None = None,
    model: str | os.PathLike[str] | None = None,
    orientation: str = "auto",
) -> dict[str, Any]:
    """Describe a matrix, a dataset or a model folder.

    Parameters
    ----------
    path : path
        What to describe; a matrix is read once, in blocks.
    genes : paths, optional
        Gene table whose landmark genes are looked up in the matrix.
    model : path, optional
        Model folder whose landmark genes are looked up in the matrix.
    orientation : str
        Where a text table has its genes, see `dgex.open`.

    Returns
    -------
    dict
        Plain values and nested dicts, fit for JSON.
    """
    folder = Path(path)
    if (folder / "model.json").is_file():
        return _model(folder)
    from dgex import io

    found = io.describe(path, orientation=orientation)
    if genes:
        from dgex.gene_table import read_gene_table

        table = read_gene_table(list(genes))
        found["landmarks in the gene table"] = _found(table.frame[table.frame["role"] == "landmark"], path, orientation)
        found["targets in the gene table"] = _found(table.frame[table.frame["role"] == "target"], path, orientation)
    if model is not None:
        from dgex.models.folder import load

        found["landmarks of the model"] = _found(load(model).landmark_genes(), path, orientation)
    return found


def _found(wanted: Any, path: str | os.PathLike[str], orientation: str) -> str:
    from dgex import io

    with io.open(path, orientation=orientation) as source:
        if "probes" in wanted:
            alignment = _by_probe(wanted, source.var)
        else:
            alignment = align(wanted, source.var)
    text = f"{alignment.found:,} of {len(wanted):,} (by {alignment.matched_by})"
    return text + (f"; missing {first(alignment.missing)}" if alignment.missing else "")


def _by_probe(wanted: Any, var: Any) -> Any:
    """Match by gene identifiers or, where that finds more, by the probes of each gene."""
    alignment = align(wanted, var)
    probes = set(var.index.astype(str))
    have = wanted["probes"].map(lambda ids: not probes.isdisjoint(ids)).to_numpy()
    if have.sum() <= alignment.found:
        return alignment
    from dgex.genes import Alignment

    missing = wanted.index[~have].astype(str).tolist()
    return Alignment(have.astype("int64") - 1, missing, "probes -> names")


def _model(folder: Path) -> dict[str, Any]:
    from dgex.models.folder import load

    model = load(folder)
    normalization = model.normalization_
    return {
        "model": model.kind,
        "landmark genes": f"{model.n_features_in_:,} ({first(model.landmarks_, 3)})",
        "target genes": f"{model.n_targets_:,} ({first(model.targets_, 3)})",
        "settings": model.get_params(deep=False),
        "trained on": model.metrics_.get("data", {}),
        "overall error": {name: f"{v['overall']:.4f} ± {v['sd']:.4f}" for name, v in model.metrics_["sets"].items()}
        if model.metrics_.get("sets")
        else "not measured",
        "normalisation": {k: v for k, v in normalization.state().items() if not isinstance(v, list | dict)}
        if normalization is not None
        else "none",
        "fingerprint of the training data": model.fingerprint_,
    }


def lines(found: dict[str, Any], indent: int = 0) -> list[str]:
    """Lay a summary out as text, one value a line, nested values indented; what is not known is left out."""
    known = {str(key): value for key, value in found.items() if value is not None and not _empty(value)}
    width = max((len(key) for key, value in known.items() if not isinstance(value, dict)), default=0)
    text = []
    for key, value in known.items():
        name = key if indent else key.replace("_", " ")
        if isinstance(value, dict):
            text += [f"{' ' * indent}{name}", *lines(value, indent + 2)]
        else:
            text.append(f"{' ' * indent}{name.ljust(width)}  {_shown(value)}")
    return text


def _empty(value: Any) -> bool:
    return isinstance(value, str) and not value


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} values, {' x '.join(f'{n:,}' for n in value.shape)}"
    if isinstance(value, list | tuple):
        return first(value, 6)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
