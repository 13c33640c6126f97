"""The command that trains: its flags are the settings of the catalogue of methods."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dgex.cli.arguments import assignments, axes, merge_settings, numbers, show, there, words
from dgex.cli.completing import methods
from dgex.cli.data import Overwrite
from dgex.models.catalogue import METHODS, Method, Setting
from dgex.progress import note, speaks
from dgex.shared import RECIPES

__all__ = ["train"]

RUN, GRID = "Methods that train in epochs (dgex, residual)", "Grid of networks (dgex, residual)"


def _known(kind: str | None) -> str | None:
    """Refuse an unknown method as wrong usage; those of other packages are looked up only here."""
    if kind is None:
        return None
    from dgex.errors import SettingsError
    from dgex.models.catalogue import method

    try:
        return method(kind).kind
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None


def _run(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset made by dgex prepare, or gse92743.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The model folder to write.")],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            autocompletion=methods,
            help=f"What to train: {', '.join(METHODS)}, or a package's. auto unless told or settings of a network.",
            callback=_known,
        ),
    ] = None,
    validation: Annotated[
        str, typer.Option(help="Sets to watch, comma separated; the first chooses penalties and the best epoch.")
    ] = "validation",
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; flags win over it.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting of the method; may be repeated."),
    ] = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from MODEL.checkpoint, or train MODEL on.", rich_help_panel=RUN),
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(help="Epochs between two checkpoints.", min=1, rich_help_panel=RUN)
    ] = 1,
    keep_checkpoint: Annotated[
        bool,
        typer.Option(
            "--keep-checkpoint/--no-keep-checkpoint",
            help="Keep in MODEL what is needed to train it on.",
            rich_help_panel=RUN,
        ),
    ] = True,
    index: Annotated[
        bool,
        typer.Option(
            "--index/--no-index", help="Keep names of training profiles for dgex explain; not where they are private."
        ),
    ] = True,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for the learning curve as TensorBoard scalars.", rich_help_panel=RUN)
    ] = None,
    raw: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Files of gse92743 and the dataset of them; MODEL.data unless told."),
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
    **flags: Any,
) -> None:
    public = str(data) in RECIPES and not data.exists()
    if not public:
        there(data)
        if raw is not None:
            raise typer.BadParameter(f"is for {', '.join(RECIPES)}, found a dataset", param_hint="--raw")
    if isinstance(flags.get("hidden"), str):
        flags["hidden"] = numbers(flags["hidden"], "--hidden")
    networks = grid is not None or jobs is not None
    kind, settings = merge_settings(config, method or ("dgex" if networks else None), flags, assignments(set_ or []))
    options: dict[str, Any] = {
        "validation": words(validation),
        "overwrite": overwrite,
        "resume": resume,
        "checkpoint_every": checkpoint_every,
        "index": index,
        "tensorboard": tensorboard,
    }
    # before anything that takes seconds to load
    note(f"training {kind} on {data}" + ("" if method else " (--method to choose)"))
    if public:
        from dgex.shared.make import train_public

        if networks or options.pop("validation") != ["validation"]:
            raise typer.BadParameter(f"are for datasets, found {data}", param_hint="--grid, --jobs or --validation")
        options.pop("resume")  # it always goes on
        train_public(str(data), kind, model, raw=raw, keep_checkpoint=keep_checkpoint, **options, **settings)
        result: object = model
    elif not networks:
        from dgex.fitting.train import train as fit

        fit(data, kind, model, keep_checkpoint=keep_checkpoint, **options, **settings)
        result = model
    else:
        if grid is None:
            raise typer.BadParameter("is for a --grid", param_hint="--jobs")
        if kind not in ("dgex", "residual"):
            raise typer.BadParameter(f"is for networks, found {kind}", param_hint="--grid")
        from dgex.fitting.grid import train_grid

        result = train_grid(data, model, axes(grid, kind), method=kind, jobs=jobs, **options, **settings)
    if speaks():
        show(result)


def _flag(entry: Method, name: str, setting: Setting) -> inspect.Parameter:
    """A setting as an option of the command, None unless told."""
    kind: Any = Literal[setting.choices] if setting.choices else str if setting.type is tuple else setting.type
    names = [f"--{name}/--no-{name}"] if setting.type is bool else []
    option = typer.Option(*names, help=setting.help, rich_help_panel=entry.panel)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def train(*args: Any, **options: Any) -> None:
    """Train a model on the training profiles of a dataset: the best of several methods, or the one you name.

    Examples: `dgex train data.h5ad models/auto`, `dgex train data.h5ad models/ridge --method ridge` and
    `dgex train data.h5ad models/dgex --hidden 3000,3000 --dropout .1 --epochs 200 --resume`

    The paper's 27 networks: `dgex train data.h5ad grid --grid hidden=3000,6000,9000 layers=1,2,3 dropout=0,.1,.25`;
    residual ones: `dgex train data.h5ad grid --method residual --grid hidden=512,1024 layers=4 dropout=.1,.3`

    CMap's public compendium, brought, prepared, trained and judged: `dgex train gse92743 models/gse92743`

    On several GPUs or hosts: `torchrun --nproc-per-node 4 -m dgex train data.h5ad models/dgex …`
    """
    _run(*args, **options)


_own = [p for p in inspect.signature(_run, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
_settings = {
    name: _flag(entry, name, setting)
    for entry in reversed(METHODS.values())
    for name, setting in entry.settings.items()
}
_parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in _own] + list(_settings.values())
train.__signature__ = inspect.Signature(_parameters)  # type: ignore[attr-defined]
train.__annotations__ = {p.name: p.annotation for p in _parameters}
