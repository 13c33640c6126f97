"""Source -> model -> sink, in blocks: the transcriptome of profiles that measured only the landmark genes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from dgex import io
from dgex._version import __version__
from dgex.atomic import atomic_file, check_output
from dgex.dataset.scale import LOG2_LIMIT, to_log2
from dgex.errors import DataError, GeneError, ModelError, SettingsError, first
from dgex.genes import align, id_type
from dgex.io.registry import find
from dgex.models.base import Estimator
from dgex.models.folder import load
from dgex.progress import bar, note, warn

__all__ = ["infer"]

UNITS = ("original", "standardized")
LEAST = 0.5  # share of the landmark genes that must be there before the others are imputed
FAR = 2.0  # standard deviations between the panel's and the training means that call for a warning


@dataclass
class _Plan:
    """What happens to each gene of the result, decided before any value is read."""

    model: Estimator
    source: np.ndarray  # position of each landmark gene in the input, -1 where imputed
    carried: np.ndarray  # positions of further genes of the input that are kept
    var: pd.DataFrame
    units: str
    shift: tuple[np.ndarray, np.ndarray] | None = None  # the input's own mean and divisor (the paper's rule)
    log2: bool = False  # log profiles on a linear scale


def infer(
    source: str | os.PathLike[str] | ad.AnnData,
    model: str | os.PathLike[str] | Estimator,
    output: str | os.PathLike[str] | None = None,
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
) -> ad.AnnData | None:
    """Infer the target genes of profiles that measured the landmark genes.

    Measured landmark genes are kept as measured; genes are matched by name (symbols, Ensembl, Entrez or probe
    ids, whichever fits best) in any order.

    Parameters
    ----------
    source : path or AnnData
        Profiles with at least the landmark genes; one profile alone works.
    model : path or Estimator
        A model folder or a fitted estimator.
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
        Keep finished blocks in `OUTPUT.parts` while working, and go on from them when the call is repeated.
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
        NaN or infinity among the landmark values.
    """
    _check(units=(units, UNITS), extra=(extra, ("drop", "carry")), missing=(missing, ("error", "impute")))
    _check(standardize=(standardize, ("model", "own")), log2=(log2, ("never", "auto")))
    if block < 1:
        raise SettingsError(f"block must be at least 1 profile, found {block}")
    if resume and output is None:
        raise SettingsError("resume needs an output file to go on with")
    if output is not None:
        check_output(output, overwrite, inputs=[] if isinstance(source, ad.AnnData) else [source])
        find(Path(output))
    estimator = model if isinstance(model, Estimator) else load(model)
    if device is not None and "device" in estimator.get_params():
        estimator.set_params(device=device)
    with ExitStack() as stack:
        data = source if isinstance(source, ad.AnnData) else stack.enter_context(io.open(source))
        plan = _plan(estimator, data, units, extra, missing)
        plan.log2 = log2 == "auto"
        if standardize == "own":
            plan.shift = _own_statistics(plan, data, block)
        uns = _record(estimator, source, plan)
        obs = pd.DataFrame(data.obs)
        if output is None:
            values = np.empty((len(obs), len(plan.var)), dtype=np.float32)
            for at, part in _progress(_blocks(plan, data, block), len(obs)):
                values[at] = part
            return ad.AnnData(values, obs=obs.copy(), var=plan.var, uns=uns)
        parts = _parts(plan, data, block, Path(output), model) if resume else _blocks(plan, data, block)
        holds_more = find(Path(output)).key in ("h5ad", "zarr")
        with io.create(output, obs, plan.var, uns=uns if holds_more else None, overwrite=overwrite) as sink:
            for _, part in _progress(parts, len(obs)):
                sink.append(part)
    if resume:
        shutil.rmtree(_parts_folder(Path(output)), ignore_errors=True)
    note(f"{len(obs):,} profiles x {len(plan.var):,} genes -> {output}")
    return None


def _check(**choices: tuple[str, tuple[str, ...]]) -> None:
    for name, (value, accepted) in choices.items():
        if value not in accepted:
            raise SettingsError(f"{name} is {value!r}; accepted: {', '.join(accepted)}")


def _plan(model: Estimator, data: Any, units: str, extra: str, missing: str) -> _Plan:
    landmarks, targets = model.landmark_genes(), model.target_genes()
    record = data.uns.get("dgex", {})
    if model.normalization_ is not None and record.get("standardize", "none") != "none" and "split" in data.obs:
        raise DataError(
            "the input is a dataset that dgex prepare standardised; infer takes values as they were measured "
            "(dgex evaluate takes datasets)"
        )
    found = align(landmarks, data.var)
    total = len(landmarks)
    if found.found == 0:
        raise GeneError(
            f"no landmark gene of the model is in the input: the model has {id_type(landmarks.index)} names such as "
            f"{first(landmarks.index, 3)}, the input {id_type(data.var.index)} names such as "
            f"{first(data.var.index, 3)}"
        )
    note(f"landmark genes: {found.found:,} of {total:,} found (by {found.matched_by})")
    if found.missing and missing == "error":
        raise GeneError(
            f"{len(found.missing):,} of {total:,} landmark genes are missing from the input: {first(found.missing)}; "
            "missing='impute' takes the training mean for them"
        )
    if found.found < total * LEAST:
        raise GeneError(
            f"only {found.found:,} of {total:,} landmark genes are in the input: too few to infer from, at least "
            f"{LEAST:.0%} are needed"
        )
    if found.missing and model.normalization_ is not None and model.normalization_.landmark_mean is None:
        raise GeneError(
            f"{len(found.missing):,} of {total:,} landmark genes are missing from the input ({first(found.missing)}) "
            "and cannot be imputed: the model works in original units and knows no training means"
        )
    if found.missing:
        warn(f"{len(found.missing):,} landmark genes are imputed by the training mean: {first(found.missing)}")
    used = set(found.index[found.index >= 0].tolist())
    measured_targets = align(targets, data.var).index
    measured = set(measured_targets[measured_targets >= 0].tolist()) - used
    carried = np.array([], dtype=np.int64)
    if extra == "carry":
        carried = np.array([i for i in range(len(data.var)) if i not in used | measured], dtype=np.int64)
    left = len(data.var) - len(used) - len(carried) - len(measured)
    if left:
        note(f"{left:,} further genes of the input are dropped; extra='carry' keeps them")
    if measured:
        note(f"{len(measured):,} target genes were measured in the input; the result holds inferred values for them")
    names = data.var.index[carried].astype(str)
    clash = set(names) & set(model.genes_.index)
    kept = pd.DataFrame(index=pd.Index([f"{n}|carried" if n in clash else n for n in names], dtype=str))
    var = pd.concat([model.genes_, kept.assign(role="other")]).fillna("")
    origin = np.where(found.index >= 0, "measured", "imputed").tolist()
    var["origin"] = [*origin, *["inferred"] * len(targets), *["carried"] * len(carried)]
    return _Plan(model, found.index, carried, var, units)


def _own_statistics(plan: _Plan, data: Any, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and divisor (standard deviation + 1e-3) of the landmark genes over the whole input."""
    count, mean, square = 0, np.zeros(len(plan.source)), np.zeros(len(plan.source))
    for _, raw, _ in _raw(plan, data, block):
        values = np.nan_to_num(_transformed(plan, raw).astype(np.float64))
        total = count + len(values)
        delta = values.mean(0) - mean
        square += ((values - values.mean(0)) ** 2).sum(0) + delta**2 * count * len(values) / total
        mean, count = mean + delta * len(values) / total, total
    if count < 2:
        raise DataError("one profile has no statistics of its own; standardize='model' works")
    return mean.astype(np.float32), (np.sqrt(square / count) + 1e-3).astype(np.float32)


