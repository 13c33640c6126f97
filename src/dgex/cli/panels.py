"""The command that chooses which genes to measure: select-landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.arguments import fractions, numbers, show, there, words
from dgex.cli.data import Format, Orientation, Overwrite, Scale

__all__ = ["select_landmarks"]


def select_landmarks(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Whole profiles: a dataset, or a raw matrix of any format.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the gene table, the page and the tables.")],
    size: Annotated[int | None, typer.Option(help="Genes of the panel; 400 unless told.", min=1)] = None,
    error: Annotated[
        float | None, typer.Option(help="Stop where the error on validation profiles is this or less (SD).")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Genes that must be in: a file, a gene table, or names, comma separated.")
    ] = None,
    add: Annotated[int | None, typer.Option(help="Genes to add to those to keep, instead of --size.", min=1)] = None,
    thin: Annotated[str | None, typer.Option(help="A panel to make smaller: the genes that cost least go.")] = None,
    exclude: Annotated[
        str, typer.Option(help="Genes never chosen: names, patterns such as 'MT-*', files; comma separated.")
    ] = "",
    min_level: Annotated[float | None, typer.Option(help="Exclude genes of a lower mean (log2, as measured).")] = None,
    max_unexpressed: Annotated[
        float | None, typer.Option(help="Exclude genes at or below --floor in more than this share of profiles.")
    ] = None,
    floor: Annotated[float, typer.Option(help="Value up to which a gene counts as unexpressed.")] = 0.0,
    max_batch: Annotated[
        float | None, typer.Option(help="Exclude genes with more than this share of their variance between batches.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Column of batches; that of --group unless told.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Genes that matter more: a list, gene and weight, or GMT.")
    ] = None,
    weight: Annotated[float, typer.Option(help="Weight of genes of --weights without one of their own.")] = 10.0,
    per_group: Annotated[
        str | None, typer.Option(help="Column of studies: gains are those on studies left out.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with: random, variable, components, roles, FILE or NAME=FILE; comma separated."),
    ] = None,
    sizes: Annotated[str | None, typer.Option(help="Sizes of the curve, comma separated.")] = None,
    group: Annotated[str | None, typer.Option(help="Column that every split keeps together, such as study.")] = None,
    splits: Annotated[
        int | None, typer.Option(help="Splits to choose anew and compare on; 5 unless told.", min=1)
    ] = None,
    split: Annotated[str, typer.Option(help="Fractions of training, validation and test.")] = ".8,.1,.1",
    seed: Annotated[int, typer.Option(help="Of the first split, as for dgex prepare.")] = 0,
    accuracy: Annotated[
        float, typer.Option(help="Correlation on test profiles below which a gene is told as not inferable.")
    ] = 0.5,
    penalty: Annotated[float | None, typer.Option(help="Ridge penalty of the choice, in variances of a gene.")] = None,
    scale: Scale = "auto",
    collapse: Annotated[
        Literal["mean", "median", "max-mean"], typer.Option(help="How several rows of a gene become one.")
    ] = "mean",
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Annotated[str | None, typer.Option(help="Matrix of an AnnData to take instead of X.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Choose which genes to measure, and say what they tell of the rest.

    Examples: `dgex select-landmarks compendium.h5ad panel --size 400 --group study`, then `dgex prepare
    compendium.h5ad data.h5ad --genes panel/panel.tsv --group study`
    """
    there(data)
    from dgex.panels.select import select_landmarks as run

    result = run(
        data,
        out,
        size=size,
        error=error,
        keep=_genes(keep),
        add=add,
        thin=_genes(thin),
        exclude=words(exclude),
        min_level=min_level,
        max_unexpressed=max_unexpressed,
        floor=floor,
        max_batch=max_batch,
        batch=batch,
        weights=weights,
        weight=weight,
        per_group=per_group,
        against=None if against is None else [] if against == "none" else words(against),
        sizes=None if sizes is None else numbers(sizes, "--sizes"),
        group=group,
        splits=splits,
        split=fractions(split, "--split"),
        seed=seed,
        accuracy=accuracy,
        penalty=penalty,
        scale=scale,
        collapse=collapse,
        orientation=orientation,
        format=format,
        layer=layer,
        overwrite=overwrite,
    )
    show(f"{result}\n\ngene table: {out / 'panel.tsv'}\nreport: {out / 'report.html'}")


def _genes(text: str | None) -> str | list[str] | None:
    """A file, or names at commas; one word with the look of a path is a file, so that a missing one is said."""
    if text is None or Path(text).exists() or "/" in text or Path(text).suffix in (".txt", ".tsv", ".csv", ".grp"):
        return text
    return words(text)
