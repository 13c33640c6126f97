"""Tables of text as the world writes them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError, FileError, SettingsError

RSEM = (
    "Hugo_Symbol\tEntrez_Gene_Id\tGTEX-S3XE\tGTEX-S32W\tGTEX-U4B1\n"
    "TES\t26136\t2004.85\t4123.49\t6692972500\nAL354898.1\t0\t0.87\t0.68\t1.5\n"
)


def _write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.tsv", "a.csv"])
def test_genes_in_rows_with_ids_beside(tmp_path: Path, name: str) -> None:
    adata = io.read(_write(tmp_path / name, RSEM))
    assert adata.obs_names.tolist() == ["GTEX-S3XE", "GTEX-S32W", "GTEX-U4B1"]
    assert adata.var_names.tolist() == ["TES", "AL354898.1"]
    assert adata.var["Entrez_Gene_Id"].tolist() == [26136, 0]
    assert adata.X[2, 0] == np.float32(6692972500)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("gene,s1,s2\na,1,2\nb,3,4\n", ","),
        ("gene;s1;s2\na;1;2\nb;3;4\n", ";"),
        ("gene s1 s2\na 1 2\nb 3 4\n", "space"),
        ("s1\ts2\na\t1\t2\nb\t3\t4\n", "tab"),  # as R writes it: no name above the row names
        ("# made by a tool\n\ngene\ts1\ts2\r\na\t1\t2\r\nb\t3\t4", "tab"),
        ('"gene"\t"s1"\t"s2"\n"a"\t1\t2\n"b"\t3\t4\n', "tab"),
        ("\ufeffgene\ts1\ts2\na\t1\t2\nb\t3\t4\n", "tab"),
    ],
)
def test_dialects(tmp_path: Path, text: str, delimiter: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    with io.open(path, orientation="genes-in-rows") as source:
        assert source.notes["delimiter"] == delimiter
        assert source.var.index.tolist() == ["a", "b"]
        assert source.obs.index.tolist() == ["s1", "s2"]
        assert source.read().tolist() == [[1, 3], [2, 4]]


def test_orientation_is_told_and_can_be_forced(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "sample,tissue,TP53,ACTB,x\ns1,liver,1,2,3\ns2,lung,4,5,6\n")
    with io.open(path) as source:
        assert source.notes["orientation"] == "genes-in-columns (column ids are gene symbols)"
        assert source.notes["metadata columns"] == "tissue"
        assert source.shape == (2, 3)
        assert source.obs["tissue"].tolist() == ["liver", "lung"]
    with io.open(path, orientation="genes-in-rows") as source:
        assert source.shape == (3, 2)
        assert source.read().tolist() == [[1, 4], [2, 5], [3, 6]]
    with pytest.raises(SettingsError, match="genes-in-rows, genes-in-columns"):
        io.open(path, orientation="sideways")


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz"])
def test_written_either_way(tiny: AnnData, tmp_path: Path, genes_in: str, name: str) -> None:
    io.write(tiny, tmp_path / name, genes_in=genes_in, block=2)
    found = io.read(tmp_path / name)
    np.testing.assert_array_equal(found.X, tiny.X)
    assert found.obs_names.tolist() == tiny.obs_names.tolist()
    assert found.var_names.tolist() == tiny.var_names.tolist()
    if genes_in == "rows":
        assert found.var["symbol"].tolist() == tiny.var["symbol"].tolist()
        assert found.var["entrez"].tolist() == tiny.var["entrez"].tolist()
    else:
        assert found.obs["study"].tolist() == tiny.obs["study"].tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RSEM.replace("0.68", "much"), "column 'GTEX-S32W' is neither numbers nor names: 1 .*'much'"),
        (
            RSEM + RSEM.splitlines()[2].replace("AL354898.1", "TP53").replace("0.68", "much") + "\n",
            "'much' in line 4, row 'TP53', column 'GTEX-S32W'",
        ),
        (RSEM.replace("\t0.87\t0.68\t1.5", "\t0.87"), "line 3 has 3 fields, 5 were expected"),
        (RSEM.replace("AL354898.1", "TES"), "duplicate gene ids: TES"),
        (RSEM.replace("GTEX-S32W", "GTEX-S3XE"), "duplicate sample ids: GTEX-S3XE"),
        (RSEM.replace("0.68", "NA"), "1 missing or infinite value.*gene AL354898.1, sample GTEX-S32W"),
        (RSEM.replace("0.68", "-inf"), "first is infinite: gene AL354898.1, sample GTEX-S32W"),
        (RSEM.splitlines()[0] + "\n", "a header but no rows"),
        ("# nothing\n", "no line but comments"),
        ("one word\n", "header but no rows"),
        ("word\nother\n", "its first line has one field"),
        ("a\tb\nc\td\ne\tf\n", "none of its 2 columns is numeric"),
        ("1.5\t2.5\t3.5\n1.0\t2.0\t3.0\n", "first line must name the columns"),
        ("gene\ts1\t\na\t1\t2\n", "empty sample id at position 2"),
    ],
)
def test_hostile_input(tmp_path: Path, text: str, said: str) -> None:
    path = _write(tmp_path / "a.tsv", text)
    with pytest.raises((FileError, DataError), match=said) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)


def test_missing_values_on_request(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tsv", RSEM.replace("0.68", "NA"))
    found = io.read(path, allow_missing=True)
    assert np.isnan(found.X).sum() == 1


def test_unknown_settings(tiny: AnnData, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'rows', 'columns'"):
        io.write(tiny, tmp_path / "a.tsv", genes_in="diagonal")
