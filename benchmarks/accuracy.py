"""Overall errors of methods on real matrices over several splits, each method tuned on validation by its own rule.

    python benchmarks/accuracy.py DATA/human_rnaseq.h5ad --seeds 0-9                          # a random split
    python benchmarks/accuracy.py DATA/human_rnaseq.h5ad --seeds 0-9 --group study            # studies never seen
    python benchmarks/accuracy.py DATA/human_array.h5ad --other DATA/human_rnaseq.h5ad        # to another platform
    python benchmarks/accuracy.py DATA/human_rnaseq.h5ad --training 300 --methods auto,ridge,kernel

Prints a line of JSON for each split and method (`split`, `method`, `error` on the test profiles, `seconds`), then one
for each method: `mean` over splits, `sd`, and the relative improvement over ridge regression in the same split in per
cent (`gain`, the mean; `least`; `most`). Nothing is chosen on test profiles.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import anndata as ad
import numpy as np

import dgex
from dgex.dataset.roles import landmarks, targets

# Settings that differ from a method's defaults: the network's size suits a thousand profiles, its epoch is chosen.
SETTINGS: dict[str, dict[str, Any]] = {"dgex": {"hidden": (3000,), "epochs": 150}}


def dataset(options: argparse.Namespace, seed: int) -> ad.AnnData:
    """The prepared compendium of one split; of the training profiles as many as were asked for."""
    inputs: Any = options.data if options.other is None else [options.data, f"other={options.other}"]
    data = dgex.prepare(inputs, group=options.group, seed=seed, ties="average")
    if options.training is not None:
        train = np.flatnonzero((data.obs["split"] == "train").to_numpy())
        rest = np.random.default_rng(seed).permutation(train)[options.training :]
        data = data[np.setdiff1d(np.arange(data.n_obs), rest)].copy()
    return data


def overall(model: dgex.Estimator, data: ad.AnnData, name: str) -> float:
    """Overall error on one set."""
    rows = (data.obs["split"] == name).to_numpy()
    values = np.asarray(data.X)[rows]
    return -model.score(values[:, np.flatnonzero(landmarks(data))], values[:, np.flatnonzero(targets(data))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--other", help="a matrix of another platform, on which the models are judged")
    parser.add_argument("--group")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--training", type=int)
    parser.add_argument("--methods", default="auto,ridge,kernel,knn-ge,dgex,residual")
    parser.add_argument("--set", action="append", default=[], help="METHOD.NAME=VALUE, VALUE as JSON")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    settings = {method: dict(SETTINGS.get(method, {})) for method in options.methods.split(",")}
    for text in options.set:
        name, _, value = text.partition("=")
        method, _, setting = name.partition(".")
        settings[method][setting] = json.loads(value)
    errors: dict[str, list[float]] = {method: [] for method in settings}
    test = "test" if options.other is None else "other"
    for seed in range(int(first), int(last or first) + 1):
        data = dataset(options, seed)
        for method, own in settings.items():
            began = time.perf_counter()
            model = dgex.train(data, method, **own)
            seconds = time.perf_counter() - began
            errors[method].append(overall(model, data, test))
            line = {
                "split": seed,
                "method": method,
                "error": round(errors[method][-1], 5),
                "seconds": round(seconds, 1),
            }
            more = getattr(model, "expected_", None)
            print(json.dumps(line | ({} if more is None else {"expected": more})), flush=True)
    for method, found in errors.items():
        line = {"method": method, "mean": round(float(np.mean(found)), 5), "sd": round(float(np.std(found)), 5)}
        if "ridge" in errors:
            gain = 100 * (1 - np.array(found) / np.array(errors["ridge"]))
            line |= {
                name: round(float(fun(gain)), 2)
                for name, fun in (("gain", np.mean), ("least", np.min), ("most", np.max))
            }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
