"""The command line: parse, call the library, print. No science here."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from dgex._version import __version__
from dgex.cli import data, download, explain, hub, infer, models, panels, seal, serve, study, train
from dgex.cli.arguments import GeneTables, GridAxes, place
from dgex.cli.completing import PROGRAM, InstallCompletion, ShowCompletion, begin
from dgex.errors import printable

__all__ = ["app", "run"]

EPILOG = "Results go to stdout, progress and notes to stderr. Every command has --help with an example."

app = typer.Typer(
    name="dgex",
    help="Infer the expression of genes nobody measured from about a thousand landmark genes that were.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,  # its two options guess the shell; ours are told which
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_called: list[str] = []  # the command that runs
_known: list[Any] = []  # all commands, as typer made them for this call


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dgex {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress on stderr.")] = False,
    max_memory: Annotated[
        str | None, typer.Option(help="Read files that ask for more memory than their size allows, up to this: 16G.")
    ] = None,
    show_completion: ShowCompletion = None,
    install_completion: InstallCompletion = None,
) -> None:
    from dgex import limits, progress, settings

    if max_memory is not None:
        os.environ[limits.MEMORY] = max_memory
        limits.max_memory()  # refused here, whatever the command reads

    _called[:] = [context.invoked_subcommand or ""]
    _known[:] = [context.command]
    settings.verbosity = "warning" if quiet else None
    progress.enable(not quiet and progress.speaks(), in_words=with_flags)


def _command(function: Callable[..., None], name: str, **options: Any) -> None:
    """Add a command, all of whose paths may be URLs: a path would lose one of the two slashes."""
    hints = get_type_hints(function, include_extras=True)
    for hint in hints.values():
        kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        parts = [kind, *get_args(kind)]
        if Path in [*parts, *(inner for part in parts for inner in get_args(part))]:
            for parameter in notes:
                parameter.parser = place
    function.__annotations__ = hints
    app.command(name, **options)(function)


_command(data.info, "info", cls=GeneTables)
_command(data.convert, "convert")
_command(data.simulate, "simulate")
_command(download.download, "download")
_command(data.prepare, "prepare", cls=GeneTables)
_command(panels.select_landmarks, "select-landmarks")
_command(train.train, "train", cls=GridAxes)
_command(models.convert_weights, "convert-weights")
_command(models.calibrate, "calibrate")
_command(models.evaluate, "evaluate")
_command(infer.infer, "infer")
_command(seal.seal, "seal")
_command(models.adapt, "adapt")
_command(models.interpret, "interpret")
_command(explain.explain, "explain")
_command(hub.push, "push")
_command(hub.pull, "pull")
_command(serve.serve, "serve")
_command(study.example, "example")
_command(study.demo, "demo")
_command(study.reproduce, "reproduce")


def run() -> None:
    """Run a command; an error the user can mend becomes one line on stderr and exit code 1."""
    from dgex.errors import DgexError

    signal.signal(signal.SIGTERM, _ended)
    begin()
    try:
        app(prog_name=PROGRAM)
    except DgexError as error:
        _fail(with_flags(str(error)))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        from dgex.models.torchless import torch_missing

        _fail(torch_missing(error))
    except MemoryError as error:
        _fail(f"out of memory ({error}); fewer profiles or genes, or a smaller --block, would fit")
    except BrokenPipeError:
        sys.stderr.close()  # the reader of stdout went away (dgex info … | head)
        sys.exit(0)
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))


def _ended(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: what is half-written is removed on the way out."""
    print("terminated", file=sys.stderr)
    raise SystemExit(128 + number)


def with_flags(text: str) -> str:
    """Tell beside every Python argument in a message, `resume=True`, the flag that does the same."""

    def both(match: re.Match[str]) -> str:
        flag, value = "--" + match[1].replace("_", "-"), match[2].strip("'(),").replace(" ", "")
        if flag not in _options(_called[0] if _called else ""):
            return match[0]
        return f"{match[0]} ({flag})" if value == "True" else f"{match[0]} ({flag} {value})"

    return re.sub(r"\b([a-z][a-z0-9_]*)=(True|'[\w-]+'|[A-Z]+\b|\([\d, ]+\)|\d+)(?! \()", both, text)


@cache
def _options(name: str) -> frozenset[str]:
    """Flags of a command; typer takes some .05 s to make them all anew, which no line should cost."""
    commands: Any = _known[0] if _known else typer.main.get_command(app)
    return frozenset(flag for option in getattr(commands.commands.get(name), "params", ()) for flag in option.opts)


def _fail(message: str) -> None:
    print("error: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(1)
