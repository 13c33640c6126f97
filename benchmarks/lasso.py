"""Lasso for all targets at once against scikit-learn's with precompute=True, in one run; prints JSON.

    python benchmarks/lasso.py                          # simulated, 20,000 x 943 -> 9,520, about 85 nonzeros
    python benchmarks/lasso.py --data human_rnaseq.h5ad # a dataset with var["role"]

The penalty is searched for so that a target has about the number of nonzeros asked for. scikit-learn fits a
few targets and is extrapolated: (seconds for few + 200 targets - seconds for few) / 200 a target, so that its
Gram matrix is counted once. Its `tol` is lowered from half of ours (its gap is relative to twice our unit)
by halves until its own largest gap over the 200 is at most ours; the fastest that meets it counts.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from typing import Any

import numpy as np
from linear import matrices, simulate
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso as SklearnLasso
from threadpoolctl import threadpool_info

from dgex.models.linear.lasso_solver import LassoSolver, relative_gap
from dgex.models.linear.moments import Moments


def dataset(path: str) -> tuple[np.ndarray, np.ndarray]:
    import anndata

    data = anndata.read_h5ad(path)
    values = np.asarray(data.X, np.float32)
    values = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-3)
    landmark = (data.var["role"] == "landmark").to_numpy()
    return np.ascontiguousarray(values[:, landmark]), np.ascontiguousarray(values[:, data.var["role"] == "target"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=9_520)
    parser.add_argument("--data", help="an h5ad dataset instead of simulated matrices")
    parser.add_argument("--nonzeros", type=float, default=85.0)
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--few", type=int, default=200, help="targets that scikit-learn fits")
    options = parser.parse_args()
    if options.data:
        X, Y = dataset(options.data)
    else:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as name:
            simulate(Path(name), options.profiles, options.landmarks, options.targets, raw=False)
            X, Y = matrices(Path(name), [options.profiles, options.landmarks, options.targets])
    moments = Moments.of(X, Y)
    n, gram, squares = moments.n, moments.gram() / moments.n, moments.y_squares() / moments.n
    few = np.linspace(0, Y.shape[1] - 1, options.few).astype(int)

    report: dict[str, Any] = {
        "profiles": n,
        "landmarks": X.shape[1],
        "targets": Y.shape[1],
        "data": options.data or "simulated",
        "gap_asked_for": options.gap,
        "threads": max(library["num_threads"] for library in threadpool_info()),
    }
    alpha = penalty(gram, moments, few, options.nonzeros)
    started = time.perf_counter()
    coef, gap = LassoSolver(gram).solve(lambda part: moments.cross(part) / n, squares, alpha, options.gap)
    ours = time.perf_counter() - started
    report |= {"alpha": alpha, "nonzeros": np.count_nonzero(coef) / len(coef)}
    report["dgex"] = {"seconds": ours, "gap_max": float(gap.max()), "gap_median": float(np.median(gap))}
    report["dgex"]["times"] = "setup, all targets and the float64 certificate; without the pass over the data"

    tries = []
    tol = options.gap / 2
    while True:
        model = SklearnLasso(alpha=alpha, precompute=True, tol=tol, max_iter=20_000)
        seconds = []
        for part in (few[:5], np.concatenate([few[:5], few])):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                started = time.perf_counter()
                model.fit(X, np.ascontiguousarray(Y[:, part]))
                seconds.append(time.perf_counter() - started)
        found = model.coef_[5:].T.astype(np.float64)
        cross = np.stack([moments.cross(slice(t, t + 1))[:, 0] for t in few], axis=1) / n
        reached = relative_gap(gram, cross, squares[few], found, alpha)
        tries.append(
            {
                "tol": tol,
                "seconds_for_all_extrapolated": (seconds[1] - seconds[0]) * Y.shape[1] / len(few),
                "gap_max": float(reached.max()),
                "gap_median": float(np.median(reached)),
            }
        )
        if reached.max() <= options.gap or len(tries) == 4:
            break
        tol /= 2
    report["scikit_learn"] = tries
    report["times_faster"] = tries[-1]["seconds_for_all_extrapolated"] / ours
    report["times_faster_than_its_loosest"] = tries[0]["seconds_for_all_extrapolated"] / ours
    print(json.dumps(report, indent=1))


def penalty(gram: np.ndarray, moments: Moments, few: np.ndarray, wanted: float) -> float:
    """The penalty with about `wanted` nonzeros a target, by bisection on a few targets."""
    cross = np.stack([moments.cross(slice(t, t + 1))[:, 0] for t in few], axis=1) / moments.n
    squares = moments.y_squares()[few] / moments.n
    solver = LassoSolver(gram)
    low, high = 1e-5, float(np.abs(cross).max())
    for _ in range(12):
        middle = float(np.sqrt(low * high))
        coef, _ = solver.solve(lambda part: cross[:, part], squares, middle, 1e-3)
        low, high = (middle, high) if np.count_nonzero(coef) / len(coef) > wanted else (low, middle)
    return float(np.sqrt(low * high))


if __name__ == "__main__":
    main()
