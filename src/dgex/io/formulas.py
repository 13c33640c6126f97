"""Names that a spreadsheet takes for formulas and runs when it opens a table of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgex import progress
from dgex.errors import first
from dgex.io.numerals import PLAIN

__all__ = ["Formulas"]

_STARTS = ("=", "+", "-", "@")


class Formulas:
    """Finds such names among the texts of a table, and quotes them where that is asked for.

    >>> Formulas(quote=True).quoted(["TP53", "=1+1", "-2.5"])
    ['TP53', "'=1+1", '-2.5']
    """

    def __init__(self, quote: bool) -> None:
        self._quote = quote
        self._found: list[str] = []

    def quoted(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts of a column, those that start like a formula behind an apostrophe if asked for."""
        formulas = {text for text in texts if text.startswith(_STARTS) and not PLAIN.is_number(text)}
        if not formulas:
            return texts
        self._found += sorted(formulas)
        return [f"'{text}" if text in formulas else text for text in texts] if self._quote else texts

    def tell(self, path: Path) -> None:
        """Say what was found, if anything was."""
        if self._found:
            done = "an apostrophe stands before each" if self._quote else "spreadsheet=True quotes them"
            progress.note(f"{path} holds names that a spreadsheet takes for formulas ({first(self._found, 3)}): {done}")
