"""Models shared over the Hugging Face Hub: push and pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgex.cli.arguments import there
from dgex.cli.data import Overwrite

__all__ = ["pull", "push"]


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Made where it does not exist.")],
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", "--license", metavar="SPDX", help="Of the model, such as cc-by-4.0; the card's unless told."
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only its owners see.")] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Made where it does not exist; main unless told.")
    ] = None,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Let names and studies of the training profiles go along.")
    ] = False,
) -> None:
    """Share a model folder over the Hugging Face Hub, in one commit, without paths and user names.

    You are who `hf auth login`, or the variable HF_TOKEN, says. Prints the address of the commit.

    Example: `dgex push models/auto my-lab/blood-auto --licence cc-by-4.0`
    """
    there(folder)
    from dgex.hub.push import push as run

    print(
        run(
            folder,
            repo,
            licence=licence,
            private=private,
            message=message,
            revision=revision,
            with_names=with_names,
        )
    )


def pull(
    repo: Annotated[
        str, typer.Argument(metavar="OWNER/NAME[@REV]", help="Revision: a branch, a tag or a commit; main unless told.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The model folder to make.")],
    overwrite: Overwrite = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: take what was fetched before.")] = False,
) -> None:
    """Fetch a shared model from the Hugging Face Hub: checked, nothing that can run code, its commit recorded.

    Example: `dgex pull my-lab/blood-auto@v1 models/blood` and `dgex infer panel.gctx models/blood full.gctx`
    """
    from dgex.hub.pull import pull as run

    print(run(repo, folder, overwrite=overwrite, offline=offline))
