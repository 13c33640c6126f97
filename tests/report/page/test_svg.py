from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dgex.errors import DataError
from dgex.report.page.svg import embed

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="5in" height="4in">'


def test_ids_and_every_kind_of_reference_get_the_prefix():
    svg = HEAD + (
        '<g id="a" style="clip-path: url(#b); fill: url(\'#b\')"/><clipPath id="b"/><use xlink:href="#a"/>'
        '<use href="#b"/></svg>'
    )
    text = embed(svg, "f1-", "title")
    assert {e.get("id") for e in ElementTree.fromstring(text).iter() if e.get("id")} == {"f1-a", "f1-b"}
    assert text.count("url(#f1-b)") == 2
    assert 'xlink:href="#f1-a"' in text
    assert ' href="#f1-b"' in text


def test_scripts_handlers_styles_and_outside_links_are_dropped():
    svg = HEAD + (
        '<script>x()</script><metadata>m</metadata><style>*{fill:red}</style><foreignObject/><g onclick="x()"/>'
        '<image xlink:href="https://example.org/a.png"/><a href="javascript:x()"/>'
        '<g style="fill: url(https://example.org/b.svg#c)"/><image xlink:href="data:image/png;base64,AA=="/></svg>'
    )
    text = embed(svg, "p", "t")
    for word in ("script", "onclick", "example.org", "metadata", "fill:red", "foreignObject"):
        assert word not in text
    assert "data:image/png;base64,AA==" in text


def test_neutral_colours_become_the_pages_own_and_the_size_is_free():
    text = embed(HEAD + '<g style="fill: #1B2127; stroke: #fefefe"/><g fill="#d55e00"/></svg>', "p", 'a "title" <b>')
    assert "currentColor" in text
    assert "none" in text
    assert "#d55e00" in text
    root = ElementTree.fromstring(text)
    assert root.get("width") is None
    assert (root.get("role"), root.get("aria-label")) == ("img", 'a "title" <b>')


@pytest.mark.parametrize("svg", ["", "no xml", "<html></html>", "<svg><g></svg>"])
def test_what_is_no_svg_is_refused(svg):
    with pytest.raises(DataError, match="SVG"):
        embed(svg, "p", "t")
