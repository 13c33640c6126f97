"""Commands to begin with, and that run everything: example, demo, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dgex.cli.arguments import floats, numbers, show, words
from dgex.cli.data import Overwrite

__all__ = ["demo", "example", "reproduce"]

DATA, GRID = "Data", "Networks"


def example(
    output: Annotated[Path, typer.Argument(metavar="[OUT]", help="Folder to write.")] = Path("dgex-example"),
    real: Annotated[
        bool, typer.Option("--real", help="Of measured profiles: brings Geuvadis, RNA-Seq of 462 people, 91 MB.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    raw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for what --real brings; OUT.data unless told.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="TOML file of where else the data set lies.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a small example, simulated, offline, in a second: a compendium to learn from and a panel to infer.

    Examples: `dgex example first`, `dgex example cells --real`
    """
    from dgex.shared.example import example as run

    print(run(output, real=real, seed=seed, raw=raw, manifest=manifest, overwrite=overwrite))


def demo(
    output: Annotated[Path, typer.Argument(metavar="[OUT]", help="Folder to write.")] = Path("dgex-demo"),
    scale: Annotated[Literal["tiny", "laptop"], typer.Option(help="tiny: seconds; laptop: minutes.")] = "laptop",
    seed: Annotated[int, typer.Option(help="Seed of the compendium, the split and the weights.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Run everything once on a simulated compendium: prepare, train every method, evaluate, infer, report.

    Example: `dgex demo demo/`
    """
    from dgex.tour import demo as run

    result = run(output, scale=scale, seed=seed, overwrite=overwrite)
    show(result.table())
    print(f"\nreport: {output / 'report.html'}")


def reproduce(
    output: Annotated[Path, typer.Argument(metavar="[OUT]", help="Folder to write.")] = Path("dgex-study"),
    scale: Annotated[
        Literal["demo", "paper"], typer.Option(help="demo: minutes on two cores; paper: full size, for a GPU.")
    ] = "demo",
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="simulated, gse92743, paper (the private files), a dataset, or a raw matrix with roles of genes.",
            rich_help_panel=DATA,
        ),
    ] = "simulated",
    raw: Annotated[
        Path | None, typer.Option(help="Folder with the files of gse92743 or paper.", rich_help_panel=DATA)
    ] = None,
    rnaseq: Annotated[
        Path | None,
        typer.Option(help="Raw matrix of a second platform, to select and to test on.", rich_help_panel=DATA),
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALIDATION,TEST", help="Sets of a dataset that form a platform.", rich_help_panel=DATA
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of obs; its groups stay on one side of a split.", rich_help_panel=DATA)
    ] = None,
    standardize: Annotated[
        Literal["paper", "inductive"] | None,
        typer.Option(help="As dgex prepare; inductive with --group, else paper.", rich_help_panel=DATA),
    ] = None,
    ties: Annotated[
        Literal["published", "average"], typer.Option(help="As dgex prepare.", rich_help_panel=DATA)
    ] = "published",
    cmap: Annotated[
        Path | None,
        typer.Option(help="CMap's published weights (GCTX), or a model made of them.", rich_help_panel=DATA),
    ] = None,
    l1000: Annotated[
        Path | None, typer.Option(help="Profiles of landmark genes to infer.", rich_help_panel=DATA)
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Hidden units of a layer; 3000,6000,9000 at full size.", rich_help_panel=GRID)
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Numbers of hidden layers; 1,2,3.", rich_help_panel=GRID)] = None,
    dropout: Annotated[str | None, typer.Option(help="Dropout rates; 0,.1,.25.", rich_help_panel=GRID)] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the profiles; 200 at full size.", rich_help_panel=GRID)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Profiles a step.", rich_help_panel=GRID)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="First learning rate.", rich_help_panel=GRID)] = None,
    halves: Annotated[
        bool | None,
        typer.Option(
            "--halves/--no-halves",
            help="Train the selected networks again as two networks of half the target genes each.",
            rich_help_panel=GRID,
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto.", rich_help_panel=GRID)] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Beside the networks: ols,lasso,ridge,knn-ge,knn; and kernel,auto,residual, newer than the paper (the "
            "first two are there at the scale demo unless told)."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of data, splits and weights.")] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            help="Only these, of: data, baselines, networks, halves, interpretation, retraining, inference, page."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew.")] = False,
) -> None:
    """Reproduce the paper: every method, 27 networks, every table and figure on one page; goes on where it stopped.

    Examples: `dgex reproduce study/` and
    `dgex reproduce study/ --data arrays.h5ad --rnaseq rnaseq.h5ad --group study --hidden 1000,3000 --layers 1,2`

    At full size: `dgex reproduce study/ --scale paper --data gse92743 --raw downloads/`
    """
    from dgex.paper.reproduce import reproduce as run
    from dgex.paper.tables import text

    changes: dict[str, Any] = {
        "data": data,
        "raw": raw,
        "rnaseq": rnaseq,
        "platforms": None if platform is None else [_platform(text) for text in platform],
        "group": group,
        "standardize": standardize,
        "ties": ties,
        "cmap": cmap,
        "l1000": l1000,
        "hidden": numbers(hidden, "--hidden") if hidden is not None else None,
        "layers": numbers(layers, "--layers") if layers is not None else None,
        "dropout": floats(dropout, "--dropout") if dropout is not None else None,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "halves": halves,
        "device": device,
        "methods": words(methods) if methods is not None else None,
        "seed": seed,
    }
    results = run(output, scale=scale, stages=None if stages is None else words(stages), overwrite=overwrite, **changes)
    show(text(results))
    if (output / "report.html").exists():
        print(f"\nreport: {output / 'report.html'}")


def _platform(text: str) -> tuple[str, str, str]:
    name, equals, sets = text.partition("=")
    pair = words(sets)
    if not equals or not name.strip() or len(pair) != 2:
        raise typer.BadParameter(
            f"found {text!r}, accepted NAME=VALIDATION,TEST such as GTEx=1000G,GTEx", param_hint="--platform"
        )
    return name.strip(), pair[0], pair[1]
