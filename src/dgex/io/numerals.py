"""How numbers are written: decimal points or commas, marks between thousands, and marks of missing values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

__all__ = ["MISSING", "PLAIN", "STYLES", "Ambiguous", "Numerals", "detect"]

MISSING = ("", "NA", "na", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "#N/A")
_MISSING = frozenset(MISSING)


@dataclass(frozen=True)
class Numerals:
    """A way to write numbers: the mark before decimals, and the one between thousands (none: empty)."""

    decimal: str = "."
    group: str = ""

    @cached_property
    def pattern(self) -> str:
        """What a number that needs this way looks like, as a regular expression; plain ones are accepted besides."""
        decimal, group = re.escape(self.decimal), re.escape(self.group)
        whole = rf"[1-9]\d{{0,2}}({group}\d{{3}})+|\d+" if self.group else r"\d+"
        return rf"^[+-]?(({whole})({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d+)?$"

    @cached_property
    def _accepts(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def is_number(self, text: str) -> bool:
        """Whether a field is a number, or the mark of a missing one."""
        text = text.strip()
        if text in _MISSING or self._accepts.match(text):
            return True
        return self == PLAIN and text.lower().lstrip("+-") in ("inf", "infinity")

    @staticmethod
    def is_missing(text: str) -> bool:
        """Whether a field is empty, or a mark of a missing value."""
        return text.strip() in _MISSING

    def __str__(self) -> str:
        names = {",": "commas", ".": "points", "'": "apostrophes"}
        said = [f"decimal {names[self.decimal]}"] if self.decimal != "." else []
        said += [f"{names.get(self.group, 'blanks')} between thousands"] if self.group else []
        return " and ".join(said) or "plain"


PLAIN = Numerals()
STYLES = (
    PLAIN,
    Numerals(".", ","),
    Numerals(",", ""),
    Numerals(",", "."),
    Numerals(".", "'"),
    *(Numerals(decimal, group) for group in (" ", "\u00a0", "\u202f") for decimal in (".", ",")),
)
_LOOKS = re.compile(r"^[+-]?\d[\d.,' \u00a0\u202f]*([eE][+-]?\d+)?$|^[+-]?[.,]\d+([eE][+-]?\d+)?$")


class Ambiguous(ValueError):
    """Numbers that could be thousands or decimals: `1,046` everywhere."""


def detect(fields: Iterable[str]) -> Numerals:
    """Find the way in which all numbers among `fields` are written; plain where none fits all.

    Raises
    ------
    Ambiguous
        All have one comma and three digits after it.
    """
    numbers = {field.strip() for field in fields}
    numbers = {text for text in numbers if _LOOKS.match(text)}
    if all(map(PLAIN._accepts.match, numbers)):
        return PLAIN
    fitting = [style for style in STYLES if all(map(style._accepts.match, numbers))]
    if not fitting:
        return PLAIN
    if STYLES[1] in fitting and STYLES[2] in fitting:  # 1,046 and the like only
        bare = [text for text in numbers if "," not in text]
        if not bare:
            raise Ambiguous(next(iter(sorted(numbers))))
        return STYLES[1] if all(len(text.split(".")[0].lstrip("+-")) <= 3 for text in bare) else STYLES[2]
    return fitting[0]
