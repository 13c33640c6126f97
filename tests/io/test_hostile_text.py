"""Tables of text, compressed or not, and gene tables made to do harm: refused in one line within little memory."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hostile import listening, listing, refused_or_harmless

import dgex
from dgex.errors import DgexError, FileError, printable
from dgex.gene_table import read_gene_table
from dgex.limits import LIMITS

HEAD = {"csv": "gene,s1,s2\n", "tsv": "gene\ts1\ts2\n", "gct": "#1.2\n1000000000\t2\nName\tDescription\ts1\ts2\n"}
SUFFIXES = [*(suffix for each in dgex.io.formats().values() for suffix in each), ".genes", ".toml", ".manifest"]
ROW = {"csv": "TP53,1,2\n", "tsv": "TP53\t1\t2\n", "gct": "TP53\tna\t1\t2\n"}


def packed(path: Path, head: bytes, part: bytes, size: int) -> Path:
    """A file that unpacks to `size` bytes: a head, then one part over and over."""
    many = part * max(1, (1 << 20) // len(part))
    path.write_bytes(gzip.compress(head) + gzip.compress(many) * max(1, size // len(many)))  # members in a row are one
    return path


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits a hundred times lower, so that small files reach them."""
    for name in ("text", "table", "line", "fields", "lines"):
        monkeypatch.setitem(LIMITS, name, LIMITS[name] // 100)


@pytest.mark.parametrize("suffix", HEAD)
@pytest.mark.parametrize("part", ["a", "0\t", "0,", "\n", ROW["csv"], "\x00", '"', "#", " "])
@pytest.mark.usefixtures("low")
def test_bombs(suffix: str, part: str, tmp_path: Path) -> None:
    path = packed(tmp_path / f"bomb.{suffix}.gz", HEAD[suffix].encode(), part.encode(), 8 << 20)
    assert refused_or_harmless(path)


@pytest.mark.parametrize("suffix", HEAD)
@pytest.mark.usefixtures("low")
def test_rows_over_and_over(suffix: str, tmp_path: Path) -> None:
    path = packed(tmp_path / f"bomb.{suffix}.gz", HEAD[suffix].encode(), ROW[suffix].encode(), 64 << 20)
    assert "DGEX_MAX_MEMORY=" in refused_or_harmless(path)


@pytest.mark.parametrize("suffix", HEAD)
@pytest.mark.parametrize("part", [b"a", b"0\t", b"0,", b"\r"])
@pytest.mark.usefixtures("low")
def test_an_endless_line(suffix: str, part: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"line.{suffix}"
    path.write_bytes(HEAD[suffix].encode() + part * (1 << 20))
    assert refused_or_harmless(path)


@pytest.mark.parametrize("words", ["Infinity", "1" * 5000, "0x10", "1e999999", "\x1b[2J", "\u202e", "\ud800"])
def test_values_that_are_none(words: str, tmp_path: Path) -> None:
    path = tmp_path / "values.csv"
    path.write_bytes(f"gene,s1,s2\nA,1,{words}\nB,2,3\n".encode("utf-8", "surrogatepass"))
    assert refused_or_harmless(path)


@pytest.mark.parametrize("sizes", ["9" * 5000 + "\t2", "-1\t2", "1000000000000\t2", "2\t1000000000000", "\u0664\t2"])
def test_sizes_of_a_gct(sizes: str, tmp_path: Path) -> None:
    path = tmp_path / "sizes.gct"
    path.write_text(f"#1.2\n{sizes}\nName\tDescription\ts1\ts2\nA\tna\t1\t2\n", "utf-8")
    assert refused_or_harmless(path)


@pytest.mark.parametrize("cut", [2, 10, 11, 40])
def test_a_compressed_file_that_is_cut(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"gene,s1,s2\n" + os.urandom(50).hex().encode() + b",1,2\n")[:cut])
    assert refused_or_harmless(path)


def reads() -> dict[str, Callable[[Path], object]]:
    from dgex.cli.arguments import merge_settings
    from dgex.datasets.public.sources import sources

    readers: dict[str, Callable[[Path], object]] = {
        suffix: dgex.read for suffixes in dgex.io.formats().values() for suffix in suffixes
    }
    return readers | {
        ".genes": read_gene_table,
        ".toml": lambda path: merge_settings(path, "ols", {}),
        ".manifest": sources,
    }


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "is a named pipe"),
        (listening, "is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    ],
)
@pytest.mark.parametrize(
    "suffix", [*dict.fromkeys(s for each in dgex.io.formats().values() for s in each), ".genes", ".toml", ".manifest"]
)
def test_what_never_ends_is_refused_at_once(
    make: Callable[[Path], object], words: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"endless{suffix}"
    make(path)
    with pytest.raises(FileError, match=words) as caught:
        reads()[suffix](path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("part", [b"TP53\tlandmark\n", b"a", b"\t", b"\n"])
@pytest.mark.usefixtures("low")
def test_a_gene_table_that_unpacks_without_end(part: bytes, tmp_path: Path) -> None:
    path = packed(tmp_path / "genes.tsv.gz", b"gene\trole\n", part, 8 << 20)
    assert "DGEX_MAX_MEMORY=" in refused_or_harmless(path, open=read_gene_table) or part == b"\t"


LIMITED = """
import resource, sys
from dgex.__main__ import main
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # what a bomb may take of the machine that runs the tests
main()
"""


def test_bombs_of_their_true_size_stay_below_a_gigabyte(tmp_path: Path) -> None:
    packed(tmp_path / "line.csv.gz", b"gene,s1\n", b"0", 1 << 30)
    packed(tmp_path / "rows.gct.gz", HEAD["gct"].encode(), ROW["gct"].encode(), 1 << 29)
    before = listing(tmp_path)
    for name in ("line.csv.gz", "rows.gct.gz"):
        command = [sys.executable, "-c", LIMITED, "info", str(tmp_path / name)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert finished.returncode == 1
        assert "DGEX_MAX_MEMORY=" in finished.stderr, finished.stderr
        assert len(finished.stderr.splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1 << 20  # KiB
    assert listing(tmp_path) == before


def test_what_the_user_allows_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "text", 1 << 16)
    lines = "".join(f"G{at},0,0\n" for at in range(100))
    path = tmp_path / "zeros.csv.gz"
    path.write_bytes(gzip.compress(b"gene,s1,s2" + b"\n" + lines.encode() + b"#" * (1 << 20)))
    with pytest.raises(FileError, match="DGEX_MAX_MEMORY=1G"):
        dgex.read(path)
    monkeypatch.setenv("DGEX_MAX_MEMORY", "1G")
    with pytest.raises(DgexError) as caught:
        dgex.read(path)
    assert "DGEX_MAX_MEMORY" not in str(caught.value)


def test_formulas_are_kept_or_quoted(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1+1", "@SUM(A1)", "-2+3", "TP53"]
    values = np.arange(10, dtype=np.float32).reshape(2, 5)
    obs = pd.DataFrame(index=["=s1", "s2"])
    for suffix in ("csv", "tsv"):
        with dgex.create(tmp_path / f"kept.{suffix}", obs, pd.DataFrame(index=names)) as out:
            out.append(values)
        kept = dgex.read(tmp_path / f"kept.{suffix}", orientation="genes-in-rows")
        assert kept.var_names.tolist() == names
        with dgex.create(tmp_path / f"safe.{suffix}", obs, pd.DataFrame(index=names), spreadsheet=True) as out:
            out.append(values)
        cells = (tmp_path / f"safe.{suffix}").read_text().replace("\t", ",").splitlines()
        assert not any(line.startswith(("=", "+", "@", "-")) for line in cells)
        assert cells[0] == "gene,'=s1,s2"
        np.testing.assert_array_equal(kept.X, values)


def test_printable_text() -> None:
    assert printable("TP53 µ 基因 é") == "TP53 µ 基因 é"
    assert printable("a\x1b[2J\u202eb\x9b\ud800\u2028\n") == r"a\u001b[2J\u202eb\u009b\ud800\u2028\u000a"
    assert printable("a\nb\x07", keep="\n") == "a\nb\\u0007"


@pytest.mark.parametrize("name", ["page.csv", "page.txt", "page.tsv.gz"])
@pytest.mark.parametrize("page", ["<html></html>", "\ufeff<!DOCTYPE html>\n<html>\n<p>Log in, first</p>\n"])
def test_a_web_page_saved_in_place_of_a_table_is_called_one(tmp_path: Path, name: str, page: str) -> None:
    path = tmp_path / name
    content = page.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DgexError, match="is a web page"):
        dgex.io.open(path)
