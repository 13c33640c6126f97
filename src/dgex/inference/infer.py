"""Source -> model -> sink, in blocks: the transcriptome of profiles that measured only the landmark genes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex import io
from dgex.confidence.intervals import check_level
from dgex.confidence.trust import TRUST
from dgex.dataset.depth import DEPTHS
from dgex.dataset.scale import SCALES
from dgex.errors import DataError, SettingsError
from dgex.inference.blocks import Inferred, Predicted, own_statistics
from dgex.inference.flow import aside, flow
from dgex.inference.inputs import in_order, opened
from dgex.inference.output import as_measured, file_options, profile_columns, tell, write
from dgex.inference.parts import Block, Blocks, Parts, parts_folder
from dgex.inference.plan import Plan, plan, record
from dgex.inference.precision import in_precision
from dgex.inference.reporting import claimed, write_report
from dgex.inference.shards import check_stored, command, infer_parts, own_device, spread_of
from dgex.io.base import ExpressionFile
from dgex.io.writer import Writer
from dgex.models.base import Estimator
from dgex.models.folder import load
from dgex.places import check_inputs, claim
from dgex.prepare.collapse import RULES
from dgex.prepare.panel import read_names
from dgex.progress import bar
from dgex.remote.sending import sends
from dgex.renamed import AliasTable, read_aliases

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["infer"]

CHOICES = {
    "units": ("original", "standardized"),
    "extra": ("drop", "carry"),
    "measured": ("keep", "infer", "raw"),
    "missing": ("error", "auto", "impute"),
    "scale": SCALES,
    "normalize": ("model", *DEPTHS),
    "collapse": ("model", *RULES),
    "standardize": ("model", "own"),
}


@sends("output")
def infer(
    source: PathLike | AnnData | pd.DataFrame | Sequence[PathLike],
    model: PathLike | Estimator,
    output: PathLike | None = None,
    *,
    block: int = 1024,
    units: str = "original",
    extra: str = "drop",
    measured: str = "keep",
    missing: str = "error",
    scale: str = "auto",
    normalize: str = "model",
    collapse: str = "model",
    standardize: str = "model",
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    aliases: AliasTable | None = None,
    interval: float | None = None,
    genes: Sequence[str] | PathLike | None = None,
    min_trust: str | None = None,
    report: PathLike | None = None,
    log2: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    compress: str | None = None,
    shard: str | None = None,
    parts: str = "h5ad",
    precision: str = "float32",
    resume: bool = False,
    overwrite: bool = False,
) -> AnnData | None:
    """Infer the target genes of profiles that measured the landmark genes.

    What was measured is kept, in the unit of the result; genes are matched by name (symbols, Ensembl, Entrez or probe
    ids, whichever fits best) in any order. On which scale the input is, is decided once for all of its profiles.

    Parameters
    ----------
    source : path, AnnData, DataFrame or sequence of paths
        Profiles with at least the landmark genes; one profile alone works. A DataFrame has a row a profile. Several
        paths are files with the same genes, such as those of a quantifier, one a sample.
    model : path or Estimator
        A model folder or a fitted estimator. Told first by mistake, it is known by its `model.json`.
    output : path, optional
        File to write, of any format; without it the result is returned. A name without a suffix, or a folder, is one of
        parts: files of ranges of the profiles, of which only those that are not there are written, and which
        `dgex.seal` joins.
    block : int
        Profiles read, inferred and written at a time; while a block is inferred the next is read and the one before is
        written, so that a few are in memory.
    units : {"original", "standardized"}
        Values of the result: on the scale of the training values, or as the model works with them.
    extra : {"drop", "carry"}
        What becomes of further genes of the input.
    measured : {"keep", "infer", "raw"}
        What becomes of measured values. "keep": landmark and target genes that were measured go through the model's own
        transform (logarithm, quantiles), so that all values of the result are in one unit; what they were lies in
        `layers["measured"]` where it differs. "infer": as "keep", but measured target genes are replaced by inferred
        ones. "raw": measured values stay as they came, in whatever unit that is.
    missing : {"error", "auto", "impute"}
        What becomes of landmark genes that the input lacks, and of values missing in a profile: an error, or their
        conditional mean given the profile's other landmark genes (the training mean where the model was never judged by
        held-out profiles); "auto" imputes up to 5 % of a profile's landmark genes, "impute" up to half.
    scale : {"auto", "log2", "ln", "log10", "linear", "counts"}
        On which scale the input is. Found by `dgex.dataset.scale.decide_scale` unless told, and said.
    normalize : {"model", "none", "cpm", "size-factors"}
        How sequencing depth is taken out of linear values before the logarithm: as of the training profiles, or told.
    collapse : {"model", "mean", "median", "max-mean"}
        How several rows of a gene become one value: as in training, or told.
    standardize : {"model", "own"}
        Standardise the input with the training statistics frozen in the model, or with its own (the rule of the
        paper for a set from another platform, section 2.1; needs many profiles and another pass).
    orientation, format, layer
        How to read the input, as for `dgex.open`.
    aliases : path or mapping, optional
        Older names of genes, for those that do not match otherwise; see `read_aliases`.
    interval : float, optional
        Coverage of prediction intervals, such as 0.9: their half-widths are in `layers["halfwidth"]` (0 where a value
        was measured; as float16 in files of logarithms, to a thousandth), in a file `NAME.halfwidth` beside the output
        where its format has no layers, and in columns `GENE (low)` and `GENE (high)` of a table of up to 100 genes.
    genes : sequence of str or path, optional
        Only these genes of the result, by any name that the model knows of them; a path is a file of one name a line.
    min_trust : {"high", "medium", "low", "unknown"}, optional
        Only genes that were measured or have at least this trust.
    report : path, optional
        Folder for a page of what the file is, which landmark genes were found, how like the training profiles its
        profiles are and what every gene is worth; and the same as tables, `genes.csv` and `profiles.csv`.
    log2 : {"auto", "never"}, optional
        Older spelling: "auto" is what happens anyway, "never" refuses linear values.
    device : str, optional
        Device for networks (`cpu`, `cuda`).
    dtype : {"float32", "float16", "int16"}
        How an output `.gctx`, `.h5ad` or `.zarr` stores its values. The largest rounding error is measured, said and
        kept in `uns["dgex"]` and with the matrix. "float16": 11 bits, which all readers of these formats take. "int16":
        whole numbers with an offset and a scale for each gene in every band of 1,024 profiles, far more exact; `dgex`
        reads them as values, others undo them by the tables `int16_scaled` (in `uns`; in `/dgex` of GCTX).
    compress : {"gzip", "zstd", "blosc", "none"}, optional
        How the output is packed: "gzip" for `.gctx` and `.h5ad`, all for `.zarr` (where nothing told means "zstd").
    shard : str, optional
        `"k/N"`: which of N processes this is, counted from 1; each writes its own parts of a folder, or its own chunks
        of a `.zarr`. Processes that torchrun starts know it by themselves.
    parts : {"h5ad", "gctx"}
        Format of the parts of a folder.
    precision : {"float32", "tf32", "bf16", "auto"}
        Of the matrix products of networks, kept in `uns["dgex"]["precision"]`. In float32 a result does not depend on
        what the machine is good at; "auto" takes bf16 where that is faster.
    resume : bool
        Keep finished blocks in `OUTPUT.parts` while working, and go on from them when the call is repeated: the model,
        all settings and the input, every value of it, are compared first.
    overwrite : bool
        Replace an output that exists; of a folder of parts, parts of another model, settings or input.

    Returns
    -------
    AnnData or None
        Landmark genes, target genes and carried genes; `var["origin"]` is `measured`, `inferred`, `imputed` or
        `carried`, `var["unit"]` and `uns["unit"]` the unit; `expected_error`, `expected_r`, `recall` and `trust` say
        what each inferred gene is worth. `obs["distance"]` is the share of held-out profiles that lie nearer to the
        training profiles, `obs["unlike"]` marks the farthest 1 %. Where target genes were measured,
        `uns["dgex"]["check"]` says how far inferred values are off. None when `output` is given.

    Raises
    ------
    GeneError
        Landmark genes are missing, or no gene matches at all.
    DataError
        NaN or infinity among the values, a scale that is doubtful or not the model's, or what is no matrix with names.
    ModelError
        No model, or `resume` and finished blocks of another model, other settings or another input.
    OutputExistsError, FileError
        The output exists, cannot be written, or another process writes it.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> model = dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge")
    >>> panel = raw[:3, raw.var["role"] == "landmark"]
    >>> whole = dgex.infer(panel, model)
    >>> whole.shape, whole.var["origin"].value_counts().to_dict()
    ((3, 50), {'inferred': 30, 'measured': 20})
    """
    source, model = in_order(source, model)
    given = {**locals()}
    settings: dict[str, Any] = {
        "units": units,
        "extra": extra,
        "measured": measured,
        "missing": missing,
        "scale": scale,
    }
    settings |= {"normalize": normalize, "collapse": collapse, "standardize": standardize}
    for name, value in settings.items():
        if value not in CHOICES[name]:
            raise SettingsError(name, found=value, accepted=CHOICES[name])
    if log2 not in (None, "auto", "never"):
        raise SettingsError("log2", found=log2, accepted=("auto", "never"))
    if not isinstance(block, int | np.integer) or block < 1:
        raise SettingsError("block", found=block, accepted="1 profile or more")
    if output is None and (dtype != "float32" or compress is not None):
        raise SettingsError("dtype and compress are of an output file; a result in memory is float32")
    if resume and output is None:
        raise SettingsError("resume needs an output file to go on with")
    if interval is not None:
        check_level(interval)
    if min_trust is not None and min_trust not in TRUST:
        raise SettingsError("min_trust", found=min_trust, accepted=TRUST)
    to = spread_of(output, shard, parts)
    if to is not None and report is not None:
        raise SettingsError("report: a page tells of a whole result", accepted="one output file for one process")
    wanted, table = _names(genes), read_aliases(aliases)
    with ExitStack() as stack:
        stored: dict[str, Any] = {}
        if output is not None:
            stored = file_options(Path(output) if to is None else to.part, dtype, compress)
        if to is not None:
            check_stored(to, stored)
        if output is not None and to is None:
            stack.enter_context(claim(output, "dgex infer", overwrite=overwrite, inputs=[source, model, aliases]))
            if resume:
                check_inputs(parts_folder(output), [source, model, aliases])
        folder = None
        if report is not None:
            folder = stack.enter_context(claimed(report, output, overwrite, [source, model, aliases]))
        estimator = model if isinstance(model, Estimator) else load(model)
        if device is not None and "device" in (own := estimator.get_params()):
            stack.callback(estimator.set_params, device=own["device"])  # it may be the caller's
            estimator.set_params(device=device)
        if to is not None:
            own_device(device)
        exactness = stack.enter_context(in_precision(estimator, precision))
        data = stack.enter_context(opened(source, estimator, orientation=orientation, format=format, layer=layer))
        trusted: dict[str, Any] = {"interval": interval, "genes": wanted, "min_trust": min_trust}
        work = plan(estimator, data, **settings, **trusted, aliases=table)
        work.precision = exactness
        if log2 == "never" and work.scale is not None and work.scale.linear:
            raise DataError(f"the input is on the {work.scale}; scale='auto' takes the logarithm, scale='log2' insists")
        if standardize == "own":
            own_statistics(work, data, block)
        if output is None:
            result = _in_memory(work, data, block)
            if folder is not None:
                write_report(work, data, folder, overwrite)
            return result
        settings["scale"] = work.scale.kind if work.scale is not None else "any"
        if interval is not None:  # the genes of the result are compared by themselves
            settings["interval"] = str(interval)
        file = partial(_to_file, block, settings if resume else None, stored)
        if to is not None:
            words, inputs = command(infer, given), [source, model, aliases]
            infer_parts(to, work, data, block, settings | stored, file, words, inputs, overwrite)
            return None
        blocks = file(work, data, Path(output), Path(output), overwrite, io.create)
        if folder is not None:
            write_report(work, data, folder, overwrite)
        blocks.clear()
    return None


def _names(genes: Sequence[str] | PathLike | None) -> list[str] | None:
    """Names of genes, or those of a file, one a line."""
    if genes is None:
        return None
    if isinstance(genes, str | os.PathLike):
        return read_names(genes, "gene")
    return [str(name) for name in genes]


def _to_file(
    block: int,
    settings: dict[str, Any] | None,
    options: dict[str, Any],
    work: Plan,
    data: ExpressionFile,
    target: Path,
    kept: Path,
    overwrite: bool,
    create: Callable[..., Writer],
) -> Blocks:
    """Infer the profiles of a file into `target`; with `settings`, finished blocks are kept beside `kept` meanwhile."""
    blocks = Blocks(work, data, block) if settings is None else Parts(kept, work, data, block, settings)
    # For one block while the one before is written.
    rooms = cycle([np.empty((min(block, len(data.obs)), len(work.var)), np.float32) for _ in range(2)])

    def infer_all(put: Callable[[slice, Inferred], None]) -> None:
        with aside(put) as later:
            _infer(blocks, len(data.obs), lambda at: next(rooms)[: at.stop - at.start], later)

    write(work, data, target, infer_all, block, overwrite, options, create)
    return blocks


def _infer(
    blocks: Blocks, total: int, room: Callable[[slice], np.ndarray], put: Callable[[slice, Inferred], None]
) -> None:
    """Read, infer and put away blocks, all three at once; `room` is where the values of profiles may lie."""
    with bar(total, "inferring") as progress:

        def finish(block: Block, found: Predicted | None) -> None:
            put(block.at, blocks.finished(block, found, room(block.at)))
            progress.advance(block.at.stop - block.at.start)

        flow(blocks.read(), blocks.predicted, finish)


def _in_memory(work: Plan, data: ExpressionFile, block: int) -> AnnData:
    from anndata import AnnData

    values = np.empty((len(data.obs), len(work.var)), dtype=np.float32)
    half = np.empty_like(values) if work.interval is not None else None

    def put(at: slice, part: Inferred) -> None:
        if work.keep is not None:
            values[at] = part.values  # else it lies there already
        if half is not None and part.half is not None:
            half[at] = part.half

    _infer(Blocks(work, data, block), len(data.obs), lambda at: values[at], put)
    tell(work, data)
    result = AnnData(values, obs=profile_columns(work, data.obs), var=work.var, uns=record(work, data.name))
    if half is not None:
        result.layers["halfwidth"] = half
    if work.changes:
        layer = np.full(values.shape, np.nan, dtype=np.float32)
        for at, columns, measured in as_measured(work, data, block):
            layer[at, columns] = measured
        result.layers["measured"] = layer
    return result
