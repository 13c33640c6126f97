"""Known files in a folder, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from dgex.aliases import PathLike
from dgex.errors import FileError, first

__all__ = ["find_files"]


def find_files(where: Mapping[str, PathLike] | PathLike, patterns: Mapping[str, str]) -> dict[str, Path]:
    """Find one file for each pattern.

    Parameters
    ----------
    where : path, or mapping with paths as values
        A folder, or the files themselves under any keys.
    patterns : dict
        Name of a file in the result to its pattern (as in a shell, any case); several are separated by `|`, and the
        first that a file has wins.

    Returns
    -------
    dict of name to Path

    Raises
    ------
    FileError
        No such folder; in one line all files that are missing, and what is there; or several of one pattern.
    """
    if isinstance(where, Mapping):
        paths, place = sorted(Path(path) for path in where.values()), "the files given"
    else:
        folder, place = Path(where), os.fspath(where)
        if not folder.is_dir():
            raise FileError(f"no folder of downloaded files at {folder}")
        paths = sorted(folder.iterdir())
    found, missing = {}, []
    for name, several in patterns.items():
        for pattern in several.split("|"):
            fitting = [path for path in paths if fnmatch(path.name.lower(), pattern.lower()) and path.exists()]
            if len(fitting) > 1:
                raise FileError(f"{place}: {first(p.name for p in fitting)} are all {pattern}", accepted="one of them")
            if fitting:
                found[name] = fitting[0]
                break
        else:
            missing.append(several.replace("|", " or "))
    if missing:
        there = first([path.name for path in paths], 12) or "nothing"
        packed = [path.name for path in paths if path.name.endswith(".gctx.gz")]
        hint = f"; GCTX files must be decompressed first: {first(packed, 3)}" if packed else ""
        raise FileError(
            f"{place} lacks {len(missing)} of {len(patterns)} files: {', '.join(missing)}; found {there}{hint}"
        )
    return found
