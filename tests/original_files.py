"""The paper's private files in small: the layout that its authors share, made up or of public matrices."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dgex import io

GTEX, GD462 = "GTEx_RNASeq_RPKM_n2921x55993.gctx", "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt"


class World:
    """Files of the layout that the authors share, and what is in them."""

    def __init__(self, folder: Path, arrays: pd.DataFrame, gtex: pd.DataFrame, geuvadis: pd.DataFrame, maps) -> None:
        """Profiles x probes, and profiles x Ensembl ids with versions; maps are (symbol, Ensembl id, probes)."""
        self.arrays, self.gtex, self.geuvadis, self.maps = arrays, gtex, geuvadis, maps
        folder.mkdir()
        for name, table in (("bgedv2_QNORM.gctx", arrays), (GTEX, gtex)):
            obs, var = pd.DataFrame(index=table.index), pd.DataFrame(index=table.columns)
            io.write(ad.AnnData(table.to_numpy(np.float32), obs=obs, var=var), folder / name)
        text = geuvadis.T.rename_axis("TargetID").reset_index()
        text.insert(1, "Gene_Symbol", text["TargetID"])
        text.insert(2, "Chr", [str(1 + i % 22) for i in range(len(text))])
        text.insert(3, "Coord", np.arange(len(text)) * 1000 + 11869)
        text.to_csv(folder / GD462, sep="\t", index=False)
        for name, rows in zip(("map_lm.txt", "map_tg.txt"), maps):
            (folder / name).write_text("".join("\t".join(row) + "\n" for row in rows))
        self.folder = folder

    def expected(self, kept: list[str]) -> dict[str, np.ndarray]:
        """Every set, standardised, profiles x genes, by the paper's text and the rules of its scripts."""
        genes = [row for rows in self.maps for row in rows]
        probes = [row[2].split(",") for row in genes]
        values, place = self.arrays.loc[kept].to_numpy(np.float64), {p: i for i, p in enumerate(self.arrays.columns)}
        means = [values[:, [place[p] for p in some]].mean(1) for some in probes]
        X = np.column_stack(means).astype(np.float32).astype(np.float64)  # as held: rounding can make two values tie
        reference = np.sort(X, axis=1).mean(0)
        sets = {"compendium": np.stack([reference[np.floor(rankdata(x) - 1).astype(int)] for x in X])}
        for name, table in (("GTEx-te", self.gtex), ("1000G-va", self.geuvadis)):
            place = {column.split(".")[0]: i for i, column in enumerate(table.columns)}
            Y = table.to_numpy(np.float32)[:, [place[row[1]] for row in genes]]
            ranks = [np.unique(y, return_inverse=True)[1] + 1 for y in Y]
            sets[name] = np.stack([reference[rank * len(genes) // rank.max() - 1] for rank in ranks])
        return {name: (Z - Z.mean(0)) / (Z.std(0) + 1e-3) for name, Z in sets.items()}


def simulated(folder: Path) -> World:
    rng = np.random.default_rng(0)
    ensembl = [f"ENSG{i:011d}" for i in range(70)]
    landmarks = [(f"LM{i}", ensembl[i], f"{2000 + i}_at") for i in range(20)]
    targets = [(f"TG{i}", ensembl[i], f"{3000 + i}_at,{3000 + i}_s_at") for i in range(20, 60)]
    # further probes of two landmark genes, which the paper keeps
    targets += [(landmarks[i][0], ensembl[i], f"{4000 + i}_x_at") for i in (3, 7)]
    probes = [p for row in [*landmarks, *targets] for p in row[2].split(",")] + [f"{5000 + i}_at" for i in range(30)]
    arrays = rng.uniform(4, 15, (220, len(probes)))
    arrays[17] = arrays[5] + 0.01
    arrays[40, : len(probes) - 30] = arrays[6, : len(probes) - 30]  # alike but for the probes of no gene: no duplicate
    sequenced = [
        pd.DataFrame(
            np.maximum(rng.lognormal(1, 2, (n, 70)).round(2) - 1, 0),
            index=names,
            columns=[f"{e}.{1 + i % 9}" for i, e in enumerate(rng.permutation(ensembl))],
        )
        for n, names in ((40, [f"GTEX-{i:04d}-SM" for i in range(40)]), (30, [f"HG{i:05d}" for i in range(30)]))
    ]
    order = rng.permutation(len(probes))
    frame = pd.DataFrame(arrays[:, order], index=[f"GSM{i}" for i in range(220)], columns=np.array(probes)[order])
    return World(folder, frame.astype(np.float32), *sequenced, (landmarks, targets))


def of_real_data(folder: Path, real_data: Path) -> World:
    """CMap's normalised arrays with three Affymetrix studies, GTEx and TCGA by Ensembl id, the paper's genes.

    Every gene and every file, of each the first profiles: what can go wrong is in the genes.
    """
    maps = [
        [tuple(line.split("\t")) for line in (real_data / name).read_text().splitlines()]
        for name in ("map_lm.txt", "map_tg.txt")
    ]
    arrays = [io.read(path) for path in sorted((real_data / "affy").glob("*.gctx"))]
    arrays.append(io.read(real_data / "cmap" / "qnorm_n27x22268.gctx"))
    frames = [a[:20].to_df() for a in arrays]
    compendium = pd.concat(frames, join="inner")
    assert compendium.shape[1] >= 22_268
    rng = np.random.default_rng(0)
    symbols = {symbol: ensembl for rows in maps for symbol, ensembl, _ in rows}
    ensembl = [e for rows in maps for _, e, _ in rows]
    sequenced = []
    for pattern in ("*-gtex.txt.gz", "*-tcga.txt.gz"):
        tables = [io.read(path) for path in sorted((real_data / "rnaseqdb").glob(pattern))]
        parts = [t[:8].to_df() for t in tables]
        table = pd.concat([part.loc[:, ~part.columns.duplicated()] for part in parts], join="inner")
        table = table.loc[:, table.columns.isin(symbols)].rename(columns=symbols)
        table = table.loc[:, ~table.columns.duplicated()]
        absent = sorted(set(ensembl) - set(table.columns))  # genes that the source calls otherwise: of low expression
        low = pd.DataFrame(rng.exponential(0.1, (len(table), len(absent))), index=table.index, columns=absent)
        table = pd.concat([table, low], axis=1)
        table.columns = [f"{e}.{1 + i % 14}" for i, e in enumerate(table.columns)]
        sequenced.append(table.astype(np.float32))
    return World(folder, compendium, *sequenced, maps)
