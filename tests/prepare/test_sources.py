"""Inputs are named, opened and recognised."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from dgex.errors import DataError
from dgex.prepare.sources import Source, open_sources

LOG2 = np.random.default_rng(0).gamma(9, 0.9, (9, 30)).astype(np.float32)


def source(X: np.ndarray, names: list[str] | None = None, **obs: object) -> Source:
    var = pd.DataFrame(index=names or [f"GENE{i}" for i in range(X.shape[1])])
    data = AnnData(X, obs=pd.DataFrame(obs, index=[f"s{i}" for i in range(len(X))]), var=var)
    with ExitStack() as stack:
        return open_sources(data, stack)[0]


def test_platforms() -> None:
    assert set(source(LOG2, [f"20{i:04d}_at" for i in range(30)]).platform) == {"array"}
    assert set(source(np.exp2(LOG2)).platform) == {"rnaseq"}
    assert set(source(LOG2).platform) == {"array"}
    assert set(source(np.where(LOG2 < 6, 0, LOG2)).platform) == {"rnaseq"}
    assert set(source(LOG2, units="log2(normFPKM+1)").platform) == {"rnaseq"}
    assert set(source(np.exp2(LOG2), platform="l1000").platform) == {"l1000"}


def test_labels_and_named_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = AnnData(LOG2, obs=pd.DataFrame(index=[f"s{i}" for i in range(9)]))
    for name in ("one.h5ad", "a=b.h5ad", "v1.2.h5ad"):
        data.write_h5ad(name)
    with ExitStack() as stack:
        found = open_sources(["one.h5ad", "GTEx=one.h5ad", "a=b.h5ad", "test=one.h5ad", Path("v1.2.h5ad"), data], stack)
        assert [s.label for s in found] == ["one", "GTEx", "a=b", "one_2", "v1.2", "in-memory"]
        assert [s.set_name for s in found] == [None, "GTEx", None, "test", None, None]
        assert found[0].fingerprint() == found[5].fingerprint()


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_matrix, lambda X: X.astype(np.float64)])
def test_blocks(wrap: object) -> None:
    given = source(LOG2)
    given.data.X = wrap(LOG2)  # type: ignore[operator]
    columns = np.array([3, 4, 17])
    parts = list(given.blocks(4, columns))
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), LOG2[:, columns])
    assert [(where.start, where.stop) for where, _ in parts] == [(0, 4), (4, 8), (8, 9)]
    assert all(part.dtype == np.float32 for _, part in parts)


@pytest.mark.filterwarnings("ignore")
def test_errors() -> None:
    assert source(LOG2[:, :3], ["A", "B", "B"]).shape == (len(LOG2), 3)  # to be collapsed
    with pytest.raises(DataError, match="has no samples"):
        source(LOG2[:0])
    with pytest.raises(DataError, match="no finite value"):
        source(np.full((2, 2), np.nan))


def test_files_of_one_sample_are_taken_together(tmp_path: Path) -> None:
    genes = [f"ENSG{number:011d}" for number in range(30)]
    values = np.exp2(LOG2).round(3)
    for sample, row in enumerate(values):
        lines = [f"{gene}.1\t100\t90\t{value}\t7\n" for gene, value in zip(genes, row)]
        lines = [lines[at] for at in np.random.default_rng(sample).permutation(30)]
        (tmp_path / f"s{sample}.sf").write_text("Name\tLength\tEffectiveLength\tTPM\tNumReads\n" + "".join(lines))
    files = [tmp_path / f"s{sample}.sf" for sample in range(9)]
    matrix = AnnData(LOG2, obs=pd.DataFrame(index=[f"p{i}" for i in range(9)]), var=pd.DataFrame(index=genes))
    named = [f"GTEx={path}" for path in files[6:]]
    with ExitStack() as stack:
        found = open_sources([*files[:3], matrix, *named, *files[3:6]], stack)
        assert [s.set_name for s in found] == [None, None, "GTEx"]
        assert found[0].obs.index.tolist() == [f"s{sample}" for sample in range(6)]
        assert found[2].obs.index.tolist() == ["s6", "s7", "s8"]
        assert found[0].label == tmp_path.name
        order = found[0].var.index.get_indexer([f"{gene}.1" for gene in genes])
        read = np.concatenate([block for _, block in found[0].blocks(4, np.sort(order))])
        np.testing.assert_array_equal(read[:, np.argsort(np.argsort(order))], values[:6])


def test_portals_of_rna_seq_alone_tell_the_platform(tmp_path: Path) -> None:
    for name, ids in (("depmap", "ACH-{:06d}"), ("gtex", "GTEX-{}"), ("geo", "GSM{}")):
        lines = [f"{ids.format(at)},{','.join(map(str, row))}\n" for at, row in enumerate(LOG2)]
        genes = [f"G{at} ({at + 7})" for at in range(LOG2.shape[1])]
        (tmp_path / f"{name}.csv").write_text("," + ",".join(genes) + "\n" + "".join(lines))
    with ExitStack() as stack:
        found = open_sources([tmp_path / f"{name}.csv" for name in ("depmap", "gtex", "geo")], stack)
        assert [set(source.platform) for source in found] == [{"rnaseq"}, {"rnaseq"}, {"array"}]


def test_the_gene_table_says_which_way_an_input_is_turned(tmp_path: Path) -> None:
    words = [f"w{letter}" for letter in "abcdefghi"]
    text = "gene\t" + "\t".join(words) + "\n" + "".join(f"p{n}\t" + "\t".join("123456789") + "\n" for n in range(4))
    (tmp_path / "a.tsv").write_text(text)
    with ExitStack() as stack:
        assert open_sources(tmp_path / "a.tsv", stack)[0].shape == (9, 4)
        assert open_sources(tmp_path / "a.tsv", stack, genes=["wa", "wc", "x"])[0].shape == (4, 9)
