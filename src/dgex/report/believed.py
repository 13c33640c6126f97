"""What a page of an evaluation tells first: what to believe of one model, and which profiles it infers badly."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgex.report.figures.shares import share_curves
from dgex.report.look import Look, best_first
from dgex.report.page.page import Page
from dgex.report.tables import cell
from dgex.report.words import GOOD, plural, sentence, trust_words, whole_percent

__all__ = ["add_badly", "add_cards", "add_finder", "add_first", "file_name", "gene_table", "share_figures"]

WORST = 15  # profiles and groups that are listed


def file_name(text: str) -> str:
    """Letters, digits, dots and dashes of `text`, fit for a file name on every system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def add_first(page: Page, look: Look) -> None:
    """Say in a sentence and a few numbers what to believe."""
    page.add_text(sentence(look), kind="lead")
    page.add_numbers(_numbers(look))
    told = " ".join(filter(None, (trust_words(look.genes["trust"], look.judged), _borne_out(look))))
    page.add_text(f"{told}\n\nTold of here is {look.model} ({look.because}).")


def _borne_out(look: Look) -> str:
    """Whether trust, given before, holds on these profiles."""
    shares = []
    for word in ("high", "medium", "low"):
        r = look.genes["r"][look.genes["trust"] == word]
        if len(r):
            shares.append(f"{whole_percent(float((r > GOOD).mean()))} of those of {word} trust")
    return f"Here {', '.join(shares)} have an r above {GOOD:g}.".replace("0.", ".") if shares else ""


def _numbers(look: Look) -> list[tuple[str, str, str]]:
    genes = look.genes
    numbers = []
    if genes["r"].notna().any():
        numbers += [
            (f"Genes with r above {GOOD:g}".replace("0.", "."), whole_percent((genes["r"] > GOOD).mean()), look.model),
            ("Median r of a gene", f"{genes['r'].median():.2f}", "inferred with measured, over profiles"),
        ]
    unit = f", {look.unit}" if look.unit else ""
    numbers.append(("Median error of a gene", f"{genes['error'].median():.3f}", f"mean absolute error{unit}"))
    if look.original:
        numbers.append((f"The same in {look.original}", f"{genes['original'].median():.3f}", "mean absolute error"))
    return numbers


def share_figures(
    split: str, values: Mapping[str, Mapping[str, np.ndarray]], look: Look | None, trivial: str
) -> dict[str, Figure]:
    """Shares of genes below each error and above each correlation, by the names of their files.

    Parameters
    ----------
    split
        The set of profiles.
    values
        "mae" and "pearson" to model to one value a gene.
    look
        At the model that is marked; its errors in original units are drawn too where they are known.
    trivial
        The predictor drawn in grey.
    """
    unit = f" ({look.unit})" if look is not None and look.unit else ""
    stem, errors = file_name(split), values["mae"]
    told = f"Mean absolute error of a gene{unit}"
    figures = {f"error-share-{stem}": share_curves(errors, told, f"Genes below an error, {split}", grey=[trivial])}
    correlations = {n: v for n, v in values["pearson"].items() if np.isfinite(v).any()}
    if correlations:
        told, title = "Correlation with measured values (r)", f"Genes above a correlation, {split}"
        figures[f"pearson-share-{stem}"] = share_curves(
            correlations, told, title, above=True, mark=GOOD, marked="" if look is None else look.model
        )
    if look is not None and look.original:
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (look.genes["original"] / look.genes["error"]).to_numpy()
        raw = {name: array * scale for name, array in errors.items()}
        told, title = f"Mean absolute error of a gene ({look.original})", f"The same in {look.original}, {split}"
        figures[f"original-share-{stem}"] = share_curves(raw, told, title, grey=[trivial])
    return figures


def add_badly(page: Page, look: Look) -> None:
    """List groups and profiles that are inferred badly."""
    middle = float(look.profiles["error"].median())
    formats = {"error": ".3f", "baseline": ".3f", "original": ".3f", "times": ".1f"}
    labels = {
        "profile": "Profile",
        "group": look.group.capitalize(),
        "profiles": "Profiles",
        "error": "Error" + (" (sd)" if look.unit else ""),
        "original": f"Error ({look.original})",
        "baseline": f"By {look.baseline}" + (" (sd)" if look.unit else ""),
        "times": "Times the median profile's",
    }
    if look.group:
        table = look.groups()
        table["times"] = table["error"] / middle
        if not look.original:
            table = table.drop(columns="original")
        more = f"; the worst {WORST} of {len(table):,}" if len(table) > WORST else ""
        caption = f"{plural(look.group).capitalize()} by the mean error of their profiles, worst first{more}."
        page.add_table(table.head(WORST), caption, labels=labels, formats=formats)
    table = look.profiles.head(WORST).reset_index(names="profile")
    table["times"] = table["error"] / middle
    table = table.drop(columns=[*([] if look.group else ["group"]), *([] if look.original else ["original"])])
    page.add_table(
        table, f"The {len(table):,} profiles inferred worst, of {len(look.profiles):,}.", labels=labels, formats=formats
    )


def add_cards(page: Page, looks: Mapping[str, Look]) -> None:
    """Add the cards of genes of all sets."""
    first = next(iter(looks.values()))
    count, total = len(first.points.genes), len(first.genes)
    page.add_text(
        f"{count:,} of the {total:,} genes have a card, best first"
        + (", spread over good and bad ones. " if count < total else ". ")
        + "A click on a gene's name in the table below, or on its dot, opens it."
    )
    page.add_cards({name: look.points for name, look in looks.items()}, {n: _facts(look) for n, look in looks.items()})


def _facts(look: Look) -> pd.Series:
    def words(row: pd.Series) -> str:
        parts = [f"r {cell(row['r'], '.2f')}", f"error {cell(row['error'], '.3f')} {look.unit}".strip()]
        if look.original:
            parts.append(f"{cell(row['original'], '.3f')} {look.original}")
        if row["trust"]:
            parts.append(f"trust {row['trust']}")
        return f"{', '.join(parts)} (over all {len(look.profiles):,} profiles)."

    return look.genes.loc[look.points.genes].apply(words, axis=1)


def gene_table(look: Look) -> pd.DataFrame:
    """What is known of each gene, best first."""
    order = best_first(look.genes["trust"], look.genes["r"], look.genes["error"])
    table = look.genes.iloc[order]
    columns = {
        "Trust": table["trust"],
        "r": table["r"],
        f"Error ({look.unit})" if look.unit else "Error": table["error"],
    }
    if not (table["trust"] != "").any():
        del columns["Trust"]
    if look.original:
        columns[f"Error ({look.original})"] = table["original"]
    return pd.DataFrame(columns)


def add_finder(
    page: Page, looks: Mapping[str, Look], measures: Mapping[str, pd.DataFrame], rules: Mapping[str, str]
) -> None:
    """Add the table of every gene: what to believe of it, best first, then every model's measures.

    Parameters
    ----------
    page, looks
        Where to; the closer look at every set.
    measures
        Name to genes x models.
    rules
        Measure to "min" or "max".
    """
    words = "what to believe"
    several = len(looks) > 1
    tables = {f"{split}: {words}" if several else words.capitalize(): gene_table(look) for split, look in looks.items()}
    tables |= measures
    order, caption = next(iter(tables.values())).index, "Every target gene by every model; the best is marked."
    if looks:
        model = next(iter(looks.values())).model
        caption = f"Every target gene, the most trusted first: {words} of {model}, then all models; the best is marked."
    ordered = {name: table.loc[order] for name, table in tables.items()}
    page.add_finder(ordered, caption, best=rules, given=bool(looks))
