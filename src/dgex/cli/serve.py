"""The web page: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgex.cli.arguments import there

__all__ = ["serve"]


def serve(
    models: Annotated[Path, typer.Argument(metavar="MODELS", help="Folder of model folders, or one model folder.")],
    host: Annotated[str, typer.Option(help="Address to listen at; this machine alone unless told.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 8000,
    max_upload: Annotated[str, typer.Option(help="Bytes of an upload, such as 200M.")] = "200M",
) -> None:
    """Serve a web page that infers with the models of a folder, to people who do not program.

    They upload a panel, see what it is, choose a model, look genes up and download. All is removed after an hour.

    Example: `dgex serve models/ --port 8000`
    """
    there(models)
    from dgex.web.serve import serve as run

    run(models, host=host, port=port, max_upload=max_upload)
