"""What the commands share: parsing of lists, settings files and the two-file form of --genes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["GeneTables", "fractions", "merge_settings", "numbers", "words"]


class GeneTables(TyperCommand):
    """A command whose `--genes` also takes the paper's pair of tables: `--genes map_lm.txt map_tg.txt`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from dgex.gene_table import has_header

        spread: list[str] = []
        position = 0
        while position < len(args):
            spread.append(args[position])
            pair = args[position + 1 : position + 3]
            if args[position] == "--genes" and len(pair) == 2 and not any(has_header(path) for path in pair):
                spread += [pair[0], "--genes", pair[1]]
                position += 2
            position += 1
        return super().parse_args(ctx, spread)


def words(text: str) -> list[str]:
    """Split a list at commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas."""
    try:
        return tuple(int(word) for word in words(text))
    except ValueError:
        raise typer.BadParameter(
            f"found {text!r}, accepted whole numbers such as 3000,3000", param_hint=option
        ) from None


def fractions(text: str, option: str) -> tuple[float, float, float]:
    """Read three fractions separated by commas."""
    try:
        values = tuple(float(word) for word in words(text))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise typer.BadParameter(
            f"found {text!r}, accepted three fractions (train,validation,test) such as .8,.1,.1", param_hint=option
        )
    return values[0], values[1], values[2]


def merge_settings(config: Path | None, method: str, flags: dict[str, Any]) -> dict[str, Any]:
    """Settings of a TOML file, then flags over them.

    The file holds settings at its top level, or in a table named after the method, which wins.
    """
    settings: dict[str, Any] = {}
    if config is not None:
        from dgex.errors import FileError

        try:
            content = tomllib.loads(config.read_text("utf-8"))
        except FileNotFoundError:
            raise FileError(f"no settings at {config}: the file does not exist") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise FileError(f"{config} is no TOML file: {error}") from error
        settings = {key: value for key, value in content.items() if not isinstance(value, dict)}
        settings |= content.get(method, {})
    settings = {key.replace("-", "_"): tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    if settings:
        from dgex.models.fitting import check_settings

        check_settings(method, settings)  # here, where a key cannot yet be mistaken for an argument of train
    return settings | {key: value for key, value in flags.items() if value is not None}