def _raw(plan: _Plan, data: Any, block: int, start: int = 0) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of landmark values (NaN where to be imputed) and of carried genes, as they come."""
    have = plan.source >= 0
    wanted = np.concatenate([plan.source[have], plan.carried])
    samples = np.arange(start, len(data.obs))
    for at, values in _iterate(data, wanted, samples, block):
        landmarks = np.full((len(values), len(plan.source)), np.nan, dtype=np.float32)
        landmarks[:, have] = values[:, : have.sum()]
        bad = ~np.isfinite(landmarks[:, have])
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise DataError(
                f"NaN or infinity in landmark gene {plan.var.index[np.flatnonzero(have)[column]]} of profile "
                f"{data.obs.index[start + at.start + row]}; accepted: finite values"
            )
        yield slice(start + at.start, start + at.stop), landmarks, values[:, have.sum() :]


def _iterate(data: Any, genes: np.ndarray, samples: np.ndarray, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    if not isinstance(data, ad.AnnData):
        yield from data.iter_blocks(block, genes=genes, samples=samples)
        return
    for first_row in range(0, len(samples), block):
        part = data.X[samples[first_row : first_row + block]][:, genes]
        values = np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float32)
        yield slice(first_row, first_row + len(values)), values


def _transformed(plan: _Plan, raw: np.ndarray) -> np.ndarray:
    """Raw landmark values on the training scale, before standardising; imputed ones stay NaN."""
    normalization = plan.model.normalization_
    if normalization is None:
        return raw
    have = plan.source >= 0
    values = raw.copy()
    values[:, have] = normalization.transform(np.ascontiguousarray(_logged(plan, raw[:, have])))
    return values


def _logged(plan: _Plan, values: np.ndarray) -> np.ndarray:
    """Log profiles on a linear scale where asked to; refuse them where the model is of log2 expression."""
    normalization = plan.model.normalization_
    assert normalization is not None
    linear = values.max(axis=1, initial=0) > LOG2_LIMIT
    of_linear = normalization.landmark_mean is not None and normalization.landmark_mean.max() > LOG2_LIMIT
    if not linear.any() or of_linear or normalization.log2 != "never":
        return values
    if plan.log2:
        values = values.copy()
        values[linear] = to_log2(values[linear])
    elif normalization.quantile == "none":  # ranks do not depend on the scale
        raise DataError(
            f"the input looks linear (up to {values.max():.4g}) and the model is of log2 expression; "
            "log2='auto' takes log2(x + 1)"
        )
    return values


def _blocks(plan: _Plan, data: Any, block: int, start: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
    """The result, block by block: landmark genes as measured, inferred targets, carried genes."""
    normalization = plan.model.normalization_
    imputed = plan.source < 0
    for at, raw, carried in _raw(plan, data, block, start):
        values = _transformed(plan, raw)
        if plan.shift is not None:
            x = (values - plan.shift[0]) / plan.shift[1]
        else:
            x = values if normalization is None else normalization.standardize_landmarks(values)
        x = np.ascontiguousarray(np.where(imputed, np.float32(0), x), dtype=np.float32)
        if at.start == 0 and normalization is not None and plan.shift is None and normalization.standardize != "none":
            _tell_distance(x[:, ~imputed])
        y = plan.model.predict(x)
        if plan.units == "original" and normalization is not None:
            x_original = normalization.invert_landmarks(x)
            raw = np.where(imputed, x_original, raw)
            y = normalization.invert_targets(y)
        elif plan.units == "standardized":
            raw = x
        else:
            raw = np.where(imputed, np.float32(0), raw)
        yield at, np.concatenate([raw, y, carried], axis=1).astype(np.float32, copy=False)


def _tell_distance(x: np.ndarray) -> None:
    """Say how far the input lies from the training data: the reader's first hint of how far to trust the result."""
    distance = float(np.median(np.abs(x.mean(0))))
    if distance <= FAR:
        note(f"the median landmark gene lies {distance:.1f} training standard deviations from its training mean")
        return
    warn(
        f"the input lies far from the training data: the median landmark gene is {distance:.1f} training standard "
        "deviations off; another scale or platform? standardize='own' uses its own statistics"
    )


