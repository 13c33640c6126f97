"""What a reader of a study must know: what it ran on, with which settings, and where it falls short of the paper."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd

from dgex.dataset.platforms import Platform
from dgex.dataset.split import SPLITS
from dgex.paper.folder import TIMES
from dgex.paper.plan import SCALES
from dgex.paper.results import CMAP, LR, TRIVIAL, Results
from dgex.paper.study import Study, read_record

__all__ = [
    "caveats",
    "data_table",
    "hardware_table",
    "order_words",
    "served_words",
    "set_names",
    "settings_table",
    "standardized_words",
]

# What a plan may have less of than the paper, in words.
_AXES = {
    "hidden": "hidden units",
    "layers": "layers",
    "dropout": "dropout rates",
    "epochs": "epochs",
    "batch_size": "profiles a mini-batch",
}
_LISTED = 6
_WORDS = {
    "scale": "Scale",
    "data": "Data",
    "rnaseq": "Second platform",
    "group": "Split by",
    "hidden": "Hidden units",
    "layers": "Hidden layers",
    "dropout": "Dropout rates",
    "epochs": "Epochs",
    "batch_size": "Profiles a mini-batch",
    "learning_rate": "First learning rate",
    "methods": "Other methods",
    "cmap": "Published weights",
    "l1000": "Profiles inferred",
    "halves": "Selected networks also in halves",
    "attributed": "Target genes attributed",
    "seed": "Seed",
}
_GENERATOR = {
    "samples": "Arrays simulated",
    "rnaseq_samples": "RNA-Seq profiles simulated",
    "duplicates": "Share of near-duplicates simulated",
}


def caveats(study: Study) -> list[str]:
    """Other data than the paper's, what was cut, what is missing."""
    notes = [*_of_the_data(study), *_cut(study), *_weak_baseline(study.results), *_without_interval(study.results)]
    missing = study.results.missing
    if missing:
        notes.append(f"Not measured yet: {_few(missing)}.")
    if CMAP in {label for platform in study.data.platforms for label in study.results.methods(platform)}:
        notes.append(
            f"{CMAP} are the weights that LINCS infers with, applied to log2 values; landmark genes that these data "
            "lack are held at their training mean, and only target genes that the weights have are counted. Models "
            "trained here gain from standardising each set by its own statistics; these weights do not."
        )
    return notes


def _weak_baseline(results: Results) -> list[str]:
    """Where linear regression is worse than no model at all, a gain over it says little."""
    notes = []
    for platform in results.data.platforms:
        methods = results.methods(platform)
        if LR not in methods or TRIVIAL not in methods:
            continue
        ours, trivial = (methods[label].overall(platform.validation)[0] for label in (LR, TRIVIAL))
        if ours > trivial:
            notes.append(
                f"On {platform.va} {LR} is worse than the {TRIVIAL} ({ours:.4f} against {trivial:.4f}): on "
                f"{platform.name} a gain over {LR} says little. Compare with the penalised methods."
            )
    return notes


def _without_interval(results: Results) -> list[str]:
    """Models of which errors by profile are not known."""
    without = {
        row.measured.name
        for platform in results.data.platforms
        for row in results.rows(platform)
        if row.interval is None and row.label != LR
    }
    if not without:
        return []
    return [
        f"Without interval, since errors by profile were not kept when they were measured: {_few(sorted(without))}. "
        "The same command measures anew what is still there."
    ]


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _of_the_data(study: Study) -> list[str]:
    if study.plan.data == "paper":
        return []
    made_up = " No gene and no profile is a real one." if study.plan.data == "simulated" else ""
    return [
        f"The paper's own compendium is not public. These numbers are of {study.data.facts['title']}.{made_up} What "
        "can be compared with the published ones is the order of the methods; errors and gains depend on the data, on "
        "the number of profiles and on the size of the networks."
    ]


def _cut(study: Study) -> list[str]:
    """Where the study has less than the paper: networks, epochs, profiles, genes."""
    plan, full, facts = study.plan, SCALES["paper"], study.data.facts
    cut = [
        f"{words} {_listed(getattr(plan, name))} instead of {_listed(getattr(full, name))}"
        for name, words in _AXES.items()
        if getattr(plan, name) != getattr(full, name)
    ]
    if plan.learning_rate is not None:
        cut.append(f"a first learning rate of {plan.learning_rate:g} instead of 5e-4 (one layer) and 3e-4")
    trained = facts["profiles"].get("train", 0)
    sizes = [
        f"{found:,} {words} instead of {theirs:,}"
        for found, words, theirs in (
            (trained, "training profiles", 88807),
            (facts["landmarks"], "landmark genes", full.landmarks),
            (facts["targets"], "target genes", full.targets),
        )
        if found < 0.98 * theirs
    ]
    parts = [f"Networks: {'; '.join(cut)}." if cut else "", f"Data: {'; '.join(sizes)}." if sizes else ""]
    text = " ".join(part for part in parts if part)
    return [f"Not as in the paper. {text}"] if text else []


