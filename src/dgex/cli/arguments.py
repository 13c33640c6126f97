"""What the commands share: parsing of lists, settings files, and options that take several words."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from dgex.errors import printable

__all__ = [
    "GeneTables",
    "GridAxes",
    "assignments",
    "axes",
    "floats",
    "fractions",
    "merge_settings",
    "names",
    "numbers",
    "place",
    "show",
    "there",
    "words",
]


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


class GridAxes(TyperCommand):
    """A command whose `--grid` also takes several axes at once: `--grid hidden=3000,6000 layers=1,2`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        inside = False  # after a --grid and its axes, where a further axis may follow
        for at, word in enumerate(args):
            value = at > 0 and args[at - 1] == "--grid"
            if inside and not value and re.fullmatch(r"[a-z][a-z_-]*=[^/]*", word) and not Path(word).exists():
                spread.append("--grid")
                value = True
            inside = value or word == "--grid"
            spread.append(word)
        return super().parse_args(ctx, spread)


def place(text: str) -> Any:
    """A path or a URL; text where it is `NAME=` and one of these."""
    from dgex.remote.addresses import is_address
    from dgex.remote.places import located

    return located(text) if is_address(text) or "://" not in text else text


def there(*paths: Path) -> None:
    """Refuse inputs that do not exist, before anything that takes seconds to load."""
    for path in paths:
        if not path.exists():
            from dgex.places import absent

            raise absent(path)


def axes(texts: list[str], kind: str) -> dict[str, list[Any]]:
    """Read the axes of a grid of the method `kind`, `NAME=VALUE,VALUE` each.

    Values of settings that are words stay words; where a setting is chosen unless told, they may be anything.
    """
    from dgex.models.catalogue import defaults

    usual = defaults(kind)
    read: dict[str, list[Any]] = {}
    for text in texts:
        name, values = _named(text, "--grid", "NAME=VALUE,VALUE such as layers=1,2")
        if name in read:
            raise typer.BadParameter(f"found the axis {name} twice, accepted once", param_hint="--grid")
        read[name] = [_axis_value(word, text, usual.get(name, 0)) for word in words(values)]
    return read


def _axis_value(word: str, text: str, usual: Any) -> Any:
    """A value of an axis, of the kind of the setting's default."""
    if isinstance(usual, str):
        return word
    return _value(word) if usual is None or isinstance(usual, bool) else _number(word, text)


def assignments(texts: list[str]) -> dict[str, Any]:
    """Read settings given as `NAME=VALUE`: numbers, True, False and None, lists at commas; all else is text."""
    read: dict[str, Any] = {}
    for text in texts:
        name, value = _named(text, "--set", "NAME=VALUE such as tol=1e-5")
        parts = [_value(word) for word in words(value)]
        read[name] = parts[0] if len(parts) == 1 and not value.rstrip().endswith(",") else tuple(parts)
    return read


def _named(text: str, option: str, accepted: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not words(value):
        raise typer.BadParameter(f"found {text!r}, accepted {accepted}", param_hint=option)
    return name.strip().replace("-", "_"), value


def _value(word: str) -> Any:
    constants = {"true": True, "false": False, "none": None}
    if word.lower() in constants:
        return constants[word.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(word)
    return word


def _number(word: str, text: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    raise typer.BadParameter(f"found {word!r} in {text!r}, accepted numbers", param_hint="--grid")


def words(text: str) -> list[str]:
    """Split a list at commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def names(text: str | None) -> list[str] | Path | None:
    """A list at commas, or the file that holds it."""
    from dgex.remote.places import located

    if text is None or located(text).is_file():
        return None if text is None else located(text)
    return words(text)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas."""
    try:
        return tuple(int(word) for word in words(text))
    except ValueError:
        raise typer.BadParameter(
            f"found {text!r}, accepted whole numbers such as 3000,3000", param_hint=option
        ) from None


def floats(text: str, option: str) -> tuple[float, ...]:
    """Read numbers separated by commas."""
    try:
        return tuple(float(word) for word in words(text))
    except ValueError:
        raise typer.BadParameter(f"found {text!r}, accepted numbers such as 0,.1,.25", param_hint=option) from None


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


def merge_settings(
    config: Path | None, method: str | None, flags: dict[str, Any], further: dict[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """The method, and settings of a TOML file, then flags over them, then what `--set` says.

    The file holds settings at its top level, or in a table named after the method, which wins. Where no method is told
    it is that of the only such table, or the one that `dgex.models.catalogue.usual` finds.
    """
    from dgex.models.catalogue import METHODS, check_settings, usual

    told = {key: value for key, value in flags.items() if value is not None}
    settings: dict[str, Any] = {}
    if config is not None:
        from dgex.errors import FileError
        from dgex.inputs import regular

        try:
            content = tomllib.loads(regular(config).read_text("utf-8"))
        except FileNotFoundError:
            raise FileError(f"no settings at {config}: the file does not exist") from None
        except (ValueError, RecursionError, IsADirectoryError) as error:
            raise FileError(f"{config} is no TOML file: {error}") from error
        settings = {key: value for key, value in content.items() if not isinstance(value, dict)}
        tables = [key for key, value in content.items() if isinstance(value, dict) and key in METHODS]
        if method is None and len(tables) == 1:
            method = tables[0]
        table = content.get(method or "", {})
        settings |= table if isinstance(table, dict) else {}
    settings = {key.replace("-", "_"): tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    if method is None:
        method = usual([*settings, *told, *(further or {})])
    if settings:
        check_settings(method, settings)  # here, where a key cannot yet be mistaken for an argument of train
    return method, settings | told | (further or {})


def show(text: object) -> None:
    """Print a result that holds names of files of others, such as genes and profiles."""
    print(printable(str(text), keep="\n"))
