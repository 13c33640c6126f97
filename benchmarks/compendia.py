"""Time and memory of preparing GSE92743 and the paper's own files, on simulated values of their layout.

    python benchmarks/compendia.py gse92743 --profiles 4000
    python benchmarks/compendia.py original --profiles 4000

prints one line of JSON: seconds, peak memory above the start (MiB), the matrix alone (MiB).
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from dgex import io

GENES, LANDMARKS, PROBES = 12_320, 970, 22_268


def _write(path: Path, profiles: list[str], genes: list[str], linear: bool = False, seed: int = 0) -> None:
    """Correlated values of 60 factors, 4 to 15, or RPKM with many zeros; every fiftieth profile nearly repeats."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(9).normal(size=(60, len(genes))).astype(np.float32) * 0.25
    with io.create(path, pd.DataFrame(index=profiles), pd.DataFrame(index=genes)) as sink:
        for at in range(0, len(profiles), 512):
            n = min(512, len(profiles) - at)
            X = 8 + rng.normal(size=(n, 60)).astype(np.float32) @ loadings
            X += 0.3 * rng.standard_normal((n, len(genes)), dtype=np.float32)
            X[50::50] = X[49:-1:50] + np.float32(0.001)
            sink.append(np.maximum(2 ** (X - 6) - 2, 0) if linear else np.clip(X, 4, 15))


def gse92743(folder: Path, profiles: int) -> None:
    genes = [str(10 * i) for i in range(1, GENES + 1)]  # consecutive numbers would be taken for those of rows
    samples = [f"GTEX-{i // 4:04d}-{i % 4}-SM" for i in range(max(100, profiles // 31))]
    _write(
        folder / "GSE92743_Broad_Affymetrix_training_Level3_Q2NORM_n.gctx", [f"G{i}" for i in range(profiles)], genes
    )
    _write(folder / "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm_n.gctx", samples, genes, seed=1)
    _write(folder / "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM_n.gctx", samples, genes, seed=2)
    info = {
        "pr_gene_id": genes,
        "pr_gene_symbol": [f"S{i}" for i in genes],
        "pr_is_lm": [int(at < LANDMARKS) for at in range(GENES)],
    }
    pd.DataFrame(info).to_csv(folder / "GSE92743_Broad_GTEx_gene_info.txt", sep="\t", index=False)
    pd.DataFrame({"inst_id": samples}).to_csv(folder / "GSE92743_Broad_GTEx_inst_info.txt", sep="\t", index=False)


def original(folder: Path, profiles: int) -> None:
    probes, ensembl = [f"{i}_at" for i in range(PROBES)], [f"ENSG{i:011d}" for i in range(20_000)]
    _write(folder / "bgedv2_QNORM.gctx", [f"G{i}" for i in range(profiles)], probes)
    samples = [f"GTEX-{i:04d}" for i in range(max(100, profiles // 44))]
    _write(folder / "GTEx_RNASeq_RPKM_n.gctx", samples, [f"{e}.3" for e in ensembl], linear=True, seed=1)
    with tempfile.TemporaryDirectory() as other:
        _write(Path(other) / "x.gctx", [f"HG{i}" for i in range(max(50, profiles // 280))], ensembl, True, 2)
        values = io.read(Path(other) / "x.gctx").to_df().T.round(4)
    values.insert(0, "Gene_Symbol", values.index)
    values.insert(1, "Chr", "1")
    values.insert(2, "Coord", 1000)
    values.rename_axis("TargetID").to_csv(folder / "GD462.txt", sep="\t")
    for name, chosen in (("map_lm.txt", range(943)), ("map_tg.txt", range(943, 943 + 9520))):
        lines = [f"S{i}\t{ensembl[i]}\t{probes[i]},{probes[i + 11000]}\n" for i in chosen]
        (folder / name).write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=["gse92743", "original"])
    parser.add_argument("--profiles", type=int, default=4000)
    arguments = parser.parse_args()
    from dgex.datasets.public.gse92743 import prepare_gse92743
    from dgex.datasets.public.original import prepare_original

    make, prepare = {"gse92743": (gse92743, prepare_gse92743), "original": (original, prepare_original)}[arguments.data]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").mkdir()
        make(folder / "raw", arguments.profiles)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        prepare(folder / "raw", folder / "data.h5ad")
        seconds = time.perf_counter() - began
        with io.open(folder / "data.h5ad") as data:
            shape = data.shape
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = {"data": arguments.data, "profiles": arguments.profiles, "dataset": shape, "seconds": round(seconds, 1)}
    print(
        json.dumps(found | {"peak_mib_above_start": round(peak), "matrix_mib": round(shape[0] * shape[1] * 4 / 2**20)})
    )


if __name__ == "__main__":
    main()
