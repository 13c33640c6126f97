"""What section 3.4 of the paper tells, on the page: the network for all genes, and what was inferred by it."""

from __future__ import annotations

from dgex.paper.folder import L1000, RETRAINED
from dgex.paper.study import Study, read_record
from dgex.report.page.page import Page

__all__ = ["add_section_3_4"]


def add_section_3_4(page: Page, study: Study) -> None:
    """Add both parts, as far as they were done."""
    _retraining(page, study)
    _inference(page, study)


def _retraining(page: Page, study: Study) -> None:
    facts = read_record(study.folder / RETRAINED)
    if not facts:
        return
    page.add_heading("Trained again on all genes (section 3.4)")
    first = study.data.platforms[0]
    page.add_numbers(
        [
            ("Target genes", f"{facts['targets']:,}", f"{facts['new']:,} that the other platform does not measure"),
            ("Landmark genes", f"{facts['landmarks']:,}", "the paper: 978 landmark and 21,290 target genes"),
            ("Overall error", f"{facts['errors']['test']:.4f}", f"{facts['errors']['validation']:.4f} on validation"),
        ]
    )
    page.add_text(
        f"The network {facts['network']}, selected on {first.va}, trained anew on {first.name} alone with every gene "
        f"that they measure, in {facts['seconds']:,.0f} s; errors are over all its target genes."
    )


def _inference(page: Page, study: Study) -> None:
    facts = read_record(study.folder / L1000 / "l1000.json")
    if not facts:
        return
    page.add_heading("Inference of landmark profiles (section 3.4)")
    rate = f"{facts['profiles'] / max(facts['seconds'], 1e-9):,.0f}"
    size = f"{facts['seconds']:,.1f} s, {facts['bytes'] / 2**30:,.2f} GiB, reading and writing included"
    page.add_numbers(
        [
            ("Profiles inferred", f"{facts['profiles']:,}", _inferred_words(study)),
            ("Target genes of each", f"{facts['inferred']:,}", f"{facts['genes']:,} genes written"),
            ("Profiles a second", rate, size),
        ]
    )
    how = "their own statistics" if facts["standardize"] else "the training statistics"
    page.add_text(
        f"{facts['source']}, in blocks, by the network {facts['network']}"
        f"{', trained again on all genes' if facts.get('retrained') else ''}; landmark genes standardised by {how}."
    )


def _inferred_words(study: Study) -> str:
    if study.plan.data == "simulated" and not study.plan.l1000:
        return "the arrays again, by their landmark genes: a test of the way, not new profiles"
    return "the paper: 1,328,098 L1000 profiles"
