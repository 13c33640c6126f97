"""The page of a model: what it is worth in figures, and its card."""

from __future__ import annotations

import re
from html import escape

from dgex.models.front_matter import body_of
from dgex.web.pages.layout import begun, frame, numbers
from dgex.web.pages.start import model_list
from dgex.web.shelf import OnOffer, Shelf

__all__ = ["markdown", "model_page", "models_page"]


def models_page(shelf: Shelf) -> str:
    """All models."""
    lead = (
        '<p class="lead">Take the one whose training profiles are most like yours: the same platform first, then '
        "similar "
        "tissues. After an upload, each tells how like they are.</p>"
    )
    return frame("Models: dgex", f"<h1>Models on offer</h1>{lead}{model_list(shelf, 2)}", at="/models")


def model_page(model: OnOffer) -> str:
    """One model."""
    landmarks, targets = model.counts
    known = model.confidence
    told = [
        ("Landmark genes", f"{landmarks:,}", "that a panel should hold"),
        ("Other genes", f"{targets:,}", "inferred"),
    ]
    if known is not None:
        words = str(known["judged"]["words"])
        told += [
            ("Correlation", f"{known['median']['r']:.2f}", "of the median gene, on held-out profiles"),
            ("Genes of high trust", f"{known['trust'].get('high', 0):,}", f"judged by {words}"),
        ]
    body = (
        f"<h1>{escape(model.name)}</h1><p class=lead>{escape(begun(model.title))}.</p>{numbers(told)}"
        f'<section class="card-text">{markdown(model.card)}</section>'
    )
    return frame(f"{model.name}: dgex", body, at="/models")


def markdown(text: str) -> str:
    """The little Markdown of a model card as HTML: headings, lists, blocks of code, paragraphs. All else is plain text.

    >>> markdown("# A\\n\\n- `b` <i>\\n\\n```\\nc\\n```")
    '<h2>A</h2><ul><li><code>b</code> &lt;i&gt;</li></ul><pre tabindex="0"><code>c</code></pre>'
    """
    text, parts, waiting = body_of(text), [], list[str]()

    def end() -> None:
        if waiting and waiting[0].startswith("- "):
            parts.append("<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in waiting) + "</ul>")
        elif waiting:
            parts.append(f"<p>{_inline(' '.join(waiting))}</p>")
        waiting.clear()

    for at, block in enumerate(re.split(r"^```.*\n?", text, flags=re.MULTILINE)):
        if at % 2:
            end()
            parts.append(f'<pre tabindex="0"><code>{escape(block.rstrip())}</code></pre>')
            continue
        for line in block.splitlines():
            heading = re.match(r"(#{1,4})\s+(.*)", line)
            if heading or not line.strip() or (waiting and line.startswith("- ") != waiting[0].startswith("- ")):
                end()
            if heading:
                level = min(len(heading[1]) + 1, 4)
                parts.append(f"<h{level}>{_inline(heading[2])}</h{level}>")
            elif line.strip():
                waiting.append(line.strip())
        end()
    return "".join(parts)


def _inline(text: str) -> str:
    pieces = re.split(r"`([^`]*)`", text)
    return "".join(f"<code>{escape(piece)}</code>" if at % 2 else escape(piece) for at, piece in enumerate(pieces))
