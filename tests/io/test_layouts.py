"""Tables as quantifiers and portals write them, by their exact first lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import sparse

from dgex import io
from dgex.errors import DataError, FileError

GENES = ["ENSG00000000003", "ENSG00000000419", "ENSG00000000457", "ENSG00000000460"]
SYMBOLS = ["TSPAN6", "DPM1", "SCYL3", "FIRRM"]
VALUES = [12.5, 0.0, 3.25, 7.0]
COUNTS = [723, 0, 467, 310]

SALMON = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n" + "".join(
    f"{g}.15\t2396.0\t2146.000\t{v}\t{c}.000\n" for g, v, c in zip(GENES, VALUES, COUNTS)
)
RSEM = "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n" + "".join(
    f"{g}.15\tENST00000373020.9,ENST00000494424.1\t1933.20\t1783.67\t{c}.00\t{v}\t{v / 2}\n"
    for g, v, c in zip(GENES, VALUES, COUNTS)
)
KALLISTO = "target_id\tlength\teff_length\test_counts\ttpm\n" + "".join(
    f"{g}\t2396\t2146\t{c}\t{v}\n" for g, v, c in zip(GENES, VALUES, COUNTS)
)
STRINGTIE = "Gene ID\tGene Name\tReference\tStrand\tStart\tEnd\tCoverage\tFPKM\tTPM\n" + "".join(
    f"{g}.15\t{s}\tchrX\t-\t100627108\t100639991\t4.2\t{v / 2}\t{v}\n" for g, s, v in zip(GENES, SYMBOLS, VALUES)
)
STAR = "".join(f"N_{name}\t{n}\t{n}\t{n}\n" for name, n in (("unmapped", 9), ("multimapping", 8), ("noFeature", 7)))
STAR += "N_ambiguous\t3\t3\t3\n" + "".join(f"{g}.15\t{c}\t{c // 2}\t{c - c // 2}\n" for g, c in zip(GENES, COUNTS))
HTSEQ = "".join(f"{g}\t{c}\n" for g, c in zip(GENES, COUNTS)) + (
    "__no_feature\t5\n__ambiguous\t6\n__too_low_aQual\t0\n__not_aligned\t1\n__alignment_not_unique\t2\n"
)
GDC = (
    "# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded\n"
    + "".join(f"N_{n}\t\t\t99\t98\t97\t\t\t\n" for n in ("unmapped", "multimapping", "noFeature", "ambiguous"))
    + "".join(
        f"{g}.15\t{s}\tprotein_coding\t{c}\t1\t2\t{v}\t4\t5\n" for g, s, c, v in zip(GENES, SYMBOLS, COUNTS, VALUES)
    )
)


@pytest.mark.parametrize(
    ("name", "text", "sample", "values", "unit"),
    [
        ("quant.genes.sf", SALMON, "quant.genes", VALUES, "tpm"),
        ("S1.genes.results", RSEM, "S1.genes", VALUES, "tpm"),
        ("abundance.tsv", KALLISTO, "abundance", VALUES, "tpm"),
        ("S1.gene_abund.tab", STRINGTIE, "S1.gene_abund", VALUES, "tpm"),
        ("S1.ReadsPerGene.out.tab", STAR, "S1", COUNTS, "counts"),
        ("S1ReadsPerGene.out.tab.gz", STAR, "S1", COUNTS, "counts"),
        ("S1.htseq.counts", HTSEQ, "S1.htseq", COUNTS, "counts"),
        ("S1.FPKM.txt.gz", "".join(f"{g}.7\t{v}\n" for g, v in zip(GENES, VALUES)), "S1.FPKM", VALUES, None),
        ("a-b.star_gene_counts.tsv", GDC, "a-b.star_gene_counts", VALUES, "tpm"),
    ],
)
def test_one_sample_of_a_quantifier(
    tmp_path: Path, name: str, text: str, sample: str, values: list[float], unit: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    with io.open(path) as file:
        assert file.obs.index.tolist() == [sample]
        assert [gene.split(".")[0] for gene in file.var.index] == GENES
        assert file.read().tolist() == [values]
        assert file.uns.get("unit") == unit


def test_featurecounts(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text(
        '# Program:featureCounts v2.0.3; Command:"featureCounts" "-a" "x.gtf" "-o" "counts.txt"\n'
        "Geneid\tChr\tStart\tEnd\tStrand\tLength\t/data/S1.bam\t/data/S2.bam\n"
        + "".join(f"{g}\tchrX;chrX\t100;300\t200;400\t-;-\t202\t{c}\t{2 * c}\n" for g, c in zip(GENES, COUNTS))
    )
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["/data/S1.bam", "/data/S2.bam"]
        assert file.read().tolist() == [COUNTS, [2 * c for c in COUNTS]]
        assert file.var["Length"].tolist() == [202] * 4
        assert file.uns["unit"] == "counts"


def test_transcripts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "quant.sf"
    path.write_text(SALMON.replace("ENSG", "ENST"))
    with pytest.raises(DataError, match=r"of transcripts \(ENST.*genes are needed"):
        io.open(path)


def test_many_samples_become_one_matrix(tmp_path: Path) -> None:
    lines = SALMON.splitlines(keepends=True)
    paths = []
    for number in range(5):
        path = tmp_path / f"s{number}" / "quant.sf"
        path.parent.mkdir()
        path.write_text("".join([lines[0], *np.random.default_rng(number).permutation(lines[1:])]))
        paths.append(path)
    with io.open(paths) as file:
        assert file.obs.index.tolist() == [f"s{number}" for number in range(5)]
        order = [file.var.index.tolist().index(f"{gene}.15") for gene in GENES]
        assert file.read()[:, order].tolist() == [VALUES] * 5
        assert file.uns["unit"] == "tpm"
    paths[3].write_text("".join(lines[:-1]))
    with pytest.raises(
        DataError, match=r"s3/quant.sf has other genes.*1 are in one of them only \(ENSG00000000460.15\)"
    ):
        io.open(paths)
    paths[3].write_text(KALLISTO)
    with pytest.raises(DataError, match="other genes"):
        io.open(paths)


def test_a_series_matrix_of_geo(tmp_path: Path) -> None:
    text = (
        '!Series_title\t"a study"\n!Series_summary\t"two\nlines; a ""quote"""\n!Series_sample_id\t"GSM1 GSM2 "\n\n'
        '!Sample_title\t"liver, 1"\t"liver, 2"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n'
        '!Sample_characteristics_ch1\t"age: 3"\t"age: 5"\n!Sample_characteristics_ch1\t"sex: m"\t"sex: f\nno"\n'
        '!series_matrix_table_begin\n"ID_REF"\t"GSM1"\t"GSM2"\n"1007_s_at"\t1.5\t2\n"1053_at"\t3\t4\n'
        "!series_matrix_table_end\n"
    )
    path = tmp_path / "GSE1_series_matrix.txt.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["GSM1", "GSM2"]
        assert file.var.index.tolist() == ["1007_s_at", "1053_at"]
        assert file.read().tolist() == [[1.5, 3], [2, 4]]
        assert file.obs["title"].tolist() == ["liver, 1", "liver, 2"]
        assert file.obs["characteristics_ch1"].tolist() == ["age: 3", "age: 5"]
        assert file.obs["characteristics_ch1.2"].tolist() == ["sex: m", "sex: f no"]
    start, table = text.split('"1007_s_at"')
    (tmp_path / "GSE2_series_matrix.txt").write_text(start + table.splitlines()[-1] + "\n")
    with pytest.raises(DataError, match="series matrix without values"):
        io.open(tmp_path / "GSE2_series_matrix.txt")


