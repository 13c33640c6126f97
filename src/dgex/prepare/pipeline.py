"""Raw matrices -> dataset: `prepare`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.errors import DataError, SettingsError, first
from dgex.gene_table import GeneTable, read_gene_table
from dgex.genes import texts
from dgex.places import claim
from dgex.prepare import duplicates as duplicating
from dgex.prepare.assemble import assign_sets, compendium_duplicates, read_matrix, sample_table
from dgex.prepare.gene_plan import plan_genes
from dgex.prepare.groups import lacks
from dgex.prepare.options import Options
from dgex.prepare.panel import read_names
from dgex.prepare.preparation import Preparation
from dgex.prepare.quantiles import normalize_quantiles
from dgex.prepare.result import written
from dgex.prepare.room import Room
from dgex.prepare.sources import Source, open_sources
from dgex.prepare.steps import (
    drop_near_duplicates,
    normalize_depth,
    split_work,
    standardize_sets,
    treat_constant,
)
from dgex.progress import note, warn
from dgex.remote.sending import sends
from dgex.renamed import Aliases, AliasTable, read_aliases

__all__ = ["prepare"]

Input: TypeAlias = PathLike | AnnData


@sends("output")
def prepare(
    inputs: Input | Sequence[Input],
    output: PathLike | None = None,
    *,
    genes: GeneTable | PathLike | Sequence[PathLike] | None = None,
    dedup: float | None = None,
    dedup_method: str = "exact",
    dedup_over: str = "inputs",
    quantile: str | bool | None = None,
    ties: str = "published",
    landmark_ranks: str | None = None,
    standardize: str = "inductive",
    split: Sequence[float] = (0.8, 0.1, 0.1),
    group: str | None = None,
    together: float | None = None,
    log2: str | None = None,
    scale: str = "auto",
    normalize: str = "none",
    landmarks: PathLike | Sequence[str] | None = None,
    collapse: str = "mean",
    same_gene: str = "drop",
    constant: str = "error",
    seed: int = 0,
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    aliases: AliasTable | None = None,
    overwrite: bool = False,
) -> AnnData:
    """Make a dataset of raw matrices.

    The steps, in order: genes are matched by name and probes collapsed; linear values are logged where asked for;
    near-duplicates are dropped; samples are split; profiles are quantile-normalised; genes are standardised.

    Parameters
    ----------
    inputs : path, AnnData, or sequence of these
        Raw matrices of any platforms and formats; files of one sample each, as quantifiers write them, are taken
        together. `NAME=path` becomes a named set of its own, which is not split; with
        `train`, `validation` or `test` as the name, its samples go there. All other inputs form the compendium, which
        is split. The genes that all inputs measure are kept.
    output : path, optional
        Dataset to write, `.h5ad` or `.zarr`.
    genes : GeneTable or path(s), optional
        Which genes are landmark and target genes; see `dgex.read_gene_table`. Not needed when an input says so itself
        (`var["role"]`).
    dedup : float, optional
        Drop samples closer than this Euclidean distance to another, over the genes kept, on the log2 scale (linear
        inputs are logged for this purpose only). Published: 1.0. See `near_duplicates`.
    dedup_method : {"exact", "clusters"}
    dedup_over : {"inputs", "compendium"}
        Between which samples: of all inputs, over the genes kept; or, as published, of the compendium alone (named sets
        stay whole), over all columns of its matrix before genes are chosen.
    quantile : {None, "inductive", "paper"} or bool
        `"inductive"`: reference of the training samples, average ranks for all. `"paper"`: reference of all arrays of
        the compendium; arrays by floored average ranks, RNA-Seq by dense ranks (without arrays: all samples of the
        compendium, floored average ranks). True: `"paper"` when `standardize` is, else `"inductive"`.
    ties : {"published", "average"}
        What equal values of a profile get by `quantile="paper"`: as published, or the mean of their ranks on every
        platform, which is safe for values that were rounded. `"inductive"` always takes the mean.
    landmark_ranks : {"alone", "together"}, optional
        Whether quantile normalisation ranks a profile's landmark genes among themselves, as `dgex.infer` has to rank
        those of a panel, so that models learn from values such as they will be given; or together with the target
        genes, as published. "alone" unless told, but "together" with `quantile="paper"`. Target genes are always ranked
        among all genes.
    standardize : {"inductive", "paper", "none"}
        `"inductive"`: mean and standard deviation of the training samples, for all samples. `"paper"`: every set by
        the statistics of all its samples, divisor standard deviation + 1e-3. A set is a named set, or the compendium,
        or, when it mixes platforms, each platform of it.
    split : three numbers
        Fractions of training, validation and test.
    group : str, optional
        Column of `obs`; samples of a group stay on one side of the split. Several, comma separated, such as
        `"study,patient"`: samples that share a group of any of them do, and those linked through others; the linked
        groups become the column `study+patient`. Where no column says `patient`, ids of TCGA and GTEx do.
    together : float, optional
        Samples closer than this Euclidean distance, measured as for `dedup`, stay on one side of the split too, and
        with them their groups; how many there are is said. By default 1.0, or 0 where `dedup` drops them; 0 does not
        look. Of more than 20,000 samples it is said that none were looked for. Samples of named sets stay where they
        are: what lies on both sides then is said.
    log2 : {"never", "auto", "always"}, optional
        Whether `log2(x + 1)` is taken: of no input, of those on the linear scale, of all. "never", but "auto" where
        depth is normalised.
    scale : {"auto", "log2", "ln", "log10", "linear", "counts"}
        On which scale the inputs are; found for each of them, once for all of its profiles, unless told. Other
        logarithms become those to the base 2.
    normalize : {"none", "cpm", "size-factors"}
        How sequencing depth is taken out of linear inputs, before the logarithm: counts per million of all genes of the
        file, or median ratios of the landmark genes to their geometric means over the training samples.
    landmarks : path or sequence of str, optional
        Names of the landmark genes, one a line: all other genes (of `genes`, or else of the first input) are targets.
    collapse : {"mean", "median", "max-mean"}
        How several rows of a gene, such as its probes, become one value, here and where the model infers; see
        `Collapse`.
    same_gene : {"drop", "keep"}
        What becomes of targets that are the same gene as a landmark.
    constant : {"error", "drop"}
        What becomes of genes that are constant over the training samples. The paper's divisor is never zero: there
        they are kept, and said.
    seed : int
        Of the split, and of the clusters of `dedup_method="clusters"`.
    orientation, format, layer
        How the inputs are read, as for `dgex.open`.
    aliases : path or mapping, optional
        Older names of genes, for those that do not match otherwise; see `read_aliases`.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    AnnData
        Samples x genes, float32, landmark genes first; `obs["split"]`, `obs["set"]`, `obs["platform"]`, `var["role"]`,
        `varm["mean"]` and `varm["std"]` (genes x sets), and in `uns["dgex"]` what was done. Of a dataset that was not
        held in memory (see Notes) `X` is read from the output as it is asked for, as of any backed AnnData.

    Raises
    ------
    GeneError
        No roles, no common genes, no landmark or target genes.
    DataError
        NaN or infinity, constant genes, fewer samples than the split needs, no group.
    SettingsError
        A setting outside what is accepted.
    FileError, OutputExistsError
        An input that cannot be read; an output that cannot be written, or exists; a disk without room for the output
        and what is on the way to it.

    Notes
    -----
    The matrix is read block by block and changed in place: beside it, nothing of its size is held. Where it would take
    more than an eighth of the memory and an output is given, it lies in a temporary file meanwhile (in the folder of
    the output, or where `TMPDIR` says), which is gone when the process ends; memory is then bounded whatever its size,
    and values are the same. With `dedup_over="compendium"` all columns of the compendium are read and compared first.

    References
    ----------
    Chen et al. 2016, section 2.1.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, group="study", seed=0)
    >>> data.var["role"].value_counts().to_dict(), sorted(data.obs["split"].unique())
    ({'target': 30, 'landmark': 20}, ['test', 'train', 'validation'])
    """
    if quantile is True:
        quantile = "paper" if standardize == "paper" else "inductive"
    options = Options(
        dedup=float(dedup or 0),
        dedup_method=dedup_method,
        dedup_over=dedup_over,
        quantile=quantile or "none",
        ties=ties,
        landmark_ranks=landmark_ranks or ("together" if quantile == "paper" else "alone"),
        standardize=standardize,
        split=tuple(float(share) for share in split),
        group=group or "",
        together=float((0.0 if dedup else 1.0) if together is None else together),
        log2=log2 or ("never" if normalize == "none" else "auto"),
        scale=scale,
        normalize=normalize,
        collapse=collapse,
        same_gene=same_gene,
        constant=constant,
        seed=int(seed),
    )
    reading = {"orientation": orientation, "format": format, "layer": layer}
    listed = [landmarks] if isinstance(landmarks, str | os.PathLike) else []  # else they are names, no paths
    older = read_aliases(aliases)
    with nullcontext() if output is None else _claimed(output, overwrite, [inputs, genes, aliases, *listed]):
        return _prepared(inputs, output, genes, landmarks, older, options, reading, overwrite)


def _prepared(
    inputs: Any,
    output: PathLike | None,
    genes: Any,
    landmarks: Any,
    aliases: Aliases | None,
    options: Options,
    reading: dict[str, Any],
    overwrite: bool,
) -> AnnData:
    """As `prepare`, with settings that are checked, once the output is this process's own."""
    table = genes if genes is None or isinstance(genes, GeneTable) else read_gene_table(genes, roles=landmarks is None)
    names = None if landmarks is None else read_names(landmarks)
    with ExitStack() as files:  # of what is on the way
        room = Room(output, files)
        with ExitStack() as stack:
            sources = open_sources(
                inputs, stack, options.scale, **reading, genes=None if table is None else table.frame
            )
            work, duplicates = _read(sources, table, options, names, aliases, room)
        if options.dedup:
            drop_near_duplicates(work, options, duplicates)
        split_work(work, options)
        if options.normalize == "size-factors":
            normalize_depth(work, options)
        treat_constant(work, options)
        if options.quantile != "none":
            normalize_quantiles(work, options)
            treat_constant(work, options)
        if options.standardize != "none":
            standardize_sets(work, options)
        return written(work, output, overwrite)


