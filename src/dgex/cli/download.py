"""The command that brings public data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgex.cli.arguments import words
from dgex.cli.completing import data_sets, shared_names

if TYPE_CHECKING:
    from dgex.datasets.public.fetch import Patience

__all__ = ["download"]

NO_MODELS = """No models are shared yet: the list is empty, and --manifest FILE adds one's own.
One from your compendium:          dgex train data.h5ad models/mine
One from CMap's public compendium: dgex train gse92743 models/gse92743"""


def download(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", autocompletion=data_sets, help="Data set, or models and a model's name; none lists them."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", autocompletion=shared_names, help="Folder to bring it into.")
    ] = None,
    model_folder: Annotated[Path | None, typer.Argument(metavar="DIR", hidden=True)] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the data sets and their files, and stop.")] = False,
    only: Annotated[str | None, typer.Option(metavar="FILE,...", help="Some files only, by key or name.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="TOML file with further data sets, or models.")] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address to take the files from (before $DGEX_BASE_NAME and the manifest)."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the packed files too.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only check what is there; fetch nothing.")] = False,
    retries: Annotated[int | None, typer.Option(help="Attempts after a failure without progress.", min=0)] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds of silence that end a connection.", min=0.1, max=86400)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring a public data set into a folder, checked; the same command goes on after a break, and checks what is there.

    Examples: `dgex download` lists the data sets, `dgex download gse92743 cmap/` brings one; `dgex download models`
    lists models to infer with, `dgex download models NAME DIR` brings one
    """
    from dgex.datasets.public import download as room
    from dgex.datasets.public.sources import MODELS, find, sources
    from dgex.records import read_json

    if name == MODELS:
        if only is not None or keep or verify:
            raise typer.BadParameter("--only, --keep and --verify are for data sets", param_hint="models")
        _models(folder, model_folder, manifest, base, _patience(retries, timeout), list_them, as_json)
        return
    if model_folder is not None:
        raise typer.BadParameter(f"found {model_folder} after DIR; accepted: dgex download NAME DIR", param_hint="DIR")
    known = {each: find(each, manifest, base if name else None) for each in ([name] if name else sources(manifest))}
    if list_them or name is None:
        print(json.dumps(_described(known), indent=2, ensure_ascii=False) if as_json else "\n".join(_table(known)))
        return
    if folder is None:
        raise typer.BadParameter(
            f"no folder to bring {name} into; accepted: dgex download {name} DIR", param_hint="DIR"
        )
    chosen = None if only is None else words(only)
    if verify:
        paths = room.files(folder, name, only=chosen, manifest=manifest)
    else:
        patience = _patience(retries, timeout)
        paths = room.download(name, folder, only=chosen, manifest=manifest, base=base, keep=keep, patience=patience)
    if as_json:
        recorded = read_json(folder / room.RECORD)["sources"][name]["files"]
        print(json.dumps({key: {"path": str(path)} | recorded[key] for key, path in paths.items()}, indent=2))
    else:
        print("\n".join(str(path) for path in paths.values()))


def _patience(retries: int | None, timeout: float | None) -> Patience:
    from dgex.datasets.public.fetch import Patience

    given = {"retries": retries, "timeout": timeout}
    return Patience(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]


def _models(
    name: Path | None,
    folder: Path | None,
    manifest: Path | None,
    base: str | None,
    patience: Patience,
    list_them: bool,
    as_json: bool,
) -> None:
    """List the models that are shared, or bring one."""
    from dgex.shared.registry import find_model, shared_models

    if name is None or list_them:
        known = shared_models(manifest) if name is None else {str(name): find_model(str(name), manifest, base)}
        if as_json:
            print(json.dumps({key: model.to_dict() for key, model in known.items()}, indent=2, ensure_ascii=False))
        else:
            print("\n\n".join(str(model) for model in known.values()) if known else NO_MODELS)
        return
    model = find_model(str(name), manifest, base)
    if folder is None:
        accepted = f"dgex download models {name} DIR"
        raise typer.BadParameter(f"no folder to bring {name} into; accepted: {accepted}", param_hint="DIR")
    from dgex.shared.bring import download_model

    path = download_model(model.name, folder, manifest=manifest, base=base, patience=patience)
    print(json.dumps({"path": str(path)} | model.to_dict(), indent=2, ensure_ascii=False) if as_json else path)


def _described(known: dict[str, Any]) -> dict[str, Any]:
    """Sources as JSON."""
    from dataclasses import asdict

    described = {}
    for name, source in known.items():
        fields = asdict(source)
        for key, file in source.files.items():
            fields["files"][key] |= {"name": file.name, "address": source.at(file.address)}
        described[name] = fields
    return described


def _table(known: dict[str, Any]) -> list[str]:
    """Sources as text."""
    from dgex.datasets.public.meter import size_text

    lines = []
    for name, source in known.items():
        lines += [
            name,
            f"  {source.title}",
            f"  {source.citation}",
            f"  licence: {source.licence}",
            f"  from {source.base}",
        ]
        width = max(map(len, source.files))
        for key, file in source.files.items():
            size = f" [{size_text(file.size)}]" if file.size else ""
            lines += [f"    {key:<{width}}  {file.name}{size}", f"    {'':<{width}}  {file.description}"]
        lines.append("")
    return lines[:-1]
