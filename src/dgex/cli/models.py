"""Commands about models: adapt, convert-weights, calibrate, evaluate, interpret."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from dgex.cli.arguments import show, there, words
from dgex.cli.completing import file_formats
from dgex.cli.data import Aliases, CollapseAsModel, DepthAsModel, Orientation, Overwrite, Scale
from dgex.progress import note

__all__ = ["adapt", "calibrate", "convert_weights", "evaluate", "interpret"]


def convert_weights(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="Published regression weights, GCTX.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The model folder to write.")],
    genes: Annotated[Path | None, typer.Option(help="Gene table with symbols: CMap's gene_info.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Dataset to use it on: landmark genes it lacks are held at their mean.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a model of the Connectivity Map's published weights, to compare with and to infer with.

    Example: `dgex convert-weights GSE92743_Broad_OLS_WEIGHTS_n979x11350.gctx models/cmap --genes gene_info.txt`
    """
    from dgex.models.published import convert_weights as run

    run(weights, model, genes, data, overwrite=overwrite)
    print(model)


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset in the unit the model works in.")],
    output: Annotated[
        Path | None, typer.Argument(metavar="[NEWMODEL]", help="Model folder to write; MODEL itself unless told.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Held-out splits or named sets that judge, comma separated.")
    ] = "validation",
    by: Annotated[
        str | None, typer.Option(help="Column of obs with studies or donors; as the dataset was split unless told.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Find out by held-out profiles how far a model's values can be trusted, and store it with the model.

    `dgex train` does so by itself; this is for models made before, and for other held-out profiles.

    Example: `dgex calibrate models/dgex data.h5ad`
    """
    there(model, data)
    from dgex.fitting.calibrate import calibrate as run

    run(model, data, output, split=split, by=by, overwrite=overwrite)
    print(output or model)


def evaluate(
    paths: Annotated[
        list[Path], typer.Argument(metavar="MODEL... DATA", help="Model folders, then a dataset made by dgex prepare.")
    ],
    split: Annotated[str, typer.Option(help="Splits or named sets, comma separated.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Folder for tables, figures and the HTML page.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Model to compare with; ols if present, else the training mean.")
    ] = None,
    block: Annotated[int, typer.Option(help="Profiles inferred at a time.", min=1)] = 4096,
    within: Annotated[
        str | None, typer.Option(help="Column of obs, such as plates: differences from the mean of its groups too.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Differences from these profiles of the group instead: 'pert_type == \"ctl_vehicle\"'."),
    ] = None,
    cards: Annotated[
        str | None, typer.Option(help="Target genes that get a card on the page in any case, comma separated.")
    ] = None,
    as_prepared: Annotated[
        bool,
        typer.Option("--as-prepared", help="Landmark genes as the dataset ranked them, not as infer ranks a panel's."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure models on held-out profiles: overall error, relative improvement, correlations, figures.

    Example: `dgex evaluate models/* data.h5ad --split test --out eval`
    """
    there(*paths)
    from dgex.evaluation.evaluate import evaluate as run
    from dgex.evaluation.result import place
    from dgex.models.folder import is_model
    from dgex.places import claim
    from dgex.progress import warn

    if len(paths) < 2:
        raise typer.BadParameter(f"found only {paths[0]}; accepted: one or more models, then the dataset")
    first = is_model(paths[-1]) and not is_model(paths[0])  # the dataset, told first
    data, models = (paths[0], paths[1:]) if first else (paths[-1], paths[:-1])
    finished = [model for model in models if model.suffix != ".checkpoint"]
    if len(finished) < len(models):
        warn("left out what is still being trained: " + ", ".join(m.name for m in models if m not in finished))
    with ExitStack() as stack:
        if out is not None:
            place(out).refuse_other()
            stack.enter_context(claim(out, "dgex evaluate", overwrite=overwrite, inputs=paths, folder=True))
        result = run(
            finished,
            data,
            words(split),
            baseline,
            block,
            within=within,
            control=control,
            cards=words(cards or ""),
            as_prepared=as_prepared,
        )
        if as_json:
            print(json.dumps(result.to_dict(), indent=2, default=str))
        else:
            show(result.table())
        if out is not None:
            result.save(out, overwrite=overwrite)
    if out is not None:
        print(f"\nreport: {out / 'report.html'}" if not as_json else "", end="" if as_json else "\n")


def adapt(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the old model, of any method.")],
    whole: Annotated[
        Path,
        typer.Argument(
            metavar="WHOLE", help="At least 5 whole profiles of the new platform: any format, or a dataset."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="NEWMODEL", help="The model folder to write.")],
    group: Annotated[
        str | None, typer.Option(help="Column of the profiles (study, donor, plate): whole groups are held out.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of a dataset, the sets to learn from.")] = "train,validation",
    missing: Annotated[
        Literal["error", "auto", "impute"],
        typer.Option(help="Landmark genes that WHOLE lacks: auto fills up to 5 % from the others, impute up to half."),
    ] = "error",
    scale: Scale = "auto",
    normalize: DepthAsModel = "model",
    collapse: CollapseAsModel = "model",
    orientation: Orientation = "auto",
    format: Annotated[
        str | None, typer.Option(autocompletion=file_formats, help="Format of WHOLE, where its name does not say it.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Matrix of an AnnData to take instead of X.")] = None,
    aliases: Aliases = None,
    folds: Annotated[int, typer.Option(help="Folds in which profiles are held out.", min=2)] = 10,
    seed: Annotated[int, typer.Option(help="Decides the folds.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Adapt a model to another platform by a few whole profiles of it.

    The old model is corrected as far as new profiles held out say. Prints what to expect, and of how many more.

    Example: `dgex adapt models/arrays rnaseq.h5ad models/rnaseq --group study`
    """
    there(model, whole)
    note(f"adapting {model} by {whole}")  # before anything that takes seconds to load
    from dgex.adapting.adapt import adapt as run
    from dgex.models.adaptation.curve import in_words

    adapted = run(
        model,
        whole,
        output,
        group=group,
        split=words(split),
        missing=missing,
        scale=scale,
        normalize=normalize,
        collapse=collapse,
        orientation=orientation,
        format=format,
        layer=layer,
        aliases=aliases,
        folds=folds,
        seed=seed,
        overwrite=overwrite,
    )
    show("\n".join([*in_words(adapted.expected_), "", str(output)]))


def interpret(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a network or of a linear model.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The dataset that it was trained on.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the page, tables and figures.")],
    best: Annotated[
        str | None, typer.Option(help="Interpret the epoch that was best on this set; the first set unless told.")
    ] = None,
    genes: Annotated[
        str | None, typer.Option(help="Target genes to attribute to landmark genes, comma separated; all unless told.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Training profiles that attributions are averaged over.", min=1)] = 128,
    steps: Annotated[int, typer.Option(help="Points of the path, with several hidden layers.", min=1)] = 16,
    top: Annotated[int, typer.Option(help="Landmark genes kept for each target gene.", min=1)] = 10,
    hubs: Annotated[int, typer.Option(help="Hub units told of in each layer.", min=1)] = 20,
    input_threshold: Annotated[
        float, typer.Option(help="Standard deviations beyond which a weight of a landmark gene is major.")
    ] = 4.0,
    output_threshold: Annotated[
        float, typer.Option(help="Standard deviations beyond which a weight of a target gene is major.")
    ] = 5.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto.")] = None,
    block: Annotated[int, typer.Option(help="Profiles read at a time.", min=1)] = 4096,
    overwrite: Overwrite = False,
) -> None:
    """Find out what a network has learned: major weights, hub units, adjusted R2, attributions to landmark genes.

    Example: `dgex interpret models/dgex data.h5ad learned --genes TP53,MYC`
    """
    there(model, data)
    from dgex.interpretation.interpret import interpret as run

    result = run(
        model,
        data,
        out,
        best=best,
        genes=words(genes) if genes is not None else None,
        samples=samples,
        steps=steps,
        top=top,
        hubs=hubs,
        input_threshold=input_threshold,
        output_threshold=output_threshold,
        device=device,
        block=block,
        overwrite=overwrite,
    )
    show(f"{result.table()}\n\nreport: {out / 'report.html'}")
