"""Profiles to infer from: a file, an AnnData or a DataFrame, turned so that its genes are the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.aliases import PathLike
from dgex.errors import DataError
from dgex.genes import match_genes
from dgex.io.base import ExpressionFile, Turned
from dgex.models.base import Estimator
from dgex.models.folder import is_model
from dgex.progress import note

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["in_order", "opened"]


def in_order(source: Any, model: Any) -> tuple[Any, Any]:
    """What profiles are inferred from, then the model, whichever was given first; the other way round is said."""
    if not is_model(source) or is_model(model):
        return source, model
    note("the model was named before the input; taken for what they are")
    return model, source


def opened(
    source: PathLike | AnnData | pd.DataFrame | Sequence[PathLike],
    model: Estimator,
    *,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
) -> ExpressionFile:
    """Open what profiles are inferred from; the model's genes say which way it is turned, unless told.

    Raises
    ------
    DataError, FileError
        As for `dgex.open`; a DataFrame with something else than numbers.
    """
    given = _annotated(source) if isinstance(source, pd.DataFrame) else source
    genes = model.landmark_genes()
    data = io.open(given, orientation=orientation, format=format, layer=layer, genes=genes, allow_repeats=True)
    if orientation != "auto":
        return data
    found = int(match_genes(genes, data.var).found.sum())
    if found == len(genes):  # profiles may be millions
        return data
    profiles = int(match_genes(genes, data.obs).found.sum())
    if profiles <= found:
        return data
    note(f"{data.name} is turned: its rows, not its columns, are genes of the model ({profiles:,} landmark genes)")
    return Turned(data)


def _annotated(frame: pd.DataFrame) -> AnnData:
    from anndata import AnnData

    try:
        values = frame.to_numpy(dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"the DataFrame cannot be read as numbers ({error})", accepted="profiles x genes") from None
    names = [pd.DataFrame(index=pd.Index([str(name) for name in part], dtype=object)) for part in frame.axes]
    # AnnData warns of names that repeat; they are collapsed
    data = AnnData(values, obs=names[0], var=pd.DataFrame(index=[str(n) for n in range(values.shape[1])]))
    data.var.index = names[1].index
    return data