def _claimed(output: PathLike, overwrite: bool, inputs: list[Any]) -> AbstractContextManager[Path]:
    if Path(output).suffix not in (".h5ad", ".zarr"):
        raise SettingsError(f"a dataset cannot be written as {os.fspath(output)}", accepted=".h5ad, .zarr")
    return claim(output, "dgex prepare", overwrite=overwrite, inputs=inputs)


def _read(
    sources: list[Source],
    table: GeneTable | None,
    options: Options,
    landmarks: list[str] | None,
    aliases: Aliases | None,
    room: Room,
) -> tuple[Preparation, duplicating.Duplicates | None]:
    _need_linear(sources, options)
    plan = plan_genes(sources, table, options.same_gene, options.collapse, landmarks, aliases)
    obs = sample_table(sources)
    for source in sources:
        mixed = source.set_name is None and "set" in source.obs
        sets = texts(source.obs["set"]).unique().tolist() if mixed else []
        if len(sets) > 1:
            warn(
                f"{source.label} holds {len(sets)} sets ({first(sets, 4)}), which are mixed and split together; write "
                "each to a file of its own and give it as NAME=FILE to keep it apart"
            )
    for column in ("split", "set"):
        if column in obs:
            note(f"the column {column!r} of the profiles (obs) is replaced: prepare writes its own")
    obs["set"], obs["split"] = assign_sets(sources)
    _need_group(obs, sources, options)
    duplicates = None
    if options.dedup and options.dedup_over == "compendium":  # its matrix is given back before the next is read
        duplicates = compendium_duplicates(sources, options.dedup, options.dedup_method, options.seed, room)
    X, linear = read_matrix(sources, plan, options.collapse, options.log2, options.normalize, room)
    later = linear & (options.log2 == "never")  # what stays linear
    unlogged = [source.label for source in sources if source.scale.linear and not source.facts["logged"]]
    if unlogged and options.quantile == "none":
        warn(
            f"on the linear scale, neither logged nor quantile-normalised: {first(unlogged, 5)}; --log2 auto logs them"
        )
    record: dict[str, Any] = {
        "kind": "dataset",
        "version": __version__,
        "versions": {"numpy": np.__version__, "pandas": pd.__version__},
        "options": asdict(options) | {"split": list(options.split)},
        "inputs": {source.label: source.facts for source in sources},
        "genes": plan.facts,
        "samples": {"read": len(X)},
        "log2": options.log2,
        "standardize": options.standardize,
        "units": _units(sources, later),
    }
    if "landmark_share" in plan.facts:
        record["depth"] = {"landmark_share": plan.facts.pop("landmark_share")}
    return Preparation(X, obs, plan.var, linear, record, {}), duplicates


