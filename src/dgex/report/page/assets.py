"""Style and behaviour of a report page, kept inline so that a page is one file that asks nothing of the network."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["SCRIPT", "STYLE"]

_STATIC = files("dgex.report.page") / "static"
_SCRIPTS = ("common.js", "contents.js", "hover.js", "cards.js", "tables.js", "scatter.js")

STYLE = (_STATIC / "page.css").read_text("utf-8")
# One function around all scripts: what one defines the next can use, and the page's own names stay clean.
SCRIPT = '"use strict";\n(() => {\n' + "\n".join((_STATIC / name).read_text("utf-8") for name in _SCRIPTS) + "})();\n"