def _progress(parts: Iterator[tuple[slice, np.ndarray]], total: int) -> Iterator[tuple[slice, np.ndarray]]:
    with bar(total, "inferring") as progress:
        for at, part in parts:
            yield at, part
            progress.advance(at.stop - at.start)


def _record(model: Estimator, source: Any, plan: _Plan) -> dict[str, Any]:
    name = "in memory" if isinstance(source, ad.AnnData) else Path(source).name
    counts = plan.var["origin"].value_counts()
    return {
        "dgex": {
            "made_by": f"dgex {__version__} infer",
            "model": model.kind,
            "fingerprint": model.fingerprint_,
            "input": name,
            "units": plan.units,
            "genes": {str(k): int(v) for k, v in counts.items()},
        }
    }


# ---- resumable work: finished blocks as files of their own


def _parts_folder(output: Path) -> Path:
    return output.with_name(output.name + ".parts")


def _parts(
    plan: _Plan, data: Any, block: int, output: Path, model: str | os.PathLike[str] | Estimator
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks, each stored before it is passed on; blocks stored by an earlier call are read back."""
    folder = _parts_folder(output)
    key = hashlib.sha256(
        json.dumps(
            [plan.model.fingerprint_, plan.model.kind, list(plan.var.index), list(data.obs.index), block, plan.units]
        ).encode()
    ).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / "key"
    if marker.exists() and marker.read_text() != key:
        raise ModelError(f"{folder} belongs to another input, model or block size; remove it to start anew")
    with atomic_file(marker, overwrite=True) as temporary:
        temporary.write_text(key)
    start, total = 0, len(data.obs)
    while start < total and (path := folder / f"{start}.npy").exists():
        values = np.load(path, allow_pickle=False)
        yield slice(start, start + len(values)), values
        start += len(values)
    if start:
        note(f"resumed after {start:,} of {total:,} profiles")
    for at, values in _blocks(plan, data, block, start):
        with atomic_file(folder / f"{at.start}.npy", overwrite=True) as temporary:
            np.save(temporary, values, allow_pickle=False)
        yield at, values
