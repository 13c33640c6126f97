"""Commands about models: train, convert-weights, evaluate, infer, interpret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dgex.cli.arguments import axes, merge_settings, numbers, words
from dgex.cli.data import Overwrite
from dgex.progress import speaks

__all__ = ["convert_weights", "evaluate", "infer", "interpret", "train"]

NETWORK, PENALTY, NEIGHBOURS = "Network (dgex)", "Penalty (ridge, lasso)", "Neighbours (knn-ge, knn)"
GRID = "Grid of networks (dgex)"


def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset made by dgex prepare.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The model folder to write.")],
    method: Annotated[
        Literal["dgex", "ols", "ridge", "lasso", "knn-ge", "knn"], typer.Option(help="What to train.")
    ] = "dgex",
    validation: Annotated[
        str, typer.Option(help="Sets to watch, comma separated; the first chooses penalties and the best epoch.")
    ] = "validation",
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; flags win over it.")] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Units of each hidden layer: 9000,9000,9000.", rich_help_panel=NETWORK)
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Share of hidden units dropped.", rich_help_panel=NETWORK)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the profiles.", rich_help_panel=NETWORK)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Profiles a step.", rich_help_panel=NETWORK)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="First learning rate; the paper's rule unless told.", rich_help_panel=NETWORK)
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum.", rich_help_panel=NETWORK)] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop after so many epochs without a better validation error.", rich_help_panel=NETWORK),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights and batches.", rich_help_panel=NETWORK)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto.", rich_help_panel=NETWORK)] = None,
    shard: Annotated[
        bool | None,
        typer.Option(
            "--shard/--no-shard",
            help="Under torchrun: divide the layers, not the batches; by what fits unless told.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="Where the profiles are: device, memory, disk or auto.", rich_help_panel=NETWORK),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Matrix products: float32, tf32, bf16 or auto.", rich_help_panel=NETWORK),
    ] = None,
    target_parts: Annotated[
        int | None,
        typer.Option(help="Networks that share the target genes; 1 for all jointly.", rich_help_panel=NETWORK),
    ] = None,
    partition: Annotated[
        Literal["random", "cluster"] | None,
        typer.Option(help="Parts drawn at random, or of similar genes.", rich_help_panel=NETWORK),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from MODEL.checkpoint.", rich_help_panel=NETWORK)
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(help="Epochs between two checkpoints.", min=1, rich_help_panel=NETWORK)
    ] = 1,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for the learning curve as TensorBoard scalars.", rich_help_panel=NETWORK)
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V,V…",
            help="Train every combination into the folder MODEL: hidden, layers, any setting; several may follow.",
            rich_help_panel=GRID,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Networks trained at once; on a GPU as many small ones as fit unless told.",
            min=1,
            rich_help_panel=GRID,
        ),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="The penalty; chosen on validation unless told.", rich_help_panel=PENALTY)
    ] = None,
    n_neighbors: Annotated[
        int | None,
        typer.Option(help="Number of neighbours; chosen on validation unless told.", rich_help_panel=NEIGHBOURS),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train one model on the training profiles of a dataset.

    Examples: `dgex train data.h5ad models/ridge --method ridge` and
    `dgex train data.h5ad models/dgex --hidden 3000,3000 --dropout .1 --epochs 200 --resume`

    The paper's 27 networks: `dgex train data.h5ad grid --grid hidden=3000,6000,9000 layers=1,2,3 dropout=0,.1,.25`

    On several GPUs or hosts: `torchrun --nproc-per-node 4 -m dgex train data.h5ad models/dgex …`
    """
    flags = {
        "hidden": numbers(hidden, "--hidden") if hidden is not None else None,
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "momentum": momentum,
        "patience": patience,
        "seed": seed,
        "device": device,
        "shard": shard,
        "placement": placement,
        "precision": precision,
        "target_parts": target_parts,
        "partition": partition,
        "alpha": alpha,
        "n_neighbors": n_neighbors,
    }
    settings = merge_settings(config, method, flags)
    options: dict[str, Any] = {
        "validation": words(validation),
        "overwrite": overwrite,
        "resume": resume,
        "checkpoint_every": checkpoint_every,
        "tensorboard": tensorboard,
    }
    if method != "dgex":
        _alone(method)
    if grid is None and jobs is None:
        from dgex.fitting.train import train as run

        run(data, method, model, **options, **settings)
        found: object = model
    else:
        if grid is None:
            raise typer.BadParameter("is for a --grid", param_hint="--jobs")
        if method != "dgex":
            raise typer.BadParameter(f"is for networks, found {method}", param_hint="--grid")
        from dgex.fitting.grid import train_grid

        found = train_grid(data, model, axes(grid), jobs=jobs, **options, **settings)
    if speaks():
        print(found)


