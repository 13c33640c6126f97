"""The dataset in the making becomes a dataset: in memory, and in a file."""

from __future__ import annotations

from typing import Any

from anndata import AnnData

from dgex import io
from dgex.aliases import PathLike
from dgex.arrays.rowfile import RowFile
from dgex.prepare.preparation import Preparation
from dgex.prepare.steps import finished
from dgex.progress import bar, note

__all__ = ["written"]


def written(work: Preparation, output: PathLike | None, overwrite: bool) -> AnnData:
    """Finish a dataset, and write it where an output is given.

    Returns
    -------
    AnnData
        In memory where the matrix is; else with an `X` that lies in the output.
    """
    X, uns = work.X, {"dgex": work.record}
    if isinstance(X, RowFile):
        assert output is not None  # what is to stay in memory is gathered there
        with (
            io.create(output, work.obs, work.var, uns=uns, varm=work.varm, overwrite=overwrite) as file,
            bar(len(X), "writing") as progress,
        ):
            for block in finished(work):
                file.append(block)
                progress.advance(len(block))
        adata = _backed(output)
        adata.uns = uns
    else:
        for _ in finished(work):
            pass
        adata = AnnData(X=X, obs=work.obs, var=work.var, varm=work.varm, uns=uns)
        if output is not None:
            io.write(adata, output, overwrite=overwrite)
    if output is not None:
        note(f"wrote {output}: {adata.n_obs:,} profiles x {adata.n_vars:,} genes")
    return adata


def _backed(path: PathLike) -> AnnData:
    """A dataset with an `X` that stays on disk."""
    import anndata

    if str(path).endswith(".h5ad"):
        return anndata.read_h5ad(path, backed="r")
    import zarr

    with io.open(path) as file:
        X: Any = zarr.open_group(str(path), mode="r")["X"]
        return AnnData(X=X, obs=file.obs, var=file.var, varm=file.varm)
