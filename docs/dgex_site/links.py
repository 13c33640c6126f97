"""Links that work on GitHub made to work on the site: what lies outside `docs/`, and pages of HTML."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

__all__ = ["LINK", "OUTSIDE", "relinked", "setup"]

_log = logging.getLogger(__name__)

LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(\))")

# Documents outside docs/ that the site holds too: where they lie to their page.
OUTSIDE = {
    "CHANGELOG.md": "generated/changelog.md",
    "CONTRIBUTING.md": "generated/contributing.md",
    "SECURITY.md": "generated/security.md",
    "benchmarks/README.md": "generated/benchmarks.md",
    "src/dgex/training/README.md": "generated/inside-training.md",
}


def relinked(text: str, source: Path, page: Path, docs: Path) -> str:
    """Let the relative links of `source` hold on `page`."""
    moved = {(docs.parent / each).resolve(): docs / target for each, target in OUTSIDE.items()}

    def link(match: re.Match[str]) -> str:
        target = (source.parent / match[2]).resolve()
        there = moved.get(target, target)
        return match[1] + Path(os.path.relpath(there, page.parent)).as_posix() + (match[3] or "") + match[4]

    return LINK.sub(link, text)


def _others(docs: Path, index: str) -> str:
    """Pages below docs/ that no table of contents names yet, so that a new one is found."""
    named = {line.strip() for line in index.splitlines()}
    pages = sorted(page.stem for page in docs.glob("*.md"))
    return "\n".join(page for page in pages if page not in {*named, "index"})


def _read(app: Any, name: str, content: list[str]) -> None:
    path = Path(app.env.doc2path(name))
    if name == "index":
        content[0] = content[0].replace("(others)", _others(Path(app.srcdir), content[0]))
    if path.suffix == ".md" and path.parent.name != "generated":
        content[0] = relinked(content[0], path, path, Path(app.srcdir))


class _Opened(SphinxTransform):
    """A link to a page of HTML below docs/ opens it, where Sphinx would have it saved."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        for node in list(self.document.findall(addnodes.download_reference)):
            target = node.get("reftarget", "")
            if target.endswith(".html"):
                name = os.path.relpath(Path(self.app.srcdir, self.env.docname).parent / target, self.app.srcdir)
                name = target.lstrip("/") if target.startswith("/") else name
                here = self.app.builder.get_target_uri(self.env.docname)
                reference = nodes.reference("", "", refuri=os.path.relpath(name, os.path.dirname(here) or "."))
                reference += node.children
                node.replace_self(reference)


def _finish(app: Any, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    shutil.copytree(Path(app.srcdir, "study"), Path(app.outdir, "study"), dirs_exist_ok=True)
    for page in Path(app.outdir).rglob("*.html"):
        for asked in re.findall(
            r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"', page.read_text("utf-8")
        ):
            _log.warning("%s loads from elsewhere: %s", page.name, asked)


def setup(app: Any) -> dict[str, Any]:
    app.connect("source-read", _read)
    app.add_transform(_Opened)
    app.connect("build-finished", _finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
