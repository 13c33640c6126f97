"""The command reference, made of the command line itself: nothing to keep in step."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer

__all__ = ["commands_page"]

INTRODUCTION = """# Commands

Made from the command line itself; `dgex COMMAND --help` says the same. Results go to stdout, progress and notes to
stderr. Exit code 0 is success, 1 a failure that you can mend (one line says how), 2 wrong usage.
"""

KINDS = {
    "str": "text",
    "path": "path",
    "list[Path]": "path",
    "int": "number",
    "float": "number",
    "int range": "number",
    "float range": "number",
}


def commands_page(app: typer.Typer) -> str:
    """Give the page in Markdown: options of all commands, then each command with arguments and options."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="dgex")
    pieces = [INTRODUCTION, "## dgex\n", "```\ndgex [OPTIONS] COMMAND [ARGS]...\n```\n"]
    pieces.append(_table("Option", _records(group, context, "option")))
    for name, command in group.commands.items():
        if not command.hidden:
            pieces += _command(name, command)
    return "\n".join(pieces) + "\n"


def _command(name: str, command: Any) -> list[str]:
    context = command.context_class(command, info_name=f"dgex {name}")
    usage = re.sub(r"\{(.*?)\}(\.\.\.)?", r"\1", " ".join(command.collect_usage_pieces(context)))
    text, examples = _parted(inspect.cleandoc(command.help or ""))
    pieces = [f"## dgex {name}\n", text + "\n", f"```\ndgex {name} {usage}\n```\n"]
    for kind in ("argument", "option"):
        records = _records(command, context, kind)
        if records:
            pieces.append(_table(kind.capitalize(), records))
    if examples:
        pieces.append("```\n" + "\n".join(examples) + "\n```\n")
    return pieces


def _records(command: Any, context: Any, kind: str) -> list[tuple[str, str]]:
    shown = [each for each in command.params if each.param_type_name == kind]
    return [record for each in shown if (record := each.get_help_record(context))]


def _table(title: str, records: list[tuple[str, str]]) -> str:
    rows = [f"| {title} | Meaning |", "|---|---|"]
    for names, meaning in records:
        flags, _, kind = names.partition(" <")
        kind = "" if title == "Argument" else kind.removesuffix(">")  # a metavar names it already
        kind = " " + KINDS.get(kind, kind) if kind else ""
        meaning = re.sub(r"  (\[[^]]*\])$", r" `\1`", meaning)  # the default
        rows.append(f"| `{_cell(flags)}`{_cell(kind.replace('|', ' | '))} | {_cell(meaning)} |")
    return "\n".join(rows) + "\n"


def _parted(text: str) -> tuple[str, list[str]]:
    """Take the paragraph of examples out of a help text."""
    examples: list[str] = []
    rest = []
    for paragraph in text.replace("\b", "").split("\n\n"):
        if paragraph.startswith("Example"):
            examples += [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", paragraph)]
        else:
            rest.append(paragraph)
    return "\n\n".join(rest), examples


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
