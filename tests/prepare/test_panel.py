"""A list of landmark genes: its header is no gene, and what is no file is refused at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dgex.errors import FileError
from dgex.prepare.panel import read_names


@pytest.mark.parametrize("header", ["", "gene", "Gene", "gene_symbol", "Gene Symbol", "hgnc_symbol", "id", "ENTREZID"])
def test_names_stand_below_a_header_or_none(header: str, tmp_path: Path) -> None:
    path = tmp_path / "panel.txt"
    path.write_text("# my panel\n" + (f"{header}\n" if header else "") + "TP53\nMYC\n\nTP53\n")
    assert read_names(path) == ["TP53", "MYC"]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "panel.txt")
    with pytest.raises(FileError, match="is a named pipe"):
        read_names(tmp_path / "panel.txt")
