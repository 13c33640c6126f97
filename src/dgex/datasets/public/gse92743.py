"""A dataset of GSE92743, CMap's public successor of the paper's compendium, with GTEx on RNA-Seq and on L1000."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dgex import io
from dgex.aliases import PathLike
from dgex.dataset.platforms import Platform
from dgex.dataset.split import split_samples
from dgex.datasets.public.layout import find_files
from dgex.errors import DataError, FileError, GeneError, SettingsError, first
from dgex.gene_table import GeneTable, read_gene_table
from dgex.genes import align
from dgex.locks import beside
from dgex.ownership import discard
from dgex.places import check_output
from dgex.prepare.pipeline import prepare
from dgex.progress import note, warn

__all__ = ["FILES", "arrays_alone", "prepare_gse92743"]

#: What is looked for, under the names of the public files without `.gz`.
FILES = {
    "arrays": "GSE92743_Broad_Affymetrix_training_Level3_Q2NORM*.gctx",
    "rnaseq": "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm*.gctx",
    "l1000": "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM*.gctx",
    "genes": "GSE92743_Broad_GTEx_gene_info*.txt|GSE92743_Broad_GTEx_gene_info*.txt.gz",
    "samples": "GSE92743_Broad_GTEx_inst_info*.txt|GSE92743_Broad_GTEx_inst_info*.txt.gz",
}

_DONOR = re.compile(r"(GTEX-[A-Za-z0-9]+)")
_DONOR_COLUMNS = ("donor", "subject", "individual", "participant")
_BLOCK = 512


def prepare_gse92743(
    files: Mapping[str, PathLike] | PathLike,
    output: PathLike,
    *,
    validation_share: float = 0.5,
    dedup: float | None = 1.0,
    seed: int = 0,
    overwrite: bool = False,
) -> tuple[Platform, ...]:
    """Make a dataset of GSE92743: 100,000 arrays to learn from, 3,176 GTEx samples on two platforms to judge by.

    The arrays are split 80/10/10 at random. The GTEx samples are split by donor into two sets, each there twice: as
    `GTEx-va` and `GTEx-te` with all genes from RNA-Seq, and as `L1000-va` and `L1000-te` with the landmark genes as
    the L1000 assay measured them in the same samples and the target genes from RNA-Seq, which is what a user of L1000
    asks for. All values are quantile-normalised log2 values already and stay so; every set is standardised by its own
    mean and standard deviation + 1e-3, as the paper does with each of its sets.

    Parameters
    ----------
    files : folder, or mapping with paths as values
        The decompressed files, by name: `FILES`. Profiles and genes may come in any order.
    output : path
        Dataset to write, `.h5ad` or `.zarr`; a temporary folder beside it takes the GTEx sets meanwhile (0.6 GB).
    validation_share : float
        Share of the GTEx samples that validate, above 0 and below 1.
    dedup : float, optional
        Drop arrays closer than this Euclidean distance over all genes to another; None keeps all. GTEx is left whole.
    seed : int
        Of both splits.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    tuple of Platform
        GEO, GTEx and L1000.

    Raises
    ------
    FileError
        Files are missing: all are listed, with what was found.
    DataError
        Samples of the L1000 and RNA-Seq files that cannot be matched, or samples without a donor.
    GeneError
        No landmark gene is measured by all.
    SettingsError, OutputExistsError
        A setting outside what is accepted; an output that exists.

    Notes
    -----
    Samples are matched by id, or where the two files name them differently by the columns of `inst_info` that hold
    the ids of both. Donors are taken from a column of `inst_info` named for donors, subjects, individuals or
    participants, else from ids that begin with `GTEX-` and the donor. Of the 978 landmark genes those that all three
    matrices hold are kept.

    References
    ----------
    Subramanian et al., Cell 171 (2017) 1437.
    """
    if not 0 < validation_share < 1:
        raise SettingsError(f"validation_share is {validation_share!r}", accepted="above 0 and below 1")
    paths = find_files(files, FILES)
    check_output(output, overwrite, inputs=list(paths.values()))
    table = _gene_table(paths["genes"])
    folder = beside(Path(os.path.abspath(output)))  # after a kill the next run of the same output removes it
    try:
        folder.mkdir()
        sets = _write_sets(paths, table, folder, validation_share, seed)
        prepare(
            [paths["arrays"], *(f"{name}={path}" for name, path in sets.items())],
            output,
            genes=table,
            dedup=dedup,
            dedup_over="compendium",
            standardize="paper",
            seed=seed,
            overwrite=overwrite,
        )
    finally:
        discard(folder)
    return (
        Platform("GEO", "validation", "test", "GEO-te"),
        Platform("GTEx", "GTEx-va", "GTEx-te", "GTEx-te"),
        Platform("L1000", "L1000-va", "L1000-te", ""),
    )


def arrays_alone(files: Mapping[str, PathLike] | PathLike) -> tuple[Path, GeneTable]:
    """The matrix of the arrays and the roles of all its genes, to be prepared without the other platforms."""
    paths = find_files(files, {name: FILES[name] for name in ("arrays", "genes")})
    return paths["arrays"], _gene_table(paths["genes"])


def _gene_table(path: Path) -> GeneTable:
    """Landmark genes by `pr_is_lm`; all others are targets, also those that CMap does not call well inferred."""
    table = read_gene_table(path)
    frame = table.frame.copy()
    frame["role"] = np.where(frame["role"] == "landmark", "landmark", "target")
    return replace(table, frame=frame)


def _write_sets(found: Mapping[str, Path], table: GeneTable, folder: Path, share: float, seed: int) -> dict[str, Path]:
    """Write the four sets of GTEx, samples in the order of their ids, and return their files by name."""
    samples = _read_samples(found["samples"])
    with io.open(found["rnaseq"]) as rnaseq, io.open(found["l1000"]) as l1000:
        pairs = _paired(rnaseq.obs.index, l1000.obs.index, samples)
        obs = pd.DataFrame({"donor": _donors(rnaseq, samples)}, index=rnaseq.obs.index).sort_index()
        groups = obs["donor"].to_numpy(dtype=object)
        parts = split_samples(len(obs), (1 - share, share, 0.0), seed=seed, groups=groups)
        note(f"GTEx: {len(obs):,} samples of {len(set(groups)):,} donors, {len(pairs):,} with L1000 profiles")
        genes, measured = _l1000_columns(rnaseq.var, l1000.var, table)
        written = {}
        for part, name in (("validation", "va"), ("train", "te")):
            chosen = obs[parts == part]
            all_genes = np.arange(len(rnaseq.var))
            written[f"GTEx-{name}"] = _write(folder, f"GTEx-{name}", rnaseq, chosen, all_genes)
            both = pairs[pairs["rnaseq"].isin(chosen.index)].sort_values(["rnaseq", "l1000"])
            if not len(both):
                raise DataError(f"no sample of the set L1000-{name} has both an L1000 and an RNA-Seq profile")
            written[f"L1000-{name}"] = _write(
                folder, f"L1000-{name}", rnaseq, chosen.loc[both["rnaseq"]], genes, (l1000, both["l1000"], measured)
            )
    return written


def _l1000_columns(rnaseq: pd.DataFrame, l1000: pd.DataFrame, table: GeneTable) -> tuple[np.ndarray, np.ndarray]:
    """Genes of the L1000 sets (positions in the RNA-Seq file), and for each where L1000 measured it, -1 for targets."""
    landmarks = align(table.frame[table.frame["role"] == "landmark"], rnaseq).index
    is_landmark = np.zeros(len(rnaseq), dtype=bool)
    is_landmark[landmarks[landmarks >= 0]] = True
    places = np.where(is_landmark, align(rnaseq, l1000).index, -1)
    genes = np.flatnonzero(~is_landmark | (places >= 0))
    if not (places >= 0).any():
        raise GeneError(
            f"no landmark gene is in both GTEx matrices: RNA-Seq has genes such as {first(rnaseq.index, 3)}, "
            f"L1000 such as {first(l1000.index, 3)}"
        )
    return genes, places[genes]


def _write(
    folder: Path,
    name: str,
    rnaseq: io.ExpressionFile,
    obs: pd.DataFrame,
    genes: np.ndarray,
    other: tuple[io.ExpressionFile, pd.Series, np.ndarray] | None = None,
) -> Path:
    """Write one set block by block; `other` gives the L1000 file, its ids of the samples, and its columns a gene."""
    path = folder / f"{name}.h5ad"
    sources = obs.index.tolist()
    named = obs.assign(platform="rnaseq" if other is None else "l1000", sample=sources)
    if other is not None:
        named.index = pd.Index([f"{identity}|L1000" for identity in other[1]])
    with io.create(path, named, rnaseq.var.iloc[genes]) as sink:
        for at in range(0, len(sources), _BLOCK):
            values = rnaseq.read(genes, sources[at : at + _BLOCK])
            if other is not None:
                file, ids, columns = other
                taken = columns >= 0
                values[:, taken] = file.read(columns[taken], ids.iloc[at : at + _BLOCK].tolist())
            sink.append(values)
    return path


def _read_samples(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise FileError(f"{path} is no tab-separated table of samples: {str(error).splitlines()[0]}") from error


def _paired(rnaseq: pd.Index, l1000: pd.Index, samples: pd.DataFrame) -> pd.DataFrame:
    """L1000 profiles with the RNA-Seq profile of the same sample: by id, or through two columns of `inst_info`."""
    pairs = pd.DataFrame({"l1000": l1000[l1000.isin(rnaseq)]}).assign(rnaseq=lambda frame: frame["l1000"])
    if not len(pairs):
        ours, theirs = (_column_of(samples, ids) for ids in (l1000, rnaseq))
        if ours is not None and theirs is not None:
            pairs = pd.DataFrame({"l1000": samples[ours], "rnaseq": samples[theirs]}).drop_duplicates("l1000")
            pairs = pairs[pairs["l1000"].isin(l1000) & pairs["rnaseq"].isin(rnaseq)]
    if not len(pairs):
        raise DataError(
            f"no sample of the L1000 matrix ({first(l1000, 2)}) is in the RNA-Seq matrix ({first(rnaseq, 2)}), and "
            f"no two columns of inst_info match them; found columns {first(samples.columns)}"
        )
    if len(pairs) < len(l1000):
        warn(f"{len(l1000) - len(pairs):,} of {len(l1000):,} L1000 profiles have no RNA-Seq profile and are left out")
    return pairs


def _column_of(samples: pd.DataFrame, ids: pd.Index) -> str | None:
    """The column of `inst_info` that holds most of these ids."""
    counts = {str(column): int(samples[column].isin(ids).sum()) for column in samples.columns}
    best = max(counts, key=lambda column: counts[column], default=None)
    return best if best is not None and counts[best] else None


def _donors(rnaseq: io.ExpressionFile, samples: pd.DataFrame) -> list[str]:
    """Donor of every RNA-Seq profile."""
    ids = rnaseq.obs.index
    key = _column_of(samples, ids)
    described = samples.drop_duplicates(key).set_index(key).reindex(ids) if key is not None else pd.DataFrame(index=ids)
    named = [c for c in described.columns if any(word in str(c).lower() for word in _DONOR_COLUMNS)]
    donors = described[named[0]].fillna("") if named else pd.Series("", index=ids)
    donor_names = [donor or next(iter(_DONOR.findall(str(name))), "") for donor, name in zip(donors, ids)]
    for column in described.columns:  # ids of samples may stand in any other column
        if all(donor_names):
            break
        texts = described[column].fillna("")
        donor_names = [donor or next(iter(_DONOR.findall(text)), "") for donor, text in zip(donor_names, texts)]
    if not all(donor_names):
        lacking = [name for name, donor in zip(ids, donor_names) if not donor]
        raise DataError(
            f"{len(lacking):,} of {len(ids):,} GTEx samples have no donor, such as {first(lacking, 3)}: looked for a "
            f"column of inst_info with {' or '.join(_DONOR_COLUMNS)} in its name and for ids like GTEX-1117F; found "
            f"columns {first(samples.columns)}"
        )
    return donor_names
