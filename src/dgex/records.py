"""JSON that dgex wrote and reads back, from wherever it has been since."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from dgex.aliases import PathLike
from dgex.errors import FileError
from dgex.inputs import regular
from dgex.limits import allowed, refuse

__all__ = ["parse_json", "read_json"]

_DEPTH = 64


def read_json(path: PathLike, limit: int | None = None, *, finite: bool = False) -> Any:
    """Read a JSON file; whatever is wrong with it is one line.

    Parameters
    ----------
    path : path
    limit : int, optional
        Most bytes it may have; 64 MiB unless told.
    finite : bool
        Refuse NaN and infinity, which JSON does not know but Python writes.

    Raises
    ------
    FileError
        Missing, a pipe, too large, no JSON, nested too deeply, with a number of thousands of digits or half a
        character.

    Examples
    --------
    >>> _ = Path("deep.json").write_text("[" * 100_000)
    >>> read_json("deep.json")
    Traceback (most recent call last):
    dgex.errors.FileError: deep.json is damaged: values nested over 64 deep
    """
    target, most = regular(path), allowed("record") if limit is None else limit
    try:
        if target.stat().st_size > most:
            raise refuse(target, "is a description", target.stat().st_size, most)
        text = target.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{target} is damaged: {error.reason} at byte {error.start:,}, accepted UTF-8") from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot read {target}: {error.strerror or error}") from error
    return parse_json(text, target, finite=finite)


def parse_json(text: str, where: Path | str, *, finite: bool = False) -> Any:
    """Parse JSON text; errors call it `where`.

    Raises
    ------
    FileError
    """

    def unknown(name: str) -> Any:
        if finite:
            raise ValueError(f"{name} is no number")
        return float(name)

    try:
        value = json.loads(text, parse_constant=unknown)
        _check(value, finite)
    except RecursionError:
        _damaged(where, f"values nested over {_DEPTH} deep")
    except ValueError as error:  # no JSON, or a number of over 4,300 digits
        said = str(error).split(";")[0]
        _damaged(where, said)
    return value


def _check(value: Any, finite: bool) -> None:
    """Refuse what Python's parser lets through and nothing after it can use."""
    level = [value]
    for _ in range(_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, str):
                if not item.isascii():
                    _encodable(item)
            elif finite and isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"{item} is no finite number")
        if not inner:
            return
        level = inner
    raise RecursionError


def _encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"half a character (U+{ord(text[error.start]):04X}) in {text[:20]!r}") from error


def _damaged(where: Path | str, said: str) -> NoReturn:
    raise FileError(f"{where} is damaged: {said[:200]}") from None
