"""Profiles a second of a network on a GPU, from host memory to host memory; needs CUDA. Prints JSON.

    python benchmarks/inference.py                  # 943 -> 9000 x 3 -> 9520, 131,072 profiles

Beside it, in the same run: the same network on data that are on the device already (what the arithmetic allows), and a
plain loop in bfloat16 that copies each block to the device and back.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from gpu import SIZES, ceilings, weights

from dgex.training.learners.fused import forward, padded_layers
from dgex.training.learners.perceptron import Perceptron
from dgex.training.learners.prediction import Predictor


def rates(work: Callable[[], object], profiles: int, rounds: int = 5) -> dict[str, int]:
    work()
    found = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        found.append(profiles / (time.perf_counter() - began))
    return {"median": round(statistics.median(found)), "min": round(min(found)), "max": round(max(found))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=131072)
    parser.add_argument("--hidden", type=lambda text: [int(n) for n in text.split(",")], default=SIZES[1:-1])
    options = parser.parse_args()
    sizes, device = [SIZES[0], *options.hidden, SIZES[-1]], torch.device("cuda")
    ceiling = ceilings()
    torch.cuda.empty_cache()
    network = Perceptron(sizes, 0).requires_grad_(False)
    network.weight(-1).data.mul_(1e4)
    X = np.random.default_rng(0).standard_normal((options.profiles, sizes[0]), dtype=np.float32)
    held = {name: value.numpy() for name, value in network.state_dict().items()}
    predictor = Predictor(held, device, "bf16")
    out = torch.zeros(len(X), sizes[-1], pin_memory=True).numpy()
    found = {"into_page_locked_memory": rates(lambda: predictor(X, out), len(X))}
    out = np.zeros((len(X), sizes[-1]), dtype=np.float32)
    found["into_memory_in_use"] = rates(lambda: predictor(X, out), len(X))
    found["in_blocks_of_4096"] = rates(lambda: [predictor(X[at : at + 4096]) for at in range(0, len(X), 4096)], len(X))
    found["into_fresh_memory"] = rates(lambda: predictor(X), len(X), rounds=3)

    layers = padded_layers(network.to(device))
    on_device = torch.from_numpy(X).to(device)
    blocks = on_device.split(8192)
    found["on_the_device"] = rates(lambda: [forward(layers, x) for x in blocks], len(X))

    plain = network.to(torch.bfloat16)

    def loop() -> None:
        for start in range(0, len(X), 4096):
            x = torch.from_numpy(X[start : start + 4096]).to(device, torch.bfloat16)
            torch.from_numpy(out[start : start + 4096]).copy_(plain(x).float())

    with torch.inference_mode():
        found["plain_loop"] = rates(loop, len(X), rounds=3)
    sample = torch.from_numpy(X[:64]).double()
    exact = Perceptron.holding({name: torch.from_numpy(v).double() for name, v in held.items()})(sample)
    difference = torch.from_numpy(predictor(X[:64])).double() - exact
    report = {
        "what": f"{' -> '.join(map(str, sizes))}, {options.profiles:,} profiles",
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "ceilings": ceiling,
        "profiles_per_s": found,
        "arithmetic_allows": round(ceiling["gemm_tflop_per_s"] * 1e12 / (2 * weights(sizes))),
        "relative_difference_from_float64": float(difference.norm() / exact.norm()),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
