"""The command that tells why an inferred value is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.arguments import show, there
from dgex.cli.data import (
    Aliases,
    CollapseAsModel,
    DepthAsModel,
    Format,
    Layer,
    Orientation,
    Overwrite,
    Scale,
    Statistics,
)
from dgex.progress import note

__all__ = ["explain"]


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, of any method.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Profiles with the landmark genes, as for infer.")],
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Folder for the page, figures and tables.")
    ] = None,
    gene: Annotated[
        list[str] | None, typer.Option(metavar="GENE", help="Target gene(s), comma separated; may be repeated.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Profile(s) of FILE, comma separated; may be repeated. Of one alone: it."),
    ] = None,
    top: Annotated[int, typer.Option(help="Landmark genes shown of each value.", min=1)] = 10,
    neighbours: Annotated[int, typer.Option(help="Nearest training profiles of each profile.", min=1)] = 10,
    interval: Annotated[
        float | None, typer.Option(help="Coverage of the intervals; 0.9 unless told, where the model knows.")
    ] = None,
    missing: Annotated[
        Literal["error", "auto", "impute"],
        typer.Option(help="Landmark genes or values that FILE lacks: auto imputes up to 5 %."),
    ] = "error",
    scale: Scale = "auto",
    normalize: DepthAsModel = "model",
    collapse: CollapseAsModel = "model",
    standardize: Statistics = "model",
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Layer = None,
    aliases: Aliases = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto (networks).")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell why inferred values are what they are: landmark genes that drive them, near training profiles, their worth.

    Example: `dgex explain models/auto plate.gctx why --gene TP53,MYC --profile CPC006_A375_6H_X1_B3:A03`
    """
    if not gene:
        raise typer.BadParameter("name at least one target gene", param_hint="--gene")
    there(model, file)
    note(f"explaining {', '.join(gene)} in {file} by {model}")  # before anything that takes seconds to load
    from dgex.interpretation.explain import explain as run

    result = run(
        model,
        file,
        out,
        genes=gene,
        profiles=profile,
        top=top,
        neighbours=neighbours,
        interval=interval,
        missing=missing,
        scale=scale,
        normalize=normalize,
        collapse=collapse,
        standardize=standardize,
        orientation=orientation,
        format=format,
        layer=layer,
        aliases=aliases,
        device=device,
        overwrite=overwrite,
    )
    show(result.table() + (f"\n\nreport: {out / 'report.html'}" if out is not None else ""))
