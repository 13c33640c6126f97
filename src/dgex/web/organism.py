"""Of which organism a list of genes is, where their names say it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["organism"]

_ENSEMBL = {
    "ENS": "human",
    "ENSMUS": "mouse",
    "ENSRNO": "rat",
    "ENSDAR": "zebrafish",
    "ENSSSC": "pig",
    "ENSBTA": "cow",
    "ENSGAL": "chicken",
    "ENSMMU": "rhesus macaque",
    "ENSPTR": "chimpanzee",
    "ENSCAF": "dog",
}
_TAGS = (
    (r"b\d{4}", "Escherichia coli"),
    (r"BSU_?\d{5}", "Bacillus subtilis"),
    (r"Y[A-P][LR]\d{3}[WC](-[A-Z])?", "baker's yeast"),
    (r"FBgn\d{7}", "fruit fly"),
    (r"WBGene\d{8}", "Caenorhabditis elegans"),
    (r"AT[1-5CM]G\d{5}", "thale cress"),
    (r"Rv\d{4}[A-Dc]?", "Mycobacterium tuberculosis"),
    (r"PA\d{4}", "Pseudomonas aeruginosa"),
)
_MOST = 0.6  # share of the names that must agree


def organism(*columns: Sequence[str]) -> str:
    """The organism, or "" where names do not say it; the first of several columns of names that does so counts.

    Symbols alone tell no more than that letters are written as in human or as in mouse and rat.

    >>> organism(["ENSMUSG00000000001", "ENSMUSG00000000003.7"]), organism(["b0001", "b0002"]), organism(["1", "2"])
    ('mouse', 'Escherichia coli', '')
    >>> organism(["TP53", "GAPDH", "MYC"]), organism(["Trp53", "Gapdh", "Myc"])
    ('human, as the symbols are written', 'mouse or rat, as the symbols are written')
    """
    for names in columns:
        found = _of([str(name) for name in names if str(name)][:5000])
        if found:
            return found
    return ""


def _of(names: list[str]) -> str:
    if not names:
        return ""
    prefixes = [match[1] for name in names if (match := re.match(r"(ENS[A-Z]{0,3})[GT]\d{9,}", name))]
    for prefix, name in _ENSEMBL.items():
        if prefixes.count(prefix) >= _MOST * len(names):
            return name
    for pattern, name in _TAGS:
        if sum(re.fullmatch(pattern, one) is not None for one in names) >= _MOST * len(names):
            return name
    symbols = [name for name in names if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{2,}", name)]
    if len(symbols) < _MOST * len(names) or all(name.endswith("_at") for name in names):
        return ""
    if sum(name.isupper() or "orf" in name for name in symbols) >= 0.9 * len(symbols):
        return "human, as the symbols are written"
    if sum(name[0].isupper() and name[1:].islower() for name in (re.sub(r"\d|-", "", s) + "a" for s in symbols)) >= (
        0.8 * len(symbols)
    ):
        return "mouse or rat, as the symbols are written"
    return ""
