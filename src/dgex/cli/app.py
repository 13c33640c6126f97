"""The command line: parse, call the library, print. No science here."""

from __future__ import annotations

import os
import re
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from dgex._version import __version__
from dgex.cli import data, download, explain, models, panels, serve, study, train
from dgex.cli.arguments import GeneTables, GridAxes
from dgex.errors import printable

__all__ = ["app", "run"]

EPILOG = "Results go to stdout, progress and notes to stderr. Every command has --help with an example."

app = typer.Typer(
    name="dgex",
    help="Infer the expression of genes nobody measured from about a thousand landmark genes that were.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_called: list[str] = []  # the command that runs


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
) -> None:
    from dgex import limits, progress

    if max_memory is not None:
        os.environ[limits.MEMORY] = max_memory
        limits.max_memory()  # refused here, whatever the command reads

    _called[:] = [context.invoked_subcommand or ""]
    progress.enable(not quiet and progress.speaks(), in_words=with_flags)


app.command("info", cls=GeneTables)(data.info)
app.command("convert")(data.convert)
app.command("simulate")(data.simulate)
app.command("download")(download.download)
app.command("prepare", cls=GeneTables)(data.prepare)
app.command("select-landmarks")(panels.select_landmarks)
app.command("train", cls=GridAxes)(train.train)
app.command("convert-weights")(models.convert_weights)
app.command("calibrate")(models.calibrate)
app.command("evaluate")(models.evaluate)
app.command("infer")(models.infer)
app.command("adapt")(models.adapt)
app.command("interpret")(models.interpret)
app.command("explain")(explain.explain)
app.command("serve")(serve.serve)
app.command("demo")(study.demo)
app.command("reproduce")(study.reproduce)


def run() -> None:
    """Run a command; an error the user can mend becomes one line on stderr and exit code 1."""
    from dgex.errors import DgexError

    signal.signal(signal.SIGTERM, _ended)
    try:
        app()
    except DgexError as error:
        _fail(with_flags(str(error)))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
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
    known: Any = typer.main.get_command(app)
    command = known.commands.get(_called[0]) if _called else None
    options = {flag for parameter in getattr(command, "params", ()) for flag in parameter.opts}

    def both(match: re.Match[str]) -> str:
        flag, value = "--" + match[1].replace("_", "-"), match[2].strip("'(),").replace(" ", "")
        if flag not in options:
            return match[0]
        return f"{match[0]} ({flag})" if value == "True" else f"{match[0]} ({flag} {value})"

    return re.sub(r"\b([a-z][a-z0-9_]*)=(True|'[\w-]+'|[A-Z]+\b|\([\d, ]+\)|\d+)(?! \()", both, text)


def _fail(message: str) -> None:
    print("error: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(1)
