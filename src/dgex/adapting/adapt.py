"""The verb: an old model and a few whole profiles of another platform -> a model of that platform."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

from dgex.adapting.whole import Whole, read_whole
from dgex.dataset.normalization import Normalization
from dgex.dataset.scale import SCALES
from dgex.dataset.signatures import known
from dgex.errors import DataError, SettingsError
from dgex.genes import texts
from dgex.models.adapted import FEWEST, Adapted
from dgex.models.base import Estimator
from dgex.models.folder import is_model, load, place
from dgex.models.record import TrainingRecord
from dgex.places import claim
from dgex.progress import note, warn
from dgex.remote.sending import sends
from dgex.renamed import AliasTable, read_aliases

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["adapt"]

# Standard deviations of few profiles are drawn to the old model's with the weight of so many.
DRAWN = 10


@sends("output")
def adapt(
    model: PathLike | Estimator,
    whole: PathLike | AnnData | pd.DataFrame,
    output: PathLike | None = None,
    *,
    group: str | None = None,
    split: Sequence[str] = ("train", "validation"),
    missing: str = "error",
    scale: str = "auto",
    normalize: str = "model",
    collapse: str = "model",
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    aliases: AliasTable | None = None,
    folds: int = 10,
    seed: int = 0,
    overwrite: bool = False,
) -> Adapted:
    """Adapt a model to another platform by a few whole profiles of it.

    The old model becomes the mean of a Gaussian process that the new profiles correct; how far either is believed is
    chosen on new profiles held out in turn (see `dgex.models.adapted.Adapted`). From ten profiles on the result is
    better than the old model and than what the new profiles alone give; docs/platforms.md has the numbers.

    Parameters
    ----------
    model : path or Estimator
        The old model, of any method, also of another package or adapted itself.
    whole : path, AnnData or DataFrame
        At least 5 profiles of the new platform with the landmark genes and (most) target genes, as they were measured;
        or a dataset of `dgex.prepare`, whose test profiles are left alone.
    output : path, optional
        The model folder to write.
    group : str, optional
        Column of the profiles' metadata (study, donor, plate): whole groups are held out. Give it where there is one,
        for profiles of one study are alike and tell too much of each other.
    split : sequence of str
        Of a dataset, the sets to learn from.
    missing : {"error", "auto", "impute"}
        Landmark genes that `whole` lacks, as for `dgex.infer`: an error, or filled from the profile's other ones as in
        the old model's training profiles.
    scale : {"auto", "log2", "ln", "log10", "linear", "counts"}
        On which scale the values are, as for `dgex.infer`; so are `normalize`, `collapse`, `orientation`, `format`,
        `layer` and `aliases`.
    folds : int
        Folds in which profiles are held out; up to 20 profiles without groups are held out one by one.
    seed : int
        Decides the folds.
    overwrite : bool
        Replace an output that exists.

    Returns
    -------
    Adapted
        A model as any other, in the new platform's statistics: its landmark and target genes are those of the old one.
        Target genes that `whole` lacks stay with the old model.

    Raises
    ------
    DataError
        Fewer than 5 profiles or more than 5,000, no column `group`, one group only, values that are missing.
    GeneError
        Landmark genes of the model are missing, or all target genes.
    SettingsError
        A setting outside what is accepted.
    ModelError, FileError, OutputExistsError
        No model, files that cannot be read or written.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> old = dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge")
    >>> new = raw[:12].copy()
    >>> new.X = 0.7 * new.X + 1.5  # another platform
    >>> model = dgex.adapt(old, new, scale="log2")
    >>> model.expected_["error"] < min(list(model.expected_["members"].values())[:2])
    True
    """
    if is_model(whole) and not is_model(model):
        model, whole = whole, model  # type: ignore[assignment]
    if scale not in SCALES:
        raise SettingsError("scale", found=scale, accepted=SCALES)
    if missing not in ("error", "auto", "impute"):
        raise SettingsError("missing", found=missing, accepted=("error", "auto", "impute"))
    new = Adapted(folds=folds, seed=seed)
    new.check_settings()
    table = read_aliases(aliases)
    with ExitStack() as stack:
        if output is not None:
            place(output).refuse_other()
            inputs = [model, whole, aliases]
            stack.enter_context(claim(output, "dgex adapt", overwrite=overwrite, inputs=inputs, folder=True))
        old = model if isinstance(model, Estimator) else load(model)
        read = read_whole(
            whole, old, stack, splits=split, aliases=table, orientation=orientation, format=format, layer=layer,
            missing=missing, scale=scale, normalize=normalize, collapse=collapse,
        )  # fmt: skip
        groups = _groups(read, group)
        if len(read.X) < FEWEST:
            raise DataError("whole profiles to adapt from", found=len(read.X), accepted=f"at least {FEWEST}")
        seen = _tell_known(old, read)
        began = time.perf_counter()
        _fit(new, old, read, groups)
        _describe(new, old, read, group, seen, time.perf_counter() - began)
        if output is not None:
            new.save(output, overwrite=overwrite)
    return new


def _groups(read: Whole, column: str | None) -> np.ndarray | None:
    if column is None:
        return None
    if column not in read.obs:
        raise DataError(
            "the whole profiles have no such column to group by",
            found=column,
            accepted=list(map(str, read.obs.columns)) or "no columns: leave group out",
        )
    return texts(read.obs[column]).to_numpy()


def _tell_known(old: Estimator, read: Whole) -> int:
    """How many of the new profiles the old model was trained on: what they tell of it is too good."""
    if old.training_ is None or not old.training_.signatures:
        return 0
    count = int(known(old.training_.signatures, read.signatures).sum())
    if count:
        warn(
            f"{count:,} of {len(read.X):,} whole profiles were training profiles of the old model: it is believed too "
            "far, and errors look better than they are"
        )
    return count


def _fit(new: Adapted, old: Estimator, read: Whole, groups: np.ndarray | None) -> None:
    """Fit in units of the new platform; genes keep all identifiers of the old model."""
    theirs = old.normalization_
    ours = theirs if theirs is None or theirs.standardize == "none" else _of_platform(theirs, read)
    X, Y = read.X, read.Y
    if ours is not None:
        X, Y = ours.standardize_landmarks(X), ours.standardize_targets(Y)
    obs = pd.DataFrame(index=read.obs.index.astype(str))
    genes = old.landmark_genes(), old.target_genes()
    x, y = (ad.AnnData(values, obs=obs, var=part) for values, part in zip((X, Y), genes))
    note(f"adapting {old.kind} by {len(X):,} whole profiles of {read.name}")
    new.fit(x, y, old=old, groups=groups, lacking=read.lacking)
    new.normalization_ = ours


def _of_platform(theirs: Normalization, read: Whole) -> Normalization:
    """The old normalisation with the new platform's means and, drawn to the old ones, standard deviations."""
    landmark_mean, landmark_std = _statistics(read.X, theirs.landmark_std)
    target_mean, target_std = _statistics(read.Y, theirs.target_std)
    if theirs.target_mean is not None and theirs.target_std is not None:
        target_mean = np.where(read.lacking, theirs.target_mean, target_mean)
        target_std = np.where(read.lacking, theirs.target_std, target_std)
    return replace(
        theirs,
        set_name=read.name,
        landmark_mean=landmark_mean,
        landmark_std=landmark_std,
        target_mean=target_mean.astype(np.float32),
        target_std=target_std.astype(np.float32),
    )


