"""A result on its way to a file: values block by block, then what is known of profiles in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgex import io
from dgex.confidence.confidence import UNLIKE
from dgex.errors import SettingsError
from dgex.inference.blocks import Inferred, raw_blocks
from dgex.inference.plan import Plan, record
from dgex.io.base import ExpressionFile
from dgex.io.packed import DTYPES, SCALED
from dgex.io.registry import find
from dgex.io.writer import Writer
from dgex.places import claim
from dgex.progress import note, warn

__all__ = ["as_measured", "file_options", "halfwidth_file", "profile_columns", "tell", "write"]

# Genes up to which a table holds the bounds of intervals in columns of its own.
BESIDE = 100


def write(
    work: Plan,
    data: ExpressionFile,
    output: Path,
    infer: Callable[[Callable[[slice, Inferred], None]], None],
    block: int,
    overwrite: bool,
    options: Mapping[str, Any],
    create: Callable[..., Writer] = io.create,
) -> None:
    """Write the result, and half-widths where the format of `output` has a place for them.

    `infer` is given what takes the blocks of the result, in order; it may call that from a thread of its own, and ends
    when all are there. `options` are those of `file_options`; `create` makes the file, as `dgex.io.create` does.

    Raises
    ------
    OutputExistsError, FileError
        As `dgex.io.create`.
    """
    writer = find(output).writer
    keeps = writer.keeps_uns
    uns: dict[str, Any] | None = record(work, data.name) if keeps else None
    small = np.float16 if work.unit in ("log2 expression", "standardized") else np.float32
    columns = work.interval is not None and not writer.keeps_obs and len(work.var) <= BESIDE and _is_table(output)
    with ExitStack() as stack:
        beside: Writer | None = None
        if work.interval is not None and not keeps and not columns:
            other = halfwidth_file(output)
            stack.enter_context(claim(other, "dgex infer", overwrite=overwrite, inputs=[]))
            beside = stack.enter_context(io.create(other, data.obs, work.var, overwrite=overwrite, **options))
        var = _with_bounds(work.var) if columns else work.var
        sink = stack.enter_context(create(output, data.obs, var, uns=uns, overwrite=overwrite, **options))

        def put(at: slice, part: Inferred) -> None:
            sink.append(_bounded(part) if columns else part.values)
            if part.half is not None and keeps:
                sink.layer("halfwidth", at, slice(0, len(work.var)), part.half.astype(small))
            elif part.half is not None and beside is not None:
                beside.append(part.half)

        infer(put)
        tell(work, data)
        stored = _tell_rounding(
            work, str(options.get("dtype")), sink.rounding, None if beside is None else beside.rounding
        )
        if writer.keeps_obs:
            sink.replace_obs(profile_columns(work, data.obs))
        if keeps:
            made = record(work, data.name)
            sink.replace_uns(made | {"dgex": made["dgex"] | stored})
        if keeps and work.changes:
            for at, genes, values in as_measured(work, data, block):
                sink.layer("measured", at, genes, values)
    if work.changes and not keeps:
        note(
            "measured values are in the unit of the result; .h5ad and .zarr keep what they were, in layers['measured']"
        )
    if beside is not None:
        note(f"half-widths of the {work.interval:.0%} intervals -> {halfwidth_file(output)}")
    note(f"{len(data.obs):,} profiles x {len(work.var):,} genes ({work.unit}) -> {output}")


def file_options(output: Path, dtype: str, compress: str | None) -> dict[str, Any]:
    """Options of `dgex.io.create` for an output whose values are stored as `dtype` and packed by `compress`.

    Raises
    ------
    SettingsError
        The format of `output` cannot hold that, or its other readers could not.
    """
    form = find(output)
    if dtype not in DTYPES:
        raise SettingsError("dtype", found=dtype, accepted=DTYPES)
    if dtype != "float32" and "dtype" not in form.writer.options:
        accepted = "float32; .gctx, .h5ad and .zarr hold float16 and int16"
        raise SettingsError(f"dtype of {output}, a {form.name} file", found=dtype, accepted=accepted)
    if compress is None:
        return {} if dtype == "float32" else {"dtype": dtype}
    known = [name for name in form.writer.compressions if name is not None]
    if compress not in known:
        other = "a name that ends in .gz" if form.content == "text" else known or "none: it is packed as it is"
        raise SettingsError(f"compress of {output}, a {form.name} file", found=compress, accepted=other)
    return {"compression": compress} | ({} if dtype == "float32" else {"dtype": dtype})


def _tell_rounding(work: Plan, dtype: str, values: float | None, halves: float | None) -> dict[str, Any]:
    """Say by how much stored values are off at most, for the record too."""
    if values is None:
        return {}
    also = "" if halves is None else f", half-widths at most {halves:.2g}"
    work.said.append(f"values are stored as {dtype}, at most {values:.2g} off ({work.unit}){also}")
    note(work.said[-1])
    if dtype == "int16":
        note(f"other programs see whole numbers; an attribute of the matrix, {SCALED}, says how to undo them")
    return {"stored_as": dtype, "largest_rounding_error": values}


def halfwidth_file(output: Path) -> Path:
    """Where half-widths go where a format has no layers: `full.gctx` has `full.halfwidth.gctx` beside it."""
    suffix = next((s for s in sorted(find(output).suffixes, key=len, reverse=True) if output.name.endswith(s)), "")
    stem = output.name[: len(output.name) - len(suffix)]
    return output.with_name(f"{stem}.halfwidth{suffix}")


def _is_table(output: Path) -> bool:
    return find(output).content in ("text", "parquet") and find(output).key != "gct"


def _with_bounds(var: pd.DataFrame) -> pd.DataFrame:
    """Genes, then the bounds of each, as columns of a table."""
    bounds = [var.rename(index=lambda name, end=end: f"{name} ({end})") for end in ("low", "high")]  # type: ignore[misc]
    return pd.concat([var, *bounds])


def _bounded(part: Inferred) -> np.ndarray:
    assert part.half is not None
    return np.concatenate([part.values, part.values - part.half, part.values + part.half], axis=1)


def profile_columns(work: Plan, obs: pd.DataFrame) -> pd.DataFrame:
    """Metadata of the profiles with what became known of them: `distance`, and whether they are `unlike`."""
    obs = obs.copy()
    if work.model.confidence_ is not None:
        farther = work.likeness.farther
        obs["distance"], obs["unlike"] = 1 - farther, farther < UNLIKE
    return obs


def tell(work: Plan, data: ExpressionFile) -> None:
    """Say what turned out while values were inferred."""
    known = work.model.confidence_
    if work.check.missing:
        by = "by the training mean" if known is None else "from the profile's other landmark genes"
        work.said.append(f"{work.check.missing:,} landmark values that were missing are imputed {by}")
        warn(work.said[-1])
    if known is not None:
        text = work.likeness.told(data.obs.index.astype(str).tolist(), own=work.shift is not None)
        work.said += [] if text is None else [text]
    if work.check.profiles:
        note(str(work.check))


def as_measured(work: Plan, data: ExpressionFile, block: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Measured values as they came: profiles, genes of the result (landmark genes, then all target genes), values."""
    first, total = work.model.n_features_in_, work.model.n_features_in_ + work.model.n_targets_
    for at, raw, further in raw_blocks(work, data, block):
        values = np.full((len(raw), work.model.n_targets_), np.nan, dtype=np.float32)
        values[:, work.targets] = further[:, : len(work.targets)]
        if work.keep is not None:
            whole = np.full((len(raw), total + len(work.carried)), np.nan, dtype=np.float32)
            whole[:, :first], whole[:, first:total] = raw, values
            yield at, slice(0, len(work.keep)), whole[:, work.keep]
            continue
        yield at, slice(0, first), raw
        if len(work.targets):
            yield at, slice(first, total), values
