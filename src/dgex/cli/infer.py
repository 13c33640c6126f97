"""The command that infers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.arguments import names, there
from dgex.cli.data import Aliases, CollapseAsModel, DepthAsModel, Format, Orientation, Overwrite, Scale, Statistics
from dgex.cli.seal import PartFormat, Shard
from dgex.progress import note, speaks

__all__ = ["infer"]


def infer(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN... MODEL OUT",
            help="Profiles with the landmark genes; the model folder; whole profiles. Any formats, by suffix.",
        ),
    ],
    units: Annotated[Literal["original", "standardized"], typer.Option(help="Scale of the result.")] = "original",
    extra: Annotated[Literal["drop", "carry"], typer.Option(help="Further genes of the input.")] = "drop",
    measured: Annotated[
        Literal["keep", "infer", "raw"],
        typer.Option(help="Measured values: in the result's unit; target genes inferred all the same; as they came."),
    ] = "keep",
    missing: Annotated[
        Literal["error", "auto", "impute"],
        typer.Option(help="Landmark genes or values that the input lacks: auto imputes up to 5 %."),
    ] = "error",
    scale: Scale = "auto",
    normalize: DepthAsModel = "model",
    collapse: CollapseAsModel = "model",
    interval: Annotated[
        float | None, typer.Option(help="Coverage of prediction intervals, such as 0.9: their half-widths are added.")
    ] = None,
    genes: Annotated[
        str | None, typer.Option(help="Genes to keep in the result, comma separated, or a file of one a line.")
    ] = None,
    min_trust: Annotated[
        Literal["high", "medium", "low", "unknown"] | None,
        typer.Option(help="Keep genes that were measured or have at least this trust."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a page: what the file is and what every gene and profile is worth.")
    ] = None,
    log2: Annotated[Literal["never", "auto"] | None, typer.Option(hidden=True)] = None,
    standardize: Statistics = "model",
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Annotated[str | None, typer.Option(help="Matrix of an AnnData to take instead of X.")] = None,
    aliases: Aliases = None,
    block: Annotated[int, typer.Option(help="Profiles read, inferred and written at a time.", min=1)] = 1024,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto (networks).")] = None,
    dtype: Annotated[
        Literal["float32", "float16", "int16"],
        typer.Option(help="How .gctx, .h5ad and .zarr store values; int16 by an offset and a scale of each gene."),
    ] = "float32",
    compress: Annotated[
        Literal["gzip", "zstd", "blosc", "none"] | None,
        typer.Option(help="Pack the output: gzip (.gctx, .h5ad), any (.zarr); slower."),
    ] = None,
    shard: Shard = None,
    parts: PartFormat = "h5ad",
    precision: Annotated[
        Literal["float32", "tf32", "bf16", "auto"],
        typer.Option(help="Of networks; auto takes bf16 where the machine is faster with it."),
    ] = "float32",
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep finished blocks in OUT.parts; repeat the command to go on.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Infer the target genes of profiles that measured the landmark genes.

    Several inputs with the same genes, as quantifiers write them, one a sample, are taken together.

    A folder as OUT gets parts, as many processes as you like side by side, and `dgex seal OUT/` joins them.

    Examples: `dgex infer plate.gctx models/dgex full.gctx` and `dgex infer quants/*.sf models/dgex full.h5ad`
    """
    if len(paths) < 3:
        raise typer.BadParameter(
            f"found {' '.join(map(str, paths))}; accepted: one or more inputs, the model folder, then the output"
        )
    *sources, model, output = paths
    there(*sources, model)
    what = sources[0] if len(sources) == 1 else f"{len(sources):,} files"
    note(f"inferring {what} by {model}")  # before anything that takes seconds to load
    from dgex.inference.infer import infer as run

    run(
        sources[0] if len(sources) == 1 else sources,
        model,
        output,
        block=block,
        units=units,
        extra=extra,
        measured=measured,
        missing=missing,
        interval=interval,
        genes=names(genes),
        min_trust=min_trust,
        report=report,
        scale=scale,
        normalize=normalize,
        collapse=collapse,
        log2=log2,
        standardize=standardize,
        orientation=orientation,
        format=format,
        layer=layer,
        aliases=aliases,
        device=device,
        dtype=dtype,
        compress=compress,
        shard=shard,
        parts=parts,
        precision=precision,
        resume=resume,
        overwrite=overwrite,
    )
    if speaks():
        print(output if report is None else f"{output}\nreport: {report / 'report.html'}")