def test_illumina_tables_with_a_p_value_beside_each_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("ID_REF\tS1\tDetection Pval\tS2\tDetection Pval\nILMN_1\t5\t.01\t6\t.2\nILMN_2\t7\t.3\t8\t.4\n")
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["S1", "S2"]
        assert file.read().tolist() == [[5, 7], [6, 8]]


@pytest.mark.parametrize("corner", ["", "ModelID", "Unnamed: 0"])
def test_depmap(tmp_path: Path, corner: str) -> None:
    path = tmp_path / "OmicsExpression.csv"
    genes = ["TSPAN6 (7105)", "DPM1 (8813)", "SCYL3 (57147)"]
    path.write_text(f"{corner},{','.join(genes)}\nACH-001113,4.331,7.36,2.79\nACH-001289,4.56,7.1,2.54\n")
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["ACH-001113", "ACH-001289"]
        assert file.var.index.tolist() == ["TSPAN6", "DPM1", "SCYL3"]
        assert file.var["entrez"].tolist() == ["7105", "8813", "57147"]
        assert file.notes["kind"] == "DepMap expression"


def test_depmap_with_row_numbers_and_several_ids(tmp_path: Path) -> None:
    path = tmp_path / "Omics.csv"
    path.write_text(
        ",SequencingID,ModelID,IsDefaultEntryForModel,TSPAN6 (7105),DPM1 (8813),SCYL3 (57147)\n"
        "0,CDS-1,ACH-000001,Yes,1,2,3\n1,CDS-2,ACH-000001,No,4,5,6\n2,CDS-3,ACH-000002,Yes,7,8,9\n"
    )
    with io.open(path) as file:
        assert file.obs.index.tolist() == ["CDS-1", "CDS-2", "CDS-3"]
        assert file.obs["ModelID"].tolist() == ["ACH-000001", "ACH-000001", "ACH-000002"]
        assert file.read().tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_gtex_of_one_tissue(tmp_path: Path) -> None:
    path = tmp_path / "gene_tpm_liver.gct.gz"
    rows = "".join(f"{at}\t{g}.4\t{s}\t{v}\t1\n" for at, (g, s, v) in enumerate(zip(GENES, SYMBOLS, VALUES)))
    path.write_bytes(gzip.compress(f"#1.2\n4\t2\nid\tName\tDescription\tGTEX-1\tGTEX-2\n{rows}".encode()))
    with io.open(path) as file:
        assert file.var.index.tolist() == [f"{g}.4" for g in GENES]
        assert file.var["symbol"].tolist() == SYMBOLS
        assert file.read().tolist() == [VALUES, [1] * 4]


