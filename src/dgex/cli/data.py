"""Commands about matrices: info, convert, simulate, prepare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dgex.cli.arguments import fractions, show
from dgex.cli.completing import file_formats

__all__ = ["convert", "info", "prepare", "simulate"]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
Orientation = Annotated[
    Literal["auto", "genes-in-rows", "genes-in-columns"],
    typer.Option(help="Where a text table has its genes; detected unless told."),
]
Scale = Annotated[
    Literal["auto", "log2", "ln", "log10", "linear", "counts"],
    typer.Option(help="On which scale the values are; found once for all profiles of a file unless told."),
]
Format = Annotated[
    str | None,
    typer.Option(
        autocompletion=file_formats, help="Format of the input, where its name does not say it: tsv, csv, h5ad, 10x, …"
    ),
]
Layer = Annotated[str | None, typer.Option(help="AnnData: the layer that holds the values, or raw; X unless told.")]
DepthAsModel = Annotated[
    Literal["model", "none", "cpm", "size-factors"],
    typer.Option(help="Sequencing depth of linear values: as of the training profiles, or told."),
]
CollapseAsModel = Annotated[
    Literal["model", "mean", "median", "max-mean"],
    typer.Option(help="Several rows of a gene: as in training, or told."),
]
Statistics = Annotated[
    Literal["model", "own"],
    typer.Option(help="By the model's training statistics, or by the input's own (another platform)."),
]
Aliases = Annotated[
    Path | None,
    typer.Option(
        help="Older names of genes, for those not found otherwise: HGNC's complete set, or old and new names."
    ),
]


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A matrix, a dataset or a model folder.")],
    genes: Annotated[
        list[Path] | None,
        typer.Option(help="Gene table(s): how many of its landmarks are there? Of a model: genes to tell of."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder: how many of its landmark genes are there?")] = None,
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Layer = None,
    aliases: Aliases = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare every block with the checksum written with it, and tell only that."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a file holds: shape, ids, roles, range, missing values, landmarks found, what was done to it.

    Examples: `dgex info plate.gctx --model models/dgex` and `dgex info full.gctx --verify`
    """
    from dgex.summary import info as told

    reading: dict[str, Any] = {"orientation": orientation, "format": format, "layer": layer}
    description = told(file, genes=genes, model=model, aliases=aliases, verify=verify, **reading)
    show(json.dumps(description, indent=2, ensure_ascii=False, default=str) if as_json else description)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File to read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write; its suffix decides the format.")],
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Layer = None,
    layout: Annotated[
        Literal["wide", "compact"] | None, typer.Option(help="Parquet: one column a gene, or one list a profile.")
    ] = None,
    compression: Annotated[str | None, typer.Option(help="GCTX and h5ad: gzip (40 times slower to write).")] = None,
    dtype: Annotated[
        Literal["float32", "float16", "int16"] | None, typer.Option(help="GCTX, h5ad and zarr: how values are stored.")
    ] = None,
    block: Annotated[int, typer.Option(help="Profiles held in memory at a time.", min=1)] = 4096,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="TSV and CSV: names that start like a formula (=, +, -, @) as text.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Let missing and infinite values pass.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Convert between GCTX, GCT, h5ad, zarr, Parquet, Excel and text tables, in blocks.

    Example: `dgex convert plate.gct.gz plate.h5ad`
    """
    from dgex import io

    options: dict[str, Any] = {
        "layout": layout,
        "compression": compression,
        "dtype": dtype,
        "spreadsheet": spreadsheet or None,
    }
    options = {name: value for name, value in options.items() if value is not None}
    options |= {"orientation": orientation, "source_format": format, "layer": layer, "allow_missing": allow_missing}
    io.convert(source, target, overwrite=overwrite, block=block, **options)
    print(target)


def simulate(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .h5ad, .zarr, .gctx, .parquet, …")],
    samples: Annotated[int, typer.Option(help="Profiles of the compendium.")] = 2000,
    landmarks: Annotated[int, typer.Option(help="Landmark genes.")] = 200,
    targets: Annotated[int, typer.Option(help="Target genes.")] = 800,
    rnaseq: Annotated[int, typer.Option(help="Further profiles on a second platform, as a set of their own.")] = 0,
    duplicates: Annotated[float, typer.Option(help="Share of profiles repeated almost exactly.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same compendium.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw a compendium with tissues, programmes, non-linear regulation, batches and platforms; any size.

    Example: `dgex simulate compendium.h5ad --samples 5000 --landmarks 300 --targets 2000`
    """
    from dgex.datasets.simulated.simulate import simulate as draw

    draw(
        output,
        samples=samples,
        landmarks=landmarks,
        targets=targets,
        rnaseq=rnaseq,
        duplicates=duplicates,
        seed=seed,
        overwrite=overwrite,
    )
    print(output)


