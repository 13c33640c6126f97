"""GSE92743 in small: files of the exact names and layout of the public ones."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from dgex import io

ARRAYS = "GSE92743_Broad_Affymetrix_training_Level3_Q2NORM_n100000x12320.gctx"
RNASEQ = "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm_n3176x12320.gctx"
L1000 = "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM_n3176x12320.gctx"
LANDMARKS, TARGETS = [str(100 + i) for i in range(8)], [str(900 + i) for i in range(12)]
GENES = [*TARGETS[:5], *LANDMARKS, *TARGETS[5:]]
DONORS = {f"GTEX-{1000 + d}{'AB'[d % 2]}": 1 + d % 3 for d in range(15)}  # donors with one to three samples
SAMPLES = [f"{donor}-{100 * (s + 1)}-SM-{i}" for i, (donor, n) in enumerate(DONORS.items()) for s in range(n)]


def values(profiles: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = 9 + 2 * rng.normal(size=(profiles, len(GENES)))
    X[:, :5] = X[:, 5:10] * 0.5 + 4
    return np.clip(X + 0.3 * rng.normal(size=X.shape), 4, 15).astype(np.float32)


def matrix(path: Path, X: np.ndarray, ids: list[str], seed: int | None = None, genes: list[str] = GENES) -> None:
    """Write a GCTX; with a seed, profiles and genes in another order."""
    rows, columns = np.arange(len(ids)), np.arange(len(genes))
    if seed is not None:
        rows, columns = (np.random.default_rng(seed).permutation(index) for index in (rows, columns))
    obs, var = (pd.DataFrame(index=np.array(names)[index]) for names, index in ((ids, rows), (genes, columns)))
    io.write(ad.AnnData(X[np.ix_(rows, columns)], obs=obs, var=var), path)


def raw_files(folder: Path, seed: int | None = None, **inst_info: list[str]) -> Path:
    folder.mkdir()
    arrays = values(200, 0)
    arrays[7] = arrays[3] + 0.01  # a near-duplicate
    matrix(folder / ARRAYS, arrays, [f"GSM{i}" for i in range(200)])
    matrix(folder / RNASEQ, values(len(SAMPLES), 1), SAMPLES, seed)
    matrix(folder / L1000, values(len(SAMPLES), 2), SAMPLES, None if seed is None else seed + 1)
    info = {"pr_gene_id": GENES, "pr_gene_symbol": [f"G{i}" for i in GENES], "pr_gene_title": ["a gene"] * len(GENES)}
    info |= {"pr_is_lm": [int(g in LANDMARKS) for g in GENES], "pr_is_bing": [int(g != TARGETS[0]) for g in GENES]}
    pd.DataFrame(info).to_csv(folder / "GSE92743_Broad_GTEx_gene_info.txt", sep="\t", index=False)
    samples = pd.DataFrame({"inst_id": SAMPLES, **inst_info, "pert_type": "none"})
    samples.to_csv(folder / "GSE92743_Broad_GTEx_inst_info.txt", sep="\t", index=False)
    return folder
