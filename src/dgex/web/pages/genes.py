"""Genes of a result: a table to search, and the page of one gene."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

import numpy as np

from dgex.report.tables import cell
from dgex.web.pages.drawing import gene_drawing
from dgex.web.pages.layout import begun, facts, frame, numbers, options, path
from dgex.web.result import Asked, Result
from dgex.web.store import Job

__all__ = ["gene_page", "gene_section"]

_TRUST = (("", "any"), ("high", "high"), ("medium", "medium"), ("low", "low"), ("unknown", "unknown"))
_ORIGIN = (("", "any"), ("inferred", "inferred"), ("measured", "measured"), ("imputed", "filled in"))
_SORT = (
    ("trust", "most trusted first"),
    ("gene", "name"),
    ("error", "smallest error first"),
    ("value", "highest value first"),
)
_WORDS = {"imputed": "filled in"}
_MEANS = {
    "high": "Its ups and downs between profiles can be believed.",
    "medium": "Its direction can be believed more than its size.",
    "low": "Look at it only with other evidence.",
    "unknown": "Nothing is known of what it is worth.",
    "measured": "It was measured in your file.",
}
_ROWS = 500  # profiles of a gene that are listed
_CHOSEN = 5_000  # profiles to choose from


def gene_section(job: Job, result: Result, asked: Asked) -> str:
    """The search, and what it finds; the script of the page replaces the part with an id of its own."""
    profiles = [(str(at), name) for at, name in enumerate(result.profiles[:_CHOSEN])]
    tools = (
        f'<form action="{path("jobs", job.id)}#genes" class="tools" role="search" data-live="found map">'
        f'<label>Genes by any name, several at commas<input type="search" name="query" value="{escape(asked.query)}" '
        f'autocomplete="off" spellcheck="false" placeholder="TP53, MYC"></label>'
        f"{options('at', 'Profile', profiles, str(asked.profile))}{options('trust', 'Trust', _TRUST, asked.trust)}"
        f"{options('origin', 'Origin', _ORIGIN, asked.origin)}{options('sort', 'Order', _SORT, asked.sort)}"
        "<button>Search</button></form>"
    )
    return f'{tools}<div id="found">{_found(job, result, asked)}</div>'


def _found(job: Job, result: Result, asked: Asked) -> str:
    rows, total = result.find(asked)
    profile, unit = result.profiles[asked.profile], result.summary["unit"]
    if not rows:
        names = escape(", ".join(["their names", *result.identifiers]))
        return f"<p><output>No gene fits.</output> Genes of this model are known by {names}.</p>"
    level = result.summary["interval"]
    interval = f"{level:.0%} interval" if level else "Interval"
    body = "".join(_row(job, asked, row) for row in rows)
    first, last = asked.start + 1, asked.start + len(rows)
    caption = (
        f"Genes {first:,} to {last:,} of {total:,}, in the profile {profile}. Values and errors: {unit}. A name "
        f"opens the gene "
        "in all profiles."
    )
    head = "".join(
        f'<th scope="col"{" class=n" if right else ""}>{name}</th>'
        for name, right in (
            ("Gene", False),
            ("Value", True),
            ("Trust", False),
            (interval, True),
            ("Origin", False),
            ("Expected error", True),
            ("Expected r", True),
        )
    )
    return (
        f'<p class="count"><output>{total:,} gene{"s" if total != 1 else ""}</output></p>'
        '<div class="scroll" role="region" tabindex="0" aria-labelledby="genes_caption"><table class="genes">'
        f'<caption><span id="genes_caption">{escape(caption)}</span></caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_turn(job, asked, total)}"
    )


def _row(job: Job, asked: Asked, row: Mapping[str, Any]) -> str:
    href = f"{path('jobs', job.id, 'genes', row['number'])}?{urlencode({'at': asked.profile})}"
    trust, origin = row["trust"], row["origin"]
    between = "" if row["low"] is None else f"{cell(row['low'], '.2f')} to {cell(row['high'], '.2f')}"
    return (
        f'<tr><th scope="row"><a href="{href}">{escape(row["gene"])}</a></th><td '
        f'class="n">{cell(row["value"], ".2f")}</td>'
        f'<td>{_trust(trust)}</td><td class="n">{between}</td><td>{escape(_WORDS.get(origin, origin))}</td>'
        f'<td class="n">{cell(row["expected_error"], ".2f")}</td><td '
        f'class="n">{cell(row["expected_r"], ".2f")}</td></tr>'
    )


def _trust(word: str) -> str:
    """A word of trust with a sign of its own, which needs no colour."""
    return f'<span class="trust {escape(word)}">{escape(word)}</span>' if word in _MEANS else escape(word)


def _turn(job: Job, asked: Asked, total: int) -> str:
    """Links to the genes before and after."""
    told = {"query": asked.query, "at": asked.profile, "trust": asked.trust, "origin": asked.origin, "sort": asked.sort}
    links = []
    for text, start in (("Before", asked.start - asked.count), ("After", asked.start + asked.count)):
        if (start >= 0 or asked.start > 0) if text == "Before" else start < total:
            query = urlencode({**told, "start": max(0, start)})
            links.append(f'<a class="button" href="{path("jobs", job.id)}?{query}#genes" data-turn>{text}</a>')
    return f'<p class="turn">{" ".join(links)}</p>' if links else ""


def gene_page(job: Job, result: Result, number: int, profile: int) -> str:
    """One gene in all profiles."""
    values, half = result.values(number)
    known = {name: column[number] for name, column in result.genes.items()}
    name, origin, unit = str(known["gene"]), str(known["origin"]), result.summary["unit"]
    if origin == "measured":
        half = np.full(len(half), np.nan)
    others = {begun(column.replace("_", " ")): names[number] for column, names in result.identifiers.items()}
    error, r = known["expected_error"], known["expected_r"]
    at = profile if profile < len(values) else 0
    has = np.isfinite(half[at]) and half[at] > 0
    between = f"{values[at] - half[at]:.2f} to {values[at] + half[at]:.2f}" if has else ""
    told = [
        ("Trust", str(known["trust"]), _MEANS.get(str(known["trust"]), "")),
        ("Expected error", "" if error is None else f"{error:.2f}", f"{unit}, on average"),
        ("Expected correlation", "" if r is None else f"{r:.2f}", "of inferred with measured values"),
        ("Value", f"{values[at]:.2f}", f"in {result.profiles[at]}" + (f": {between}" if between else "")),
    ]
    doubted = ""
    if result.summary["doubted"] and origin != "measured":
        doubted = (
            '<p class="warning">Your profiles as a whole are unlike the training profiles: errors will be larger '
            "than expected, "
            "and trust is too high.</p>"
        )
    level = result.summary["interval"]
    label = f"{name} in {len(values):,} profiles"
    lines = f" Lines: {level:.0%} intervals." if level and np.isfinite(half).any() else ""
    drawing = gene_drawing(values, half, result.profiles, at, label)
    figure = (
        f"<figure><div class=pan role=group aria-label=Figure tabindex=0>{drawing}</div><figcaption>{escape(label)}, "
        f"{escape(unit)}.{lines} "
        f"The large dot is {escape(result.profiles[at])}.</figcaption></figure>"
    )
    href = f"{path('jobs', job.id)}?at={at}#genes"
    back = f'<p class="under"><a href="{href}">All genes of {escape(job.upload.name)}</a></p>'
    origin_words = {"inferred": "Inferred", "measured": "Measured", "imputed": "A landmark gene that was filled in"}
    body = (
        f"<h1>{escape(name)}</h1>{back}<p class=lead>{origin_words.get(origin, origin)} by "
        f"<b>{escape(job.model)}</b>.</p>"
        if origin != "measured"
        else f"<h1>{escape(name)}</h1>{back}<p class=lead>Measured in your file.</p>"
    )
    table = _values(result, values, half)
    return frame(f"{name}: {job.upload.name}", f"{body}{doubted}{numbers(told)}{figure}{facts(others)}{table}", at="/")


def _values(result: Result, values: np.ndarray, half: np.ndarray) -> str:
    order = np.argsort(-values, kind="stable")[:_ROWS]
    rows = []
    for at in order.tolist():
        there = bool(np.isfinite(half[at]) and half[at] > 0)
        low, high = (
            (cell(values[at] - half[at], ".2f"), cell(values[at] + half[at], ".2f")) if there else (cell(None),) * 2
        )
        rows.append(
            f'<tr><th scope="row">{escape(result.profiles[at])}</th><td class="n">{cell(values[at], ".2f")}</td>'
            f'<td class="n">{low}</td><td class="n">{high}</td></tr>'
        )
    more = f"; the {_ROWS} highest of {len(values):,}" if len(values) > _ROWS else ""
    return (
        '<details><summary>Values as a table</summary><div class="scroll" role="region" tabindex="0" '
        'aria-labelledby="values">'
        f'<table><caption><span id="values">Values in all profiles, the highest '
        f"first{more}.</span></caption><thead><tr>"
        '<th scope="col">Profile</th><th scope="col" class="n">Value</th><th scope="col" class="n">Low</th>'
        f'<th scope="col" class="n">High</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div></details>'
    )
