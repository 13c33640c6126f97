"""Parquet: tables that pandas wrote, wide or turned, and both layouts of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError, SettingsError
from dgex.io import parquet


def _table() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        random.normal(size=(12, 30)).astype(np.float32),
        index=[f"S{i}" for i in range(12)],
        columns=[f"b{i:04}.1" for i in range(30)],
    )


def test_a_wide_table_by_pandas(tmp_path: Path) -> None:
    table = _table()
    table.to_parquet(tmp_path / "a.parquet", row_group_size=5)
    with io.open(tmp_path / "a.parquet") as source:
        assert "more value columns" in source.notes["orientation"]
        np.testing.assert_array_equal(source.read(), table.to_numpy())
        assert source.obs.index.tolist() == table.index.tolist()
        assert source.var.index.tolist() == table.columns.tolist()


def test_metadata_beside_the_values(tmp_path: Path) -> None:
    table = _table()
    labelled = table.assign(tissue=["liver", "lung"] * 6).reset_index(names="sample")
    labelled.to_parquet(tmp_path / "a.parquet", index=False)
    adata = io.read(tmp_path / "a.parquet")
    assert adata.obs["tissue"].tolist() == ["liver", "lung"] * 6
    assert adata.obs_names.tolist() == table.index.tolist()
    np.testing.assert_array_equal(adata.X, table.to_numpy())


@pytest.mark.parametrize("index", [True, False])
def test_a_turned_table_by_pandas(tmp_path: Path, index: bool) -> None:
    table = _table()
    turned = table.T.rename_axis("gene_id")
    turned.insert(0, "biotype", "protein_coding")
    (turned if index else turned.reset_index()).to_parquet(tmp_path / "a.parquet", row_group_size=7)
    with io.open(tmp_path / "a.parquet") as source:
        assert source.notes["orientation"].startswith("genes-in-rows")
        assert source.var["biotype"].unique().tolist() == ["protein_coding"]
        for genes in (None, [29, 3, 8, 9], slice(5, 20)):
            for samples in (None, [11, 0], slice(2, 9)):
                columns = slice(None) if genes is None else genes
                expected = table.to_numpy()[slice(None) if samples is None else samples][:, columns]
                np.testing.assert_array_equal(source.read(genes, samples), expected)


@pytest.mark.parametrize("layout", ["wide", "compact"])
def test_layouts_hold_the_same(tiny: AnnData, tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgex.io.parquet_writer._GROUP", 60)  # three profiles a row group
    monkeypatch.setattr(parquet, "_BUFFER", 40)  # two profiles a batch
    tiny.obs["201746_at"] = "a name of a gene"
    path = tmp_path / "a.parquet"
    io.write(tiny, path, layout=layout)
    assert pq.ParquetFile(path).num_row_groups == 3
    with io.open(path) as source:
        assert source.notes["layout"] == layout
        pd.testing.assert_frame_equal(source.obs, tiny.obs, check_index_type=False)
        pd.testing.assert_frame_equal(source.var, tiny.var, check_index_type=False)
        for samples in (None, [6, 2, 2, 0], [1, 5], slice(2, 6)):
            for genes in (None, [4, 0], slice(1, 3)):
                expected = tiny.X[slice(None) if samples is None else samples]
                expected = expected[:, slice(None) if genes is None else genes]
                np.testing.assert_array_equal(source.read(genes, samples), expected)
                blocks = [block for _, block in source.iter_blocks(1, genes, samples)]
                np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_pandas_opens_our_wide_layout(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.parquet")
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table.index.tolist() == tiny.obs_names.tolist()
    np.testing.assert_array_equal(table[tiny.var_names.tolist()].to_numpy(), tiny.X)


def test_big_matrices_are_compact(tmp_path: Path) -> None:
    adata = AnnData(np.ones((2, 2001), np.float32))
    io.write(adata, tmp_path / "a.parquet")
    with io.open(tmp_path / "a.parquet") as source:
        assert source.notes["layout"] == "compact"
    with pytest.raises(SettingsError, match="'wide', 'compact'"):
        io.write(adata, tmp_path / "b.parquet", layout="tall")
    with pytest.raises(SettingsError, match="zstd, snappy, gzip, none"):
        io.write(adata, tmp_path / "b.parquet", compression="lz")


def test_no_values(tmp_path: Path) -> None:
    pd.DataFrame({"a": ["x"], "b": ["y"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="none of its 2 columns is numeric"):
        io.read(tmp_path / "a.parquet")


def test_a_table_with_decimals_and_annotation(tmp_path: Path) -> None:
    import decimal

    table = {"Entrez": [7157, 60], "S1": [decimal.Decimal("1.25"), decimal.Decimal("2.5")], "S2": [3, 4]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**table, "gene": ["TP53", "ACTB"]}), path)
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["S1", "S2"]
        assert file.var.index.tolist() == ["TP53", "ACTB"]
        assert file.var["Entrez"].tolist() == [7157, 60]
        assert file.read().tolist() == [[1.25, 2.5], [3, 4]]


@pytest.mark.parametrize("values", [["1.5", "2"], ["#VALUE!", "-"], ["1,046", "2"]])
def test_a_sample_stored_as_text_is_named(tmp_path: Path, values: list[str]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"gene": ["TP53", "ACTB"], "S1": values, "S2": [3, 4]}), path)
    with pytest.raises(DataError, match="columns of text hold numbers, or marks of missing ones: S1"):
        io.open(path)


def test_columns_of_lists_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"gene": ["TP53", "ACTB"], "S1": [[1.0], [2.0]], "S2": [3, 4]}), path)
    with pytest.raises(DataError, match=r"neither numbers nor text: S1 \(list"):
        io.open(path)
