"""What all pages share: the frame around them, and small pieces of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from dgex._version import __version__

__all__ = [
    "begun",
    "duration",
    "facts",
    "fraction",
    "frame",
    "hidden",
    "in_plain_words",
    "numbers",
    "options",
    "path",
    "size",
    "waiting",
]

_LINKS = (("/", "Infer"), ("/help", "How to read it"), ("/models", "Models"))


def frame(title: str, body: str, *, at: str = "", poll: str = "", stamp: str = "", refresh: bool = False) -> str:
    """A whole page.

    Parameters
    ----------
    title : str
        Of the window.
    body : str
        HTML of the main part; it holds the heading of the first level.
    at : str
        Address of the entry of the navigation where this page belongs.
    poll, stamp : str
        Where a page that waits asks for its state, and the state that it shows.
    refresh : bool
        Whether it is loaded again every few seconds where there is no JavaScript.
    """
    links = "".join(
        f'<li><a href="{href}"{" aria-current=page" if href == at else ""}>{text}</a></li>' for href, text in _LINKS
    )
    again = '<noscript><meta http-equiv="refresh" content="3"></noscript>' if refresh else ""
    data = f' data-poll="{escape(poll)}" data-stamp="{escape(stamp)}"' if poll else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n{again}"
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">\n'
        '<link rel="stylesheet" href="/static/report.css">\n<link rel="stylesheet" href="/static/web.css">\n'
        '<script src="/static/web.js" defer></script>\n</head>\n<body>\n'
        '<a class="skip" href="#content">Skip to content</a>\n'
        '<div class="bar"><a class="brand" href="/"><img src="/static/icon.svg" alt="" width="28" height="28">dgex</a>'
        f'<nav aria-label="Site"><ul>{links}</ul></nav></div>\n'
        f'<main id="content" tabindex="-1"{data}>\n{body}\n</main>\n'
        '<div class="unseen" role="status" aria-live="polite" id="said"></div>\n'
        f"<footer>dgex {__version__}. Your files stay on this server and are removed after an hour. "
        '<a href="/help#privacy">What happens with them</a></footer>\n</body>\n</html>\n'
    )


def numbers(told: Iterable[tuple[str, str, str]]) -> str:
    """A row of figures, each a label, a value and a remark; those without a value are left out."""
    boxes = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}<small>{escape(remark)}</small></dd></div>"
        for label, value, remark in told
        if value
    )
    return f'<dl class="numbers">{boxes}</dl>'


def facts(told: Mapping[str, Any]) -> str:
    """Names and values below each other; those without a value are left out."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in told.items() if value
    )
    return f'<dl class="facts">{rows}</dl>'


def options(name: str, label: str, choices: Sequence[tuple[str, str]], chosen: str = "") -> str:
    """A labelled list to choose from."""
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in choices
    )
    return f'<label>{escape(label)}<select name="{name}">{items}</select></label>'


def hidden(**values: str) -> str:
    """Fields of a form that are not seen."""
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in values.items())


def waiting(state: Mapping[str, Any], label: str) -> str:
    """How far work is; the script of the page keeps it up to date."""
    text, share = progress_words(state), state["share"] if state["state"] == "running" else 0
    return (
        f'<div class="waiting"><p id="progress_words">{escape(text)}</p>'
        f'<progress max="1" value="{share}" aria-label="{escape(label)}" id="progress"></progress></div>'
    )


def progress_words(state: Mapping[str, Any]) -> str:
    """Where work stands, in words; the same as in web.js."""
    if state["state"] == "waiting":
        before = state["before"]
        return (
            f"Waiting: {before} {'piece' if before == 1 else 'pieces'} of work before yours." if before else "Waiting."
        )
    return f"{begun(state['text'] or 'beginning')} …"


def begun(text: str) -> str:
    """A text that begins with a capital; the rest stays as it is."""
    return text[:1].upper() + text[1:]


_FOR_VISITORS = (
    (
        r"`dgex adapt` learns it from a few whole profiles(, --standardize own takes the input's own statistics)?",
        "a model can be adapted to it by a few whole profiles (ask who runs this page)",
    ),
    (r"; --scale tells it", "; choose it under Settings"),
    (r": obs\['unlike'\] marks them", ": the map below marks them"),
    (r"; scale='\w+' \w+ .*?(?=;|$)", "; the scale can be chosen under Settings"),
)


def in_plain_words(text: str) -> str:
    """What the library says to people at a command line, for people who are at none."""
    for pattern, words in _FOR_VISITORS:
        text = re.sub(pattern, words, text)
    return text


def size(count: int) -> str:
    """Bytes for people: 2.3 MB."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}".replace(".0 ", " ")
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """Time left, in whole minutes."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' if minutes != 1 else ''}"


def fraction(part: int, whole: int) -> str:
    """`12 of 34`, with separators."""
    return f"{part:,} of {whole:,}"


def path(*parts: object) -> str:
    """An address of parts, each of which may hold anything."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)
