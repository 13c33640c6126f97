"""SVG figures made fit to stand inside an HTML page: own ids, the page's colours, no scripts, no outside links."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from dgex.errors import DataError
from dgex.report.style import INK, MUTED, PALETTE, PAPER

__all__ = ["embed"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HREF = f"{{{_XLINK}}}href"
_DROP = {"script", "metadata", "foreignObject", "title", "desc"}
# The neutral colours take the page's own, and the blue, which is too dark for a dark page, the page's blue.
_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", PAPER: "none", PALETTE[0]: "var(--blue)"}


def embed(svg: str, prefix: str, title: str) -> str:
    """Turn an SVG document into an `<svg>` element for an HTML page.

    Parameters
    ----------
    svg
        The document, as `dgex.report.figures.evaluation.to_svg` makes it (any other SVG works too).
    prefix
        Put before every id and every reference to one, so that several figures stand in one page.
    title
        What the figure shows, for screen readers.

    Raises
    ------
    DataError
        If `svg` is not a well-formed SVG document.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise DataError(f"a figure is no well-formed SVG: {error}") from error
    if _local(root.tag) != "svg":
        raise DataError(f"a figure is no SVG: found <{_local(root.tag)}> as its outermost element")
    _clean(root, prefix)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, prefix: str) -> None:
    for child in list(element):
        if not isinstance(child.tag, str) or _local(child.tag) in _DROP:
            element.remove(child)
        else:
            _clean(child, prefix)
    for name, value in list(element.attrib.items()):
        if _local(name).lower().startswith("on"):
            del element.attrib[name]
        elif name == "id":
            element.set(name, prefix + value)
        elif _local(name) == "href":
            if value.startswith("#"):
                element.set(name, f"#{prefix}{value[1:]}")
            elif not value.startswith("data:image/"):
                del element.attrib[name]
        else:
            element.set(name, _rewritten(value, prefix))
    # CSS of one figure would reach every other: matplotlib writes one harmless rule, other sources may not.
    if _local(element.tag) == "style":
        element.text = ""


def _rewritten(value: str, prefix: str) -> str:
    value = re.sub(r"url\(\s*['\"]?#([^)'\"]+)['\"]?\s*\)", rf"url(#{prefix}\1)", value)
    value = re.sub(r"url\(\s*['\"]?(?!#)[^)]*\)", "none", value)
    for colour, own in _COLOURS.items():
        value = re.sub(colour, own, value, flags=re.IGNORECASE)
    return value


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]
