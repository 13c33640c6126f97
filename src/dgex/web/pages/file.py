"""The page of an upload: what it is, and which model to take."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from dgex.report.words import counted
from dgex.web.pages.layout import begun, facts, fraction, frame, hidden, in_plain_words, options, path, waiting
from dgex.web.shelf import OnOffer, Shelf
from dgex.web.states import stamp, work_state
from dgex.web.store import Upload
from dgex.web.tasks import Queue

__all__ = ["file_page"]

_IDS = {"ensembl": "Ensembl ids", "entrez": "Entrez ids", "affymetrix": "probe ids", "symbol": "symbols"}
_SCALES = (
    ("auto", "Found by itself"),
    ("log2", "log2"),
    ("ln", "natural logarithm"),
    ("log10", "log10"),
    ("linear", "linear (TPM, FPKM, intensity)"),
    ("counts", "counts of reads"),
)
_MISSING = (
    ("auto", "Fill in up to 5 %, else stop"),
    ("impute", "Fill in up to half of them"),
    ("error", "Stop if any is missing"),
)
_TURNS = (("auto", "Found by itself"), ("genes-in-rows", "Genes in rows"), ("genes-in-columns", "Genes in columns"))
_LEVELS = (("0.8", "80 %"), ("0.9", "90 %"), ("0.95", "95 %"))


def file_page(upload: Upload, shelf: Shelf, queue: Queue) -> str:
    """The page, as far as the look at the file has come."""
    task, about = upload.looked, upload.about
    state = work_state(task, queue)
    over = task is not None and task.over
    heading = f"<h1>{escape(upload.name)}</h1>"
    if state["state"] == "failed":
        body = f"{heading}{_refused(state['text'])}"
    elif not about:
        body = f"{heading}{waiting(state, 'Looking at the file')}"
    else:
        more = "" if over else waiting(state, "Comparing with training profiles")
        body = f"{heading}{_what(about)}{more}{_choice(upload, about, shelf)}"
    poll = "" if over else path("api", "files", upload.id)
    return frame(f"{upload.name}: dgex", body + _delete(upload), at="/", poll=poll, stamp=stamp(task), refresh=not over)


def _refused(text: str) -> str:
    return (
        f'<div class="warning" role="alert"><p><b>This file cannot be used.</b></p><p>{escape(text)}</p></div>'
        '<p><a class="button" href="/">Choose another file</a></p>'
    )


def _what(about: Mapping[str, Any]) -> str:
    scale = f"{about['scale'] or 'not known'}" + (f" ({about['scale_by']})" if about["scale_by"] else "")
    low, high = about["minimum"], about["maximum"]
    lacking = about["missing"] + about["infinite"]
    told = {
        "Format": about["kind"] or about["format"],
        "Profiles": f"{about['samples']:,}: {', '.join(about['first_samples'][:3])}"
        + (" …" if about["samples"] > 3 else ""),
        "Genes": f"{about['genes']:,}: {', '.join(about['first_genes'][:3])}" + (" …" if about["genes"] > 3 else ""),
        "Named by": _IDS.get(about["gene_ids"], "names of no known kind"),
        "Organism": about["organism"] or "the names do not tell",
        "Scale": scale,
        "Values": "none" if low is None else f"{low:.4g} to {high:.4g}",
        "Missing values": f"{lacking:,}" if lacking else "none",
        "Orientation": about["orientation"].partition(" (")[0].replace("-", " "),
    }
    doubt = about["scale_doubt"]
    warned = f'<p class="warning">The scale is doubtful: {escape(doubt)}. Choose it below.</p>' if doubt else ""
    return f"<p class=lead>{escape(begun(about['what']))}.</p>{warned}{facts(told)}"


def _choice(upload: Upload, about: Mapping[str, Any], shelf: Shelf) -> str:
    fits = about["models"]
    order = sorted(fits, key=lambda name: _rank(fits[name], shelf.models[name]))
    usable = [name for name in order if _usable(fits[name])]
    best = usable[0] if usable else ""
    ids = {name: f"model_{at}" for at, name in enumerate(shelf.models)}  # the same however they are ordered
    state = dict.fromkeys(order, "disabled") | dict.fromkeys(usable, "") | {best: "checked"}
    cards = "".join(_model(shelf.models[name], fits[name], ids[name], state[name]) for name in order)
    if not usable:
        return (
            '<h2>Choose a model</h2><p class="warning">No model here can use this file: too few of its landmark genes '
            f"are in it.</p><div class=choices>{cards}</div>"
        )
    chosen = "auto" if all(fits[name]["nearly_all"] for name in usable) else "impute"
    further = (
        '<details class="further"><summary>Settings</summary><div class="tools">'
        f"{options('missing', 'Missing landmark genes', _MISSING, chosen)}"
        f"{options('scale', 'Scale of the values', _SCALES)}"
        f"{options('orientation', 'Orientation', _TURNS)}"
        f"{options('interval', 'Intervals hold the truth in', _LEVELS, '0.9')}</div></details>"
    )
    return (
        f'<form action="{path("files", upload.id, "infer")}" method="post">'
        f'<fieldset class="choices"><legend>Choose a model</legend>{cards}</fieldset>{further}'
        '<button class="main">Infer the other genes</button></form>'
    )


def _usable(fit: Mapping[str, Any]) -> bool:
    return bool(fit["enough"]) and "refused" not in fit.get("like", {})


def _rank(fit: Mapping[str, Any], model: OnOffer) -> tuple[bool, bool, float, float]:
    """Usable ones first, then those whose training profiles are like these, then those that infer best.

    Where none is like these, the nearest comes first: what is expected of a model holds for none of them.
    """
    like, known = fit.get("like", {}), model.confidence
    doubted = bool(like.get("doubted"))
    worth = 1.0 if known is None else 1 - known["median"]["r"]
    return not _usable(fit), doubted, like["median"] if doubted else worth, -fit["found"] / fit["total"]


def _model(model: OnOffer, fit: Mapping[str, Any], key: str, state: str) -> str:
    found, total, name = fit["found"], fit["total"], escape(model.name)
    lacking = total - found
    genes = f"<p>{fraction(found, total)} landmark genes found"
    genes += f'<meter min="0" max="{total}" value="{found}" aria-hidden="true"></meter></p>'
    if lacking:
        listed = ", ".join(fit["missing"]) + (" …" if lacking > len(fit["missing"]) else "")
        genes += f"<details><summary>{counted(lacking, 'missing gene')}</summary><p>{escape(listed)}</p></details>"
    known = model.confidence
    worth = (
        "" if known is None else f"<p>Expected correlation of the median gene: <b>{known['median']['r']:.2f}</b></p>"
    )
    return (
        f'<div class="choice"><input type="radio" name="model" id="{key}" value="{name}" required {state} '
        f'aria-describedby="{key}_told"><div><label for="{key}">{name}</label> '
        f'<a href="{path("models", model.name)}">its card</a><div id="{key}_told"><p>{escape(begun(model.title))}</p>'
        f"{genes}{worth}{_like(fit)}</div></div></div>"
    )


def _like(fit: Mapping[str, Any]) -> str:
    """How like the training profiles they are, in a word with a sign and a sentence."""
    like = fit.get("like")
    if not fit["enough"]:
        return '<p class="verdict bad">Too few landmark genes: at least half are needed.</p>'
    if like is None:
        return '<p class="verdict">How like its training profiles: not looked at yet …</p>'
    if "refused" in like:
        return f'<p class="verdict bad">It cannot be used: {escape(like["refused"])}</p>'
    if not like["known"]:
        return '<p class="verdict">How like its training profiles is not known: it was never judged.</p>'
    some = counted(like["looked_at"], "profile")
    if like["doubted"]:
        return (
            f'<p class="verdict bad"><b>Unlike</b> its training profiles ({some} looked at): errors will be larger '
            f"than "
            "expected.</p>" + _said(like["said"])
        )
    if like["unlike"]:
        return (
            f'<p class="verdict fair"><b>Mostly like</b> its training profiles: {like["unlike"]} of {some} are not.</p>'
        )
    return f'<p class="verdict good"><b>Like</b> its training profiles ({some} looked at).</p>'


def _said(texts: list[str]) -> str:
    return "".join(
        f"<details><summary>Why</summary><p>{escape(begun(in_plain_words(text)))}.</p></details>" for text in texts[:1]
    )


def _delete(upload: Upload) -> str:
    return (
        f'<form action="{path("files", upload.id, "delete")}" method="post" class="delete" data-confirm="Remove '
        f"this file "
        f'and all that was made of it?">{hidden()}<button>Remove this file now</button></form>'
    )
