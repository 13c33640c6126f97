"""Source -> model -> sink, in blocks: the transcriptome of profiles that measured only the landmark genes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgex import io
from dgex.errors import SettingsError
from dgex.inference.blocks import inferred, own_statistics, raw_blocks
from dgex.inference.parts import Parts, parts_folder
from dgex.inference.plan import Plan, plan, record
from dgex.io.base import ExpressionFile
from dgex.io.registry import find
from dgex.models.base import Estimator
from dgex.models.folder import is_model, load
from dgex.places import check_inputs, claim
from dgex.progress import bar, note

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["infer"]

CHOICES = {
    "units": ("original", "standardized"),
    "extra": ("drop", "carry"),
    "missing": ("error", "impute"),
    "log2": ("never", "auto"),
    "standardize": ("model", "own"),
}


def infer(
    source: PathLike | AnnData,
    model: PathLike | Estimator,
    output: PathLike | None = None,
    *,
    block: int = 4096,
    units: str = "original",
    extra: str = "drop",
    missing: str = "error",
    log2: str = "never",
    standardize: str = "model",
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> AnnData | None:
    """Infer the target genes of profiles that measured the landmark genes.

    Measured landmark genes are kept as measured; genes are matched by name (symbols, Ensembl, Entrez or probe
    ids, whichever fits best) in any order.

    Parameters
    ----------
    source : path or AnnData
        Profiles with at least the landmark genes; one profile alone works.
    model : path or Estimator
        A model folder or a fitted estimator. Told first by mistake, it is known by its `model.json`.
    output : path, optional
        File to write, of any format; without it the result is returned.
    block : int
        Profiles held in memory at a time.
    units : {"original", "standardized"}
        Values of the result: on the scale of the raw training values, or as the model works with them.
    extra : {"drop", "carry"}
        What becomes of further genes of the input.
    missing : {"error", "impute"}
        What becomes of landmark genes that the input lacks: an error, or the training mean.
    log2 : {"never", "auto"}
        Take log2(x + 1) of profiles on a linear scale (counts, FPKM, TPM). Without it such an input is refused by
        models of log2 expression.
    standardize : {"model", "own"}
        Standardise the input with the training statistics frozen in the model, or with its own (the rule of the
        paper for a set from another platform, section 2.1; needs many profiles and another pass).
    device : str, optional
        Device for networks (`cpu`, `cuda`).
    resume : bool
        Keep finished blocks in `OUTPUT.parts` while working, and go on from them when the call is repeated: the model,
        all settings and the input, every value of it, are compared first.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    AnnData or None
        Landmark genes, target genes and carried genes; `var["origin"]` is `measured`, `inferred`, `imputed` or
        `carried`. None when `output` is given.

    Raises
    ------
    GeneError
        Landmark genes are missing, or no gene matches at all.
    DataError
        NaN or infinity among the landmark values, or what is no matrix with names.
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
    if is_model(source) and not is_model(model):
        source, model = model, source
    settings = {"units": units, "extra": extra, "missing": missing, "log2": log2, "standardize": standardize}
    for name, value in settings.items():
        if value not in CHOICES[name]:
            raise SettingsError(name, found=value, accepted=CHOICES[name])
    if not isinstance(block, int | np.integer) or block < 1:
        raise SettingsError("block", found=block, accepted="1 profile or more")
    if resume and output is None:
        raise SettingsError("resume needs an output file to go on with")
    with ExitStack() as stack:
        if output is not None:
            find(Path(output))
            stack.enter_context(claim(output, "dgex infer", overwrite=overwrite, inputs=[source, model]))
            if resume:
                check_inputs(parts_folder(output), [source, model])
        estimator = model if isinstance(model, Estimator) else load(model)
        if device is not None and "device" in estimator.get_params():
            estimator.set_params(device=device)
        data = stack.enter_context(io.open(source))
        own = standardize == "own"
        work = plan(estimator, data, units=units, extra=extra, missing=missing, log2=log2 == "auto", own=own)
        if own:
            work.shift = own_statistics(work, data, block)
        if output is None:
            return _in_memory(work, data, block)
        parts = Parts(Path(output), work, data, block, settings) if resume else None
        _write(work, data, Path(output), parts.blocks() if parts is not None else _blocks(work, data, block), overwrite)
        if parts is not None:
            parts.clear()
    return None


def _blocks(work: Plan, data: ExpressionFile, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    for at, raw, carried in raw_blocks(work, data, block):
        yield at, inferred(work, at, raw, carried)


def _in_memory(work: Plan, data: ExpressionFile, block: int) -> AnnData:
    from anndata import AnnData

    values = np.empty((len(data.obs), len(work.var)), dtype=np.float32)
    for at, part in _progress(_blocks(work, data, block), len(data.obs)):
        values[at] = part
    return AnnData(values, obs=data.obs.copy(), var=work.var, uns=record(work, data.name))


def _write(
    work: Plan, data: ExpressionFile, output: Path, blocks: Iterator[tuple[slice, np.ndarray]], overwrite: bool
) -> None:
    uns: dict[str, Any] | None = record(work, data.name) if find(output).writer.keeps_uns else None
    with io.create(output, data.obs, work.var, uns=uns, overwrite=overwrite) as sink:
        for _, part in _progress(blocks, len(data.obs)):
            sink.append(part)
    note(f"{len(data.obs):,} profiles x {len(work.var):,} genes -> {output}")


def _progress(blocks: Iterator[tuple[slice, np.ndarray]], total: int) -> Iterator[tuple[slice, np.ndarray]]:
    with bar(total, "inferring") as progress:
        for at, part in blocks:
            yield at, part
            progress.advance(at.stop - at.start)
