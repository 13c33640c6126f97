"""Networks of given weights, and a dataset they could have been trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import anndata as ad
import numpy as np
import pandas as pd
import torch

from dgex.interpretation.layers import Layers
from dgex.models.network.dgex import DGEX
from dgex.training.run.parts import Part

Weights = dict[str, np.ndarray]


def drawn(sizes: Sequence[int], seed: int = 0, scale: float = 1.0) -> Weights:
    """Normal weights of size scale / sqrt(inputs), and biases a tenth of that."""
    rng = np.random.default_rng(seed)
    weights = {}
    for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights[f"layers.{depth}.weight"] = rng.normal(size=(outputs, inputs)) * scale / np.sqrt(inputs)
        weights[f"layers.{depth}.bias"] = 0.1 * scale * rng.normal(size=outputs)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def layers(weights: Weights) -> Layers:
    """The same as the room takes them, in float64."""
    depths = range(len(weights) // 2)
    tensors = [
        [torch.from_numpy(weights[f"layers.{d}.{kind}"].astype(np.float64)) for d in depths]
        for kind in ("weight", "bias")
    ]
    return Layers(*tensors, np.arange(len(tensors[1][-1])))


def network(parts: Sequence[dict[int, Weights]], best: dict[str, int], targets: Sequence[np.ndarray]) -> DGEX:
    """A fitted network whose parts hold `parts`, epoch to weights; genes are called L0…, T0…"""
    landmarks = parts[0][next(iter(parts[0]))]["layers.0.weight"].shape[1]
    model = DGEX(device="cpu", target_parts=len(parts))
    names = [[f"{kind}{i}" for i in range(n)] for kind, n in (("L", landmarks), ("T", sum(map(len, targets))))]
    model._set_genes(*(pd.DataFrame(index=pd.Index(own, dtype=str)) for own in names))
    model.metrics_, model.normalization_, model.fingerprint_ = {}, None, ""
    kept = {name: {"epoch": epoch, "error": 0.5, "sd": 0.1} for name, epoch in best.items()}
    history = [{"epoch": epoch, "train.error": 0.5} for epoch in range(1, 1 + max(best.values()))]
    model._keep([Part(own, dict(kept), part, history, "finished") for own, part in zip(targets, parts)])
    return model


def simple(sizes: Sequence[int], seed: int = 0, scale: float = 1.0) -> DGEX:
    """A network of drawn weights in one part."""
    return network([{1: drawn(sizes, seed, scale)}], {"last": 1}, [np.arange(sizes[-1])])


def dataset(profiles: int, landmarks: int, targets: int, seed: int = 0, test: int = 5) -> ad.AnnData:
    """Profiles with genes in a shuffled order; the last `test` ones are no training profiles."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(profiles, landmarks)) + 0.3
    Y = np.tanh(X @ rng.normal(size=(landmarks, targets))) + 0.5 * rng.normal(size=(profiles, targets))
    names = np.array([f"L{i}" for i in range(landmarks)] + [f"T{i}" for i in range(targets)])
    order = rng.permutation(len(names))
    split = np.repeat(["train", "test"], [profiles - test, test])
    return ad.AnnData(
        np.column_stack([X, Y]).astype(np.float32)[:, order],
        obs=pd.DataFrame({"split": split}, index=[f"s{i}" for i in range(profiles)]),
        var=pd.DataFrame(
            {"role": np.where(np.char.startswith(names, "L"), "landmark", "target")[order]}, index=names[order]
        ),
    )


def training(data: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Landmark and target values of the training profiles in the model's order, float64."""
    rows = (data.obs["split"] == "train").to_numpy()
    counts = data.var["role"].value_counts()
    return tuple(
        np.asarray(data[rows, [f"{kind}{i}" for i in range(counts[role])]].X, np.float64)
        for kind, role in (("L", "landmark"), ("T", "target"))
    )  # type: ignore[return-value]
