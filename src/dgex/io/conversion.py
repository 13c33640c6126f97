"""One expression file into another format, block by block."""

from __future__ import annotations

from typing import Any

from dgex import progress
from dgex.aliases import PathLike
from dgex.io.base import Selection
from dgex.io.files import create, open
from dgex.places import claim
from dgex.remote.places import located
from dgex.remote.sending import sends

__all__ = ["convert"]


@sends("target")
def convert(
    source: PathLike,
    target: PathLike,
    *,
    genes: Selection = None,
    samples: Selection = None,
    orientation: str = "auto",
    source_format: str | None = None,
    layer: str | None = None,
    overwrite: bool = False,
    block: int = 4096,
    allow_missing: bool = False,
    **format_options: Any,
) -> tuple[int, int]:
    """Stream one expression file into another format, metadata included.

    Parameters
    ----------
    source, target : path
        The suffixes say the formats.
    genes, samples : slice, positions, names or None
        What to convert and in which order; None means all.
    orientation, source_format, layer, allow_missing
        How to read `source`; see `open`, where `source_format` is `format`.
    overwrite, **format_options
        How to write `target`; see `create`.
    block : int
        Profiles held at a time.

    Returns
    -------
    tuple of int
        Profiles and genes written.

    Examples
    --------
    >>> import dgex
    >>> dgex.simulate("converted.gctx", samples=50, landmarks=5, targets=10)
    >>> dgex.convert("converted.gctx", "converted.parquet")
    (50, 15)
    """
    with (
        claim(target, "dgex convert", overwrite=overwrite, inputs=[source]),
        open(source, orientation=orientation, format=source_format, layer=layer, allow_missing=allow_missing) as handle,
    ):
        obs, var, varm = handle.selected(genes, samples)
        with (
            create(target, obs, var, uns=handle.uns, varm=varm, overwrite=overwrite, **format_options) as out,
            progress.bar(len(obs), f"converting {located(source).name}") as bar,
        ):
            for _, values in handle.iter_blocks(block, genes, samples):
                out.append(values)
                bar.advance(len(values))
        if out.rounding is not None:
            progress.note(f"values are stored as {format_options['dtype']}, at most {out.rounding:.2g} off")
        return len(obs), len(var)
