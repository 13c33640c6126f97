"""`prepare` of a compendium that memory does not hold, against reading it once and writing it once; prints JSON.

    python benchmarks/prepare_scale.py                       # 130,000 x 22,268 (11.6 GB): quantiles, groups, standard
    python benchmarks/prepare_scale.py --profiles 13000 --repeats 3

A GCTX of random values that look like logarithms of expression is streamed to disk first. `copy` reads it once in
blocks and writes it once as a dataset, by the library's own reader and writer, and does nothing else; `prepare` is
`dgex prepare` of the same file. Both run in turns, each in a process of its own, with the file out of the system's
cache and the output on the disk (fsync) before the clock stops. `peak` is of the whole process, interpreter and
libraries included; `anonymous` what no file backs (sampled ten times a second), `file` what maps of files took.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

LANDMARKS = 943


def simulate(path: Path, profiles: int, genes: int) -> None:
    """Stream a compendium: a level for each gene, noise from a pool that is moved and scaled for each profile."""
    import pandas as pd

    from dgex import io

    rng = np.random.default_rng(0)
    level = rng.uniform(4, 12, genes).astype(np.float32)
    pool = rng.standard_normal(64 * genes + 2**20, dtype=np.float32)
    names = pd.Index([f"P{at}" for at in range(profiles)])
    obs = pd.DataFrame({"study": [f"S{at // 37}" for at in range(profiles)]}, index=names)
    role = np.where(np.arange(genes) < LANDMARKS, "landmark", "target")
    var = pd.DataFrame({"role": role}, index=[f"G{at}" for at in range(genes)])
    with io.create(path, obs, var) as out:
        for start in range(0, profiles, 512):
            block = np.empty((min(512, profiles - start), genes), np.float32)
            for row in block:
                at = int(rng.integers(0, len(pool) - genes))
                np.multiply(pool[at : at + genes], np.float32(rng.uniform(0.5, 1.5)), out=row)
                row += level
            out.append(np.clip(block, 0, None, out=block))


def genes_of(source: Path) -> Path:
    """The gene table beside the matrix."""
    return source.with_suffix(".tsv")


def work(how: str, source: Path, output: Path, block: int) -> dict[str, Any]:
    """Do one of the two in this process and say what it took."""
    import dgex
    from dgex import io

    with source.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    most, done = {"RssAnon": 0, "RssFile": 0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in most:
                    most[name] = max(most[name], int(value.split()[0]) // 1024)

    threading.Thread(target=watch, daemon=True).start()
    began, used = time.perf_counter(), time.process_time()
    if how == "copy":
        with io.open(source) as file, io.create(output, file.obs, file.var) as out:
            for _, values in file.iter_blocks(block):
                out.append(values)
    else:
        from dgex.progress import enable

        enable()
        dgex.prepare(source, output, genes=genes_of(source), quantile=True, group="study")
    handle = os.open(output, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    done.set()
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mib": peak,
        "anonymous_mib": most["RssAnon"],
        "file_mib": most["RssFile"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=130_000)
    parser.add_argument("--genes", type=int, default=22_268)
    parser.add_argument("--block", type=int, default=512, help="profiles that the copy holds")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", help="where all is written for the run; what was there stays")
    parser.add_argument("--memory", type=float, help="GiB that `prepare` may take (RLIMIT_DATA)")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        how, source, output = options.work
        if options.memory:
            import resource

            limit = int(options.memory * 2**30)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        print(json.dumps(work(how, Path(source), Path(output), options.block)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, output = Path(folder) / "compendium.gctx", Path(folder) / "data.h5ad"
        simulate(source, options.profiles, options.genes)
        roles = ["landmark"] * LANDMARKS + ["target"] * (options.genes - LANDMARKS)
        rows = "".join(f"G{at}\t{role}\n" for at, role in enumerate(roles))
        genes_of(source).write_text("gene\trole\n" + rows)
        found: dict[str, list[dict[str, Any]]] = {"copy": [], "prepare": []}
        for _ in range(options.repeats):
            for how, runs in found.items():
                command = [sys.executable, __file__, "--work", how, str(source), str(output)]
                command += ["--block", str(options.block)]
                command += ["--memory", str(options.memory)] if options.memory and how == "prepare" else []
                finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                runs.append(json.loads(finished.stdout.splitlines()[-1]))
                output.unlink()
        size = source.stat().st_size
    seconds = {how: statistics.median(run["seconds"] for run in runs) for how, runs in found.items()}
    print(
        json.dumps(
            {
                "shape": [options.profiles, options.genes],
                "bytes": size,
                **found,
                "ratio": round(seconds["prepare"] / seconds["copy"], 2),
                "memory_limit_gib": options.memory,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
