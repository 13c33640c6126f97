"""One model and the training profiles of its dataset: what it has learned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from dgex import io
from dgex._version import __version__
from dgex.dataset.roles import check_dataset, rows
from dgex.errors import GeneError, SettingsError, first
from dgex.evaluation.measuring import blocks, same_units, training_mean
from dgex.genes import align
from dgex.interpretation.attribution import Gap, attribute
from dgex.interpretation.interpretation import Interpretation, place
from dgex.interpretation.layers import Layers, layers_of
from dgex.interpretation.variance import explained
from dgex.interpretation.weights import gene_sets, hub_units, major_weights
from dgex.models.base import Estimator
from dgex.models.folder import load
from dgex.models.linear.moments import Moments
from dgex.models.selection import spread
from dgex.places import claim
from dgex.progress import Bar, bar, hint, warn
from dgex.remote.places import located
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import predicting

if TYPE_CHECKING:
    from anndata import AnnData
from dgex.aliases import PathLike

__all__ = ["interpret"]

_NONE = np.array([], dtype=np.int64)
_GAP = 0.01  # of what attributions should add up to, at most, without a warning


def interpret(
    model: Estimator | PathLike,
    data: PathLike | AnnData,
    output: PathLike | None = None,
    *,
    best: str | None = None,
    genes: Sequence[str] | None = None,
    samples: int = 128,
    steps: int = 16,
    top: int = 10,
    hubs: int = 20,
    input_threshold: float = 4.0,
    output_threshold: float = 5.0,
    device: str | None = None,
    block: int = 4096,
    overwrite: bool = False,
) -> Interpretation:
    """Find out what a network has learned: major weights, hub units, adjusted R2, attributions.

    Parameters
    ----------
    model : Estimator or path
        A fitted network, or its folder. Linear models have attributions only.
    data : path or AnnData
        The dataset made by `dgex.prepare` that it was trained on; its training profiles are used.
    output : path, optional
        A folder for the page, tables and figures; see `Interpretation.save`.
    best : str, optional
        The evaluation set whose best epoch is interpreted; None is the first one.
    genes : sequence of str, optional
        Target genes to attribute, by name or any identifier the model knows; None is all.
    samples : int
        Training profiles that attributions are averaged over, evenly spaced; all where there are fewer.
    steps : int
        Points of the path from the baseline to a profile at which a network of several hidden layers is
        differentiated. With one hidden layer the path is integrated exactly.
    top : int
        Landmark genes kept for each target gene: those of largest mean absolute attribution.
    hubs : int
        Hub units told of in each layer: those with most major weights.
    input_threshold, output_threshold : float
        A weight into the first hidden layer is major beyond so many standard deviations of its landmark gene's
        outgoing weights; a weight into a target gene beyond so many of that gene's incoming weights.
    device : str, optional
        "cpu", "cuda", "cuda:N" or "auto"; None is the model's own setting.
    block : int
        Profiles read at a time.
    overwrite : bool
        Replace `output` if it exists.

    Returns
    -------
    Interpretation

    Raises
    ------
    ModelError
        The model has no weights (nearest neighbours), is not fitted, or cannot be read.
    GeneError
        Landmark genes are missing from the data, none of its target genes is there, or `genes` are unknown.
    SettingsError
        A setting outside what is accepted, or an unknown `best`.
    DataError
        The data are no dataset, or hold NaN or infinity.
    OutputExistsError, FileError
        The folder exists or cannot be written.

    Notes
    -----
    Major weights and hubs follow the paper's section 3.3, which leaves open what a hub is: here the
    units with most major weights. With one hidden layer a hub joins landmark and target genes; with more, hubs of the
    first hidden layer have landmark genes only and hubs of the last one target genes only. Weights of a network that
    standardises genes inside are those between genes in standard units.

    Adjusted R2 (`dgex.interpretation.variance.explained`) is of linear fits of every target gene on all training
    profiles: on raw landmark genes, and on the activations of the last hidden layer without dropout.

    Attributions (`dgex.interpretation.attribution.attribute`) start from the mean training profile. All is computed
    in float32 or finer, whatever the network was trained in. With several target parts each part is a network of its
    own, with its own hubs and activations.

    Memory holds one block, for adjusted R2 a matrix of units x units and one of units x targets in float64 with one
    or two copies (about 4 GiB for 9,000 units and 9,520 targets), for attributions four of targets x landmarks.
    Attributions of all targets cost about 2 units x landmarks x targets operations a profile with one hidden layer,
    and steps times the products between the hidden layers with more: name `genes`, or take a CUDA device, for those.

    Examples
    --------
    >>> import dgex
    >>> raw = dgex.simulate(samples=200, landmarks=20, targets=30, seed=0)
    >>> data = dgex.prepare(raw, group="study", seed=0)
    >>> learned = dgex.interpret(dgex.train(data, "ols"), data)
    >>> learned.attributions.columns[:2].tolist()
    ['gene', 'landmark']
    """
    for name, value in (("samples", samples), ("steps", steps), ("top", top), ("hubs", hubs), ("block", block)):
        if value < 1:
            raise SettingsError(f"{name} must be at least 1, found {value}")
    for name, threshold in (("input_threshold", input_threshold), ("output_threshold", output_threshold)):
        if not threshold > 0:
            raise SettingsError(f"{name} must be above 0 standard deviations, found {threshold}")
    with ExitStack() as stack:
        if output is not None:
            inputs = [model, data]
            place(output).refuse_other()
            stack.enter_context(claim(output, "dgex interpret", overwrite=overwrite, inputs=inputs, folder=True))
        fitted = model if isinstance(model, Estimator) else load(model)
        where = pick_device(device or str(getattr(fitted, "device", "cpu")))
        stack.enter_context(predicting(where))
        stack.enter_context(torch.inference_mode())
        networks = layers_of(fitted, best, where)
        chosen = _chosen(fitted, genes)
        source = stack.enter_context(io.open(data))
        view = _View.of(source, fitted, block)
        major = major_weights(networks, fitted.landmarks_, fitted.targets_, input_threshold, output_threshold)
        hub_table = hub_units(major, hubs)
        standard = networks[0].standard is not None
        if standard:
            hint("the network standardises genes inside: its weights are read in standard units")
        whole = [network.in_units() for network in networks]
        adjusted, told_r2 = _adjusted_r2(whole, fitted, view, where)
        attributions, told_attributions = _attributions(whole, fitted, view, chosen, samples, steps, top)
        summary = {
            "dgex": __version__,
            "model": {
                "name": fitted.label or fitted.kind if isinstance(model, Estimator) else located(model).resolve().name,
                "kind": fitted.kind,
                "landmarks": fitted.n_features_in_,
                "targets": fitted.n_targets_,
                "hidden": [network.hidden for network in networks],
                "part_targets": [len(network.targets) for network in networks],
                "best": (best or next(iter(fitted.best_))) if hasattr(fitted, "best_") else None,
                "epoch": [network.epoch for network in networks],
                "fingerprint": fitted.fingerprint_,
            },
            "data": {
                "name": source.name,
                "profiles": len(view.samples),
            },
            "major_weights": {
                "input_threshold": input_threshold,
                "output_threshold": output_threshold,
                "inputs": int((major["role"] == "landmark").sum()),
                "outputs": int((major["role"] == "target").sum()),
                "positive": float((major["weight"] > 0).mean()) if len(major) else None,
                "hubs": len(hub_table),
                "hubs_asked": hubs,
                "units": "standard" if standard else "of the data",
            },
            "adjusted_r2": told_r2,
            "attributions": told_attributions,
        }
        result = Interpretation(hub_table, gene_sets(major, hub_table), major, adjusted, attributions, summary)
        if output is not None:
            result.save(output, overwrite=overwrite)
    return result


@dataclass(frozen=True)
class _View:
    """The training profiles of a dataset, as a model sees them."""

    source: io.ExpressionFile
    samples: np.ndarray  # positions of the training profiles
    inputs: np.ndarray  # positions of the model's landmark genes in the data
    targets: np.ndarray  # positions of the model's target genes in the data, -1 where one is missing
    block: int

    @classmethod
    def of(cls, source: io.ExpressionFile, model: Estimator, block: int) -> _View:
        check_dataset(source)
        landmarks, targets = align(model.landmark_genes(), source.var), align(model.target_genes(), source.var)
        if landmarks.missing:
            raise GeneError(
                f"{len(landmarks.missing):,} of {model.n_features_in_:,} landmark genes of the model are missing from "
                f"the data: {first(landmarks.missing)}"
            )
        if not targets.found:
            raise GeneError(f"none of the model's {model.n_targets_:,} target genes is in the data")
        if not same_units(model, landmarks.index, source):
            warn(
                "the model was trained on values normalised otherwise than this dataset's: interpret it on the dataset "
                "it was trained on"
            )
        return cls(source, rows(source, "train"), landmarks.index, targets.index, block)


def _chosen(model: Estimator, genes: Sequence[str] | None) -> np.ndarray:
    """Positions of the target genes to attribute."""
    if genes is None:
        return np.arange(model.n_targets_)
    names = [genes] if isinstance(genes, str) else list(dict.fromkeys(genes))
    if not names:
        raise SettingsError("genes: found an empty list, accepted names of target genes, or None for all")
    matches = align(pd.DataFrame(index=pd.Index(names, dtype=str)), model.target_genes())
    if matches.missing:
        raise GeneError(f"the model infers no target gene named {first(matches.missing)}")
    return np.sort(matches.index)


def _adjusted_r2(
    networks: Sequence[Layers], model: Estimator, view: _View, device: torch.device
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Fit every target gene found in the data on raw landmark genes and on its network's last hidden layer."""
    if not networks[0].hidden:
        return pd.DataFrame(columns=["gene", "landmarks", "hidden"]), None
    present = np.flatnonzero(view.targets >= 0)
    if len(present) < len(view.targets):
        warn(f"adjusted R2 is taken of the {len(present):,} of {len(view.targets):,} target genes in the data")
    own = [np.flatnonzero(np.isin(present, network.targets)) for network in networks]
    raw = Moments(model.n_features_in_, len(present), double=True)
    hidden = [Moments(network.hidden[-1], len(part), double=True) for network, part in zip(networks, own)]
    with bar(len(view.samples), "gathering moments") as progress:
        for X, Y in blocks(view.source, view.samples, view.inputs, view.targets[present], view.block):
            raw.update(X, Y)
            x = torch.from_numpy(np.ascontiguousarray(X)).to(device)
            for network, moments, part in zip(networks, hidden, own):
                moments.update(network.units(x)[-1].cpu().numpy(), Y if len(part) == len(present) else Y[:, part])
            progress.advance(len(X))
    by_landmarks = explained(raw, "the landmark genes", device)
    by_hidden, ranks = np.full(len(present), np.nan), []
    for number, (moments, part) in enumerate(zip(hidden, own), start=1):
        what = "the last hidden layer" + (f" of part {number}" if len(own) > 1 else "")
        fit = explained(moments, what, device)
        by_hidden[part] = fit.adjusted
        ranks.append(fit.rank)
    names = np.asarray(model.targets_, dtype=object)[present]
    frame = pd.DataFrame({"gene": names, "landmarks": by_landmarks.adjusted, "hidden": by_hidden})
    both = frame.dropna()
    facts = {
        "profiles": raw.n,
        "genes": len(both),
        "share_rising": float((both["hidden"] > both["landmarks"]).mean()) if len(both) else None,
        "median_landmarks": float(both["landmarks"].median()) if len(both) else None,
        "median_hidden": float(both["hidden"].median()) if len(both) else None,
        "regressors_landmarks": by_landmarks.rank,
        "regressors_hidden": ranks,
    }
    return frame, facts


