"""Where results of tutorials are kept between builds: as long as neither dgex nor the tutorial changes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(source: Path, build: Path) -> Path:
    """Give the cache of this state of `source`, and remove those of others.

    The cache knows a tutorial by its own text; what it runs may have changed just as well.
    """
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    folder = build / f"executed-{digest.hexdigest()[:16]}"
    for old in build.glob("executed-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder
