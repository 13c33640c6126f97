"""The page of a job: how far it is, then what to believe, the genes, the profiles, and files to take home."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from dgex.report.tables import cell, share_text
from dgex.report.words import counted
from dgex.web.downloads import FORMATS
from dgex.web.pages.drawing import map_drawing
from dgex.web.pages.genes import gene_section
from dgex.web.pages.layout import begun, duration, facts, fraction, frame, in_plain_words, numbers, path, size, waiting
from dgex.web.result import Asked, Result
from dgex.web.states import job_state, stamp, work_state
from dgex.web.store import Job
from dgex.web.tasks import Queue

__all__ = ["job_page"]

_LISTED = 200  # profiles
_CONTENTS = (("believe", "What to believe"), ("genes", "Genes"), ("profiles", "Profiles"), ("files", "Download"))


def job_page(job: Job, queue: Queue, result: Result | None, asked: Asked) -> str:
    """The page, as far as the job has come."""
    state = work_state(job.task, queue)
    over = job.task is not None and job.task.over
    heading = f"<h1>{escape(job.upload.name)}</h1>"
    told = f'<p class="under">by <a href="{path("models", job.model)}">{escape(job.model)}</a></p>'
    if result is not None:
        body = f"{heading}{told}{_finished(job, result, asked, job_state(job, queue)['removed_in'])}"
    elif state["state"] == "failed":
        back = f'<p><a class="button" href="{path("files", job.upload.id)}">Back to the file, to try again</a></p>'
        body = (
            f'{heading}{told}<div class="warning" role="alert"><p><b>This did not work.</b></p>'
            f"<p>{escape(state['text'])}</p></div>{back}"
        )
    else:
        stay = "<p>You can leave this page open, or come back to its address.</p>"
        body = f"{heading}{told}{waiting(state, 'Inferring')}{stay}"
    poll = "" if over else path("api", "jobs", job.id)
    title = "Result" if result is not None else "Inferring" if not over else "Failed"
    name = f"{title}: {job.upload.name}"
    return frame(name, body + _delete(job), at="/", poll=poll, stamp=stamp(job.task), refresh=not over)


def _finished(job: Job, result: Result, asked: Asked, left: float) -> str:
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in _CONTENTS)
    return (
        f'<nav aria-label="Contents" class="contents"><ul>{links}</ul></nav>'
        f'<section><h2 id="believe">What to believe</h2>{_believe(result)}</section>'
        f'<section><h2 id="genes">Genes</h2>{gene_section(job, result, asked)}</section>'
        f'<section><h2 id="profiles">Profiles</h2>{_profiles(result, asked)}</section>'
        f'<section><h2 id="files">Download</h2>{_files(job, left)}</section>'
        f"<section><h2>How it was made</h2>{_made(result)}</section>"
    )


def _believe(result: Result) -> str:
    told = result.summary
    warned = "".join(f'<p class="warning">{escape(begun(in_plain_words(text)))}.</p>' for text in told["warnings"])
    median, landmarks = told["median"] or {}, told["landmarks"]
    error, r = median.get("expected_error"), median.get("expected_r")
    cost = told["cost"]
    if_like = ", if your profiles were like the training profiles" if told["doubted"] else ""
    figures = [
        ("Landmark genes found", f"{landmarks['found']:,}", f"of {landmarks['total']:,}"),
        (
            "Genes of high trust",
            f"{told['trust'].get('high', 0):,}",
            f"of {told['genes'].get('inferred', 0):,} inferred{if_like}",
        ),
        ("Expected error", "" if error is None else f"{error:.2f}", f"of the median gene, {told['unit']}{if_like}"),
        ("Expected correlation", "" if r is None else f"{r:.2f}", f"of the median gene{if_like}"),
        ("Unlike profiles", f"{sum(told['unlike']):,}" if median else "", f"of {told['profiles']:,}"),
    ]
    filled = "" if cost is None else f"<p>Filling missing landmark genes raises the expected error by {cost:.1%}.</p>"
    words = f"<p>{escape(told['trust_words'])}</p>" if told["trust_words"] else ""
    return f"<p class=lead>{escape(told['sentence'])}</p>{warned}{numbers(figures)}{filled}{words}"


def _profiles(result: Result, asked: Asked) -> str:
    told = result.summary
    if result.map is None:
        drawn = "<p>The model does not keep where its training profiles lie, so there is no map.</p>"
    else:
        drawing = map_drawing(result.map, result.profiles, told["unlike"], asked.profile)
        where = escape(result.profiles[asked.profile])
        legend = (
            '<span><i class="sign theirs"></i>training profile</span><span><i class="sign own"></i>yours</span>'
            '<span><i class="sign far"></i>yours, unlike the training profiles</span>'
            f'<span><i class="sign ringed"></i>{where}</span>'
        )
        drawn = (
            f'<figure id="map"><div class="pan" role="group" aria-label="Map" tabindex="0">{drawing}</div>'
            f'<p class="legend">{legend}</p><figcaption>Profiles that measured alike lie near each other. The two '
            "directions are those in which the training profiles differ most; point at a profile to see "
            "its name and the nearest training profile.</figcaption></figure>"
        )
    return f"{drawn}{_table(result)}"


def _table(result: Result) -> str:
    told, near = result.summary, result.map or {"nearest": [], "nearest_study": []}
    order = sorted(range(told["profiles"]), key=lambda at: -(told["distance"][at] or 0.0))[:_LISTED]
    rows = []
    for at in order:
        distance = told["distance"][at]
        there = at < len(near["nearest"])
        nearest = near["nearest"][at] if there else ""
        study = near["nearest_study"][at] if there else ""
        rows.append(
            f"<tr><th scope=row>{escape(result.profiles[at])}</th>"
            f'<td class="n">{cell(None) if distance is None else share_text(distance)}</td>'
            f"<td>{'unlike' if told['unlike'][at] else 'like'}</td>"
            f"<td>{escape(nearest)}</td><td>{escape(study)}</td></tr>"
        )
    more = f"; the {_LISTED} farthest of {told['profiles']:,}" if told["profiles"] > _LISTED else ""
    caption = (
        f"Every profile, the farthest from the training profiles first{more}. Distance: the share of held-out profiles "
        "that lie nearer."
    )
    head = (
        "<thead><tr><th scope=col>Profile</th><th scope=col class=n>Distance</th><th scope=col>Training profiles</th>"
        "<th scope=col>Nearest one</th><th scope=col>Its study</th></tr></thead>"
    )
    return (
        '<details><summary>Profiles as a table</summary><div class="scroll" role="region" tabindex="0" '
        f'aria-labelledby="profiles_caption"><table><caption><span '
        f'id="profiles_caption">{caption}</span></caption>{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _files(job: Job, left: float) -> str:
    items = []
    for kind, form in FORMATS.items():
        ready = job.folder / (form.ready or f"result{form.suffix}")
        bytes_ = f" ({size(ready.stat().st_size)})" if ready.is_file() else ""
        href = f"{path('api', 'jobs', job.id, 'download')}?format={kind}"
        items.append(
            f'<li><a class="button" href="{href}" data-make="{kind}" download>{escape(form.name)}</a>'
            f"<span>{escape(form.told)}<small>{bytes_}</small></span></li>"
        )
    return (
        f'<ul class="files">{"".join(items)}</ul><p role="alert" class="problem" id="problem" hidden></p>'
        f"<p>All of it is removed in {duration(left)}. Address of this page for a program: "
        f"<code>{path('api', 'jobs', job.id)}</code></p>"
    )


def _made(result: Result) -> str:
    told = result.summary
    made: Mapping[str, Any] = told["made"]
    check = made.get("check") or {}
    checked = (
        f"inferred values are {check['median_difference']:.2g} off in the median of {check['genes']:,} target "
        f"genes that "
        "were measured"
        if check
        else ""
    )
    genes = ", ".join(f"{count:,} {origin}" for origin, count in told["genes"].items())
    return facts(
        {
            "Made by": made.get("made_by"),
            "Method": made.get("model"),
            "Profiles and genes": f"{counted(told['profiles'], 'profile')}; {genes}",
            "Scale of the file": made.get("scale"),
            "Unit of the values": told["unit"],
            "Judged by": made.get("judged_by"),
            "Intervals": "" if told["interval"] is None else f"{told['interval']:.0%}",
            "Landmark genes": fraction(told["landmarks"]["found"], told["landmarks"]["total"]),
            "Check on this file": checked,
            "Fingerprint of the training values": str(made.get("fingerprint", ""))[:16],
        }
    )


def _delete(job: Job) -> str:
    return (
        f'<form action="{path("jobs", job.id, "delete")}" method="post" class="delete" data-confirm="Remove this '
        f'result?">'
        f'<a href="{path("files", job.upload.id)}">Back to the file, to try another model</a> '
        "<button>Remove this result now</button></form>"
    )
