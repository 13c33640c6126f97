"""Zip archives, such as workbooks, that would unpack to more than a file of their size may ask for."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dgex.limits import LIMITS, allowed, on_disk, refuse

__all__ = ["refuse_bomb"]


def refuse_bomb(path: Path) -> None:
    """Refuse an archive before anything of it is unpacked, by the sizes that its directory tells.

    Python reads no more of a file than told there. What is no zip archive passes, for whoever opens it to say so.

    Raises
    ------
    FileError
        Its files unpack to more than `dgex.limits` allow, or there are too many.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [item.file_size for item in archive.infolist()]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return
    if len(sizes) > LIMITS["objects"]:
        raise refuse(path, f"is an archive of {len(sizes):,} files", None, LIMITS["objects"])
    most = min(allowed("memory"), max(allowed("text"), LIMITS["array ratio"] * on_disk(path)))
    if sum(sizes) > most:
        raise refuse(path, "unpacks to contents", sum(sizes), most)
