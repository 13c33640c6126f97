"""Linear models from a file that memory does not hold against the same in memory, in one run; prints JSON.

    python benchmarks/from_disk.py                                    # 90,000 x 943 -> 3,000, half its size of memory

Every training is `dgex.train` on a simulated dataset (.h5ad), in a process of its own, in turns. `blocks` runs under a
limit of half the size of the file on all memory that no file backs (RLIMIT_DATA, what a control group would count but
for the cache of files); dgex sees the limit and goes through the file in blocks. `held` is what happens under the same
limit where it is told to hold the rows. The file is put out of the system's cache before each. Peaks are of the whole
process, interpreter and libraries included.
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
from pathlib import Path
from typing import Any

import numpy as np

LANDMARKS = 943


def simulate(path: Path, profiles: int, targets: int) -> None:
    """Write a dataset: saturating responses to shared factors with falling weights, plus noise; a tenth validates."""
    import anndata as ad
    import pandas as pd

    rng = np.random.default_rng(0)
    loadings = rng.standard_normal((100, LANDMARKS + targets), dtype=np.float32)
    loadings *= (np.arange(1, 101, dtype=np.float32) ** -0.7)[:, None]
    X = np.empty((profiles + profiles // 10, LANDMARKS + targets), np.float32)
    for start in range(0, len(X), 4096):
        block = X[start : start + 4096]
        block[:] = np.tanh(0.7 * rng.standard_normal((len(block), 100), dtype=np.float32) @ loadings)
        block += 0.3 * rng.standard_normal(block.shape, dtype=np.float32)
    split = rng.permutation(np.repeat(["train", "validation"], [profiles, profiles // 10]))
    obs = pd.DataFrame({"split": split, "set": "train"}, index=[f"P{i}" for i in range(len(X))])
    role = np.repeat(["landmark", "target"], [LANDMARKS, targets])
    var = pd.DataFrame({"role": role}, index=[f"G{i}" for i in range(X.shape[1])])
    ad.AnnData(X, obs=obs, var=var).write_h5ad(path)


def work(how: str, method: str, data: Path, output: Path) -> dict[str, Any]:
    """Train once in this process and say what it took."""
    import dgex
    from dgex.fitting import splits

    dgex.train(dgex.prepare(dgex.simulate(samples=200, landmarks=20, targets=30, seed=0), seed=0), method)  # loads code
    if how != "memory":
        limit = data.stat().st_size // 2
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if how == "held":
        splits.fits_host = lambda size: True
    with data.open("rb") as file:  # read from the disk, not from what the system still holds of it
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    started, used = time.perf_counter(), time.process_time()
    try:
        dgex.train(data, method, output, overwrite=True)
    except MemoryError as error:
        return {"failed": f"MemoryError: {error}"}
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    peaks = {
        f"{name}_mib": int(line.split()[1]) // 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        for name, key in [("peak", "VmHWM"), ("data", "VmData")]
        if line.startswith(key)
    }
    return {"seconds": seconds, "cpu_seconds": cpu, **peaks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=90_000)
    parser.add_argument("--targets", type=int, default=3_000)
    parser.add_argument("--methods", nargs="+", default=["ols", "ridge"])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", help="where the dataset is written for the run")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        how, method, data, output = options.work
        print(json.dumps(work(how, method, Path(data), Path(output))))
        return
    import dgex

    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        data = Path(name) / "data.h5ad"
        simulate(data, options.profiles, options.targets)
        size = data.stat().st_size
        report: dict[str, Any] = {"profiles": options.profiles, "landmarks": LANDMARKS, "targets": options.targets}
        report |= {"file_mib": size >> 20, "limit_mib": size >> 21}
        for method in options.methods:
            runs: dict[str, list[dict[str, Any]]] = {"memory": [], "blocks": []}
            for how in ["memory", "blocks"] * options.repeats + ["held"]:
                command = [sys.executable, __file__, "--work", how, method, str(data), f"{name}/{method}.{how}"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                found = json.loads(done.stdout) if not done.returncode else {"failed": done.stderr.splitlines()[-1:]}
                runs.setdefault(how, []).append(found)
            report[method] = runs
            both = [dgex.load(f"{name}/{method}.{how}") for how in ("memory", "blocks")]
            a, b = (model.coef_.astype(np.float64) for model in both)
            report[method]["coefficients_differ_by"] = float(np.linalg.norm(a - b) / np.linalg.norm(a))
            for what in ("seconds", "cpu_seconds"):
                best = [min(run[what] for run in runs[how]) for how in ("blocks", "memory")]
                report[method][f"{what}_blocks_over_memory"] = best[0] / best[1]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
