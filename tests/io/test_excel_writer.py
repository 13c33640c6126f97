"""Workbooks: what is written is read again, and means the same to whoever opens it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import dgex
from dgex.errors import DataError, FileError

openpyxl = pytest.importorskip("openpyxl")


def _profiles(samples: int, genes: int) -> AnnData:
    values = np.random.default_rng(0).normal(7, 2, (samples, genes)).astype(np.float32)
    obs = pd.DataFrame({"tissue": ["liver", None, "=1+1"] * samples}, dtype=object).iloc[:samples]
    var = pd.DataFrame({"trust": ["high"] * genes, "expected_r": np.linspace(0, 1, genes)})
    return AnnData(values, obs.set_axis([f"S{at}" for at in range(samples)]), var.set_axis(_names(genes)))


def _names(genes: int) -> list[str]:
    return ["MARCH1", "=1+1", "7157", "@SUM(A1)", *(f"G{at}" for at in range(genes))][:genes]


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
def test_values_and_names_come_back(tmp_path: Path, genes_in: str) -> None:
    ours, path = _profiles(5, 40), tmp_path / "a.xlsx"
    ours.X[1, 2] = np.nan
    dgex.write(ours, path, block=2, genes_in=genes_in)
    back = dgex.read(path, orientation=f"genes-in-{genes_in}", allow_missing=True)
    assert back.obs_names.tolist() == ours.obs_names.tolist()
    assert back.var_names.tolist() == ours.var_names.tolist()
    np.testing.assert_array_equal(back.X, ours.X)


def test_sheets_of_genes_and_profiles_and_no_formula(tmp_path: Path) -> None:
    dgex.write(_profiles(3, 6), tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["values", "genes", "profiles"]
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type in ("f", "d")]
    assert [cell.value for cell in book["genes"][3]] == ["=1+1", "high", pytest.approx(0.2)]
    assert [row[1].value for row in book["profiles"]] == ["tissue", "liver", None, "=1+1"]
    kinds = {type(cell.value) for row in book["values"].iter_rows(min_row=2, min_col=2) for cell in row}
    assert kinds == {float}


def test_more_profiles_than_columns_lie_in_rows(tmp_path: Path) -> None:
    ours, path = _profiles(16_384, 2), tmp_path / "a.xlsx"
    dgex.write(ours, path)
    np.testing.assert_array_equal(dgex.read(path).X, ours.X)
    with pytest.raises(DataError, match="are more than a sheet of Excel holds; accepted: 1,048,575 rows and 16,383"):
        dgex.write(ours, tmp_path / "b.xlsx", genes_in="rows")
    assert not (tmp_path / "b.xlsx").exists()


def test_what_no_workbook_holds_is_refused(tmp_path: Path) -> None:
    ours = _profiles(3, 5)
    with pytest.raises(FileError, match=r"workbook with macros; accepted: \.xlsx"):
        dgex.write(ours, tmp_path / "a.xlsm")
    ours.X[2, 4] = np.inf
    with pytest.raises(DataError, match="an infinite value in profile 'S2', gene 'G0'"):
        dgex.write(ours, tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []
