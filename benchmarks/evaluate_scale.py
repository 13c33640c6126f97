"""`evaluate` of several models on many profiles against predicting with them, in one run; prints JSON.

    python benchmarks/evaluate_scale.py                        # 20,000 profiles, 978 -> 9,520, five models

Both sides go through the same file with the same models, in turns, each in a process of its own; the smallest time of
`--repeats` counts. `predict` reads the landmark genes and infers, model by model in the blocks that `evaluate` takes,
and drops what it inferred; `evaluate` is `dgex.evaluate` with Spearman correlations, rank recall and intervals. Loading
of code and models is in neither time. Peaks are of the whole process (VmHWM), interpreter and libraries included; the
temporary files of ranks lie in `--folder`. `--other` is the source of another version, whose `evaluate` takes turns
too, and whose measures are compared with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("ols", "ridge", "knn-ge", "knn", "kernel")
MEASURES = ("error", "sd", "pearson_mean", "spearman_mean", "spearman_median", "recall", "slope", "rmse")
BLOCK = 4096


def simulate(path: Path, profiles: int, training: int, landmarks: int, targets: int) -> None:
    """Write a dataset: saturating responses to shared factors with falling weights, plus noise."""
    import anndata as ad
    import pandas as pd

    rng = np.random.default_rng(0)
    held = training // 10
    loadings = rng.standard_normal((100, landmarks + targets), dtype=np.float32)
    loadings *= (np.arange(1, 101, dtype=np.float32) ** -0.7)[:, None]
    X = np.empty((training + held + profiles, landmarks + targets), np.float32)
    for start in range(0, len(X), BLOCK):
        block = X[start : start + BLOCK]
        block[:] = np.tanh(0.7 * rng.standard_normal((len(block), 100), dtype=np.float32) @ loadings)
        block += 0.3 * rng.standard_normal(block.shape, dtype=np.float32)
    split = np.repeat(["train", "validation", "test"], [training, held, profiles])
    obs = pd.DataFrame({"split": split, "set": "train"}, index=[f"P{i}" for i in range(len(X))])
    role = np.repeat(["landmark", "target"], [landmarks, targets])
    var = pd.DataFrame({"role": role}, index=[f"G{i}" for i in range(X.shape[1])])
    ad.AnnData(X, obs=obs, var=var).write_h5ad(path)


def work(how: str, data: Path, folders: list[Path]) -> dict[str, Any]:
    """Predict with all models, or evaluate them, in this process; say what it took."""
    import dgex
    from dgex import io
    from dgex.dataset.roles import landmarks, rows

    models = {folder.name: dgex.load(folder) for folder in folders}
    found: dict[str, Any] = {}
    with io.open(data) as source:
        few, genes = rows(source, "test"), np.flatnonzero(landmarks(source))
        for model in models.values():  # what is made when first used
            model.predict(source.read(genes=genes, samples=few[:2]))
        started, used = time.perf_counter(), time.process_time()
        if how == "predict":
            for model in models.values():
                for _, X in source.iter_blocks(BLOCK, genes=genes, samples=few):
                    model.predict(X)
        else:
            overall = dgex.evaluate(models, data, baseline="training mean", block=BLOCK).overall
            found["measures"] = {name: overall[name].tolist() for name in MEASURES}
            found["inferring_seconds"] = dict(zip(overall["model"], overall["seconds"]))
    found["seconds"], found["cpu_seconds"] = time.perf_counter() - started, time.process_time() - used
    lines = Path("/proc/self/status").read_text().splitlines()
    found["peak_mib"] = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--training", type=int, default=2_000, help="profiles that the models are trained on")
    parser.add_argument("--landmarks", type=int, default=978)
    parser.add_argument("--targets", type=int, default=9_520)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--folder", help="where data, models and temporary files are written, and kept")
    parser.add_argument("--other", help="the source (src/) of another version")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        how, data, *folders = options.work
        print(json.dumps(work(how, Path(data), [Path(folder) for folder in folders])))
        return
    if options.folder:
        Path(options.folder).mkdir(parents=True, exist_ok=True)
        report = measured(options, Path(options.folder))
    else:
        with tempfile.TemporaryDirectory() as name:
            report = measured(options, Path(name))
    print(json.dumps(report, indent=1))


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make what is not there yet, let both sides take turns, and compare them."""
    data = folder / "data.h5ad"
    if not data.exists():
        simulate(data, options.profiles, options.training, options.landmarks, options.targets)
    models = [folder / method for method in options.methods]
    for path in models:
        if not path.exists():
            subprocess.run(
                [sys.executable, "-m", "dgex", "train", str(data), str(path), "--method", path.name],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
    sides = {"predict": None, "evaluate": None} | ({"other": options.other} if options.other else {})
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for side, source in list(sides.items()) * options.repeats:
        how = "predict" if side == "predict" else "evaluate"
        command = [sys.executable, __file__, "--work", how, str(data), *map(str, models)]
        environment = os.environ | {"TMPDIR": str(folder)} | ({"PYTHONPATH": source} if source else {})
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        runs[side].append(json.loads(done.stdout))
    report: dict[str, Any] = {name: getattr(options, name) for name in ("profiles", "landmarks", "targets")}
    report |= {"models": options.methods, "values_mib": 4 * options.profiles * options.targets >> 20, "runs": runs}
    for what in ("seconds", "cpu_seconds"):
        best = {side: min(run[what] for run in of) for side, of in runs.items()}
        over = {f"{side}_over_predict": best[side] / best["predict"] for side in sides if side != "predict"}
        report[what] = best | over
    if options.other:
        ours, theirs = (runs[side][0]["measures"] for side in ("evaluate", "other"))
        report["measures_are_equal"] = {name: ours[name] == theirs[name] for name in ours}
    return report


if __name__ == "__main__":
    main()
