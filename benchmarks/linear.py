"""OLS and the ridge path against scikit-learn's LinearRegression and float64 QR, in one run; prints JSON.

    python benchmarks/linear.py                                                  # 20,000 x 943 -> 2,000
    python benchmarks/linear.py --profiles 88807 --targets 9520    # needs 16 GiB of memory

Every fit runs in a process of its own on the same simulated matrices, read from float32 files into memory.
Extra memory is the process's peak minus what it held before the fit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def simulate(folder: Path, profiles: int, landmarks: int, targets: int, raw: bool) -> None:
    """Write X and Y: saturating responses to shared factors with falling weights, plus noise."""
    rng = np.random.default_rng(0)
    factors = 100
    loadings = rng.standard_normal((factors, landmarks + targets), dtype=np.float32)
    loadings *= (np.arange(1, factors + 1, dtype=np.float32) ** -0.7)[:, None]
    level = rng.uniform(5, 13, landmarks + targets).astype(np.float32)
    files = [(folder / name).open("wb") for name in ("X", "Y")]
    for start in range(0, profiles, 4096):
        rows = min(4096, profiles - start)
        block = np.tanh(0.7 * rng.standard_normal((rows, factors), dtype=np.float32) @ loadings)
        block += 0.3 * rng.standard_normal(block.shape, dtype=np.float32)
        if raw:  # log2 intensities between 4 and 15
            block = np.clip(1.5 * block + level, 4, 15)
        for file, part in zip(files, (block[:, :landmarks], block[:, landmarks:])):
            file.write(np.ascontiguousarray(part).tobytes())
    for file in files:
        file.close()


def matrices(folder: Path, sizes: list[int], skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    profiles, landmarks, targets = sizes
    X = np.fromfile(folder / "X", np.float32, profiles * landmarks, offset=4 * skip * landmarks)
    Y = np.fromfile(folder / "Y", np.float32, profiles * targets, offset=4 * skip * targets)
    return X.reshape(profiles, landmarks), Y.reshape(profiles, targets)


def resident() -> float:
    """GiB held now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def peak() -> float:
    """GiB held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def work(task: str, folder: Path, sizes: list[int]) -> dict[str, Any]:
    """Do one task in this process and say what it took."""
    from sklearn.linear_model import LinearRegression

    from dgex.models.linear.moments import Moments
    from dgex.models.linear.regression import OLS, Ridge, RidgePath

    X, Y = matrices(folder, sizes)
    validation = matrices(folder, [sizes[0] // 8, *sizes[1:]], skip=sizes[0]) if task == "ridge" else None
    OLS().fit(X[:2000, :50], Y[:2000, :50])  # first calls start threads and load code
    held, started, used = resident(), time.perf_counter(), time.process_time()
    result: dict[str, Any] = {}
    if task == "scikit-learn":
        LinearRegression().fit(X, Y)
    elif task == "ols":
        model = OLS().fit(X, Y)
    elif task == "ridge path":
        path = RidgePath(Moments.of(X, Y))
        for alpha in path.scale * np.logspace(-5, 1, 20):
            path.coef(alpha)
    else:  # the whole estimator: pass, path on validation, final fit
        assert validation is not None
        model = Ridge().fit(X, Y, eval_sets={"validation": validation})
        result["alpha"], result["tried"] = model.alpha_, len(model.path_)
    result |= {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "extra_gib": peak() - held,
    }
    if task == "ols":
        few = min(100, sizes[2])
        x = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
        y = Y[:, :few] - Y[:, :few].mean(axis=0, dtype=np.float64)
        q, r = np.linalg.qr(x)
        true = np.linalg.solve(r, q.T @ y).T
        result["error_against_float64_qr"] = difference(model.coef_[:few], true)
        single = X.T @ X - len(X) * np.outer(X.mean(axis=0), X.mean(axis=0))
        cross = X.T @ Y[:, :few] - len(X) * np.outer(X.mean(axis=0), Y[:, :few].mean(axis=0))
        result["error_of_plain_float32_normal_equations"] = difference(np.linalg.solve(single, cross).T, true)
    return result


def difference(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=2_000)
    parser.add_argument("--raw", action="store_true", help="values on the raw 4-to-15 scale")
    parser.add_argument("--only", nargs="+", default=["ols", "ridge path", "ridge", "scikit-learn"])
    parser.add_argument("--folder", help="where the matrices are written for the run")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [options.profiles, options.landmarks, options.targets]
    if options.work:
        print(json.dumps(work(options.work[0], Path(options.work[1]), sizes)))
        return
    from threadpoolctl import threadpool_info

    report: dict[str, Any] = {"profiles": sizes[0], "landmarks": sizes[1], "targets": sizes[2], "raw": options.raw}
    report["threads"] = max(library["num_threads"] for library in threadpool_info())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        simulate(Path(name), sizes[0] + sizes[0] // 8, *sizes[1:], options.raw)  # the rest validates
        for task in options.only:
            command = [sys.executable, __file__, "--work", task, name]
            command += ["--profiles", str(sizes[0]), "--landmarks", str(sizes[1]), "--targets", str(sizes[2])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                report[task] = {"failed": done.stderr.strip().splitlines()[-1:], "code": done.returncode}
                continue
            report[task] = json.loads(done.stdout)
    ours, other = report.get("ols", {}), report.get("scikit-learn", {})
    if "seconds" in ours and "seconds" in other:
        report["times_faster_than_scikit_learn"] = other["seconds"] / ours["seconds"]
        report["times_less_cpu"] = other["cpu_seconds"] / ours["cpu_seconds"]
        report["share_of_its_extra_memory"] = ours["extra_gib"] / other["extra_gib"]
    for task in ("ridge path", "ridge"):
        if "seconds" in ours and "seconds" in report.get(task, {}):
            report[f"{task}_over_ols"] = report[task]["seconds"] / ours["seconds"]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
