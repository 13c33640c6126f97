"""Small valid inputs of every kind, made by dgex itself: what the mutations start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from anndata import AnnData
from scipy.sparse import csc_matrix, csr_matrix

import dgex
from dgex import io

__all__ = ["make"]

_SETTINGS = {"ols": {}, "ridge": {"alpha": 0.1}, "knn": {"n_neighbors": 3}, "knn-ge": {"n_neighbors": 2}}
_NETWORK = {"hidden": (4,), "epochs": 1, "batch_size": 16, "device": "cpu"}


def make(folder: Path) -> None:
    """Fill `folder` with a folder of seeds for each kind."""
    raw = dgex.simulate(samples=60, landmarks=5, targets=7, programmes=2, tissues=2, studies=3, seed=1)
    assert raw is not None
    dataset = dgex.prepare(raw.copy(), seed=0)
    for kind, write in _WRITERS.items():
        (folder / kind).mkdir(parents=True)
        write(folder / kind, raw, dataset)


def _small(raw: AnnData) -> AnnData:
    """Nine profiles with metadata of every type, gaps included."""
    small = raw[:9].copy()
    small.obs["dose"] = [0.5, np.nan, 2, 3, 4, 5, 1e-7, 8, 9]
    small.obs["well"] = [f"00{i}" for i in range(9)]
    small.obs["note"] = ["x y", None, "ü", "-1", "z", "q", "r", "s", "t"]
    small.obs["kept"] = [True, False, True] * 3
    small.var["entrez"] = np.arange(small.n_vars) + 5000
    return small


def _gct(folder: Path, raw: AnnData, _: AnnData) -> None:
    small = _small(raw)
    io.write(small, folder / "new.gct", version="1.3")
    io.write(small, folder / "old.gct", version="1.2")
    io.write(small, folder / "packed.gct.gz")


def _gctx(folder: Path, raw: AnnData, _: AnnData) -> None:
    small = _small(raw)
    io.write(small, folder / "plain.gctx")
    io.write(small, folder / "packed.gctx", compression="gzip", chunks=(4, 5))


def _text(folder: Path, raw: AnnData, _: AnnData) -> None:
    small = _small(raw)
    io.write(small, folder / "rows.csv")
    io.write(small, folder / "columns.tsv", genes_in="columns")
    io.write(small, folder / "packed.csv.gz", genes_in="columns")
    io.write(small, folder / "packed.txt.gz")


def _parquet(folder: Path, raw: AnnData, _: AnnData) -> None:
    small = _small(raw)
    io.write(small, folder / "wide.parquet", layout="wide")
    io.write(small, folder / "compact.parquet", layout="compact", compression="none")
    values = pd.DataFrame(small.X, index=small.obs_names, columns=small.var_names)
    pq.write_table(pa.Table.from_pandas(values), folder / "pandas.parquet")
    pq.write_table(pa.Table.from_pandas(values.T.reset_index(names="gene"), preserve_index=False), folder / "rows.pq")


def _h5ad(folder: Path, raw: AnnData, dataset: AnnData) -> None:
    small = _small(raw)
    small.layers["counts"] = np.ones(small.shape, np.float32)
    small.obsm["place"] = np.zeros((small.n_obs, 2))
    io.write(small, folder / "dense.h5ad")
    io.write(dataset[:12].copy(), folder / "dataset.h5ad", compression="gzip", chunks=(5, 4))
    for name, kind in (("csr", csr_matrix), ("csc", csc_matrix)):
        AnnData(kind(small.X), obs=small.obs[["well"]], var=small.var[["role"]]).write_h5ad(folder / f"{name}.h5ad")


def _zarr(folder: Path, raw: AnnData, dataset: AnnData) -> None:
    io.write(_small(raw), folder / "plain.zarr", chunks=(4, 5))
    io.write(dataset[:12].copy(), folder / "dataset.zarr")
    AnnData(csr_matrix(raw[:9].X), obs=raw.obs[:9][[]], var=raw.var[["role"]]).write_zarr(folder / "csr.zarr")


def _genes(folder: Path, raw: AnnData, _: AnnData) -> None:
    names, roles = raw.var_names, raw.var["role"]
    entrez = [str(5000 + i) for i in range(len(names))]
    table = pd.DataFrame({"gene": names, "role": roles.to_numpy(), "entrez": entrez, "probes": "200814_at,218597_s_at"})
    table.to_csv(folder / "roles.tsv", sep="\t", index=False)
    table.to_csv(folder / "roles.tsv.gz", sep="\t", index=False)
    info = {"pr_gene_id": entrez, "pr_gene_symbol": names, "pr_is_lm": [int(role == "landmark") for role in roles]}
    pd.DataFrame(info | {"pr_is_bing": 1}).to_csv(folder / "info.txt", sep="\t", index=False)
    pair = folder / "pair"
    pair.mkdir()
    for name, role in (("map_lm.txt", "landmark"), ("map_tg.txt", "target")):
        rows = [f"{gene}\tENSG{i:011d}\t{i}_at\n" for i, gene in enumerate(names) if roles.iloc[i] == role]
        (pair / name).write_text("".join(rows))


def _toml(folder: Path, *_: AnnData) -> None:
    (folder / "network.toml").write_text(
        'hidden = [30, 20]\ndropout = 0.1\nepochs = 2\nlearning-rate = 5e-4\ndevice = "cpu"\nshard = false\n'
    )
    (folder / "tables.toml").write_text("[ridge]\nalpha = 0.5\n\n[knn]\nn_neighbors = 5\n\n[dgex]\nhidden = [3]\n")


def _model(folder: Path, raw: AnnData, dataset: AnnData) -> None:
    for kind, settings in _SETTINGS.items():
        dgex.train(dataset, kind, folder / kind, **settings)
    dgex.train(dataset, "dgex", folder / "dgex", keep_checkpoint=False, **_NETWORK)
    io.write(raw[:4, raw.var["role"] == "landmark"].copy(), folder / "panel.gct")


def _panel(folder: Path, raw: AnnData, _: AnnData) -> None:
    panel = _small(raw)[:, raw.var["role"] == "landmark"].copy()
    for suffix in ("gct", "gctx", "csv", "h5ad", "parquet"):
        io.write(panel, folder / f"panel.{suffix}")


_WRITERS = {
    "gct": _gct,
    "gctx": _gctx,
    "text": _text,
    "parquet": _parquet,
    "h5ad": _h5ad,
    "zarr": _zarr,
    "genes": _genes,
    "toml": _toml,
    "model": _model,
    "panel": _panel,
}
