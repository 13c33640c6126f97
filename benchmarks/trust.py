"""How well a model knows its own accuracy: coverage and width of intervals, expected errors, missing genes.

    python benchmarks/trust.py human_rnaseq.h5ad --seeds 5 --method auto
    python benchmarks/trust.py human_rnaseq.h5ad --group study --seeds 10 --method ridge

Every seed is a split of its own; test profiles choose nothing. Printed as JSON: a mean and a spread over seeds of

- coverage: share of test values inside their 90 % intervals; genes: share of genes whose coverage over the test
  profiles of all seeds is within 4 points (of one seed's alone, chance would put 12 % outside);
- narrower: mean width below that of split conformal without a scale, calibrated on the same held-out profiles and
  stretched to the same coverage on the test profiles;
- spearman: of the expected with the test error, over genes, in standardised and in log2 units;
- missing: the error that 5 % missing landmark genes add when filled, over what the training mean adds;
- flagged: share of test profiles that are called unlike;
- random (with --group): coverage where the same model is calibrated on random folds instead of groups.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
from scipy.stats import spearmanr

import dgex
from dgex.confidence.confidence import UNLIKE
from dgex.confidence.intervals import LEVELS
from dgex.fitting.judging import confidence_of
from dgex.fitting.splits import read_splits

LEVEL = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--group", default=None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--method", default="ridge")
    parser.add_argument("--device", default=None)
    told = parser.parse_args()
    runs, inside, count = [], 0.0, 0
    for seed in range(told.first, told.first + told.seeds):
        began = time.perf_counter()
        result, covered = measured(told, seed)
        runs.append(result)
        inside, count = inside + covered.sum(axis=0), count + len(covered)
        print(seed, f"{time.perf_counter() - began:.0f} s", json.dumps(runs[-1]), file=sys.stderr)
    names = list(runs[0])
    table = {name: [float(np.mean([r[name] for r in runs])), float(np.std([r[name] for r in runs]))] for name in names}
    table["genes"] = [float(np.mean(np.abs(inside / count - LEVEL) <= 0.04)), 0.0]
    print(
        json.dumps(
            {"method": told.method, "group": told.group, "seeds": told.seeds, "mean and spread": table}, indent=2
        )
    )


def measured(told: argparse.Namespace, seed: int) -> tuple[dict[str, float], np.ndarray]:
    raw = dgex.read(told.data)
    data = dgex.prepare(raw, group=told.group, seed=seed)
    settings = {"device": told.device} if told.device and told.method != "ridge" else {}
    model = dgex.train(data, told.method, **settings)
    known = model.confidence_
    assert known is not None
    test = data[data.obs["split"] == "test"]
    x, y = (np.ascontiguousarray(test[:, names].X) for names in (model.landmarks_, model.targets_))
    predicted = model.predict(x)
    error, far = np.abs(predicted - y), known.landmarks.distance(x)
    half = known.intervals.halfwidth(predicted, far, LEVEL)
    inside = error <= half
    result = {
        "error": float(error.mean()),
        "coverage": float(inside.mean()),
        "flagged": float(np.mean(known.farther(far) < UNLIKE)),
    }
    std = model.normalization_.target_std
    of_gene, expected = error.mean(axis=0), known.accuracy["error"].to_numpy()
    result["spearman standardised"] = float(spearmanr(expected, of_gene)[0])
    result["spearman log2"] = float(spearmanr(expected * std, of_gene * std)[0])
    plain = unscaled(model, data)
    if plain is not None:
        stretch = np.quantile(error / plain, inside.mean())  # to the coverage that the scaled ones have
        result["narrower"] = float(1 - half.mean() / (plain * stretch).mean())
        result["coverage unscaled"] = float(np.mean(error <= plain))
    result["missing"] = float(np.mean([missing(model, x, y, error.mean(), draw) for draw in range(3)]))
    if told.group and told.method != "auto":
        from contextlib import ExitStack

        with ExitStack() as stack:
            read = read_splits(data, ["validation"], stack)._replace(groups={})
            at_random = confidence_of(model, read)
        far = at_random.landmarks.distance(x)
        result["coverage, random calibration"] = float(
            np.mean(error <= at_random.intervals.halfwidth(predicted, far, LEVEL))
        )
    return result, inside


def unscaled(model: dgex.Estimator, data: object) -> np.ndarray | None:
    """Quantiles of the held-out errors of each gene, without any scale."""
    from contextlib import ExitStack

    from dgex.fitting.judging import _in_turn

    if not model.refits:
        return None
    with ExitStack() as stack:
        read = read_splits(data, ["validation"], stack)
        held = _in_turn(model, read, "validation")
    scores = np.sort(np.abs(held.predicted - held.Y), axis=0)
    assert LEVEL in LEVELS
    return scores[min(len(scores) - 1, int(np.ceil((len(scores) + 1) * LEVEL)) - 1)]


def missing(model: dgex.Estimator, x: np.ndarray, y: np.ndarray, whole: float, seed: int) -> float:
    """What 5 % missing landmark genes cost when filled from the others, over what the training mean costs."""
    lacking = np.random.default_rng(seed).permutation(x.shape[1])[: round(0.05 * x.shape[1])]
    holed, mean = x.copy(), x.copy()
    holed[:, lacking], mean[:, lacking] = np.nan, 0
    filled = model.confidence_.landmarks.fill(holed)
    costs = [float(np.abs(model.predict(part) - y).mean()) - whole for part in (filled, mean)]
    return costs[0] / costs[1]


if __name__ == "__main__":
    main()
