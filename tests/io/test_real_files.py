"""Files of the world: all of them open, with what their sources say of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dgex import io
from dgex.dataset.describe import describe

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("cmap/qnorm_n27x22268.gctx", (27, 22268), "affymetrix"),
        ("cmap/gctv13_01.gctx", (371, 978), "affymetrix"),
        ("cmap/gctv13_01.gct", (371, 978), "affymetrix"),
        ("cmap/CORE_A_level4_ZSPCINF_n40x12328.gctx", (40, 12328), "entrez"),
        ("affy/borovecki_n31x22283.gctx", (31, 22283), "affymetrix"),
        ("affy/chowdary_n104x22283.gctx", (104, 22283), "affymetrix"),
        ("affy/nakayama_n105x22283.gctx", (105, 22283), "affymetrix"),
        ("human_rnaseq.h5ad", (1392, 9014), "symbol"),
        ("human_array.h5ad", (807, 7292), "symbol"),
        ("ecoli.parquet", (336, 4335), "symbol"),
        ("bsubtilis.parquet", (266, 4218), "symbol"),
    ],
)
def test_everything_opens(real_data: Path, name: str, shape: tuple[int, int], kind: str) -> None:
    found = describe(real_data / name)
    assert (found["samples"], found["genes"]) == shape
    assert found["gene_ids"] == kind
    assert found["missing"] == found["infinite"] == 0
    assert found["scale"] == ("standardized" if "ZSPC" in name else "log2")


def test_rna_seq_tables(real_data: Path) -> None:
    files = sorted((real_data / "rnaseqdb").glob("*.txt.gz"))
    assert len(files) == 9
    for file in files:
        with io.open(file) as source:
            assert source.notes["orientation"].startswith("genes-in-rows")
            assert source.shape[1] > 18_000
            assert source.obs.index[0].startswith(("GTEX-", "TCGA-"))
            assert pd.api.types.is_integer_dtype(source.var["Entrez_Gene_Id"].dtype)
    assert describe(files[2])["maximum"] > 6e9


def test_gct_and_gctx_of_one_plate_agree(real_data: Path) -> None:
    one, other = (io.read(real_data / "cmap" / f"gctv13_01.{kind}") for kind in ("gct", "gctx"))
    np.testing.assert_array_equal(one.X, other.X)
    for left, right in ((one.obs, other.obs), (one.var, other.var)):
        assert sorted(left.columns) == sorted(right.columns)
        for column in left.columns:
            assert left[column].isna().tolist() == right[column].isna().tolist()
            pd.testing.assert_series_equal(
                left[column].dropna(), right[column].dropna(), check_dtype=False, check_index_type=False, rtol=1e-6
            )


@pytest.mark.parametrize("size", [7, 100])
def test_parts_of_a_compressed_file(real_data: Path, size: int) -> None:
    with io.open(real_data / "affy" / "borovecki_n31x22283.gctx") as source:
        whole = source.read()
        genes = np.random.default_rng(0).permutation(22283)[:943]
        for where, block in source.iter_blocks(size, genes, samples=[30, 2, 11]):
            np.testing.assert_array_equal(block, whole[[30, 2, 11]][where][:, genes])