def _attributions(
    networks: Sequence[Layers], model: Estimator, view: _View, chosen: np.ndarray, samples: int, steps: int, top: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The `top` landmark genes of every chosen target gene, one row each, target genes in the model's order."""
    baseline = training_mean(view.source, view.inputs, view.block)
    assert baseline is not None  # the dataset was found to have training profiles
    picked = view.samples[spread(len(view.samples), samples)]
    parts = [part for part in (network.only(chosen) for network in networks) if len(part.targets)]
    gap, frames = Gap(), []
    landmarks, targets = (np.asarray(names, dtype=object) for names in (model.landmarks_, model.targets_))
    with bar(len(picked) * len(parts), "attributing") as progress:
        for part in parts:
            attributed = attribute(part, _profiles(view, picked, progress), baseline, steps, gap)
            best = np.argsort(-attributed.mean_absolute, axis=1, kind="stable")[:, :top]
            kept = best.shape[1]
            frames.append(
                pd.DataFrame(
                    {
                        "at": np.repeat(part.targets, kept),
                        "gene": np.repeat(targets[part.targets], kept),
                        "landmark": landmarks[best.ravel()],
                        "rank": np.tile(np.arange(1, kept + 1), len(best)),
                        **{
                            name: np.take_along_axis(getattr(attributed, name), best, axis=1).ravel()
                            for name in ("mean", "mean_absolute", "effect")
                        },
                    }
                )
            )
    if gap.share > _GAP:
        warn(f"attributions miss {gap.share:.1%} of what they should add up to: found {steps} steps, more are needed")
    frame = pd.concat(frames).sort_values(["at", "rank"], kind="stable").drop(columns="at").reset_index(drop=True)
    facts = {
        "genes": len(chosen),
        "profiles": len(picked),
        "steps": steps if len(networks[0].hidden) > 1 else None,
        "top": min(top, model.n_features_in_),
        "gap_largest": gap.largest,
        "gap_share": gap.share,
    }
    return frame, facts


def _profiles(view: _View, picked: np.ndarray, progress: Bar) -> Any:
    for X, _ in blocks(view.source, picked, view.inputs, _NONE, view.block):
        for x in X:
            yield x
            progress.advance(1)