def _statistics(values: np.ndarray, old: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Means, and deviations between those of the few profiles and the old ones at the new platform's width."""
    assert old is not None
    n = len(values)
    variance = values.var(axis=0, ddof=1, dtype=np.float64)
    before = np.asarray(old, np.float64) ** 2
    width = float(np.median((variance / before)[variance > 0])) if (variance > 0).any() else 1.0
    drawn = (n * variance + DRAWN * width * before) / (n + DRAWN)
    return values.mean(axis=0, dtype=np.float64).astype(np.float32), np.sqrt(drawn).astype(np.float32)


def _describe(new: Adapted, old: Estimator, read: Whole, group: str | None, seen: int, seconds: float) -> None:
    """What a reader of the model must know: of what it was made, and how it was judged."""
    before = old.training_.signatures if old.training_ is not None else {}
    both = {key: np.concatenate([before[key], own]) if key in before else own for key, own in read.signatures.items()}
    new.training_ = TrainingRecord("", [], both)
    data: dict[str, Any] = {
        "adapted_from": f"{old.kind}, {old.metrics_.get('data', {}).get('name', 'trained elsewhere')}",
        "old_fingerprint": old.fingerprint_[:16],
        "name": read.name,
        "whole_profiles": len(read.X),
        "held_out_by": group or "profile",
        "target_genes_left_to_the_old_model": int(read.lacking.sum()),
    }
    if seen:
        data["profiles_the_old_model_was_trained_on"] = seen
    new.metrics_ |= {"data": data, "sets": {}, "seconds": round(seconds, 3)}
