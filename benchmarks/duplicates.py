"""Near-duplicates of a compendium against one blocked GEMM of its Gram matrix, in the same run; prints JSON.

    python benchmarks/duplicates.py [--samples 20000] [--genes 943] [--repeats 3]

Two kinds of data: independent noise, where no block of pairs can be skipped (the worst case), and profiles with a few
strong programmes, as expression has them. Both hold planted duplicates.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from dgex.prepare.duplicates import near_duplicates


def blocked_gram(X: np.ndarray, block: int = 2048) -> float:
    """The whole Gram matrix, block by block, as the yardstick; returns a number that needs all of it."""
    total = 0.0
    for i in range(0, len(X), block):
        for j in range(0, len(X), block):
            total += float((X[i : i + block] @ X[j : j + block].T)[0, 0])
    return total


def compendium(samples: int, genes: int, programmes: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((samples, genes), dtype=np.float32)
    if programmes:
        scores = generator.standard_normal((samples, programmes), dtype=np.float32) * 1.5
        X = 0.5 * X + scores @ generator.standard_normal((programmes, genes), dtype=np.float32) / np.sqrt(programmes)
    X += 8
    copies = generator.choice(samples // 2, samples // 100, replace=False)
    X[samples // 2 + copies] = X[copies] + generator.standard_normal((len(copies), genes), dtype=np.float32) * 0.01
    return X


def best(work: object, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=943)
    parser.add_argument("--distance", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    result: dict[str, object] = vars(arguments).copy()
    for name, programmes in (("noise", 0), ("programmes", 10)):
        X = compendium(arguments.samples, arguments.genes, programmes)
        found = near_duplicates(X, arguments.distance)
        ours = best(lambda X=X: near_duplicates(X, arguments.distance), arguments.repeats)
        gram = best(lambda X=X: blocked_gram(X), arguments.repeats)
        result[name] = {
            "pairs": len(found.pairs),
            "near_duplicates_s": round(ours, 3),
            "blocked_gram_s": round(gram, 3),
            "ratio": round(ours / gram, 3),
            "target_ratio": 1.2,
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
