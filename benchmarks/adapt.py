"""What adapting to another platform brings: plain inference, the panel's own statistics, `dgex adapt`, the new alone.

    python benchmarks/adapt.py DATA/human_array.h5ad DATA/human_rnaseq.h5ad --seeds 0-9
    python benchmarks/adapt.py DATA/human_array.h5ad DATA/human_rnaseq.h5ad --seeds 0-9 --group study
    python benchmarks/adapt.py DATA/human_rnaseq.h5ad DATA/human_array.h5ad --method ridge --whole 10,30

The old model is trained on the first file (genes common to both), its penalty chosen on a tenth of it. For each seed
300 profiles of the second file are set apart, of studies of their own with `--group`, and judge alone; the whole ones
are drawn from the others. Errors are mean absolute errors over the standard deviation of each gene over all profiles of
the second file. "new alone" has no old model: ridge and kernel ridge regression, weighed gene by gene (`auto`), with
settings chosen by cross-validation of the same profiles. "own" (statistics of the panel itself) is told in standard
deviations of either side, for it does not know the level of a gene. Prints a line of JSON for each seed and number of
whole profiles, then means and spreads.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import anndata as ad
import numpy as np

import dgex
from dgex.models.stack.auto import Auto

JUDGES = 300


def common(paths: list[str]) -> tuple[list[ad.AnnData], int]:
    """Both matrices with the genes they share, landmark genes first, and how many of these there are."""
    files = [ad.read_h5ad(path) for path in paths]
    genes = []
    for role in ("landmark", "target"):
        sets = [set(file.var_names[file.var["role"] == role]) for file in files]
        genes.append([name for name in files[0].var_names if name in sets[0] & sets[1]])
    cut = [file[:, genes[0] + genes[1]].copy() for file in files]
    return cut, len(genes[0])


def apart(new: ad.AnnData, group: str | None, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Profiles that judge, and those to draw from."""
    order = generator.permutation(new.n_obs)
    if group is None:
        return order[:JUDGES], order[JUDGES:]
    labels = new.obs[group].astype(str).to_numpy()
    names = generator.permutation(np.unique(labels))
    held = np.isin(labels[order], names[: len(names) // 3])
    return order[held][:JUDGES], order[~held]


def scale_of(new: ad.AnnData, landmarks: int) -> np.ndarray:
    """Standard deviation of each target gene on the new platform."""
    values = np.asarray(new.X[:, landmarks:], np.float64)
    return values.std(axis=0)


def one(
    old: dgex.Estimator, new: ad.AnnData, landmarks: int, sizes: list[int], group: str | None, seed: int
) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    judges, pool = apart(new, group, generator)
    scale = scale_of(new, landmarks)
    truth = np.asarray(new.X[judges][:, landmarks:], np.float32)
    panel = new[judges, :landmarks].copy()

    def error(predicted: Any) -> float:
        return float((np.abs(np.asarray(predicted) - truth) / scale).mean())

    plain = error(dgex.infer(panel, old, scale="log2").X[:, landmarks:])
    moved = dgex.infer(panel, old, scale="log2", standardize="own", units="standardized").X[:, landmarks:]
    standard = (truth - truth.mean(axis=0)) / truth.std(axis=0).clip(min=1e-3)
    rows = []
    for n in sizes:
        whole = new[pool[:n]].copy()
        began = time.perf_counter()
        model = dgex.adapt(old, whole, group=group, scale="log2")
        seconds = time.perf_counter() - began
        values = np.asarray(whole.X, np.float32)
        mean, std = values.mean(axis=0), values.std(axis=0).clip(min=0.05)
        units = (values - mean) / std
        groups = whole.obs[group].astype(str).to_numpy() if group is not None else None
        alone = Auto(members=("ridge", "kernel")).fit(units[:, :landmarks], units[:, landmarks:], groups=groups)
        inferred = alone.predict((np.asarray(panel.X, np.float32) - mean[:landmarks]) / std[:landmarks])
        curve = model.expected_["curve"]
        rows.append(
            {
                "seed": seed,
                "whole": n,
                "plain": plain,
                "own": float(np.abs(moved - standard).mean()),
                "adapt": error(dgex.infer(panel, model, scale="log2").X[:, landmarks:]),
                "new alone": error(inferred * std[landmarks:] + mean[landmarks:]),
                "expected": model.expected_["error"],
                "more": curve.get("more"),
                "then": curve.get("then"),
                "chosen": model.expected_["rule"],
                "seconds": round(seconds, 2),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--method", default="kernel")
    parser.add_argument("--whole", default="10,30,100,300")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--group")
    options = parser.parse_args()
    (before, new), landmarks = common([options.old, options.new])
    old = dgex.train(dgex.prepare(before, seed=0), options.method)
    first, _, last = options.seeds.partition("-")
    sizes = [int(n) for n in options.whole.split(",")]
    rows: list[dict[str, Any]] = []
    for seed in range(int(first), int(last or first) + 1):
        for row in one(old, new, landmarks, sizes, options.group, seed):
            print(json.dumps(row), flush=True)
            rows.append(row)
    for n in sizes:
        own = [row for row in rows if row["whole"] == n]
        names = ("plain", "own", "adapt", "new alone", "expected")
        means = {name: round(float(np.mean([row[name] for row in own])), 4) for name in names}
        spread = round(float(np.std([row["adapt"] for row in own])), 4)
        gain = [1 - row["adapt"] / row["new alone"] for row in own]
        print(
            json.dumps({"method": options.method, "whole": n, **means, "sd": spread, "least gain": round(min(gain), 4)})
        )


if __name__ == "__main__":
    main()
