"""How to read a result, what happens with files, and what a program may ask; and the page of a refusal."""

from __future__ import annotations

from html import escape

from dgex.web.pages.layout import frame, size
from dgex.web.rules import Rules

__all__ = ["help_page", "refusal_page"]

_READING = """
<h2>What a value is</h2>
<p>A <b>landmark gene</b> is one that panels measure; a model has learned on whole profiles how the other genes
follow from the landmark genes. An <b>inferred</b> value is an estimate and carries no new measurement. Genes that
your file measured stay as measured, in the unit of the result.</p>
<h2>How far to trust it</h2>
<dl class="facts one">
<div><dt>Trust</dt><dd>High: its ups and downs between profiles can be believed. Medium: its direction more than its
size. Low: look at it only with other evidence. It was found by profiles that the model had not seen.</dd></div>
<div><dt>Expected r</dt><dd>Correlation of inferred with measured values on such profiles.</dd></div>
<div><dt>Expected error</dt><dd>By how much an inferred value is off on average, in the unit of the
values.</dd></div>
<div><dt>Interval</dt><dd>Where the true value lies in 90 % of cases (or as many as you chose).</dd></div>
<div><dt>Distance</dt><dd>Of a profile: the share of held-out profiles that lie nearer to the training profiles.
Beyond 99 % it is called unlike, and what is expected of the genes does not hold for it.</dd></div>
</dl>
<p>All of this holds for profiles like the training profiles. Where a file as a whole is unlike them, the page says
so first: believe that before any number.</p>
<h2>Which files</h2>
<p>GCTX and GCT, h5ad, Parquet, CSV and other tables of text (also gzipped), Excel, files of quantifiers (Salmon,
RSEM, STAR), 10x and ARCHS4. Genes may be symbols, Ensembl, Entrez or probe ids, in rows or columns. Take values as
they were measured: counts, TPM, intensities or their logarithms, no z-scores. A zarr store is a folder: use the
command <code>dgex infer</code>.</p>
"""


def help_page(rules: Rules) -> str:
    """The page."""
    hours = rules.kept / 3600
    privacy = (
        '<h2 id="privacy">What happens with your files</h2><p>They go to this server and nowhere else. Who knows '
        "the address of "
        f"your file or result can see it; the address cannot be guessed. Everything is removed after {hours:g} hour"
        f"{'s' if hours != 1 else ''}, when you ask for it, and when the server ends. No model learns from them.</p>"
    )
    limits = (
        f"<h2>Limits</h2><p>{size(rules.upload)} an upload, {rules.profiles:,} profiles, {rules.values:,} values "
        f"of a result, "
        f"{rules.work / 60:.0f} minutes of work. The command <code>dgex infer</code> has none of these.</p>"
    )
    program = (
        "<h2>For programs</h2><p>All of this can be asked for as JSON:</p>"
        '<pre tabindex="0"><code>curl -F files=@plate.gctx -F model=NAME SERVER/api/infer\ncurl SERVER/api/jobs/ID\n'
        "curl -OJ 'SERVER/api/jobs/ID/download?format=xlsx'</code></pre>"
        '<p><a href="/api/models">/api/models</a> lists the models and the limits.</p>'
    )
    return frame("How to read it: dgex", f"<h1>How to read it</h1>{_READING}{privacy}{limits}{program}", at="/help")


def refusal_page(status: int, text: str) -> str:
    """Why a request got no answer."""
    title = {404: "Not here", 413: "Too large", 503: "Busy", 500: "Our fault"}.get(status, "This did not work")
    body = f'<h1>{title}</h1><p class=lead>{escape(text)}</p><p><a class="button" href="/">To the first page</a></p>'
    return frame(f"{title}: dgex", body)
