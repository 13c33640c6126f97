"""The first page: bring a file, or try an example."""

from __future__ import annotations

from html import escape

from dgex.web.pages.layout import begun, frame, path, size
from dgex.web.rules import Rules
from dgex.web.service import MADE_UP
from dgex.web.shelf import OnOffer, Shelf

__all__ = ["model_list", "start_page"]

_STEPS = (
    ("Bring a panel", "GCTX, GCT, h5ad, Parquet, CSV or tables of text, Excel, quantifiers' files; no preparation."),
    ("See what it is", "Names of genes, scale, which landmark genes are there, how like the training profiles it is."),
    ("Get every gene", "Look genes up, with an interval and a word of trust each; download all of it."),
)


def start_page(shelf: Shelf, rules: Rules) -> str:
    """The page."""
    steps = "".join(f"<li><b>{escape(name)}</b><span>{escape(text)}</span></li>" for name, text in _STEPS)
    body = (
        '<div class="hero"><h1>Measure a thousand genes, see the rest</h1>'
        '<p class="lead">From about a thousand landmark genes that were measured, dgex infers the expression of the '
        "genes that were not, and tells how far to trust each value.</p></div>"
        f'<div class="begin"><section class="panel" aria-labelledby="bring"><h2 id="bring">Your profiles</h2>'
        f"{_upload(rules)}</section>"
        f'<section class="panel quiet" aria-labelledby="try"><h2 id="try">No file at hand?</h2>{_examples(shelf)}'
        "</section></div>"
        f'<ol class="steps" aria-label="How it goes">{steps}</ol>'
        f'<h2 id="models">Models on offer</h2>{model_list(shelf)}'
    )
    return frame("dgex: the genes that were not measured", body, at="/")


def _upload(rules: Rules) -> str:
    most = size(rules.upload)
    return (
        f'<form action="/files" method="post" enctype="multipart/form-data" data-upload data-most="{rules.upload}">'
        '<div class="drop"><label for="panel">File with the landmark genes</label>'
        '<input type="file" id="panel" name="files" multiple required aria-describedby="limits">'
        f'<p id="limits">Or drop it here. Up to {most} and {rules.profiles:,} profiles. Several files are taken '
        f"together: "
        "one a sample, or the three of a 10x matrix.</p></div>"
        '<p role="alert" class="problem" id="problem" hidden></p>'
        '<div class="waiting" id="sending" hidden><p id="sending_words">Sending …</p>'
        '<progress max="1" value="0" aria-label="Upload"></progress></div>'
        '<button class="main">See what it is</button></form>'
        "<noscript><p>Without JavaScript all works too; pages that wait load themselves again.</p></noscript>"
    )


def _examples(shelf: Shelf) -> str:
    buttons = "".join(
        f'<button name="example" value="{escape(name)}">{escape(name)}</button>' for name in shelf.examples
    )
    made = "".join(
        f'<button name="example" value="{escape(MADE_UP + model.name)}">Made-up profiles for '
        f"{escape(model.name)}</button>"
        for model in shelf.models.values()
        if model.indexed
    )
    if not buttons and not made:
        return "<p>There is no example here.</p>"
    told = "Twelve profiles, each half-way between two training profiles of the model." if made else ""
    return (
        f'<form action="/files" method="post" class="examples"><p>Try an example, and see what you would get.</p>'
        f"{buttons}{made}<p class=small>{told}</p></form>"
    )


def model_list(shelf: Shelf, level: int = 3) -> str:
    """All models as cards, their names headings of a level."""
    return f'<ul class="cards-list">{"".join(_card(model, level) for model in shelf.models.values())}</ul>'


def _card(model: OnOffer, level: int) -> str:
    landmarks, targets = model.counts
    known = model.confidence
    if known is None:
        worth = "Nobody has judged it by held-out profiles: how far to trust it is not known."
    else:
        trust = known["trust"]
        worth = (
            f"Median gene: correlation {known['median']['r']:.2f} with measured values. {trust.get('high', 0):,} "
            f"genes of "
            f"high trust, {trust.get('medium', 0):,} of medium, {trust.get('low', 0):,} of low."
        )
    told = f", learned from {model.trained:,} profiles" if model.trained is not None else ""
    return (
        f'<li><h{level}><a href="{path("models", model.name)}">{escape(model.name)}</a></h{level}>'
        f"<p>{landmarks:,} landmark genes to {targets:,} others{told}. {escape(begun(model.title))}.</p>"
        f"<p>{escape(worth)}</p></li>"
    )
