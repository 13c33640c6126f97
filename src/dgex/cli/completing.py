"""Completion in shells: the script of each, and the words that may stand where no file does."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

__all__ = [
    "PROGRAM",
    "InstallCompletion",
    "ShowCompletion",
    "begin",
    "data_sets",
    "file_formats",
    "methods",
    "shared_names",
]

PROGRAM = "dgex"
Shell = Literal["bash", "zsh", "fish", "powershell", "pwsh"]


def begin() -> None:
    """Where a shell asks for words, speak as typer's scripts of the shells expect it."""
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()


def _show(context: typer.Context, parameter: typer.CallbackParam, shell: str | None) -> None:
    if shell and not context.resilient_parsing:
        from typer.completion import show_callback

        show_callback(context, parameter, shell)


def _install(context: typer.Context, parameter: typer.CallbackParam, shell: str | None) -> None:
    if shell and not context.resilient_parsing:
        from typer.completion import install_callback

        install_callback(context, parameter, shell)


ShowCompletion = Annotated[
    Shell | None, typer.Option(callback=_show, is_eager=True, help="Print the script that completes words in a shell.")
]
InstallCompletion = Annotated[
    Shell | None, typer.Option(callback=_install, is_eager=True, help="Have a shell complete words from now on.")
]


def methods(incomplete: str) -> list[str]:
    """Methods, those of other packages too."""
    from dgex.models.catalogue import methods as known

    return [name for name in known() if name.startswith(incomplete)]


def data_sets(incomplete: str) -> list[str]:
    """Data sets of the package, and what lists models."""
    from dgex.datasets.public.sources import MODELS, sources

    return [name for name in (*sources(), MODELS) if name.startswith(incomplete)]


def shared_names(context: typer.Context, incomplete: str) -> list[str]:
    """Models of the list, after `dgex download models`; a folder anywhere else."""
    from dgex.datasets.public.sources import MODELS
    from dgex.shared.registry import shared_models

    if context.params.get("name") != MODELS:
        return []
    return [name for name in shared_models() if name.startswith(incomplete)]


def file_formats(incomplete: str) -> list[str]:
    """Formats of matrices."""
    from dgex.io.registry import formats

    return [name for name in formats() if name.startswith(incomplete)]
