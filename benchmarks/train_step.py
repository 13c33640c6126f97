"""One training step on a GPU: ours beside plain PyTorch in one run, with the device's ceilings; needs CUDA.

    python benchmarks/train_step.py                        # 943 -> 9000 x 3 -> 9520, batches of 200 and 4,096
    python benchmarks/train_step.py --batch 200 --kinds dgex,eager

Prints JSON: milliseconds a step (median, fastest and slowest of five rounds of 20), the time that the bytes and the
operations of the step take at the measured ceilings, and the peak of GPU memory beyond weights and momentum.
"""

from __future__ import annotations

import argparse
import json

import torch
from gpu import SIZES, ceilings, milliseconds, operations, plain, summary, weights

from dgex.training.learners.learner import make_learner


def ours(sizes: list[int], batch: int, dropout: float, precision: str):
    learner = make_learner(sizes, device=torch.device("cuda"), precision=precision, dropout=dropout)
    x, y = torch.randn(batch, sizes[0], device="cuda"), torch.randn(batch, sizes[-1], device="cuda")
    return lambda: learner.step(x, y, 1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=lambda text: [int(n) for n in text.split(",")], default=[200, 4096])
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=SIZES[1:-1])
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--kinds", default="dgex,dgex-float32,eager,tf32,autocast,compiled")
    options = parser.parse_args()
    sizes = [SIZES[0], *options.hidden, SIZES[-1]]
    ceiling = ceilings()
    report = {
        "what": " -> ".join(map(str, sizes)) + f", dropout {options.dropout}",
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "ceilings": ceiling,
        "batches": {},
    }
    for batch in options.batch:
        # 20 bytes a weight: both halves of the master and the momentum read and written, one half read twice more
        floor = {
            "bytes_ms": round(20 * weights(sizes) / ceiling["copy_tb_per_s"] / 1e9, 3),
            "operations_ms": round(operations(sizes, batch) / ceiling["gemm_tflop_per_s"] / 1e9, 3),
        }
        found = {}
        for kind in options.kinds.split(","):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            precision = "float32" if kind == "dgex-float32" else "bf16"
            mine = kind.startswith("dgex")
            step = (
                ours(sizes, batch, options.dropout, precision) if mine else plain(sizes, batch, options.dropout, kind)
            )
            times = milliseconds(step, rounds=5)
            rate = operations(sizes, batch) / times[len(times) // 2] / 1e9
            peak = torch.cuda.max_memory_allocated() / 2**30
            found[kind] = {
                "ms": summary(times),
                "tflop_per_s": round(rate, 1),
                "share_of_gemm": round(rate / ceiling["gemm_tflop_per_s"], 3),
                "peak_gib": round(peak, 2),
                "beyond_weights_and_momentum_gib": round(peak - 8 * weights(sizes) / 2**30, 2),
            }
            del step
        if "dgex" in found:
            mine_ms = found["dgex"]["ms"]["median"]
            floor["share_reached"] = round(max(floor["bytes_ms"], floor["operations_ms"]) / mine_ms, 3)
            floor["speedup"] = {
                kind: round(f["ms"]["median"] / mine_ms, 2) for kind, f in found.items() if kind != "dgex"
            }
        report["batches"][batch] = {"floor": floor, "steps": found}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
