"""What tutorials print: kept between builds as long as neither dgex nor the tutorial changes, and put together."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

__all__ = ["cache_folder", "joined", "setup"]


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


def joined(outputs: list[Any]) -> list[Any]:
    """Put the pieces together in which a shell's words came; myst-nb ends each piece with a new line."""
    whole: list[Any] = []
    for output in outputs:
        last = whole[-1] if whole else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] += output["text"]
        else:
            whole.append(output)
    return whole


def setup(app: Any) -> dict[str, Any]:
    import myst_nb.core.render

    myst_nb.core.render.coalesce_streams = joined
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
