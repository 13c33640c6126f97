"""The command that joins an inference of many processes, and the options that spread one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.data import Overwrite

__all__ = ["PartFormat", "Shard", "seal"]

Shard = Annotated[
    str | None,
    typer.Option(metavar="k/N", help="Of a folder or a .zarr: this is process k of N, which writes its own ranges."),
]
PartFormat = Annotated[Literal["h5ad", "gctx"], typer.Option(help="Of a folder: the format of its parts.")]


def seal(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder or a .zarr that dgex infer wrote in parts.")],
    overwrite: Overwrite = False,
) -> None:
    """Check all parts of an inference and join them: complete, whole, of one model, settings and input.

    What is missing, damaged or of something else is told, with the command that makes just that again.

    Example: `dgex seal out/` after `dgex infer big.gctx models/dgex out/ --shard 1/2` and `--shard 2/2`
    """
    from dgex.inference.seal import seal as run

    found = run(output, overwrite=overwrite)
    print(f"{output}: {found['parts']:,} parts, {found['profiles']:,} profiles, values {found['digest'][:16]}")
