"""The command that brings public data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dgex.cli.arguments import words

__all__ = ["download"]


def download(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Data set; none lists them.")] = None,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Folder to bring it into.")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the data sets and their files, and stop.")] = False,
    only: Annotated[str | None, typer.Option(metavar="FILE,...", help="Some files only, by key or name.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="TOML file with further data sets.")] = None,
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

    Examples: `dgex download` lists the data sets, `dgex download gse92743 cmap/` brings one
    """
    from dgex.datasets.public import download as room
    from dgex.datasets.public.fetch import Patience
    from dgex.datasets.public.sources import find, sources
    from dgex.records import read_json

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
        given = {"retries": retries, "timeout": timeout}
        patience = Patience(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
        paths = room.download(name, folder, only=chosen, manifest=manifest, base=base, keep=keep, patience=patience)
    if as_json:
        recorded = read_json(folder / room.RECORD)["sources"][name]["files"]
        print(json.dumps({key: {"path": str(path)} | recorded[key] for key, path in paths.items()}, indent=2))
    else:
        print("\n".join(str(path) for path in paths.values()))


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
