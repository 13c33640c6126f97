"""Reading a table of text, plain and packed by gzip: ours, pandas, and another tree of dgex. Prints JSON.

    python benchmarks/text_reading.py --genes 60000 --samples 1000 --other ../older/src

Every measurement runs in a process of its own; sides take turns, and the smallest time of `--repeats` counts. Ours
opens the file (detects, parses into a temporary file) and reads all; pandas is `read_csv` made float32. The table has
Ensembl ids in its rows, six significant digits, a third of zeros.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KINDS = ("table.tsv", "table.tsv.gz")


def main() -> None:
    """Parse, measure all sides in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--other", type=Path, help="the src folder of another tree of dgex to compare with")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(_measured(*arguments.step)))
        return
    sides = {"ours": Path(__file__).parents[1] / "src", "pandas": None} | (
        {"other": arguments.other} if arguments.other else {}
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        _write(Path(folder), arguments.genes, arguments.samples)
        best: dict[str, dict[str, float]] = {}
        for _ in range(arguments.repeats):
            for kind in KINDS:
                for side, source in sides.items():
                    found = _run(side, source, f"{folder}/{kind}")
                    name = f"{side} {kind}"
                    if name not in best or found["seconds"] < best[name]["seconds"]:
                        best[name] = found
    against = [side for side in sides if side != "ours"]
    ratios = {
        f"{kind}: ours in times of {side}": best[f"ours {kind}"]["seconds"] / best[f"{side} {kind}"]["seconds"]
        for kind in KINDS
        for side in against
    }
    sums = {kind: {best[f"{side} {kind}"]["sum"] for side in sides} for kind in KINDS}
    print(
        json.dumps(
            {
                "genes": arguments.genes,
                "samples": arguments.samples,
                "best": best,
                **ratios,
                "same values": all(max(found) - min(found) <= 1e-6 * abs(max(found)) for found in sums.values()),
            },
            indent=2,
        )
    )


def _write(folder: Path, genes: int, samples: int) -> None:
    generator = np.random.default_rng(0)
    with (folder / KINDS[0]).open("w") as out:
        out.write("\t".join(["gene_id", *(f"S{at:04d}" for at in range(samples))]) + "\n")
        for gene in range(genes):
            values = np.exp2(generator.normal(2, 3, samples)) * (generator.random(samples) > 1 / 3)
            out.write(f"ENSG{gene:011d}.1\t" + "\t".join([f"{value:.6g}" for value in values]) + "\n")
    with (folder / KINDS[0]).open("rb") as plain, gzip.open(folder / KINDS[1], "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


def _run(side: str, source: Path | None, path: str) -> dict[str, float]:
    environment = os.environ | ({"PYTHONPATH": str(source)} if source else {})
    command = [sys.executable, __file__, "--step", side, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(side: str, path: str) -> dict[str, float]:
    if side == "pandas":
        import pandas as pd

        start, worked = time.perf_counter(), time.process_time()
        values = pd.read_csv(path, sep="\t", index_col=0, engine="c").to_numpy(np.float32)
    else:
        from dgex import io

        start, worked = time.perf_counter(), time.process_time()
        with io.open(path) as file:
            values = file.read()
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "processor_seconds": worked,
        "peak_mib": peak,
        "sum": float(values.sum(dtype=np.float64)),
    }


if __name__ == "__main__":
    main()