def _alone(method: str) -> None:
    """Refuse several processes for a method that would do the same work in each."""
    from dgex.errors import SettingsError
    from dgex.training.processes.group import processes

    if processes() > 1:
        raise SettingsError(
            f"{method} does not spread over processes: found {processes()}, accepted 1 (dgex train without torchrun)"
        )


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


def evaluate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset made by dgex prepare.")],
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Model folders.")],
    split: Annotated[str, typer.Option(help="Splits or named sets, comma separated.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Folder for tables, figures and the HTML page.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Model to compare with; ols if present, else the training mean.")
    ] = None,
    block: Annotated[int, typer.Option(help="Profiles inferred at a time.", min=1)] = 4096,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure models on held-out profiles: overall error, relative improvement, correlations, figures.

    Example: `dgex evaluate data.h5ad models/* --split test --out eval`
    """
    from dgex.atomic import check_output
    from dgex.evaluation.evaluate import evaluate as run
    from dgex.evaluation.result import check_replaceable
    from dgex.progress import warn

    if out is not None:
        check_output(out, overwrite)
        check_replaceable(out)
    finished = [model for model in models if model.suffix != ".checkpoint"]
    if len(finished) < len(models):
        warn("left out what is still being trained: " + ", ".join(m.name for m in models if m not in finished))
    result = run(finished, data, split=words(split), baseline=baseline, block=block)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, default=str))
    else:
        print(result.table())
    if out is not None:
        result.save(out, overwrite=overwrite)
        print(f"\nreport: {out / 'report.html'}" if not as_json else "", end="" if as_json else "\n")


def infer(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    source: Annotated[Path, typer.Argument(metavar="IN", help="Profiles with the landmark genes, any format.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Whole profiles, any format by suffix.")],
    units: Annotated[Literal["original", "standardized"], typer.Option(help="Scale of the result.")] = "original",
    extra: Annotated[Literal["drop", "carry"], typer.Option(help="Further genes of the input.")] = "drop",
    missing: Annotated[Literal["error", "impute"], typer.Option(help="Landmark genes that the input lacks.")] = "error",
    log2: Annotated[
        Literal["never", "auto"], typer.Option(help="Take log2(x + 1) of profiles on a linear scale.")
    ] = "never",
    standardize: Annotated[
        Literal["model", "own"],
        typer.Option(help="By the model's training statistics, or by the input's own (another platform)."),
    ] = "model",
    block: Annotated[int, typer.Option(help="Profiles held in memory at a time.", min=1)] = 4096,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or auto (networks).")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep finished blocks in OUT.parts; repeat the command to go on.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Infer the target genes of profiles that measured the landmark genes.

    Example: `dgex infer models/dgex plate.gctx full.gctx`
    """
    from dgex.inference.infer import infer as run

    run(
        source,
        model,
        output,
        block=block,
        units=units,
        extra=extra,
        missing=missing,
        log2=log2,
        standardize=standardize,
        device=device,
        resume=resume,
        overwrite=overwrite,
    )
    print(output)


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
    print(f"{result.table()}\n\nreport: {out / 'report.html'}")
