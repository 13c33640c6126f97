"""The manifest of public data sets, and those of users."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dgex.datasets.public.sources import find, sources
from dgex.errors import DgexError, FileError, SettingsError

SMALL = """
[mine]
title = "Ours"
base = "https://example.org/data"
[mine.files.matrix]
address = "sub/matrix.gctx.gz"
"""


def test_the_manifest_names_the_published_files() -> None:
    known = sources()
    assert set(known) == {"gse92743", "gtex", "1000g", "gse92742"}
    assert {file.served for file in known["gse92743"].files.values()} == {
        "GSE92743_Broad_Affymetrix_training_Level3_Q2NORM_n100000x12320.gctx.gz",
        "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm_n3176x12320.gctx.gz",
        "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM_n3176x12320.gctx.gz",
        "GSE92743_Broad_GTEx_gene_info.txt.gz",
        "GSE92743_Broad_GTEx_inst_info.txt.gz",
        "GSE92743_Broad_OLS_WEIGHTS_n979x11350.gctx.gz",
    }
    for source in known.values():
        assert source.title
        assert source.citation
        assert source.licence
        assert source.base.startswith("https://")
        assert all(file.description for file in source.files.values())
    assert known["1000g"].files["gene_rpkm"].name == "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt"
    assert known["gtex"].files["gene_tpm"].name.endswith(".gct.gz")


def test_a_users_manifest_extends_and_replaces(tmp_path: Path) -> None:
    manifest = tmp_path / "mine.toml"
    manifest.write_text(SMALL + SMALL.replace("mine", "gtex"), "utf-8")
    known = sources(manifest)
    assert set(known) == {*sources(), "mine"}
    assert known["gtex"].title == "Ours"
    file = known["mine"].files["matrix"]
    assert known["mine"].at(file.address) == "https://example.org/data/sub/matrix.gctx.gz"
    assert (file.served, file.name, file.size, file.checksum) == ("matrix.gctx.gz", "matrix.gctx", None, None)
    manifest.write_text(SMALL + "unpack = false\n", "utf-8")
    assert sources(manifest)["mine"].files["matrix"].name == "matrix.gctx.gz"


def test_where_a_source_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tmp_path / "mine.toml"
    manifest.write_text(SMALL.replace("mine", "1000g"), "utf-8")
    published = find("1000g").base
    assert "ebi.ac.uk" in published
    assert find("1000g", manifest).base == "https://example.org/data"
    monkeypatch.setenv("DGEX_BASE_1000G", "http://mirror/x")
    assert find("1000g", manifest).base == find("1000g").base == "http://mirror/x"
    assert find("1000g", manifest, "http://nearer/").base == "http://nearer/"
    assert "ncbi" in find("gse92743").base
    monkeypatch.setenv("DGEX_BASE_1000G", "mirror")
    with pytest.raises(SettingsError, match=r"^\$DGEX_BASE_1000G is 'mirror'; accepted: an address"):
        find("1000g")
    monkeypatch.setenv("DGEX_BASE_1000G", "")
    assert find("1000g").base == published


def test_files_are_chosen_by_key_or_name() -> None:
    source = sources()["gse92743"]
    names = ["GSE92743_Broad_GTEx_inst_info.txt.gz", "gene_info", "GSE92743_Broad_GTEx_inst_info.txt"]
    assert [file.key for file in source.choose(names)] == ["gene_info", "inst_info"]
    assert [file.key for file in source.choose("gene_info")] == ["gene_info"]
    assert len(source.choose()) == 6
    with pytest.raises(SettingsError, match="gse92743 has no file 'genes'; accepted: affymetrix, "):
        source.choose(["genes"])
    with pytest.raises(SettingsError, match="no file of gse92743 was named"):
        source.choose([])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Ours"', "title = ", "no TOML"),
        ('title = "Ours"', "", "no title"),
        ('title = "Ours"', "title = 5", "title is 5; accepted: text"),
        ('title = "Ours"', 'title = "Ours"\nnote = "x"', "'note' is unknown; accepted: title"),
        ('title = "Ours"', 'title = "Ours"\nsums = "../x"', "sums is '../x'"),
        ('base = "https://example.org/data"', "", "no base"),
        ("https://example.org/data", "ftp://example.org/data", "accepted: an address that begins with http"),
        ("https://example.org/data", "https://", "accepted: an address"),
        ("https://example.org/data", "https://example.org:port", "accepted: an address"),
        ("https://example.org/data", "https://example.org/a b", "accepted: an address"),
        ('[mine.files.matrix]\naddress = "sub/matrix.gctx.gz"', "[mine.files]", "no files"),
        ('[mine.files.matrix]\naddress = "sub/matrix.gctx.gz"', "files = 3", "files is 3; accepted: a table"),
        ('[mine.files.matrix]\naddress = "sub/matrix.gctx.gz"', "[mine.files]\nmatrix = 3", "is 3; accepted: a table"),
        ("address =", "path =", "'path' is unknown"),
        ('address = "sub/matrix.gctx.gz"', "", "no address"),
        ("sub/matrix.gctx.gz", "../matrix.gctx.gz", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "%2e%2e/matrix.gctx.gz", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "a%2f..%2fb", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "/etc/passwd", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "https://elsewhere/x", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "download.json", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "download.json.gz", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "a/.hidden", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "x.partial", "accepted: a path below the base"),
        ("sub/matrix.gctx.gz", "sub/", "accepted: a path below the base"),
        ('.gctx.gz"', '.gctx"\nunpack = true', "accepted: for .gz files only"),
        ('.gctx.gz"', '.gctx.gz"\nsize = 0', "size is 0"),
        ('.gctx.gz"', '.gctx.gz"\nsize = true', "size is True; accepted: a whole number"),
        ('.gctx.gz"', '.gctx.gz"\nchecksum = "abc"', "checksum is 'abc'; accepted: md5: and 32 digits"),
        ('.gctx.gz"', '.gctx.gz"\nchecksum = "md5:abc"', "accepted: md5: and 32 digits"),
        ('.gctx.gz"', '.gctx.gz"\nchecksum = "crc:"', "accepted: md5: and 32 digits"),
        ('.gctx.gz"', '.gctx.gz"\n[mine.files.again]\naddress = "matrix.gctx"', "two files would be named matrix.gctx"),
        ("[mine]", "['../mine']", "the name is '../mine'"),
        ("[mine]", "mine = 1\n[other]", "accepted: a table"),
    ],
)
def test_bad_manifests_are_told_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    manifest = tmp_path / "mine.toml"
    text = SMALL.replace(old, new)
    assert text != SMALL
    if "[other]" in new or "'../mine'" in new:
        text = text.split("[mine.files")[0]
    manifest.write_text(text, "utf-8")
    with pytest.raises(DgexError) as caught:
        sources(manifest)
    message = str(caught.value)
    assert re.search(re.escape(said), message), message
    assert str(manifest) in message
    assert "\n" not in message


def test_manifests_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(FileError, match="cannot read the manifest"):
            sources(path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="no TOML file"):
        sources(tmp_path / "binary.toml")
    with pytest.raises(SettingsError, match=r"^data set 'geo' is unknown; accepted: gse92743, gtex, 1000g, gse92742$"):
        find("geo")
