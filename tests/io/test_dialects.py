"""The same table in every way that programs write it gives the same values; what is doubtful is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgex import io
from dgex.errors import DataError, FileError

GENES = ["TP53", "ACTB", "SLC2A6", "C1orf112", "HLA-A", "NKX2-5", "PTEN"]
SAMPLES = ["liver", "lung", "GSM7", "x 1"]
VALUES = np.array([[round(g * 1.5 + s * 0.25, 3) for s in range(4)] for g in range(7)])
VALUES[2, 1], VALUES[5, 3], VALUES[0, 0] = 12345.5, 1234567, 0


def field(text: str, mark: str, quoted: bool) -> str:
    return f'"{text}"' if quoted or mark in text else text


def number(value: float, style: str) -> str:
    text = f"{value:,}" if style.startswith("grouped") else f"{value:.6g}" if value < 1e5 else f"{value:.0f}"
    return text.translate(str.maketrans(",.", ".,")) if style.endswith("comma") else text


@settings(max_examples=60, deadline=None)
@given(
    columns=st.permutations(range(7)),
    rows=st.permutations(range(7)),
    mark=st.sampled_from(["\t", ",", ";"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
    trailing=st.sampled_from(["none", "all", "rows"]),
    style=st.sampled_from(["plain", "comma", "grouped", "grouped comma"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    above=st.sampled_from(["", "# made by a tool", "Table S1. Expression of seven genes"]),
    last=st.booleans(),
)
def test_no_way_of_writing_changes_a_value(
    columns: list[int],
    rows: list[int],
    mark: str,
    end: str,
    quoted: bool,
    trailing: str,
    style: str,
    encoding: str,
    above: str,
    last: bool,
) -> None:
    names = ["Gene Symbol", *SAMPLES, "Length", "Chr"]
    table = [[GENES[r], *(number(v, style) for v in VALUES[r]), str(1000 + r), f"chr{r}"] for r in range(7)]
    lines = [above] if above else []
    lines.append(mark.join(field(names[c], mark, quoted) for c in columns) + (mark if trailing == "all" else ""))
    for r in rows:
        text = mark.join(field(table[r][c], mark, quoted) for c in columns)
        lines.append(text + ("" if trailing == "none" else mark))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.csv" if mark == "," else "a.tsv")
        path.write_bytes((end.join(lines) + (end if last else "")).encode(encoding))
        with io.open(path) as file:
            assert sorted(file.obs.index) == sorted(SAMPLES)
            assert sorted(file.var.index) == sorted(GENES)
            found = file.read(GENES, SAMPLES)
            assert file.var["Chr"].loc[GENES].tolist() == [f"chr{r}" for r in range(7)]
    np.testing.assert_array_equal(found, VALUES.T.astype(np.float32))


def _open(path: Path, text: str, encoding: str = "utf-8") -> io.ExpressionFile:
    path.write_bytes(text.encode(encoding))
    return io.open(path)


@pytest.mark.parametrize("corner", ["#gene", "# gene", "#Gene_ID"])
def test_a_header_that_is_a_comment(tmp_path: Path, corner: str) -> None:
    with _open(tmp_path / "a.tsv", f"# a tool\n{corner}\tA\tB\nTSPAN6\t1\t2\nDPM1\t3\t4\n") as file:
        assert file.obs.index.tolist() == ["A", "B"]
        assert file.read().tolist() == [[1, 3], [2, 4]]


def test_a_header_one_short(tmp_path: Path) -> None:
    rows = "TSPAN6\t1\t2\nDPM1\t3\t4\n"
    with _open(tmp_path / "r.tsv", "A\tB\n" + rows) as file:  # as R writes it
        assert file.obs.index.tolist() == ["A", "B"]
    for header in ("gene\tA\n", "Gene Symbol\tA\n", "ID\tA\n", "sample\tA\n"):
        with pytest.raises(
            FileError, match="the header has 2 fields, its rows have 3: the name of a column is missing"
        ):
            _open(tmp_path / "a.tsv", header + rows)
    with _open(tmp_path / "b.tsv", "gene\tA\n" + rows.replace("\t2\n", "\t\n").replace("\t4\n", "\t\n")) as file:
        assert file.read().tolist() == [[1, 3]]  # a tab ends every row but the first
    with pytest.raises(DataError, match="column 3 has values but no name"):
        _open(tmp_path / "c.tsv", "gene\tA\t\n" + "".join(f"G{n}\t1\t\n" for n in range(200)) + "Z\t1\t7\n")


def test_no_header(tmp_path: Path) -> None:
    rows = "".join(f"ENSG0000000000{n}\t{n}\t{n}\t{n}\n" for n in range(5))
    with pytest.raises(DataError, match="first line must name the columns, but holds numbers"):
        _open(tmp_path / "a.tsv", rows)
    with pytest.raises(DataError, match=r"whether the first line .* is a header or a row of numbers"):
        _open(tmp_path / "b.tsv", "TSPAN6\t1\t2\nDPM1\t3\t4\n")
    with pytest.raises(DataError, match="whether the first line"):
        _open(tmp_path / "d.tsv", "ProbeName\t101\nTSPAN6\t1\nDPM1\t3\n")
    with _open(tmp_path / "e.tsv", "TSPAN6\t1\nDPM1\t3\n") as file:
        assert (file.obs.index.tolist(), file.var.index.tolist()) == (["e"], ["TSPAN6", "DPM1"])
    with _open(tmp_path / "c.tsv", "gene\t101\t102\nTSPAN6\t1\t2\nDPM1\t3\t4\n") as file:
        assert file.obs.index.tolist() == ["101", "102"]


def test_numbers_that_could_be_two_things(tmp_path: Path) -> None:
    rows = "TSPAN6\t1,046\t2,134\nDPM1\t3,001\t4,999\n"
    with pytest.raises(DataError, match="could be thousands or decimals"):
        _open(tmp_path / "a.tsv", "gene\tA\tB\n" + rows)
    with _open(tmp_path / "b.tsv", "gene\tA\tB\n" + rows + "SCYL3\t0,5\t2\n") as file:
        assert file.read()[0].tolist() == [np.float32(1.046), np.float32(3.001), 0.5]
    with _open(tmp_path / "c.tsv", "gene\tA\tB\n" + rows + "SCYL3\t999\t2\n") as file:
        assert file.read()[0].tolist() == [1046, 3001, 999]


@pytest.mark.parametrize(("text", "value"), [("1,046", 1046), ("0,25", None), ("1 046", None)])
def test_marks_between_thousands_that_show_late(tmp_path: Path, text: str, value: float | None) -> None:
    rows = "".join(f"G{n}\t{n}\t2\n" for n in range(300)) + f"TP53\t{text}\t2\n"
    if value is None and text == "0,25":
        with pytest.raises(DataError, match=r"'0,25' in line 302, row 'TP53', column 'A'"):
            _open(tmp_path / "a.tsv", "gene\tA\tB\n" + rows.replace("\t2\n", "\t2.5\n"))
        return
    with _open(tmp_path / "a.tsv", "gene\tA\tB\n" + rows) as file:
        assert file.read(["TP53"], ["A"]).item() == (value or 1046)


@pytest.mark.parametrize("mark", ["#VALUE!", "-", "n.d.", "#DIV/0!", "<LOD", "1.5%", "<0.1*"])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_sample_of_marks_is_named(tmp_path: Path, mark: str, place: int) -> None:
    rows = [[f"G{n}", "1", "2", "3"] for n in range(20)]
    for row in rows[:15]:
        row[place] = mark
    text = "gene\tA\tB\tC\n" + "".join("\t".join(row) + "\n" for row in rows)
    with pytest.raises(DataError, match=f"column '{'ABC'[place - 1]}' is neither numbers nor names"):
        _open(tmp_path / "a.tsv", text)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    for rows in (1, 30000):  # within and beyond the first lines
        text = "gene\tA\tB\n" + "".join(f"G{n}\t1\t2\n" for n in range(rows)) + "Größe\t3\t4\n"
        with _open(tmp_path / "a.tsv", text * 1, "latin-1") as file:
            assert file.var.index[-1] == "Größe"
            assert file.notes["encoding"] == "latin-1"


def test_a_line_end_within_quotes(tmp_path: Path) -> None:
    for rows in (2, 300):
        text = "gene\tabout\tA\n" + "".join(f"G{n}\tx\t{n}\n" for n in range(rows)) + 'TP53\t"two\nlines"\t5\nZ\tx\t7\n'
        with _open(tmp_path / "a.tsv", text) as file:
            assert file.read(["TP53", "Z"]).tolist() == [[5, 7]]


def test_row_numbers_are_no_ids(tmp_path: Path) -> None:
    with _open(tmp_path / "a.csv", ",gene,A,B\n1,TSPAN6,1,2\n2,DPM1,3,4\n3,SCYL3,5,6\n") as file:
        assert file.var.index.tolist() == ["TSPAN6", "DPM1", "SCYL3"]
        assert file.obs.index.tolist() == ["A", "B"]


@pytest.mark.parametrize(
    "name", ["Entrez", "Length", "EffectiveLength", "NumReads", "Detection Pval", "S1.Detection Pval", "gene_length"]
)
def test_what_describes_genes_is_no_sample_wherever_it_stands(tmp_path: Path, name: str) -> None:
    for place in range(4):
        header, row = ["gene", "A", "B"], ["TSPAN6", "1", "2"]
        header.insert(place, name)
        row.insert(place, "17")
        other = ["DPM1" if value == "TSPAN6" else value for value in row]
        with _open(tmp_path / "a.tsv", "".join("\t".join(line) + "\n" for line in (header, row, other))) as file:
            assert file.obs.index.tolist() == ["A", "B"]
            assert file.var.index.tolist() == ["TSPAN6", "DPM1"]
            assert file.var[name].tolist() == [17, 17]
