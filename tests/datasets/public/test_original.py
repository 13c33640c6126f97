"""The paper's private files in small, against its preprocessing in plain float64."""

from __future__ import annotations

import gzip

import anndata as ad
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from original_files import GD462, GTEX, World, of_real_data, simulated

from dgex import io
from dgex.datasets.public.original import prepare_original
from dgex.errors import FileError


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
    world = of_real_data(tmp_path / "raw", real_data)
    prepare_original(world.folder, tmp_path / "data.h5ad")
    data = io.read(tmp_path / "data.h5ad")
    assert (data.var["role"] == "landmark").sum() == 943
    assert (data.var["role"] == "target").sum() == 9520
    dropped = set(data.uns["dgex"]["duplicates"]["dropped_samples"])
    check(world, data, [name for name in world.arrays.index if name not in dropped])