def prepare(
    paths: Annotated[
        list[str], typer.Argument(metavar="IN... OUT", help="Matrices, then the dataset to write (.h5ad or .zarr).")
    ],
    genes: Annotated[
        list[Path] | None,
        typer.Option(help="Gene table with roles (and probes), or the pair map_lm.txt map_tg.txt."),
    ] = None,
    dedup: Annotated[
        float | None, typer.Option(help="Drop profiles closer than this Euclidean distance (log2 units) to another.")
    ] = None,
    dedup_method: Annotated[
        Literal["exact", "clusters"], typer.Option(help="All pairs, or pairs within k-means clusters (the paper).")
    ] = "exact",
    dedup_over: Annotated[
        Literal["inputs", "compendium"],
        typer.Option(help="All inputs by the genes kept, or the compendium by all its columns (the paper)."),
    ] = "inputs",
    quantile: Annotated[
        bool, typer.Option("--quantile", help="Quantile-normalise all profiles to one reference.")
    ] = False,
    ties: Annotated[
        Literal["published", "average"],
        typer.Option(help="Equal values by the paper's rules, or by average ranks: safe for rounded values."),
    ] = "published",
    landmark_ranks: Annotated[
        Literal["alone", "together"] | None,
        typer.Option(help="Rank landmark genes alone, as infer ranks a panel's, or among all genes (as published)."),
    ] = None,
    standardize: Annotated[
        Literal["inductive", "paper", "none"],
        typer.Option(help="By training statistics, or each set by its own (as published)."),
    ] = "inductive",
    split: Annotated[str, typer.Option(help="Fractions: train,validation,test.")] = ".8,.1,.1",
    group: Annotated[
        str | None,
        typer.Option(help="Columns of obs, comma separated; profiles that share a value stay on one side."),
    ] = None,
    together: Annotated[
        float | None,
        typer.Option(
            help="Profiles closer than this distance stay on one side of the split: 1 unless told (or --dedup); 0: off."
        ),
    ] = None,
    log2: Annotated[
        Literal["never", "auto", "always"] | None,
        typer.Option(help="Take log2(x + 1): auto does so for linear inputs; never, unless depth is normalised."),
    ] = None,
    scale: Scale = "auto",
    normalize: Annotated[
        Literal["none", "cpm", "size-factors"],
        typer.Option(help="Take sequencing depth out of linear inputs, before the logarithm."),
    ] = "none",
    landmarks: Annotated[
        Path | None, typer.Option(help="List of landmark genes, one a line; all other genes are targets.")
    ] = None,
    collapse: Annotated[
        Literal["mean", "median", "max-mean"],
        typer.Option(help="How several rows of a gene become one, here and where the model infers."),
    ] = "mean",
    same_gene: Annotated[
        Literal["drop", "keep"], typer.Option(help="Targets that are the same gene as a landmark.")
    ] = "drop",
    constant: Annotated[
        Literal["error", "drop"], typer.Option(help="Genes that do not vary over the training profiles.")
    ] = "error",
    seed: Annotated[int, typer.Option(help="Seed of the split and of the clusters.")] = 0,
    orientation: Orientation = "auto",
    format: Format = None,
    layer: Layer = None,
    aliases: Aliases = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a dataset of raw matrices: collapse probes, drop duplicates, normalise, standardise, split.

    An input written `NAME=FILE` becomes a named set of its own and is not split. Files of one sample each, as
    quantifiers write them (`quants/*.sf`), are taken together.

    Examples: `dgex prepare compendium.gctx data.h5ad --genes genes.tsv --quantile` and
    `dgex prepare arrays.gctx GTEx=gtex.gctx data.h5ad --genes map_lm.txt map_tg.txt --dedup 1.0 --quantile
    --standardize paper`
    """
    from dgex.prepare.pipeline import prepare as run

    if len(paths) < 2:
        raise typer.BadParameter(f"found only {paths[0]}; accepted: one or more inputs, then the output")
    run(
        paths[:-1],
        paths[-1],
        genes=genes or None,
        dedup=dedup,
        dedup_method=dedup_method,
        dedup_over=dedup_over,
        quantile=("paper" if standardize == "paper" else "inductive") if quantile else None,
        ties=ties,
        landmark_ranks=landmark_ranks,
        standardize=standardize,
        split=fractions(split, "--split"),
        group=group,
        together=together,
        log2=log2,
        scale=scale,
        normalize=normalize,
        landmarks=landmarks,
        collapse=collapse,
        same_gene=same_gene,
        constant=constant,
        seed=seed,
        orientation=orientation,
        format=format,
        layer=layer,
        aliases=aliases,
        overwrite=overwrite,
    )
    print(paths[-1])
