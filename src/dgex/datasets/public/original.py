"""The paper's own dataset, from the files that its authors share on request."""

from __future__ import annotations

from collections.abc import Mapping

from dgex.aliases import PathLike
from dgex.dataset.platforms import Platform
from dgex.datasets.public.layout import find_files
from dgex.prepare.pipeline import prepare

__all__ = ["FILES", "prepare_original"]

#: What is looked for: the compendium of arrays, the two RNA-Seq sets, landmark and target genes.
FILES = {
    "arrays": "bgedv2_QNORM*.gctx",
    "gtex": "GTEx_RNASeq_RPKM*.gctx",
    "1000g": "GD462*.txt|GD462*.txt.gz",
    "landmarks": "map_lm.txt",
    "targets": "map_tg.txt",
}


def prepare_original(
    raw: Mapping[str, PathLike] | PathLike,
    output: PathLike,
    *,
    seed: int = 0,
    overwrite: bool = False,
) -> tuple[Platform, ...]:
    """Prepare the data of Chen et al. 2016 as published.

    Near-duplicate arrays are dropped (100 k-means clusters, distance 1.0 over all probes); the probes of a gene are
    averaged; RNA-Seq genes are matched by Ensembl id without version; arrays are quantile-normalised to their mean
    sorted profile and RNA-Seq profiles, on the RPKM scale, into the same by dense ranks; each of the three sets is
    standardised by its own mean and standard deviation + 1e-3; the arrays are split 80/10/10 at random. All 9,520
    target genes are kept, also the 445 that are further probes of a landmark gene.

    Parameters
    ----------
    raw : folder, or mapping with paths as values
        `bgedv2_QNORM.gctx`, `GTEx_RNASeq_RPKM_n2921x55993.gctx`,
        `GD462.GeneQuantRPKM.50FN.samplename.resk10.txt` (or `.txt.gz`), `map_lm.txt` and `map_tg.txt`.
    output : path
        Dataset to write, `.h5ad` or `.zarr`.
    seed : int
        Of the clusters and of the split; the authors' own is not known.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    tuple of Platform
        GEO (validated and tested on held-out arrays) and GTEx (validated on 1000G, tested on GTEx).

    Raises
    ------
    FileError
        Files are missing: all are listed, with what was found.
    DataError, GeneError, OutputExistsError
        As `dgex.prepare`.

    Notes
    -----
    Finding duplicates holds all probes of the arrays at once (11.5 GB for 129,158 profiles), and gives them back
    before the genes are read (5.6 GB with both RNA-Seq sets).

    References
    ----------
    Chen et al. 2016, section 2.1, and the scripts published with it for the order of the steps.
    """
    files = find_files(raw, FILES)
    prepare(
        [files["arrays"], f"1000G-va={files['1000g']}", f"GTEx-te={files['gtex']}"],
        output,
        genes=[files["landmarks"], files["targets"]],
        dedup=1.0,
        dedup_method="clusters",
        dedup_over="compendium",
        quantile="paper",
        standardize="paper",
        split=(0.8, 0.1, 0.1),
        same_gene="keep",
        seed=seed,
        overwrite=overwrite,
    )
    return (
        Platform("GEO", "validation", "test", "GEO-te"),
        Platform("GTEx", "1000G-va", "GTEx-te", "GTEx-te"),
    )
