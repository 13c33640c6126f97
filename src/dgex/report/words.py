"""What numbers say, in sentences for a reader who knows genes and no statistics."""

from __future__ import annotations

import pandas as pd

from dgex.report.look import Look

__all__ = ["GOOD", "counted", "plural", "sentence", "trust_words", "whole_percent"]

#: Correlation of inferred with measured values above which the first sentence calls a gene followed.
GOOD = 0.7

_MEANS = {
    "high": "their ups and downs between profiles can be believed",
    "medium": "their direction can be believed more than their size",
    "low": "look at them only with other evidence",
    "unknown": "nothing is known of them",
}


def counted(count: int, word: str) -> str:
    """A number of things.

    Examples
    --------
    >>> counted(1, "profile"), counted(1200, "profile")
    ('1 profile', '1,200 profiles')
    """
    return f"{count:,} {word if count == 1 else plural(word)}"


def plural(word: str) -> str:
    """The plural of a name of a column.

    Examples
    --------
    >>> plural("study"), plural("series"), plural("donor"), plural("batch")
    ('studies', 'series', 'donors', 'batches')
    """
    if word.endswith("s"):
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("ch", "sh", "x")) else f"{word}s"


def whole_percent(share: float) -> str:
    """A share in whole percent; never 0 or 100 where it is not quite.

    Examples
    --------
    >>> whole_percent(0.614), whole_percent(0.0001), whole_percent(0.9999), whole_percent(1.0)
    ('61 %', 'less than 1 %', 'more than 99 %', '100 %')
    """
    if 0 < share < 0.005:
        return "less than 1 %"
    if 0.995 <= share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def sentence(look: Look) -> str:
    """What to believe, in words: "on studies it has never seen …".

    Genes whose correlation does not exist, as of those that never change, count as not followed.
    """
    r, count = look.genes["r"], len(look.genes)
    if not r.notna().any():
        return f"On {look.where}, {look.model} infers no gene whose changes could be compared with measured ones."
    words = (
        f"On {look.where}, {look.model} infers {whole_percent(float((r > GOOD).mean()))} of the {count:,} target genes "
        f"with r above {GOOD:g} (the correlation of inferred with measured values)".replace("0.", ".")
    )
    known = look.genes["original"].median() if look.original else float("nan")
    if pd.notna(known):
        words += f"; half of the genes are off by less than {known:.2f} {look.original} on average"
    return f"{words}. {look.beware}".strip()


def trust_words(trust: pd.Series, judged: str) -> str:
    """How many genes have how much trust, and what that means; "" where nothing is known.

    Examples
    --------
    >>> trust_words(pd.Series(["low", "low"]), "20 profiles")
    'Trust, judged by 20 profiles: low for 2 genes (look at them only with other evidence).'
    """
    counts = trust.value_counts()
    parts = [
        f"{word} for {counts[word]:,} gene{'s' if counts[word] != 1 else ''} ({meaning})"
        for word, meaning in _MEANS.items()
        if counts.get(word, 0)
    ]
    if not parts or set(counts.index) <= {"unknown", "measured", ""}:
        return ""
    return f"Trust, judged by {judged}: {'; '.join(parts)}."