@pytest.mark.parametrize("order", [1, -1])
def test_archs4(tmp_path: Path, order: int) -> None:
    path = tmp_path / "human_gene_v2.h5"
    values = np.arange(12, dtype=np.uint32).reshape(4, 3)
    with h5py.File(path, "w") as file:
        file.create_dataset("data/expression", data=values, chunks=(2, 2))
        file["meta/genes/symbol"], file["meta/genes/ensembl_gene"] = np.array(SYMBOLS, "S"), np.array(GENES, "S")
        file["meta/samples/geo_accession"] = np.array(["GSM1", "GSM2", "GSM3"], "S")
        file["meta/samples/series_id"] = np.array(["GSE1", "GSE1", "GSE2"], "S")
    with io.open(path) as file:
        assert file.obs["series_id"].tolist() == ["GSE1", "GSE1", "GSE2"]
        assert file.var["symbol"].tolist() == SYMBOLS
        assert file.uns["unit"] == "counts"
        genes, samples = GENES[::order], ["GSM1", "GSM2", "GSM3"][::order]
        np.testing.assert_array_equal(file.read(genes, samples), values[::order, ::order].T)
        blocks = np.concatenate([block for _, block in file.iter_blocks(2)])
        np.testing.assert_array_equal(blocks, values.T)


def _tenx(path: Path, cells: sparse.csc_matrix, kinds: list[str]) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = cells.data, cells.indices, cells.indptr
        group["shape"] = np.array(cells.shape, np.int32)
        group["barcodes"] = np.array([f"AAACCTGAGAAACCA{i}-1" for i in range(cells.shape[1])], "S")
        group["features/id"], group["features/name"] = np.array([*GENES, "CD3"], "S"), np.array([*SYMBOLS, "CD3"], "S")
        group["features/feature_type"] = np.array(kinds, "S")


def test_cells_of_10x_have_genes_only(tmp_path: Path) -> None:
    dense = np.random.default_rng(0).poisson(1.0, (5, 6))
    kinds = ["Gene Expression", "Gene Expression", "Negative Control Probe", "Gene Expression", "Antibody Capture"]
    _tenx(tmp_path / "cell_feature_matrix.h5", sparse.csc_matrix(dense), kinds)
    with io.open(tmp_path / "cell_feature_matrix.h5") as file:
        assert file.var.index.tolist() == [GENES[0], GENES[1], GENES[3]]
        assert file.var["symbol"].tolist() == [SYMBOLS[0], SYMBOLS[1], SYMBOLS[3]]
        np.testing.assert_array_equal(file.read(), dense[[0, 1, 3]].T)
        np.testing.assert_array_equal(file.read([GENES[3], GENES[0]], [4, 1]), dense[[3, 0]][:, [4, 1]].T)
        assert file.uns["unit"] == "counts"


@pytest.mark.parametrize("prefix", ["", "GSM1_liver_"])
def test_a_folder_of_10x(tmp_path: Path, prefix: str) -> None:
    from scipy.io import mmwrite

    dense = np.random.default_rng(1).poisson(1.0, (4, 3))
    mmwrite(tmp_path / f"{prefix}matrix.mtx", sparse.coo_matrix(dense))
    (tmp_path / f"{prefix}barcodes.tsv").write_text("AAAC-1\nAAAG-1\nAAAT-1\n")
    lines = "".join(f"{g}\t{s}\tGene Expression\n" for g, s in zip(GENES, SYMBOLS))
    (tmp_path / f"{prefix}features.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    for path in (tmp_path, tmp_path / f"{prefix}matrix.mtx"):
        with io.open(path) as file:
            assert file.var["symbol"].tolist() == SYMBOLS
            np.testing.assert_array_equal(file.read(), dense.T)
    (tmp_path / f"{prefix}barcodes.tsv").unlink()
    with pytest.raises(FileError, match="no barcodes beside it"):
        io.open(tmp_path)


def test_an_hdf5_file_of_no_known_layout(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["something"] = [1]
    with pytest.raises(FileError, match="no known layout: it holds something; accepted: GCTX, AnnData, 10x"):
        io.open(tmp_path / "a.h5")


def test_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["only words"])
    sheet = book.create_sheet("values")
    for row in (["Table S1. Expression"], ["gene", "Length", "S1", "S2"], ["TP53", 10, 1.5, 2], ["MYC", 20, 3, 4.25]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    with io.open(tmp_path / "a.xlsx") as file:
        assert file.notes["sheet"] == "values"
        assert file.read().tolist() == [[1.5, 3], [2, 4.25]]
        assert file.var["Length"].tolist() == [10, 20]
    sheet["C3"] = "#VALUE!"
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataError, match=r"b\.xlsx.*column 'S1' is neither") as caught:
        io.open(tmp_path / "b.xlsx")
    assert "/dgex-" not in str(caught.value)


def test_excel_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04xx")
    with pytest.raises(FileError, match=r"needs the package openpyxl: pip install 'dgex-infer\[excel\]'"):
        io.open(tmp_path / "a.xlsx")
