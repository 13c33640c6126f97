"""What a file is, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgex.summary import summary


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
    assert summary(tmp_path / name)["what it is"].startswith(said)
