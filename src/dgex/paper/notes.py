"""What a reader of a study must know: what it ran on, with which settings, and where it falls short of the paper."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dgex.paper.plan import SCALES
from dgex.paper.published import table
from dgex.paper.results import CMAP
from dgex.paper.stages import TIMES, Study, read_json

__all__ = ["caveats", "data_table", "hardware_table", "settings_table"]

_AXES = {"hidden": "hidden units", "layers": "layers", "dropout": "dropout", "epochs": "epochs"}
_LISTED = 6


def caveats(study: Study) -> list[str]:
    """Other data than the paper's, networks and epochs that were cut, what is missing, what was not checked."""
    plan, full, found = study.plan, SCALES["paper"], []
    if plan.data != "paper":
        found.append(
            f"The paper's own compendium is not public. These numbers are of {study.data.facts['title']}: what can be "
            "compared with the published ones is the order of the methods and the size of the gains, not the errors."
        )
    cut = [
        f"{words} {_listed(getattr(plan, name))} instead of {_listed(getattr(full, name))}"
        for name, words in _AXES.items()
        if getattr(plan, name) != getattr(full, name)
    ]
    if cut:
        found.append(f"The networks are not all of the paper's: {'; '.join(cut)}.")
    missing = study.results.missing
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        found.append(f"Not measured yet: {', '.join(missing[:_LISTED])}{more}.")
    if CMAP in {label for platform in study.data.platforms for label in study.results.methods(platform)}:
        found.append(
            f"{CMAP} are the weights that LINCS infers with, applied to log2 values; landmark genes that these data "
            "lack are held at their training mean, and only target genes that the weights have are counted."
        )
    tables = [table(platform.published) for platform in study.data.platforms]
    places = sorted({t.place for t in tables if t is not None and not t.checked})
    if places:
        found.append(
            f"The published cells of {' and '.join(places)} are a transcription that agrees with the abstract, but was "
            "not checked cell by cell against the printed tables."
        )
    return found


def _listed(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_listed, value))
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def data_table(study: Study) -> pd.DataFrame:
    """What the dataset is."""
    facts = study.data.facts
    record, rows = (
        facts["record"],
        {
            "Data": facts["title"],
            "Profiles": ", ".join(f"{name} {count:,}" for name, count in facts["profiles"].items()),
            "Genes": f"{facts['landmarks']:,} landmark genes, {facts['targets']:,} target genes",
            "Fingerprint (SHA-256)": facts["fingerprint"],
        },
    )
    for platform in study.data.platforms:
        rows[platform.name] = f"selected on {platform.va}, tested on {platform.te}"
    if "duplicates" in record:
        found = record["duplicates"]
        rows["Near-duplicates"] = f"{found['dropped']:,} profiles dropped below a distance of {found['distance']:g}"
    if "options" in record:
        options = record["options"]
        named = ("quantile", "standardize", "split", "group", "seed")
        rows["Prepared with"] = ", ".join(f"{name} {options[name]}" for name in named if options.get(name, "") != "")
    return pd.DataFrame({"what": list(rows), "value": list(rows.values())})


def settings_table(study: Study) -> pd.DataFrame:
    """The plan, without what is empty."""
    rows = {name: value for name, value in study.plan.state().items() if value not in ("", [], None)}
    return pd.DataFrame({"what": list(rows), "value": [_words(value) for value in rows.values()]})


def _words(value: Any) -> str:
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)


def hardware_table(study: Study) -> pd.DataFrame:
    """Seconds of every stage, and the machine."""
    held = read_json(study.folder / TIMES)
    return pd.DataFrame([{"stage": stage, **facts} for stage, facts in held.items()])
