"""From GCTX on disk to GCTX on disk on a GPU, beside what the disk writes; needs CUDA. Prints JSON.

    python benchmarks/inference_gpu.py     # 943 -> 9000 x 3 -> 9520 and a residual network, 65,536 profiles

Three ways in turns, a few rounds: the whole of `dgex.infer`; writing as many values as it writes, with the writer that
it writes with; and reading and predicting without writing. Files go to `--folder`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

import dgex

LANDMARKS, TARGETS, BLOCK = 943, 9520, 4096


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def genes(count: int, prefix: str) -> pd.DataFrame:
    return pd.DataFrame(index=[f"{prefix}{number}" for number in range(count)])


def trained(method: str, profiles: int = 2000) -> Any:
    """A network of full size, trained hardly at all: how fast it predicts does not depend on that."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((profiles, LANDMARKS), dtype=np.float32)
    Y = np.tanh(X @ rng.standard_normal((LANDMARKS, TARGETS), dtype=np.float32) / 30)
    x, y = ad.AnnData(X, var=genes(LANDMARKS, "L")), ad.AnnData(Y, var=genes(TARGETS, "T"))
    if method == "dgex":
        return dgex.DGEX(hidden=(9000, 9000, 9000), epochs=1, device="cuda").fit(x, y)
    return dgex.Residual(hidden=(4096, 4096, 4096), epochs=1, ensemble=1, device="cuda").fit(x, y)


def panel(path: Path, profiles: int) -> None:
    rng = np.random.default_rng(1)
    names = pd.DataFrame(index=[f"P{number}" for number in range(profiles)])
    with dgex.create(path, names, genes(LANDMARKS, "L")) as out:
        for start in range(0, profiles, BLOCK):
            count = min(BLOCK, profiles - start)
            out.append(rng.standard_normal((count, LANDMARKS), dtype=np.float32))


def written(path: Path, profiles: int, values: np.ndarray) -> None:
    names = pd.DataFrame(index=[f"P{number}" for number in range(profiles)])
    with dgex.create(path, names, genes(values.shape[1], "G"), overwrite=True) as out:
        for start in range(0, profiles, len(values)):
            out.append(values[: profiles - start])


def predicted(path: Path, model: Any) -> None:
    with dgex.open(path) as source:
        for _, values in source.iter_blocks(BLOCK):
            model.predict(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    report: dict[str, Any] = {
        "profiles": told.profiles,
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }
    with tempfile.TemporaryDirectory(dir=told.folder) as name:
        folder = Path(name)
        panel(folder / "panel.gctx", told.profiles)
        values = np.random.default_rng(2).standard_normal((BLOCK, LANDMARKS + TARGETS), dtype=np.float32)
        for method in ("dgex", "residual"):
            model = trained(method)
            ways: dict[str, Callable[[], object]] = {
                "infer": lambda model=model: dgex.infer(
                    folder / "panel.gctx", model, folder / "full.gctx", block=told.block, overwrite=True
                ),
                "writing": lambda: written(folder / "written.gctx", told.profiles, values),
                "predicting": lambda model=model: predicted(folder / "panel.gctx", model),
            }
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            ways["predicting"]()  # what compiles and is made once
            for _ in range(told.rounds):
                for way, work in ways.items():
                    seconds[way].append(timed(work))
            middle = {way: statistics.median(found) for way, found in seconds.items()}
            report[method] = {
                "seconds": {way: [round(one, 2) for one in found] for way, found in seconds.items()},
                "profiles_per_s": round(told.profiles / middle["infer"]),
                "gb_per_s": round(4 * told.profiles * values.shape[1] / middle["infer"] / 1e9, 2),
                "share_of_writing": round(middle["writing"] / middle["infer"], 3),
            }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
