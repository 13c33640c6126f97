"""Telling genes from samples."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError
from dgex.io.orientation import COLUMNS, ROWS, detect, wanted_names

SYMBOLS = ["TP53", "ACTB", "PTEN", "SLC2A6"]
PROBES = ["200814_at", "218597_s_at", "AFFX-BioB-5_at"]
ENSEMBL = ["ENSG00000175063.12", "ENSG00000171174", "ENSG00000160326"]
SAMPLES = ["GSM1", "GSM22", "GSM333"]
WORDS = ["alpha", "beta", "gamma"]


@pytest.mark.parametrize("genes", [SYMBOLS, PROBES, ENSEMBL])
@pytest.mark.parametrize("samples", [SAMPLES, WORDS])
def test_kinds_of_ids_decide_whatever_the_size(genes: list[str], samples: list[str]) -> None:
    for shape in ((3, 100), (100, 3)):
        assert detect(genes, samples, shape=shape)[0] == ROWS
        assert detect(samples, genes, shape=shape)[0] == COLUMNS


def test_ids_decide_before_names_of_columns() -> None:
    assert detect(WORDS, SYMBOLS, shape=(3, 4), id_name="Gene_ID")[0] == COLUMNS
    assert detect(SYMBOLS, WORDS, shape=(4, 3), id_name="sample")[0] == ROWS  # as UCSC Xena heads its tables
    assert detect(WORDS, WORDS, shape=(3, 4), leading=["Entrez_Gene_Id"])[0] == ROWS
    assert detect(WORDS, WORDS, shape=(4, 3), id_name="sample")[0] == COLUMNS


@pytest.mark.parametrize("name", ["sample", "Sample", "Accession", "Run", "gene", ""])
def test_genes_looked_for_decide_before_all(name: str) -> None:
    wanted = wanted_names(pd.DataFrame({"entrez": ["7157", "60"]}, index=["TP53", "ACTB"]))
    for genes in (["TP53", "b", "c"], ["7157", "b", "60"], ["TP53 (7157)", "ACTB (60)", "XX (3)"]):
        samples = ["Q1", "Q2", "Q3"]
        assert detect(genes, samples, shape=(3, 3), id_name=name, genes=wanted)[0] == ROWS
        assert detect(samples, genes, shape=(3, 3), id_name=name, genes=wanted)[0] == COLUMNS


@pytest.mark.parametrize(
    "name", ["ACH-000001", "TCGA-A1-A0SB-01", "GSM12", "SRR1039508", "GTEX-1117F", "SAMN02", "ERS3"]
)
def test_ids_of_samples(name: str) -> None:
    assert detect([name] * 3, WORDS, shape=(100, 3), id_name="gene")[0] == COLUMNS
    assert detect(WORDS, [name] * 3, shape=(3, 100), id_name="sample")[0] == ROWS


def test_rows_that_are_numbered_are_no_genes() -> None:
    wanted = wanted_names([str(number) for number in range(1, 50)])
    numbered = [str(number) for number in range(1, 50)]
    assert detect(numbered, SYMBOLS, shape=(49, 4), genes=wanted)[0] == COLUMNS


def test_the_longer_side_is_genes_when_nothing_else_tells() -> None:
    assert detect(WORDS, WORDS, shape=(5, 3)) == (ROWS, "there are more rows (5) than value columns (3)")
    assert detect(WORDS, WORDS, shape=(3, 5))[0] == COLUMNS
    assert "nothing tells" in detect(WORDS, WORDS, shape=(3, 3))[1]


@pytest.mark.parametrize("name", ["a.gctx", "a.gct", "a.h5ad", "a.zarr"])
def test_a_turned_matrix_is_refused_and_can_be_turned(tiny: AnnData, tmp_path: Path, name: str) -> None:
    io.write(tiny.T, tmp_path / name)
    with pytest.raises(DataError, match=r"turned the wrong way.*200814_at.*GSM0") as caught:
        io.read(tmp_path / name)
    with io.open(tmp_path / name, orientation=_between(str(caught.value))) as source:
        assert source.shape == tiny.shape
        assert (source.read() == tiny.X).all()
        assert (source.read([4, 0], [6, 2]) == tiny.X[[6, 2]][:, [4, 0]]).all()


def _between(message: str) -> str:
    return message.split("orientation='")[1].split("'")[0]
