"""Commands that run everything: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.data import Overwrite

__all__ = ["demo"]


def demo(
    output: Annotated[Path, typer.Argument(metavar="[OUT]", help="Folder to write.")] = Path("dgex-demo"),
    scale: Annotated[Literal["tiny", "laptop"], typer.Option(help="tiny: seconds; laptop: minutes.")] = "laptop",
    seed: Annotated[int, typer.Option(help="Seed of the compendium, the split and the weights.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Run everything once on a simulated compendium: prepare, train six methods, evaluate, infer, report.

    Example: `dgex demo demo/`
    """
    from dgex.tour import demo as run

    result = run(output, scale=scale, seed=seed, overwrite=overwrite)
    print(result.table())
    print(f"\nreport: {output / 'report.html'}")
