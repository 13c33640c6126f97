"""Pictures of `docs/pictures` stand in the page itself: they take its colours, light or dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

__all__ = ["setup"]


class _Inlined(SphinxTransform):
    default_priority = 400  # before images are collected

    def apply(self, **_: Any) -> None:
        for node in list(self.document.findall(nodes.image)):
            path = Path(self.app.srcdir, self.env.docname).parent / node["uri"]
            if path.suffix == ".svg" and path.parent.name == "pictures":
                self.env.note_dependency(str(path.resolve()))
                node.replace_self(nodes.raw("", path.read_text("utf-8"), format="html"))


def setup(app: Any) -> dict[str, Any]:
    app.add_transform(_Inlined)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