def order_words(results: Results, platform: Platform) -> str:
    """The methods of a platform from the least test error to the largest, neighbours that tie marked as such."""
    rows = [row for row in results.rows(platform) if row.test[0] == row.test[0] and row.label != TRIVIAL]
    rows = sorted(rows, key=lambda row: row.test[0])
    if not rows:
        return ""
    order = f"{rows[0].label} {rows[0].test[0]:.4f}"
    for less, more in pairwise(rows):
        interval = results.interval(less.measured, more.measured, platform)
        order += f" {'≲' if interval is None else '≈' if interval.tie else '<'} {more.label} {more.test[0]:.4f}"
    said = {"≈": "≈ a tie, the interval of the difference holds 0", "≲": "≲ not known whether it is a tie"}
    legend = "; ".join(words for mark, words in said.items() if f" {mark} " in order)
    return f"{platform.te}, overall error: {order}{f' ({legend})' if legend else ''}."


def served_words(study: Study, platform: Platform) -> str:
    """What the test set of a platform served besides testing."""
    options = study.data.facts["record"].get("options", {})
    if not options:
        return "which trained and chose nothing; how its values were normalised is not recorded"
    uses = []
    if options.get("quantile") == "paper" and platform.test in SPLITS:
        uses.append("the reference of the quantile normalisation is of all profiles of the compendium, these too")
    if options.get("standardize") == "paper":
        uses.append("every set is standardised by its own mean and standard deviation, target genes too")
    if not uses:
        return "which served nothing else"
    column = options.get("group")
    groups = f". That is not what a user gets on a {column} never seen" if column else ""
    said = "which trained and chose nothing, but entered how values are normalised, as published"
    return f"{said}: {'; '.join(uses)}{groups}"


def standardized_words(study: Study) -> str:
    """In which units errors are, for captions."""
    facts = study.data.facts
    if not facts["unit"]:
        return "in the units of the data"
    options = facts["record"].get("options", {})
    paper = options.get("standardize", study.plan.standardize) == "paper"
    own = "each set standardised by its own mean and standard deviation, as published"
    return f"in standard deviations of a gene ({own if paper else 'of the training profiles'})"


def _listed(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_listed, value))
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def data_table(study: Study) -> pd.DataFrame:
    """What the dataset is."""
    facts, names = study.data.facts, set_names(study)
    record, rows = (
        facts["record"],
        {
            "Data": facts["title"],
            "Profiles": ", ".join(f"{names.get(name, name)} {count:,}" for name, count in facts["profiles"].items()),
            "Genes": f"{facts['landmarks']:,} landmark genes, {facts['targets']:,} target genes",
            "Fingerprint (SHA-256 of names, sets, roles and 64 profiles)": facts["fingerprint"],
        },
    )
    for platform in study.data.platforms:
        rows[platform.name] = f"selected on {platform.va}, tested on {platform.te}"
    if "duplicates" in record:
        duplicates = record["duplicates"]
        rows["Near-duplicates"] = (
            f"{duplicates['dropped']:,} profiles dropped below a distance of {duplicates['distance']:g}"
        )
    if "options" in record:
        options = record["options"]
        named = ("quantile", "ties", "standardize", "split", "group", "seed")
        told = [
            f"{name} {_words(options[name])}"
            for name in named
            if options.get(name, "") not in ("", "none", "published")
        ]
        rows["Prepared with"] = "; ".join(told)
    return pd.DataFrame({"what": list(rows), "value": list(rows.values())})


def set_names(study: Study) -> dict[str, str]:
    """Values of `obs["split"]` to what tables call them: `Arrays-tr`, `Arrays-va`, `Arrays-te`."""
    names: dict[str, str] = {}
    for platform in study.data.platforms:
        names |= {platform.validation: platform.va, platform.test: platform.te}
        if platform.validation == "validation":
            names["train"] = f"{platform.name}-tr"
    return names


def settings_table(study: Study) -> pd.DataFrame:
    """The plan in words, without what does not apply."""
    state = study.plan.state()
    labels = _WORDS | (_GENERATOR if study.plan.data == "simulated" else {})
    rows = {labels[name]: _words(state[name]) for name in labels if state[name] not in ("", [], None)}
    return pd.DataFrame({"what": list(rows), "value": list(rows.values())})


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def hardware_table(study: Study) -> pd.DataFrame:
    """Seconds of every stage, and the machine."""
    times = read_record(study.folder / TIMES)
    return pd.DataFrame([{"stage": stage, **facts} for stage, facts in times.items() if isinstance(facts, dict)])
