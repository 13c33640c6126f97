"""What is done with a damaged input, kind by kind, and the words that come out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

import dgex
from dgex.cli.arguments import merge_settings
from dgex.errors import printable
from dgex.gene_table import has_header
from dgex.models.catalogue import METHODS, new
from dgex.summary import info, lines

__all__ = ["TARGETS", "Wrong"]


class Wrong(Exception):
    """dgex gave two answers to one question."""


def _printed(path: Path, **options: object) -> None:
    """As `dgex info` prints, with and without --json."""
    description = info(path, **options)  # type: ignore[arg-type]
    for text in ("\n".join(lines(description)), json.dumps(description, indent=2, ensure_ascii=False, default=str)):
        printable(text, keep="\n").encode()


def _same(one: np.ndarray, other: np.ndarray, what: str) -> None:
    if not np.array_equal(one, other, equal_nan=True):
        raise Wrong(f"{what}: {one.shape} and {other.shape}, or other values")


def _read(path: Path, rng: Random) -> None:
    """The same values whole, in blocks, and by a selection of genes and profiles."""
    lenient = rng.random() < 0.3
    with dgex.open(path, allow_missing=lenient) as source:
        whole = source.read()
        _same(whole, np.concatenate([block for _, block in source.iter_blocks(4)]), "blocks")
        rows = [rng.randrange(source.shape[0]) for _ in range(3)]
        genes = source.var.index[[rng.randrange(source.shape[1]) for _ in range(3)]]
        columns = source.var.index.get_indexer(genes)
        _same(whole[rows][:, columns], source.read(genes=genes, samples=rows), "selection")
        _same(whole, np.asarray(source.to_adata().X), "AnnData")


def _convert(path: Path, rng: Random) -> None:
    """The same values after a conversion."""
    suffix = rng.choice(("gctx", "gct", "h5ad", "zarr", "parquet", "csv", "tsv.gz"))
    target = Path("../out") / f"converted.{suffix}"
    try:
        dgex.convert(path, target, block=4)
    except dgex.DgexError:
        left = sorted(item.name for item in target.parent.iterdir())
        if left:
            raise Wrong(f"left behind by a conversion that failed: {left}") from None
        raise
    if suffix in ("csv", "tsv.gz"):  # which way they are turned is judged anew
        return
    with (
        dgex.open(path) as source,
        dgex.open(target, orientation="genes-in-columns" if suffix == "parquet" else "auto") as made,
    ):
        _same(source.read(), made.read(), f"conversion to {suffix}")


def _turned(path: Path, rng: Random) -> None:
    orientation = rng.choice(("genes-in-rows", "genes-in-columns"))
    with dgex.open(path, orientation=orientation) as source:
        _same(source.read(), np.concatenate([block for _, block in source.iter_blocks(5)]), "blocks")


def _matrix(path: Path, rng: Random, _: Path) -> None:
    rng.choice((_read, _read, _convert, _turned, lambda path, _: _printed(path)))(path, rng)


def _genes(path: Path, rng: Random, _: Path) -> None:
    paths = [path / name for name in ("map_lm.txt", "map_tg.txt")] if path.is_dir() else [path]
    for item in paths:
        has_header(item)
    table = dgex.read_gene_table(paths)
    if len(table.landmarks) + len(table.targets) > len(table):
        raise Wrong("more roles than genes")


def _toml(path: Path, rng: Random, _: Path) -> None:
    method = rng.choice(sorted(METHODS))
    new(*merge_settings(path, method, {}))


def _model(path: Path, rng: Random, seeds: Path) -> None:
    if rng.random() < 0.25:
        return _printed(path)
    if rng.random() < 0.3:
        dgex.infer(seeds / "model" / "panel.gct", path, missing=rng.choice(("error", "impute")))
        return None
    model = dgex.load(path)
    predicted = model.predict(np.random.default_rng(0).normal(size=(6, model.n_features_in_)).astype(np.float32))
    if predicted.shape != (6, model.n_targets_):
        raise Wrong(f"{predicted.shape} for {model.n_targets_} targets")
    return None


def _panel(path: Path, rng: Random, seeds: Path) -> None:
    options = {
        "missing": rng.choice(("error", "impute")),
        "extra": rng.choice(("drop", "carry")),
        "log2": rng.choice(("never", "auto")),
        "standardize": rng.choice(("model", "model", "own")),
        "units": rng.choice(("original", "standardized")),
    }
    model = seeds / "model" / rng.choice(("ols", "knn", "dgex"))
    output = Path("../out") / rng.choice(("full.gctx", "full.h5ad", "full.csv")) if rng.random() < 0.5 else None
    result = dgex.infer(path, model, output, block=rng.choice((2, 4096)), **options)
    if result is not None and not np.isfinite(np.asarray(result.X)).all():
        raise Wrong("an inference that is not finite")


#: By kind: a function of the damaged input, of random numbers, and of the folder of seeds.
TARGETS: dict[str, Callable[[Path, Random, Path], None]] = {
    **dict.fromkeys(("gct", "gctx", "text", "parquet", "h5ad", "zarr"), _matrix),
    "genes": _genes,
    "toml": _toml,
    "model": _model,
    "panel": _panel,
}
