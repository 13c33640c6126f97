"""Damage to text: to lines and fields of tables, and to settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

__all__ = ["TOKENS", "text_file", "toml_file"]

TOKENS = (
    *("", " ", "nan", "inf", "-inf", "1e400", "1e39", "-1", "0", "-0.0", "1_000", "0x10", "1,5", "99999999999"),
    *("4294967296", "9223372036854775808", "9" * 5000, "1e308", "na", "-666", "True", "null", "landmark", "target"),
    *("\0", "\x1b[31m", "\u202e", "\u2028", "\x85", "\r", "\n", "\t", '"', "'", "\\", "=cmd|' /C calc'!A0"),
    *(
        "../../victim",
        "/etc/passwd",
        "A" * 70_000,
        "é",
        "\ufeff",
        "#1.3",
        "values",
        "__index_level_0__",
        "ENSG00000141510",
    ),
)


def text_file(path: Path, rng: Random) -> str:
    """Damage lines and fields."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    mark = "," if ".csv" in path.name else "\t"
    rows = [line.split(mark) for line in text.split("\n")]
    change = rng.choice(_TEXT)
    rows = change(rows, rng)
    end = rng.choice(("\n",) * 12 + ("\r\n", "\r", "\n\n"))
    path.write_bytes(end.join(mark.join(row) for row in rows).encode("utf-8", "surrogateescape"))
    return change.__name__.strip("_") if end == "\n" else f"{change.__name__.strip('_')}, ends {end!r}"


Rows = list[list[str]]


def _place(rows: Rows, rng: Random) -> tuple[int, int]:
    line = rng.randrange(min(4, len(rows))) if rng.random() < 0.5 else rng.randrange(len(rows))  # heads matter most
    return line, rng.randrange(len(rows[line]))


def _replace_field(rows: Rows, rng: Random) -> Rows:
    line, at = _place(rows, rng)
    rows[line][at] = rng.choice(TOKENS)
    return rows


def _extend_field(rows: Rows, rng: Random) -> Rows:
    line, at = _place(rows, rng)
    field, where = rows[line][at], rng.randrange(len(rows[line][at]) + 1)
    rows[line][at] = field[:where] + rng.choice(TOKENS) + field[where:]
    return rows


def _number(rows: Rows, rng: Random) -> Rows:
    line, at = _place(rows, rng)
    rows[line][at] = re.sub(
        r"\d+", lambda match: str(int(match[0][:15]) * rng.choice((0, -1, 2, 10**9))), rows[line][at]
    )
    return rows


def _drop_field(rows: Rows, rng: Random) -> Rows:
    line, at = _place(rows, rng)
    del rows[line][at]
    return rows


def _add_field(rows: Rows, rng: Random) -> Rows:
    line, at = _place(rows, rng)
    rows[line][at:at] = [rng.choice(TOKENS)] * rng.choice((1, 1, 2, 1000))
    return rows


def _copy_field(rows: Rows, rng: Random) -> Rows:
    (line, at), (other, there) = _place(rows, rng), _place(rows, rng)
    rows[line][at], rows[other][there] = rows[other][there], rng.choice((rows[line][at], rows[other][there]))
    return rows


def _drop_column(rows: Rows, rng: Random) -> Rows:
    at = _place(rows, rng)[1]
    return [row[:at] + row[at + 1 :] for row in rows]


def _fill_column(rows: Rows, rng: Random) -> Rows:
    at, token = _place(rows, rng)[1], rng.choice(TOKENS)
    return [[*row[:at], token, *row[at + 1 :]] if len(row) > at and line else row for line, row in enumerate(rows)]


def _swap_lines(rows: Rows, rng: Random) -> Rows:
    first, second = _place(rows, rng)[0], _place(rows, rng)[0]
    rows[first], rows[second] = rows[second], rows[first]
    return rows


def _drop_line(rows: Rows, rng: Random) -> Rows:
    del rows[_place(rows, rng)[0]]
    return rows or [[""]]


def _repeat_line(rows: Rows, rng: Random) -> Rows:
    line = _place(rows, rng)[0]
    return rows[:line] + [list(rows[line]) for _ in range(rng.choice((1, 2, 300)))] + rows[line:]


_TEXT: tuple[Callable[[Rows, Random], Rows], ...] = (
    *(_replace_field, _replace_field, _extend_field, _number, _drop_field, _add_field),
    *(_copy_field, _drop_column, _fill_column, _swap_lines, _drop_line, _repeat_line),
)


def toml_file(path: Path, rng: Random) -> str:
    """Give a setting a strange value or name, or damage the text."""
    if rng.random() < 0.3:
        return text_file(path, rng)
    lines = path.read_text("utf-8").split("\n")
    at = rng.randrange(len(lines))
    name, _, value = lines[at].partition("=")
    name = rng.choice((name, name, *_TOML_NAMES))
    value = rng.choice((value, *_TOML_VALUES))
    lines[at] = rng.choice((f"{name.strip() or 'x'} = {value}",) * 4 + (f"[{name}]", f"[[{name}]]"))
    path.write_text("\n".join(lines), "utf-8")
    return "a TOML line"


_TOML_NAMES = (
    *("hidden", "dropout", "epochs", "batch_size", "learning_rate", "rate_scale", "rate_decay", "min_rate", "momentum"),
    *("patience", "seed", "device", "shard", "placement", "precision", "target_parts", "partition", "monitor_samples"),
    *(
        "alpha",
        "tol",
        "n_neighbors",
        "standardize",
        "weights",
        "ridge",
        '""',
        "a.b.c",
        '"\\u001b[31m"',
        "data",
        "output",
    ),
)
_TOML_VALUES = (
    *("-1", "0", "1e400", "nan", "inf", "true", '""', '"x"', '"\\u001b[2J"', "[]", "[[1]]", "[1.5]", '["a"]', "{}"),
    *("-inf", '"cpu"', '"cuda:99999999999999999999"', "0.5", "1", "1e-320", "9223372036854775808", "0xffffffffff"),
    *("{a = 1}", "1979-05-27", "07:32:00", "9" * 5000, "[" * 5000 + "]" * 5000, "0x" + "f" * 5000, "1_000_000_000_000"),
)
