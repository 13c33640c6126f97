"""GCTX: streaming out against one contiguous h5py write, and reading parts against reading all. Prints JSON.

    python benchmarks/gctx_io.py --samples 5000 --genes 22268

Every measurement runs in a process of its own, so that its peak memory is its own; sides take turns, and the smallest
time of `--repeats` counts. Memory is the peak of the process beyond what it
held, block included, when the clock started; the array that was asked for does not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MIB = 1 << 20


def main() -> None:
    """Parse, measure both sides in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=22268)
    parser.add_argument("--block", type=int, default=500, help="profiles appended at a time")
    parser.add_argument("--pick-samples", type=int, default=500)
    parser.add_argument("--pick-genes", type=int, default=943)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a temporary folder by default")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        best: dict[str, dict[str, float]] = {}
        for _ in range(arguments.repeats):
            for step in STEPS:
                found = _run(step, folder)
                if step not in best or found["seconds"] < best[step]["seconds"]:
                    best[step] = found
    print(json.dumps(_report(arguments, best), indent=2))


def _run(step: str, folder: str) -> dict[str, float]:
    given = [word for word in sys.argv[1:] if word]
    command = [sys.executable, __file__, *given, "--folder", folder, "--step", step]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _report(arguments: argparse.Namespace, best: dict[str, dict[str, float]]) -> dict[str, object]:
    ratio = best["write_ours"]["seconds"] / best["write_h5py"]["seconds"]
    whole = best["read_all"]["seconds"]
    return {
        "samples": arguments.samples,
        "genes": arguments.genes,
        "block": arguments.block,
        "steps": best,
        "write_ratio": ratio,
        "write_ratio_target": 1.5,
        "write_extra_mib": best["write_ours"]["extra_mib"],
        "write_extra_mib_target": 64,
        **{
            f"{step}_share_of_read_all": best[step]["seconds"] / whole
            for step in best
            if step.startswith("read_") and step != "read_all"
        },
    }


def _measured(work: Callable[[], object]) -> dict[str, float]:
    """Time, extra peak memory and bytes read of `work`."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, read = _status("VmRSS"), _bytes_read()
    start = time.perf_counter()
    kept = work()
    seconds = time.perf_counter() - start
    peak = _status("VmHWM")
    size = kept.nbytes if isinstance(kept, np.ndarray) else 0
    return {
        "seconds": seconds,
        "extra_mib": (peak - before - size) / MIB,
        "result_mib": size / MIB,
        "read_mib": (_bytes_read() - read) / MIB,
    }


def _status(field: str) -> int:
    """Memory of this process in bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _bytes_read() -> int:
    with open("/proc/self/io") as stream:
        return int(stream.readline().split()[1])


def _path(arguments: argparse.Namespace, name: str) -> Path:
    return arguments.folder / name


def _values(rows: int, genes: int) -> np.ndarray:
    return np.random.default_rng(0).random((rows, genes), dtype=np.float32)


def write_h5py(arguments: argparse.Namespace) -> dict[str, float]:
    """The whole matrix, in memory, written at once."""
    import h5py

    values = np.empty((arguments.samples, arguments.genes), np.float32)
    block = _values(arguments.block, arguments.genes)
    for start in range(0, arguments.samples, arguments.block):
        values[start : start + arguments.block] = block[: arguments.samples - start]
    with h5py.File(_path(arguments, "small.h5"), "w") as handle:
        handle.create_dataset("0/DATA/0/matrix", data=values[:1])
    path = _path(arguments, "plain.h5")
    path.unlink(missing_ok=True)

    def work() -> None:
        with h5py.File(path, "w") as handle:
            handle.create_dataset("0/DATA/0/matrix", data=values)

    return _measured(work)


def write_ours(arguments: argparse.Namespace) -> dict[str, float]:
    """Blocks streamed into a GCTX file, metadata included."""
    import pandas as pd

    from dgex import io

    small = pd.DataFrame(index=["a"])
    with io.create(_path(arguments, "small.gctx"), small, small, overwrite=True) as out:
        out.append(np.ones((1, 1)))  # imports are not what is measured
    block = _values(arguments.block, arguments.genes)
    obs = pd.DataFrame(index=[f"GSM{i}" for i in range(arguments.samples)])
    var = pd.DataFrame(index=[f"{i}_at" for i in range(arguments.genes)])
    _path(arguments, "ours.gctx").unlink(missing_ok=True)

    def work() -> None:
        with io.create(_path(arguments, "ours.gctx"), obs, var) as out:
            for start in range(0, arguments.samples, arguments.block):
                out.append(block[: arguments.samples - start])

    return _measured(work)


def _read(arguments: argparse.Namespace, genes: object = None, samples: object = None) -> dict[str, float]:
    from dgex import io
    from dgex.io import gctx  # noqa: F401

    with io.open(_path(arguments, "ours.gctx")) as source:
        return _measured(lambda: source.read(genes, samples))  # type: ignore[arg-type]


def read_all(arguments: argparse.Namespace) -> dict[str, float]:
    """Everything."""
    return _read(arguments)


def read_samples(arguments: argparse.Namespace) -> dict[str, float]:
    """Samples scattered at random."""
    return _read(arguments, samples=_picks(arguments.samples, arguments.pick_samples))


def read_genes(arguments: argparse.Namespace) -> dict[str, float]:
    """Genes scattered at random, as landmarks are among probes: nearly every page of the disk holds one."""
    return _read(arguments, genes=_picks(arguments.genes, arguments.pick_genes))


def read_first_genes(arguments: argparse.Namespace) -> dict[str, float]:
    """Genes that lie side by side, as landmarks do in files of CMap."""
    return _read(arguments, genes=slice(0, arguments.pick_genes))


def _picks(size: int, count: int) -> np.ndarray:
    return np.sort(np.random.default_rng(1).choice(size, min(size, count), replace=False))


STEPS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    step.__name__: step for step in (write_h5py, write_ours, read_all, read_samples, read_genes, read_first_genes)
}

if __name__ == "__main__":
    main()
