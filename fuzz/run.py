"""Feed damaged inputs to dgex and tell what goes wrong: `python fuzz/run.py --minutes 10`.

A case is a kind and a number: `--kind gct --seed 123` repeats one. Wrong is whatever is not a result or one printable
line of `DgexError`: another exception, a crash, more than ten seconds or one GiB, a write outside the output, other
values when read another way. Findings and their inputs are kept; the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from worker import Worker, preload

__all__ = ["main"]


def main() -> int:
    """Run the cases asked for."""
    options = _options()
    preload()
    import case

    kinds = options.kind or list(case.KINDS)
    if unknown := [kind for kind in kinds if kind not in case.KINDS]:
        print(f"unknown kind {unknown[0]}; accepted: {', '.join(case.KINDS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast()) as folder:
        place = Path(folder)
        workers = [Worker(place, options.findings, options.seconds) for _ in range(options.jobs)]
        try:
            workers[0].make_seeds()
            if options.seed is not None:
                return _one(workers[0], kinds, options.seed)
            counts, causes = _many(workers, kinds, options)
        finally:
            for worker in workers:
                worker.stop()
    _print(counts, causes, options)
    return 1 if causes else 0


def _fast() -> str | None:
    """A folder in memory for the many small files, where there is one and TMPDIR says nothing."""
    return "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", help="only this kind of input; may be repeated")
    parser.add_argument("--seed", type=int, help="one case, and all that came of it")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of every kind")
    parser.add_argument("--cases", type=int, help="cases of every kind, instead of minutes")
    parser.add_argument("--minutes", type=float, default=1.0, help="time for all kinds together")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--seconds", type=float, default=10.0, help="time that one case may take")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for findings")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")
    return parser.parse_args()


def _one(worker: Worker, kinds: list[str], seed: int) -> int:
    """Run one case of each kind and print what came of it."""
    found = False
    for kind in kinds:
        outcome = worker.run(kind, seed)
        found = found or outcome["result"] == "finding"
        print(json.dumps({key: value for key, value in outcome.items() if key != "detail"}, indent=1))
        print(outcome["detail"])
    return int(found)


def _many(
    workers: list[Worker], kinds: list[str], options: argparse.Namespace
) -> tuple[dict[str, Counter[str]], dict[str, list[str]]]:
    """Run all kinds in turn; counts by kind, and cases by cause."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    causes: dict[str, list[str]] = {}
    for kind in kinds:
        began, number = time.monotonic(), options.first
        running: dict[Worker, bool] = {}
        while True:
            more = (
                number < options.first + options.cases
                if options.cases is not None
                else time.monotonic() - began < options.minutes * 60 / len(kinds)
            )
            for worker in workers:
                if more and worker not in running:
                    worker.start_case(kind, number)
                    number += 1
                    running[worker] = True
                    more = options.cases is None or number < options.first + options.cases
            if not running:
                break
            for worker in list(running):
                outcome = worker.poll(0.2 if len(running) == 1 else 0.005)
                if outcome is None:
                    continue
                del running[worker]
                counts[kind][outcome["result"]] += 1
                if outcome["result"] == "finding":
                    causes.setdefault(f"{kind}: {outcome['cause']}", []).append(f"{outcome['seed']}")
        if not options.json:
            print(_line(kind, counts[kind]), flush=True)
    return counts, causes


def _line(kind: str, counts: Counter[str]) -> str:
    return (
        f"{kind:8} {counts.total():7,} cases {counts['accepted']:7,} accepted {counts['refused']:7,} refused "
        f"{counts['finding']:5,} findings"
    )


def _print(counts: dict[str, Counter[str]], causes: dict[str, list[str]], options: argparse.Namespace) -> None:
    total = sum(counts.values(), Counter())
    if options.json:
        kinds = {
            kind: {"cases": c.total(), **{name: c[name] for name in ("accepted", "refused", "finding")}}
            for kind, c in counts.items()
        }
        print(json.dumps({"kinds": kinds, "findings": causes}, indent=1))
        return
    print(_line("all", total))
    for cause, seeds in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"{len(seeds):5} {cause} (--seed {', '.join(seeds[:4])})")
    if causes:
        print(f"kept in {options.findings}")


if __name__ == "__main__":
    sys.exit(main())
