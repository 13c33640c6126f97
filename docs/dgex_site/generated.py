"""Pages that are made when a build begins: commands, public names, and documents that lie outside `docs/`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from dgex_site.commands import commands_page
from dgex_site.links import OUTSIDE, relinked
from dgex_site.names import name_pages, names_page

__all__ = ["FOLDER", "pages", "setup"]

FOLDER = "generated"  # below docs/, ignored by git


def pages(docs: Path) -> dict[str, str]:
    """Give all such pages: path below `docs/generated` to text."""
    import dgex
    from dgex.cli.app import app as command_line

    made = {"commands.md": commands_page(command_line), "python.md": names_page(dgex)}
    made |= {f"api/{name}.rst": text for name, text in name_pages(dgex).items()}
    for source, page in OUTSIDE.items():
        path = docs.parent / source
        target = docs / page
        made[os.path.relpath(target, docs / FOLDER)] = relinked(path.read_text("utf-8"), path, target, docs)
    return made


def _write(app: Any) -> None:
    docs = Path(app.srcdir)
    folder = docs / FOLDER
    made = pages(docs)
    for old in folder.rglob("*.*"):
        if old.is_file() and str(old.relative_to(folder)) not in made:
            old.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:  # a page that stays is not built again
            path.write_text(text, "utf-8")


def _initials(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """An author's initial at the beginning of a line is no number of a list."""
    lines[:] = [re.sub(r"^(\s*[A-Z])\. ", r"\1\\. ", line) for line in lines]


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    app.connect("autodoc-process-docstring", _initials, priority=400)  # before napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
