"""What a file is, in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import dgex
from dgex.dataset.metadata import MOST_COLUMNS, MOST_LEVELS, column_words, columns_of
from dgex.errors import SettingsError
from dgex.summary import info


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.csv",
            ",TSPAN6 (7105),DPM1 (8813)\nACH-000001,4.33,7.36\nACH-000002,4.5,2.1\nACH-000003,1.5,3.5\n",
            "DepMap expression, 3 samples, 2 genes (symbols), log2",
        ),
        (
            "quant.genes.sf",
            "Name\tLength\tEffectiveLength\tTPM\tNumReads\nENSG00000000003.1\t9\t8\t900000\t5\n"
            "ENSG00000000005.1\t9\t8\t100000.5\t5\n",
            "Salmon quantification, 1 sample, 2 genes (Ensembl ids), ",
        ),
        (
            "x.tsv",
            "sample\tTCGA-02-01\tTCGA-02-02\nTP53\t1.5\t2.5\nACTB\t3.5\t4.5\n",
            "UCSC Xena, TCGA expression, 2 samples, 2 genes (symbols), log2",
        ),
    ],
)
def test_a_file_is_told_in_words(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    assert info(tmp_path / name)["what it is"].startswith(said)


@pytest.fixture
def annotated() -> AnnData:
    """Twenty profiles of three genes with metadata of every kind."""
    obs = pd.DataFrame(
        {
            "sex": pd.Categorical(["F", "M", None, "M"] * 5, categories=["F", "M", "unused"]),
            "study": [f"GSE{at // 2}" for at in range(20)],
            "age": [np.nan, np.inf, *np.linspace(20, 80, 18)],
            "well": [f"A{at:02}" for at in range(20)],
            "batch": np.int64(7),
            "dead": [True, False] * 10,
            "note": "",
            "<script>": "\x1b[2J<b>",
        },
        index=[f"S{at}" for at in range(20)],
    )
    var = pd.DataFrame({"role": ["landmark", "target", "target"]}, index=["TP53", "MYC", "<i>"])
    return AnnData(np.linspace(4, 12, 60, dtype=np.float32).reshape(20, 3), obs=obs, var=var)


def test_an_anndata_in_memory_is_told_as_its_file_is(annotated: AnnData, tmp_path: Path) -> None:
    annotated.write_h5ad(tmp_path / "a.h5ad")
    here, there = info(annotated), info(tmp_path / "a.h5ad")
    same = ("sample_metadata", "gene_metadata", "roles", "minimum", "maximum", "mean", "zeros", "scale")
    assert {name: here[name] for name in same} == {name: there[name] for name in same}
    assert here["path"] == "in memory"
    with pytest.raises(SettingsError, match="accepted a path"):
        info(annotated, verify=True)


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr", ".parquet", ".gctx"])
def test_levels_counts_and_ranges_of_metadata(annotated: AnnData, tmp_path: Path, suffix: str) -> None:
    del annotated.obs["<script>"]
    dgex.write(annotated, tmp_path / f"a{suffix}")
    about = info(tmp_path / f"a{suffix}")
    columns = about["sample_metadata"]
    assert columns["sex"]["counts"] == {"M": 10, "F": 5}
    assert columns["sex"]["missing"] == 5
    assert (columns["study"]["levels"], sum(columns["study"]["counts"].values())) == (10, 20)
    assert (columns["age"]["minimum"], columns["age"]["maximum"]) == (20, 80)
    told = str(about)
    for words in (
        "sex    M 10, F 5; 5 missing",
        "study  10 levels: GSE0 2, GSE1 2, GSE2 2 and 7 more",
        "age    20 to 80; 1 missing",
        "well   all different: A00, A01, A02 …",
        "batch  7 everywhere",
        "note   all missing",
        "role  target 2, landmark 1",
    ):
        assert words in told
    assert json.loads(json.dumps(about, default=str))["sample_metadata"]["sex"]["levels"] == 2


def test_wide_metadata_is_told_in_part_and_says_so() -> None:
    wide = pd.DataFrame({f"c{at}": [str(row) for row in range(100)] for at in range(MOST_COLUMNS + 1)})
    columns = columns_of(wide)
    assert len(columns) == MOST_COLUMNS + 1
    assert (columns["c0"]["levels"], len(columns["c0"]["counts"])) == (100, MOST_LEVELS)
    assert list(columns[f"c{MOST_COLUMNS}"]) == ["type"]
    told = str(info_of(columns))
    assert "c29" in told
    assert "c30" not in told
    assert f"and more  {MOST_COLUMNS - 29} columns" in told


def info_of(columns: dict[str, dict[str, object]]) -> dgex.Info:
    return dgex.Info(samples=100, sample_metadata=columns)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None, 3], dtype="Int64"),
        pd.array([1.5, None, 3], dtype="Float64"),
        pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        [[1], None, {"a": 2}],
        np.array([1 + 1j, 2, 3]),
        [None, None, None],
        [np.inf, np.nan, -np.inf],
        ["x" * 5000, "y", "z"],
    ],
)
def test_columns_of_any_type_are_told(values: object) -> None:
    held = columns_of(pd.DataFrame({"c": values}))["c"]
    json.dumps(held)
    assert 0 < len(column_words(held, 3)) < 200


def test_a_notebook_gets_a_table_without_foreign_markup(annotated: AnnData, tmp_path: Path) -> None:
    annotated.write_h5ad(tmp_path / "a.h5ad")
    about = dgex.info(tmp_path / "a.h5ad")
    shown = about._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "\x1b" not in shown
    assert 'scope="row"' in shown
    assert isinstance(about, dict)
