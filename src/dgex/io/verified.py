"""Whether a file still holds what was written: every block of it against its checksum."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import zarr

from dgex.errors import DgexError, FileError, first
from dgex.io.checks import reading
from dgex.io.checksums import Checked, check
from dgex.io.files import open
from dgex.io.gctx import open_hdf
from dgex.io.registry import recognise
from dgex.io.zarr_guard import check_zarr

__all__ = ["damaged", "told", "verify"]

_CHECKED = ("gctx", "h5ad", "zarr")
_PARTS = ("X", "raw/", "layers/", "obsm/", "obsp/", "varp/", "uns/")


def verify(path: Path, format: str | None = None) -> list[Checked]:
    """Read a file whole and compare every block of its matrices with its checksum.

    Returns
    -------
    list of Checked
        One a matrix; `blocks` is 0 of one without checksums. Empty for formats that have none.

    Raises
    ------
    FileError
        The file cannot be opened.
    """
    form = recognise(path, format)
    if form.key not in _CHECKED:
        return []
    with reading(path, form.name):
        if form.key == "zarr":
            check_zarr(path, _PARTS)
            return check(zarr.open_group(str(path), mode="r"))
        with closing(open_hdf(path)) as handle:
            return check(handle)


def damaged(path: Path, format: str | None = None) -> list[slice]:
    """Profiles, in ranges, of which something differs from its checksum; in order."""
    found = sorted((part for one in verify(path, format) for part in one.damaged), key=lambda part: part.start)
    joined: list[slice] = []
    for part in found:
        if joined and part.start <= joined[-1].stop:
            part = slice(joined[-1].start, max(joined.pop().stop, part.stop))
        joined.append(part)
    return joined


def told(path: Path, format: str | None = None) -> str:
    """What came of `verify`, in words; a file without checksums is read to its end all the same.

    Raises
    ------
    FileError
        Something differs, or cannot be read: which profiles.
    """
    checked = verify(path, format)
    bad = [one for one in checked if one.damaged]
    if bad:
        ids = _ids(path, format)
        raise FileError(f"{path} is damaged: {'; '.join(_damage(one, ids) for one in bad)}")
    kept = [one for one in checked if one.blocks]
    bare = [one.name for one in checked if not one.blocks]
    if not kept:
        with open(path, format=format, allow_missing=True, allow_repeats=True) as file:
            for _ in file.iter_blocks(1024):
                pass
        return "none in this file, so nothing to compare with; all of it can be read"
    words = ", ".join(f"{one.blocks:,} block{'s' if one.blocks > 1 else ''} of {one.name}" for one in kept)
    return f"all agree: {words}" + (f"; none of {', '.join(bare)}" if bare else "")


def _damage(one: Checked, ids: list[str]) -> str:
    ranges = []
    for part in one.damaged:
        stop = min(part.stop, len(ids)) if ids else part.stop
        named = f" ({ids[part.start]} to {ids[stop - 1]})" if part.start < stop <= len(ids) else ""
        ranges.append(f"{part.start + 1:,} to {stop:,}{named}")
    return (
        f"{one.name} differs from its checksums, or cannot be read, in profiles {first(ranges)}, found in blocks of "
        f"{one.rows:,}"
    )


def _ids(path: Path, format: str | None) -> list[str]:
    try:
        with open(path, format=format, allow_missing=True, allow_repeats=True) as file:
            return [str(name) for name in file.obs.index]
    except DgexError:  # the names may be damaged as well
        return []
