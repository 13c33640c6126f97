"""Major weights of a network, and the hub units where many of them meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex.interpretation.layers import Layers

__all__ = ["beyond", "gene_sets", "hub_units", "major_weights"]

COLUMNS = ["part", "layer", "unit", "role", "gene", "weight", "z"]
_GENES = 256  # whose weights are looked at together: bounds the float64 copy


def beyond(weights: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights far from the others of their gene.

    Parameters
    ----------
    weights : ndarray, shape (genes, units)
        Each gene's weights to, or from, the hidden units.
    threshold : float
        Standard deviations (population formula) of a gene's own weights.

    Returns
    -------
    genes, units, z : ndarrays of one length
        z = (w - mean) / sd, where it lies beyond the threshold on either side. A gene whose weights are all equal has
        none. Among U units no z lies beyond sqrt(U - 1): in layers of 17 units or fewer none is beyond 4.
    """
    genes, units, scores = [], [], []
    for start in range(0, len(weights), _GENES):
        own = weights[start : start + _GENES].astype(np.float64)
        own -= own.mean(1, keepdims=True)
        sd = own.std(1, keepdims=True)
        z = np.divide(own, sd, out=np.zeros_like(own), where=sd > 0)
        gene, unit = np.nonzero(np.abs(z) > threshold)
        genes.append(gene + start)
        units.append(unit)
        scores.append(z[gene, unit])
    return np.concatenate(genes), np.concatenate(units), np.concatenate(scores)


def major_weights(
    networks: Sequence[Layers],
    landmarks: Sequence[str],
    targets: Sequence[str],
    input_threshold: float,
    output_threshold: float,
) -> pd.DataFrame:
    """Major weights of the first hidden layer's inputs and of the last layer's outputs.

    Returns
    -------
    DataFrame
        One row a weight: part (of the targets, from 1), layer (hidden layer, from 1), unit (from 0), role
        ("landmark" for an input of the unit, "target" for an output), gene, weight, z.
    """
    frames = []
    for number, network in enumerate(networks, start=1):
        depth = len(network.hidden)
        if not depth:
            continue
        own = np.asarray(targets, dtype=object)[network.targets]
        first, last = network.weights[0].T.cpu().numpy(), network.weights[-1].cpu().numpy()
        for role, layer, names, weights, threshold in (
            ("landmark", 1, np.asarray(landmarks, dtype=object), first, input_threshold),
            ("target", depth, own, last, output_threshold),
        ):
            gene, unit, z = beyond(weights, threshold)
            columns = [number, layer, unit, role, names[gene], weights[gene, unit], z]
            frames.append(pd.DataFrame(dict(zip(COLUMNS, columns))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def hub_units(major: pd.DataFrame, count: int) -> pd.DataFrame:
    """The `count` units with most major weights, of each part and layer; units with a single one are no hubs.

    Returns
    -------
    DataFrame
        One row a hub: part, layer, rank (from 1; of equal units the one that comes first), unit, connections,
        landmarks and targets (how many of them), positive and negative (by the sign of the weight), share (of the
        major weights of its layer).
    """
    marked = major.assign(positive=major["weight"] > 0, landmark=major["role"] == "landmark")
    groups = marked.groupby(["part", "layer", "unit"], sort=True)
    hubs = groups.agg(connections=("gene", "size"), landmarks=("landmark", "sum"), positive=("positive", "sum"))
    hubs = hubs.astype(int).reset_index()
    hubs["targets"] = hubs["connections"] - hubs["landmarks"]
    hubs["negative"] = hubs["connections"] - hubs["positive"]
    hubs["share"] = hubs["connections"] / hubs.groupby(["part", "layer"])["connections"].transform("sum")
    hubs = hubs[hubs["connections"] > 1]
    hubs = hubs.sort_values(["part", "layer", "connections"], ascending=[True, True, False], kind="stable")
    hubs["rank"] = hubs.groupby(["part", "layer"]).cumcount() + 1
    columns = ["part", "layer", "rank", "unit", "connections", "landmarks", "targets", "positive", "negative", "share"]
    return hubs.loc[hubs["rank"] <= count, columns].reset_index(drop=True)


def gene_sets(major: pd.DataFrame, hubs: pd.DataFrame) -> pd.DataFrame:
    """The genes behind each hub.

    Returns
    -------
    DataFrame
        One row a hub and gene, hubs by rank, landmark genes before target genes, farthest weights first: part, layer,
        rank, unit, role, gene, weight, sign ("+" or "-"), z.
    """
    rows = major.merge(hubs[["part", "layer", "unit", "rank"]], on=["part", "layer", "unit"])
    rows["sign"] = np.where(rows["weight"] > 0, "+", "-")
    rows["far"] = -rows["z"].astype(float).abs()
    rows = rows.sort_values(["part", "layer", "rank", "role", "far"], kind="stable").reset_index(drop=True)
    return rows[["part", "layer", "rank", "unit", "role", "gene", "weight", "sign", "z"]]
