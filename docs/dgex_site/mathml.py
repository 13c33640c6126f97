"""Equations as MathML, made while the site is built: browsers draw it without a script, screen readers speak it."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

__all__ = ["setup"]

_log = logging.getLogger(__name__)


def _written(node: nodes.Element, display: str) -> str:
    text = node.astext()
    try:
        made = str(convert(text, display=display))
    except Exception as error:  # the converter has no common base of errors
        _log.warning("%s is no equation: %r", text, error, location=node)
        return f"<code>{html.escape(text)}</code>"
    made = re.sub(r"<mo[^>]*>(&#x0(?:2016|007C);)</mo>", r'<mo stretchy="false">\1</mo>', made)  # bars as high as text
    if "\\" in made:  # it lets pass what it does not know
        _log.warning("%s has a command that MathML cannot be made of", text, location=node)
    return made


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_written(node, "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math-block" tabindex="0">{_written(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.config.html_math_renderer = "mathml"
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