def _units(sources: list[Source], linear: np.ndarray) -> str:
    if not linear.any():
        return "log2 expression" if any(source.scale.unit != "standardized" for source in sources) else "standardized"
    if not linear.all():
        return "log2 and linear expression"
    return " and ".join(sorted({source.scale.unit for source in sources}))


def _need_linear(sources: list[Source], options: Options) -> None:
    """Depth can be taken out of linear values alone."""
    if options.normalize == "none":
        return
    others = [f"{source.label} is {source.scale}" for source in sources if not source.scale.linear]
    if len(others) == len(sources):
        raise DataError(
            f"normalize={options.normalize!r} takes counts or other linear values, and {first(others, 3)}; "
            "scale='linear' insists"
        )
    if others:
        note(f"depth is not normalised where logarithms were taken: {first(others, 3)}")


def _need_group(obs: pd.DataFrame, sources: list[Source], options: Options) -> None:
    """Say before any matrix is read that a group column is missing."""
    if not options.group:
        return
    lacking = [source.label for source in sources if source.set_name is None and lacks(source.obs, options.group)]
    if (absent := lacks(obs, options.group)) or lacking:
        absent = absent or [name for source in sources for name in lacks(source.obs, options.group)]
        columns = [str(column) for column in obs.columns if column not in ("split", "set", "platform", "input")]
        raise DataError(
            f"no column {absent[0]!r} in obs of {first(lacking or [source.label for source in sources])} to split "
            f"by; found {first(columns) or 'no columns'}"
        )
