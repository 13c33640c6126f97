"""Why an inferred value is what it is: landmark genes that drive it, training profiles near it, what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from dgex._version import __version__
from dgex.aliases import PathLike
from dgex.confidence.confidence import UNLIKE
from dgex.confidence.intervals import check_level
from dgex.errors import SettingsError
from dgex.inference.blocks import Inferred, inferred, landmark_values, own_statistics, raw_blocks
from dgex.inference.infer import CHOICES
from dgex.inference.inputs import opened
from dgex.inference.plan import Plan, plan
from dgex.inference.worth import unit_factor
from dgex.interpretation.asked import listed, profile_positions, target_positions
from dgex.interpretation.contributions import contributions, mean_profile
from dgex.interpretation.explanation import Explanation, place
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator
from dgex.models.folder import is_model, load
from dgex.places import claim
from dgex.progress import bar, note, warn
from dgex.renamed import AliasTable, read_aliases

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["explain"]

MOST = 500  # values, genes times profiles
LEVEL = 0.9
_BLOCK = 4096


def explain(
    model: PathLike | Estimator,
    source: PathLike | AnnData | pd.DataFrame | Sequence[PathLike],
    output: PathLike | None = None,
    *,
    genes: str | Sequence[str],
    profiles: str | Sequence[str] | None = None,
    top: int = 10,
    neighbours: int = 10,
    interval: float | None = None,
    missing: str = "error",
    scale: str = "auto",
    normalize: str = "model",
    collapse: str = "model",
    standardize: str = "model",
    orientation: str = "auto",
    format: str | None = None,
    layer: str | None = None,
    aliases: AliasTable | None = None,
    device: str | None = None,
    overwrite: bool = False,
) -> Explanation:
    """Tell why inferred values are what they are.

    Parameters
    ----------
    model : path or Estimator
        A model folder or a fitted estimator of any method.
    source : path, AnnData, DataFrame or sequence of paths
        Profiles with the landmark genes, as for `dgex.infer`.
    output : path, optional
        A folder for the page, figures and tables; see `Explanation.save`.
    genes : str or sequence of str
        Target genes, by any name that the model knows of them; several may stand in one text, comma separated.
    profiles : str or sequence of str, optional
        Profiles of the source by name, comma separated or as a sequence; None where it holds one alone.
    top : int
        Landmark genes shown of each value; the tables hold all.
    neighbours : int
        Nearest training profiles of each profile.
    interval : float, optional
        Coverage of the intervals, from 0.5 to 0.99; None is 0.9 where the model knows how far to trust it.
    missing, scale, normalize, collapse, standardize, orientation, format, layer, aliases
        How the source is read and brought to the model's unit, as for `dgex.infer`: the values told of are those of
        `dgex.infer` with `measured="infer"`.
    device : str, optional
        Device for networks (`cpu`, `cuda`).
    overwrite : bool
        Replace an `output` that exists.

    Returns
    -------
    Explanation
        `.values`, `.landmarks` and `.neighbours`.

    Raises
    ------
    GeneError
        A gene is no target gene of the model (of a landmark gene it says that it is measured), or landmark genes are
        missing.
    DataError
        A profile is not in the source, or none is named and it holds several.
    ModelError
        No model, one that does not know its mean training profile, or an `interval` is asked of one that was never
        judged by held-out profiles.
    SettingsError
        More than 500 values, or a setting outside what is accepted.

    Notes
    -----
    Contributions are counted from the mean training profile: they add up to the inferred value less the value inferred
    there. See `dgex.interpretation.contributions.contributions` for how each method's are found. A landmark gene that
    was missing and filled contributes with the value it was filled with, and is marked.

    They say what the model does, not what the cell does: landmark genes that go together share what each could tell.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> model = dgex.train(dgex.prepare(raw.copy(), group="study", seed=0), "ridge")
    >>> gene, profile = model.targets_[0], raw.obs_names[0]
    >>> why = dgex.explain(model, raw, genes=gene, profiles=profile)
    >>> value = why.values.iloc[0]
    >>> bool(abs(why.landmarks["contribution"].sum() - (value["value"] - value["at_mean"])) < 1e-3)
    True
    """
    if is_model(source) and not is_model(model):
        source, model = model, source
    settings: dict[str, Any] = {"missing": missing, "scale": scale, "normalize": normalize}
    settings |= {"collapse": collapse, "standardize": standardize}
    _check(settings, top, neighbours, interval)
    table = read_aliases(aliases)
    with ExitStack() as stack:
        if output is not None:
            place(output).refuse_other()
            inputs = [source, model, aliases]
            stack.enter_context(claim(output, "dgex explain", overwrite=overwrite, inputs=inputs, folder=True))
        estimator = model if isinstance(model, Estimator) else load(model)
        estimator._check_fitted()
        targets = target_positions(estimator, listed(genes, "genes", set()))
        start = mean_profile(estimator)
        if device is not None and "device" in estimator.get_params():
            estimator.set_params(device=device)
        data = stack.enter_context(opened(source, estimator, orientation=orientation, format=format, layer=layer))
        rows = profile_positions(data, profiles)
        if len(rows) * len(targets) > MOST:
            asked = f"{len(targets):,} genes in {len(rows):,} profiles"
            raise SettingsError("values to explain", found=asked, accepted=f"up to {MOST:,} values")
        level = interval if interval is not None or estimator.confidence_ is None else LEVEL
        rest: dict[str, Any] = {
            "units": "original",
            "extra": "drop",
            "measured": "infer",
            "interval": level,
            "aliases": table,
        }
        work = plan(estimator, data, **settings, **rest)
        if standardize == "own":
            own_statistics(work, data, _BLOCK)
        why = _explained(work, data, rows, targets, start, top, neighbours)
        if output is not None:
            why.save(output, overwrite=overwrite)
    return why


def _check(settings: dict[str, Any], top: int, neighbours: int, interval: float | None) -> None:
    for name, value in settings.items():
        if value not in CHOICES[name]:
            raise SettingsError(name, found=value, accepted=CHOICES[name])
    for name, count in (("top", top), ("neighbours", neighbours)):
        if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
            raise SettingsError(name, found=count, accepted="a whole number, 1 or more")
    if interval is not None:
        check_level(interval)


class _Units(NamedTuple):
    """What one of the model's units is in the result's: of each target gene, and the mean profile in these."""

    factor: np.ndarray
    landmarks: np.ndarray
    targets: np.ndarray


def _units(work: Plan, start: np.ndarray) -> _Units:
    ours, model = work.model.normalization_, work.model
    mean, values = start, model.predict(start[None])
    if ours is not None:
        mean, values = ours.invert_landmarks(start[None])[0], ours.invert_targets(values)
    factor = np.broadcast_to(np.asarray(unit_factor(work, "target"), np.float64), (model.n_targets_,))
    return _Units(factor, mean, values[0])


def _explained(
    work: Plan, data: ExpressionFile, rows: np.ndarray, targets: np.ndarray, start: np.ndarray, top: int, count: int
) -> Explanation:
    model, names = work.model, data.obs.index.astype(str)[rows]
    units = _units(work, start)
    ends, filled, parts = _profiles(work, data, rows)
    frames, worth, how = [], [], ""
    with bar(len(rows) * len(targets), "explaining") as progress:
        for row, name in enumerate(names):
            found = contributions(model, start, ends[row], targets)
            how = found.how
            added = found.values * units.factor[targets][:, None]
            for at, target in enumerate(targets):
                frames.append(_landmarks(work, name, int(target), added[at], parts.values[row], filled[row], units))
                worth.append(_worth(work, name, int(target), parts, row, added[at], units))
            progress.advance(len(targets))
    values = pd.DataFrame(worth)
    if model.confidence_ is None:
        warn(
            "the model does not know how far its values can be trusted, so there is no interval; `dgex calibrate MODEL "
            "DATA` adds it"
        )
    missed, moved = values["unexplained"].abs(), (values["value"] - values["at_mean"]).abs()
    if (missed > np.maximum(0.01 * moved, 1e-3)).any():
        warn(f"contributions miss what they should add up to by up to {missed.max():.3g}: `values` has it for each")
    summary = {
        "dgex": __version__,
        "model": {"kind": model.kind, "label": model.label or model.kind, "fingerprint": model.fingerprint_},
        "input": data.name,
        "unit": work.unit,
        "interval": work.interval,
        "how": how,
        "landmarks": model.n_features_in_,
        "filled": int(filled.any(axis=0).sum()),
        "top": top,
    }
    near, told = _neighbours(model, names, ends, count)
    return Explanation(values, pd.concat(frames, ignore_index=True), near, summary | {"index": told})


def _profiles(work: Plan, data: ExpressionFile, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, Inferred]:
    """Landmark genes of some profiles as the model takes them, which were filled, and what is inferred."""
    ends, filled, found = [], [], []
    for at, raw, further in raw_blocks(work, data, _BLOCK, rows):
        _, x, lacks = landmark_values(work, raw, further)
        ends.append(np.asarray(x, np.float32))
        filled.append(lacks)
        found.append(inferred(work, at, raw, further))
    values, farther = (np.concatenate(list(parts)) for parts in zip(*((one.values, one.farther) for one in found)))
    halves = [one.half for one in found if one.half is not None]
    whole = Inferred(values, farther, np.concatenate(halves) if halves else None)
    return np.concatenate(ends), np.concatenate(filled), whole


def _landmarks(
    work: Plan, profile: str, target: int, added: np.ndarray, values: np.ndarray, filled: np.ndarray, units: _Units
) -> pd.DataFrame:
    """Landmark genes of one value, those that contribute most first."""
    model, p = work.model, work.model.n_features_in_
    order = np.argsort(-np.abs(added), kind="stable")
    return pd.DataFrame(
        {
            "profile": profile,
            "gene": model.targets_[target],
            "landmark": np.asarray(model.landmarks_, dtype=object)[order],
            "value": values[:p][order].astype(np.float64),
            "training_mean": units.landmarks[order].astype(np.float64),
            "filled": filled[order],
            "contribution": added[order],
            "rank": np.arange(1, p + 1),
        }
    )


def _worth(
    work: Plan, profile: str, target: int, parts: Inferred, row: int, added: np.ndarray, units: _Units
) -> dict[str, Any]:
    """One value, where it comes from, and what it is worth."""
    place_ = work.model.n_features_in_ + target
    value, start = float(parts.values[row, place_]), float(units.targets[target])
    half = np.nan if parts.half is None else float(parts.half[row, place_])
    farther = float(parts.farther[row])
    return {
        "profile": profile,
        "gene": work.model.targets_[target],
        "value": value,
        "low": value - half,
        "high": value + half,
        "trust": work.var["trust"].iloc[place_],
        "expected_error": float(work.var["expected_error"].iloc[place_]),
        "distance": 1 - farther,
        "unlike": farther < UNLIKE,
        "at_mean": start,
        "unexplained": value - start - float(added.sum()),
    }


def _neighbours(
    model: Estimator, names: Iterable[str], ends: np.ndarray, count: int
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """The nearest training profiles of each, and what the index holds; none of a model without an index."""
    index = model.training_index_
    if index is None:
        note("the model keeps no index of its training profiles, so none are named; dgex train makes one")
        return pd.DataFrame(columns=["profile", "rank", "training_profile", "study", "distance"]), None
    places, far = index.nearest(ends, count)
    kept = places.shape[1]
    study = np.full(places.size, "", dtype=object) if index.study is None else index.study[places.ravel()]
    table = pd.DataFrame(
        {
            "profile": np.repeat(np.asarray(names, dtype=object), kept),
            "rank": np.tile(np.arange(1, kept + 1), len(places)),
            "training_profile": index.names[places.ravel()],
            "study": study,
            "distance": far.ravel(),
        }
    )
    return table, {**index.state(), "directions": index.coordinates.shape[1]}
