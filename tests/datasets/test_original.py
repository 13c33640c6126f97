"""The paper's private files in small, against its preprocessing in plain float64."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata

from dgex import io
from dgex.datasets.original import prepare_original
from dgex.errors import FileError

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
        means = [self.arrays.loc[kept, p].to_numpy(np.float64).mean(1) for p in probes]
        X = np.column_stack(means).astype(np.float32).astype(np.float64)  # as held: rounding can make two values tie
        reference = np.sort(X, axis=1).mean(0)
        sets = {"compendium": np.stack([reference[np.floor(rankdata(x) - 1).astype(int)] for x in X])}
        for name, table in (("GTEx-te", self.gtex), ("1000G-va", self.geuvadis)):
            columns = [column.split(".")[0] for column in table.columns]
            Y = table.to_numpy(np.float32)[:, [columns.index(row[1]) for row in genes]]
            ranks = [np.unique(y, return_inverse=True)[1] + 1 for y in Y]
            sets[name] = np.stack([reference[rank * len(genes) // rank.max() - 1] for rank in ranks])
        return {name: (Z - Z.mean(0)) / (Z.std(0) + 1e-3) for name, Z in sets.items()}


def check(world: World, data: ad.AnnData, kept: list[str]) -> None:
    symbols = [row[0] for rows in world.maps for row in rows]
    assert data.var["symbol"].tolist() == symbols
    assert (data.var["role"] == "landmark").sum() == len(world.maps[0])
    for name, expected in world.expected(kept).items():
        rows = (data.obs["set"] == name).to_numpy()
        # values of float32: of the reference up to 1e-6, over divisors of 1e-3 and more where a gene hardly varies
        divisor = data.varm["std"][name].to_numpy()
        assert_allclose(data.X[rows] * divisor, expected * divisor, atol=2e-5)
    assert data.obs_names[(data.obs["set"] == "compendium").to_numpy()].tolist() == kept


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


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return simulated(tmp_path_factory.mktemp("original") / "raw")


def test_equals_the_published_steps_in_float64(world, tmp_path):
    platforms = prepare_original(world.folder, tmp_path / "data.h5ad")
    data = io.read(tmp_path / "data.h5ad")
    check(world, data, [name for name in world.arrays.index if name != "GSM17"])
    sizes = data.obs["split"].value_counts().to_dict()
    assert sizes == {"train": 175, "validation": 22, "test": 22, "GTEx-te": 40, "1000G-va": 30}
    geo, gtex = platforms
    assert (geo.name, geo.validation, geo.test, geo.published) == ("GEO", "validation", "test", "GEO-te")
    assert (gtex.name, gtex.validation, gtex.test, gtex.published) == ("GTEx", "1000G-va", "GTEx-te", "GTEx-te")


def test_a_compressed_table_and_other_sizes_in_names_are_accepted(world, tmp_path):
    prepare_original(world.folder, tmp_path / "one.h5ad")
    renamed = {
        "arrays": "bgedv2_QNORM_n220.gctx",
        "gtex": "GTEx_RNASeq_RPKM_n40x70.gctx",
        "lm": "map_lm.txt",
        "tg": "map_tg.txt",
    }
    sources = ["bgedv2_QNORM.gctx", GTEX, "map_lm.txt", "map_tg.txt"]
    for source, name in zip(sources, renamed.values()):
        (tmp_path / name).symlink_to(world.folder / source)
    packed = tmp_path / f"{GD462}.gz"
    packed.write_bytes(gzip.compress((world.folder / GD462).read_bytes()))
    files = {key: tmp_path / name for key, name in renamed.items()} | {"1000g": packed}
    prepare_original(files, tmp_path / "two.h5ad")
    one, two = io.read(tmp_path / "one.h5ad"), io.read(tmp_path / "two.h5ad")
    assert_array_equal(one.X, two.X)
    assert one.obs_names.tolist() == two.obs_names.tolist()


def test_missing_files_are_listed(world, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "map_lm.txt").symlink_to(world.folder / "map_lm.txt")
    with pytest.raises(FileError, match=r"lacks 4 of 5 files: bgedv2_QNORM.*GTEx_RNASeq.*GD462.*map_tg.*found map_lm"):
        prepare_original(tmp_path / "raw", tmp_path / "data.h5ad")
    assert not (tmp_path / "data.h5ad").exists()


@pytest.mark.real
def test_real_arrays_and_rna_seq(real_data, tmp_path):
    """CMap's normalised arrays with three Affymetrix studies, GTEx and TCGA by Ensembl id, the paper's genes."""
    maps = [
        [tuple(line.split("\t")) for line in (real_data / name).read_text().splitlines()]
        for name in ("map_lm.txt", "map_tg.txt")
    ]
    arrays = [io.read(path) for path in sorted((real_data / "affy").glob("*.gctx"))]
    arrays.append(io.read(real_data / "cmap" / "qnorm_n27x22268.gctx"))
    frames = [pd.DataFrame(a.X, index=a.obs_names.astype(str), columns=a.var_names.astype(str)) for a in arrays]
    compendium = pd.concat(frames, join="inner")
    assert compendium.shape[1] >= 22_268
    rng = np.random.default_rng(0)
    symbols = {symbol: ensembl for rows in maps for symbol, ensembl, _ in rows}
    ensembl = [e for rows in maps for _, e, _ in rows]
    sequenced = []
    for pattern in ("*-gtex.txt.gz", "*-tcga.txt.gz"):
        tables = [io.read(path) for path in sorted((real_data / "rnaseqdb").glob(pattern))]
        parts = [pd.DataFrame(t.X, index=t.obs_names.astype(str), columns=t.var_names.astype(str)) for t in tables]
        table = pd.concat([part.loc[:, ~part.columns.duplicated()] for part in parts], join="inner")
        table = table.loc[:, table.columns.isin(symbols)].rename(columns=symbols)
        table = table.loc[:, ~table.columns.duplicated()]
        absent = sorted(set(ensembl) - set(table.columns))  # genes that the source calls otherwise: of low expression
        low = pd.DataFrame(rng.exponential(0.1, (len(table), len(absent))), index=table.index, columns=absent)
        table = pd.concat([table, low], axis=1)
        table.columns = [f"{e}.{1 + i % 14}" for i, e in enumerate(table.columns)]
        sequenced.append(table.astype(np.float32))
    world = World(tmp_path / "raw", compendium, *sequenced, maps)
    prepare_original(world.folder, tmp_path / "data.h5ad")
    data = io.read(tmp_path / "data.h5ad")
    assert (data.var["role"] == "landmark").sum() == 943
    assert (data.var["role"] == "target").sum() == 9520
    dropped = set(data.uns["dgex"]["duplicates"]["dropped_samples"])
    check(world, data, [name for name in compendium.index if name not in dropped])
