"""GCT: versions, sizes, missing metadata and hostile input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from dgex import io
from dgex.errors import DataError, FileError, SettingsError

FIXTURES = Path(__file__).parent / "fixtures"
OLD = '#1.2\n2\t3\nName\tDescription\ts1\ts2\ts3\ng1\tfirst "gene"\t1\t2\t3\ng2\tna\t4\t5\t-6.5e-3\n'
NEW = "#1.3\n2\t3\t1\t1\nid\tsym\ts1\ts2\ts3\ndose\tna\t1.5\t-666\tna\ng1\tA\t1\t2\t3\ng2\tB\t4\t5\t6\n"


def test_a_file_by_cmappy() -> None:
    adata = io.read(FIXTURES / "cmappy_typed.gct")
    assert adata.obs["pert_dose"].isna().tolist() == [False, False, True, False, False]
    assert adata.obs["count"].dtype == np.int64
    assert adata.obs["cell_id"].tolist()[2] == "007"
    assert adata.var["pr_is_lm"].isna().tolist() == [False] * 3 + [True] + [False] * 3


def test_version_1_2(tmp_path: Path) -> None:
    path = tmp_path / "a.gct"
    path.write_text(OLD)
    adata = io.read(path)
    np.testing.assert_array_equal(adata.X, np.array([[1, 4], [2, 5], [3, -6.5e-3]], np.float32))
    assert adata.var["Description"].iloc[0] == 'first "gene"'
    assert adata.obs_names.tolist() == ["s1", "s2", "s3"]
    io.write(adata, tmp_path / "b.gct", version="1.2")
    again = io.read(tmp_path / "b.gct")
    np.testing.assert_array_equal(again.X, adata.X)
    assert again.var["Description"].iloc[0] == 'first "gene"'
    assert (tmp_path / "b.gct").read_text().startswith("#1.2\n2\t3\nName\tDescription\ts1")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_version_1_3_of_windows_and_unix(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "a.gct"
    path.write_bytes(NEW.replace("\n", ending).encode())
    adata = io.read(path)
    assert adata.obs["dose"].isna().tolist() == [False, True, True]
    assert adata.var["sym"].tolist() == ["A", "B"]
    assert adata.X.tolist() == [[1, 4], [2, 5], [3, 6]]


def test_compressed_output_is_the_same_every_time(tiny: AnnData, tmp_path: Path) -> None:
    io.write(tiny, tmp_path / "a.gct.gz")
    io.write(tiny, tmp_path / "b.gct.gz")
    assert (tmp_path / "a.gct.gz").read_bytes() == (tmp_path / "b.gct.gz").read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NEW.replace("2\t3\t1\t1", "3\t3\t1\t1"), "second line says 3 rows, 2 came"),
        (NEW.replace("2\t3\t1\t1", "2\t4\t1\t1"), "tells of 6 columns, its header has 5"),
        (NEW.replace("2\t3\t1\t1", "2\t3"), "holds 4 sizes"),
        (NEW.replace("g2\tB\t4\t5\t6", "g2\tB\t4\tfive\t6"), "'five' in line 6, row 'g2', column 's2'"),
        (NEW.replace("g2\tB\t4\t5\t6", "g2\tB\t4"), "line 6 has 3 fields, 5 were expected"),
        (NEW.replace("g2\tB", "g1\tB"), "duplicate gene ids: g1"),
        (NEW.replace("s3", "s1"), "duplicate sample ids: s1"),
        ("id\ts1\ng\t1\n", "no GCT file"),
        ("#1.3\n0\t1\t0\t0\nid\ts1\n", "no genes|no rows"),
    ],
)
def test_hostile_input(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.gct"
    path.write_text(text)
    with pytest.raises((FileError, DataError), match=said):
        io.read(path)


def test_unknown_version(tiny: AnnData, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'1\.2', '1\.3'"):
        io.write(tiny, tmp_path / "a.gct", version="2")
