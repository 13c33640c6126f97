"""An inference as a page: what the file was, what its genes and profiles are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dgex.confidence.confidence import UNLIKE
from dgex.report.figures.shares import distance_histogram, share_curves
from dgex.report.look import best_first
from dgex.report.page.page import Page
from dgex.report.words import GOOD, counted, trust_words, whole_percent

__all__ = ["InferredProfiles"]

LISTED = 200  # unlike profiles, and landmark genes that were filled
UNKNOWN = (
    "How far these values can be trusted is not known: the model was never judged by held-out profiles. "
    "`dgex calibrate MODEL DATA` does that once and for all."
)


@dataclass(frozen=True)
class InferredProfiles:
    """What is known of a result, gene by gene and profile by profile; no value of it.

    Attributes
    ----------
    genes : DataFrame
        As `var` of the result: `role`, `origin`, and where known `trust`, `expected_error`, `expected_r`, `recall`.
    profiles : DataFrame
        As `obs` of the result; `distance` where known.
    judged
        By what the model's accuracy is known; "" where it is not.
    unit
        Unit of the values and of `expected_error`.
    found, landmarks
        How many landmark genes were in the input, of how many.
    cost
        By what share missing landmark genes raise the expected error; None where that is not known.
    doubted
        The profiles as a whole are unlike the training profiles: nothing that is expected holds for them.
    warnings
        What was warned of while values were inferred.
    check
        How far inferred values are from target genes that were measured, in words; "" where none was.
    facts, details
        What to list of the file, and of how the result was made: name to value.
    """

    genes: pd.DataFrame
    profiles: pd.DataFrame
    judged: str
    unit: str
    found: int
    landmarks: int
    cost: float | None = None
    doubted: bool = False
    warnings: Sequence[str] = ()
    check: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def distance(self) -> np.ndarray:
        """Share of held-out profiles that lie nearer to the training profiles, a profile; empty where not known."""
        if "distance" not in self.profiles:
            return np.empty(0)
        known = pd.to_numeric(self.profiles["distance"], errors="coerce").to_numpy(np.float64)
        return known if np.isfinite(known).any() else np.empty(0)

    def _inferred(self) -> pd.DataFrame:
        """Target genes that were inferred, with numbers for what may have been read back as text."""
        part = self.genes[(self.genes["origin"] == "inferred").to_numpy()]
        trust = part["trust"].astype(str) if "trust" in part else pd.Series("unknown", index=part.index)
        return pd.DataFrame({"trust": trust, **{name: _numbers(part, name) for name in _NUMBERS}}, index=part.index)

    def sentence(self) -> str:
        """What to believe, in one sentence."""
        genes, far = self._inferred(), self.distance
        profiles = counted(len(self.profiles), "profile")
        if not self.judged:
            return f"{counted(len(genes), 'gene')} of {profiles} are inferred. {UNKNOWN}"
        unlike = int((far > 1 - UNLIKE).sum())
        if self.doubted:
            single = f"; {unlike:,} of them by {'itself' if unlike == 1 else 'themselves'}" if unlike else ""
            return (
                f"Do not rely on what is expected of the genes: as a whole these {profiles} are unlike those that the "
                f"model was trained on{single}. Errors will be larger, and trust is too high."
            )
        high = int((genes["trust"] == "high").sum())
        share = f"{high:,} ({whole_percent(high / max(1, len(genes)))})"
        told = f"Of {counted(len(genes), 'inferred gene')} {share} are of high trust"
        if len(far):
            many = "none" if not unlike else f"{unlike:,}"
            told += f"; of {profiles} {many} {'is' if unlike == 1 else 'are'} unlike those the model was trained on"
        return f"{told}."

    def page(self, title: str = "Inference") -> Page:
        """Build the page."""
        page = Page(title, f"{counted(len(self.profiles), 'profile')}, {counted(len(self.genes), 'gene')}")
        page.add_heading("What to believe")
        self.add_first(page)
        page.add_heading("The file")
        self._add_facts(page, self.facts, "What the input is.")
        self._add_landmarks(page)
        page.add_heading("Profiles")
        self.add_profiles(page)
        page.add_heading("Genes")
        self.add_genes(page)
        if self.details:
            page.add_heading("How it was made")
            self._add_facts(page, self.details, "Model and settings.")
        return page

    def add_first(self, page: Page) -> None:
        """Add warnings, the sentence and a few numbers."""
        for text in self.warnings:
            page.add_text(f"Warning: {text}.", kind="warning")
        page.add_text(self.sentence(), kind="lead")
        genes, numbers = self._inferred(), []
        numbers.append(("Landmark genes found", f"{self.found:,}", f"of {self.landmarks:,}"))
        if self.judged:
            remark = "if these profiles were like the training profiles" if self.doubted else "of those inferred"
            numbers.append(("Genes of high trust", f"{int((genes['trust'] == 'high').sum()):,}", remark))
            error = genes["expected_error"].median()
            numbers.append(("Expected error", f"{error:.3f}", f"of the median gene, {self.unit}"))
            numbers.append(("Expected r", f"{genes['expected_r'].median():.2f}", "of the median gene"))
        if len(self.distance):
            unlike = int((self.distance > 1 - UNLIKE).sum())
            numbers.append(("Unlike profiles", f"{unlike:,}", f"of {len(self.profiles):,}"))
        page.add_numbers(numbers)
        told = trust_words(genes["trust"], self.judged) if self.judged else ""
        if self.check:
            told += f"\n\nA check on this very file: {self.check}."
        if told:
            page.add_text(told)

    @staticmethod
    def _add_facts(page: Page, facts: Mapping[str, Any], caption: str) -> None:
        page.add_table(pd.DataFrame({"What": list(facts), "Value": [str(v) for v in facts.values()]}), caption)

    def _add_landmarks(self, page: Page) -> None:
        lacking = self.landmarks - self.found
        told = f"{self.found:,} of {self.landmarks:,} landmark genes are in the input."
        if not lacking:
            page.add_text(told)
            return
        how = "filled from the profile's other landmark genes" if self.judged else "taken to be at their training mean"
        told += f" {counted(lacking, 'missing gene')} {'is' if lacking == 1 else 'are'} {how}"
        told += "." if self.cost is None else f", which raises the expected error by {self.cost:.1%}."
        page.add_text(told)
        missing = self.genes[(self.genes["origin"] == "imputed").to_numpy()]
        missing = missing.iloc[np.argsort(_numbers(missing, "expected_r").to_numpy(), kind="stable")].head(LISTED)
        if len(missing):
            table = pd.DataFrame(
                {"gene": missing.index.astype(str)} | {n: _numbers(missing, n).to_numpy() for n in _NUMBERS[:2]}
            )
            labels = {
                "gene": "Landmark gene",
                "expected_error": f"Expected error ({self.unit})",
                "expected_r": "Expected r",
            }
            formats = {"expected_error": ".3f", "expected_r": ".2f"}
            page.add_table(
                table, "Landmark genes that were filled, the least certain first.", labels=labels, formats=formats
            )

    def add_profiles(self, page: Page) -> None:
        """Add how like the training profiles they are, and which are not."""
        far = self.distance
        if not len(far):
            page.add_text(
                "How far profiles lie from the training profiles is not known here." if self.judged else UNKNOWN
            )
            return
        page.add_text(
            "A profile's distance is the share of held-out profiles that lie nearer to the training profiles: profiles "
            f"like those are spread evenly from 0 to 100 % (dashed). Beyond {1 - UNLIKE:.0%} they are called unlike: "
            "what is expected of the genes does not hold for them."
        )
        title = f"Distance of {counted(len(far), 'profile')}"
        caption = f"{title} from the training profiles; {int((far > 1 - UNLIKE).sum()):,} beyond {1 - UNLIKE:.0%}."
        page.add_figure(distance_histogram(far, 1 - UNLIKE, title), caption)
        order = np.argsort(-far, kind="stable")
        order = order[far[order] > 1 - UNLIKE]
        if len(order):
            names = self.profiles.index.astype(str).to_numpy()[order[:LISTED]]
            table = pd.DataFrame({"Profile": names, "Distance": far[order[:LISTED]]})
            more = f"; the first {LISTED} of {len(order):,}" if len(order) > LISTED else ""
            page.add_table(table, f"Profiles unlike the training profiles{more}.", formats={"Distance": ".1%"})

    def add_genes(self, page: Page) -> None:
        """Add how many genes are how good, and every gene, best first."""
        genes = self._inferred()
        if genes["expected_r"].notna().any():
            values = {"inferred genes": genes["expected_r"].to_numpy(np.float64)}
            drawn = share_curves(
                values, "Expected r", "Genes above a correlation", above=True, mark=GOOD, marked="inferred genes"
            )
            page.add_figure(drawn, "How many genes are expected to follow the truth at least so well.")
        trust = (
            self.genes["trust"].astype(str) if "trust" in self.genes else pd.Series("unknown", index=self.genes.index)
        )
        rank = trust.where(self.genes["origin"] != "imputed", "imputed")
        error, r = (_numbers(self.genes, name) for name in ("expected_error", "expected_r"))
        columns = {
            "Trust": trust,
            f"Expected error ({self.unit})": error,
            "Expected r": r,
            "Rank recall": _numbers(self.genes, "recall"),
            "Origin": self.genes["origin"].astype(str),
        }
        table = pd.DataFrame(columns, index=self.genes.index).iloc[best_first(rank, r, error)]
        known = f"expected by {self.judged}" if self.judged else "nothing is known of what they are worth"
        page.add_finder({"Genes": table}, f"Every gene, the most trusted first; {known}.", given=True)


_NUMBERS = ("expected_error", "expected_r", "recall")


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, index=table.index)
    return pd.to_numeric(table[name], errors="coerce").astype(np.float64)
