"""Fit of exact kernel ridge regression against its own Cholesky factor and products alone, in one run; prints JSON.

    python benchmarks/kernel.py --profiles 5000

Shape and penalty are given, as when they were chosen before: what is compared is the fit in full. "bare" is one call
each of LAPACK and BLAS on matrices of the same sizes, in the same arithmetic: inner products of the profiles, the
factor of a kernel matrix that lies there, both triangular solutions for all target genes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from dgex.models.kernel.kernels import KernelShape, kernel_of, standardized, units_of
from dgex.models.kernel.ridge import KernelRidge

SHAPE, ALPHA = KernelShape(1.0, 0.1), 0.03


def simulate(profiles: int, landmarks: int, targets: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(profiles, 50)).astype(np.float32)
    X = hidden @ rng.normal(size=(50, landmarks)).astype(np.float32)
    X += rng.normal(size=X.shape).astype(np.float32)
    Y = np.tanh(hidden) @ rng.normal(size=(50, targets)).astype(np.float32)
    Y += rng.normal(size=Y.shape).astype(np.float32)
    return X, Y


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def bare(X: np.ndarray, Y: np.ndarray) -> dict[str, float]:
    """What cannot be spared, each by one call."""
    units = units_of(X)
    near = standardized(X, units, torch.device("cpu"))
    products, _ = seconds(lambda: near @ near.T)
    kernel = kernel_of(near, near, SHAPE, units)
    kernel.diagonal().add_(ALPHA)
    factored, factor = seconds(partial(torch.linalg.cholesky, kernel))
    del kernel
    solved, _ = seconds(lambda: torch.cholesky_solve(torch.from_numpy(Y - Y.mean(axis=0)), factor))
    return {"products": products, "factor": factored, "solution": solved}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=4_000)
    options = parser.parse_args()
    X, Y = simulate(options.profiles, options.landmarks, options.targets)
    parts = bare(X, Y)
    model = KernelRidge(*SHAPE, ALPHA, device="cpu")
    whole, _ = seconds(lambda: model.fit(X, Y))
    report = {
        **vars(options),
        "threads": torch.get_num_threads(),
        "bare": parts,
        "bare_seconds": sum(parts.values()),
        "fit_seconds": whole,
        "relative_residual": model.residual_,
        "times": whole / sum(parts.values()),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
