"""Telling genes from samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError
from dgex.io.orientation import COLUMNS, ROWS, detect

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


def test_names_of_columns_decide_before_ids() -> None:
    assert detect(WORDS, SYMBOLS, shape=(3, 4), id_name="Gene_ID")[0] == ROWS
    assert detect(WORDS, WORDS, shape=(3, 4), leading=["Entrez_Gene_Id"])[0] == ROWS
    assert detect(SYMBOLS, WORDS, shape=(3, 4), id_name="sample")[0] == COLUMNS


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
