"""Panels of landmark genes: ours and others on real RNA-Seq, and the time and memory of choosing; prints JSON.

    python benchmarks/panels.py compare DATA/human_rnaseq.h5ad --by study      # error of all panels, 5 splits
    python benchmarks/panels.py compare DATA/human_rnaseq.h5ad --by random
    python benchmarks/panels.py time DATA/human_rnaseq.h5ad                    # 891 of 9,014 genes
    python benchmarks/panels.py large --profiles 20000 --genes 20000           # streamed, peak memory

All panels of a split are measured by the same ridge regression, its penalty chosen on validation profiles, on genes
that are in none of them. Beside the panels of `dgex select-landmarks`: QR with column pivoting (scipy) and, as the
naive choice, the genes of the largest F statistic of scikit-learn's f_regression, averaged over 200 target genes.
`--per-group` adds the choice on studies left out, and leaves those two, the most variable and the leaders out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

SIZES = (50, 100, 200, 400)
SHARES = (0.8, 0.1, 0.1)


class Own:
    """A panel chosen by a function of (view, allowed, most)."""

    def __init__(self, name: str, choose: Any) -> None:
        self.name, self.kind, self.genes, self._choose = name, "own", np.empty(0, np.int64), choose

    def orders(self, view: Any, allowed: np.ndarray, most: int, seed: int) -> dict[str, list[np.ndarray]]:
        return {self.name: [self._choose(view, np.flatnonzero(allowed), most)]}


def pivoted(view: Any, free: np.ndarray, most: int) -> np.ndarray:
    """The first columns that QR with pivoting takes."""
    Z = view.values(view.rows("train"), free)
    _, order = linalg.qr(Z - Z.mean(axis=0), mode="r", pivoting=True, check_finite=False)
    return free[order[:most]]


def naive(view: Any, free: np.ndarray, most: int) -> np.ndarray:
    """Genes of the largest mean F statistic over targets."""
    from sklearn.feature_selection import f_regression

    Z = view.values(view.rows("train"), free)
    total = np.zeros(len(free))
    for target in np.random.default_rng(0).choice(len(free), min(200, len(free)), replace=False):
        scores = f_regression(Z, Z[:, target])[0]
        scores[target] = 0
        total += np.nan_to_num(scores, posinf=0)
    return free[np.argsort(-total, kind="stable")[:most]]


def compare(path: str, by: str, splits: int, first: int, per_group: bool) -> dict[str, Any]:
    """Error of all panels at all sizes, with intervals."""
    from dgex.panels.comparing import Comparing
    from dgex.panels.job import Job
    from dgex.panels.matrix import Profiles
    from dgex.panels.measurable import Limits
    from dgex.panels.rivals import rivals_of

    group = None if by == "random" else by
    with ExitStack() as stack:
        profiles = Profiles(path, stack)
        genes = profiles.shape[1]
        none = np.zeros(genes, bool)
        job = Job(profiles, Limits(), None, none, np.empty(0, np.int64), None, np.ones(genes), None, None, group)
        slow: list[str] = [] if per_group else ["variable", "components"]
        rivals: list[Any] = rivals_of(["roles", "random", *slow], profiles.var)
        rivals += [] if per_group else [Own("pivoted QR", pivoted), Own("f_regression", naive)]
        if per_group:

            def left_out(view: Any, free: np.ndarray, most: int) -> np.ndarray:
                return np.asarray(view.choose(most, np.isin(np.arange(genes), free), per_group="study").genes)

            rivals.append(Own("chosen, studies left out", left_out))
        comparing = Comparing(rivals, SIZES, profiles.var.index, group or "")
        for seed in range(first, first + splits):
            view = job.view(profiles.split(group, seed, SHARES))
            began = time.perf_counter()
            chosen = job.chosen(view, max(SIZES))
            seconds = time.perf_counter() - began
            comparing.add(view, chosen, job.allowed(view)[0], seed)
            print(f"seed {seed}: chosen in {seconds:.1f} s", file=sys.stderr, flush=True)
        return {
            "split": by,
            "splits": splits,
            "intervals over": comparing.units,
            "genes compared": sorted(set(comparing.by_split()["genes"])),
            "curve": comparing.curve().round(4).to_dict("records"),
            "by split": comparing.by_split().round(4).to_dict("records"),
        }


def timed(path: str, size: int) -> dict[str, Any]:
    """Seconds that choosing takes, over all profiles, without reading and measuring."""
    from threadpoolctl import threadpool_info

    from dgex.panels.matrix import Profiles
    from dgex.panels.measurable import Limits
    from dgex.panels.view import View

    with ExitStack() as stack:
        profiles = Profiles(path, stack)
        split = np.full(profiles.shape[0], "train", dtype=object)
        held = np.concatenate([split, ["validation", "validation", "test", "test"]])
        rows = np.concatenate([np.arange(profiles.shape[0]), [0, 1, 2, 3]])
        profiles._held = profiles._held[rows]  # all profiles train: some stand for those that are held out
        profiles.obs = profiles.obs.iloc[rows]
        view = View.of(profiles, held, None, Limits())
        wall, cpu = time.perf_counter(), time.process_time()
        view.choose(size, np.ones(profiles.shape[1], bool))
        return {
            "profiles": len(split),
            "genes": profiles.shape[1],
            "chosen": size,
            "seconds": round(time.perf_counter() - wall, 2),
            "processor seconds": round(time.process_time() - cpu, 2),
            "threads": max(one["num_threads"] for one in threadpool_info()),
            "load": round(os.getloadavg()[0], 1),
        }


def large(profiles: int, genes: int, size: int) -> dict[str, Any]:
    """Simulate a matrix on disk and choose from it in a process of its own."""
    import dgex

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.gctx"
        rng = np.random.default_rng(0)
        loadings = rng.standard_normal((60, genes), dtype=np.float32)
        loadings *= (np.arange(1, 61, dtype=np.float32) ** -0.5)[:, None]
        obs = pd.DataFrame(index=[f"P{number}" for number in range(profiles)])
        var = pd.DataFrame(index=[f"G{number}" for number in range(genes)])
        with dgex.create(path, obs=obs, var=var) as file:
            for at in range(0, profiles, 1000):
                rows = min(1000, profiles - at)
                block = rng.standard_normal((rows, 60), dtype=np.float32) @ loadings
                block += rng.standard_normal(block.shape, dtype=np.float32)
                file.append(7 + 0.5 * block)
        code = (
            "import sys, time, resource, json, dgex; began = time.perf_counter(); "
            "found = dgex.select_landmarks(sys.argv[1], size=int(sys.argv[2]), sizes=[int(sys.argv[2])], "
            "against=[]); "
            "print(json.dumps({'seconds': round(time.perf_counter() - began, 1), "
            "'processor seconds': round(time.process_time(), 1), "
            "'peak GiB': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2), "
            "'error': found.curve['error'].round(4).tolist()}))"
        )
        command = [sys.executable, "-c", code, str(path), str(size)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        told = json.loads(finished.stdout) if finished.returncode == 0 else {"failed": finished.stderr[-2000:]}
        return {"profiles": profiles, "genes": genes, "chosen": size, **told, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compare", "time", "large"])
    parser.add_argument("data", nargs="?")
    parser.add_argument("--by", default="random", help="random, or a column of obs")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-group", action="store_true", help="the choice on studies left out, too")
    parser.add_argument("--size", type=int)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=20_000)
    given = parser.parse_args()
    if given.what == "compare":
        result = compare(given.data, given.by, given.splits, given.seed, given.per_group)
    elif given.what == "time":
        result = timed(given.data, given.size or 891)
    else:
        result = large(given.profiles, given.genes, given.size or 400)
    result["peak GiB of this process"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
