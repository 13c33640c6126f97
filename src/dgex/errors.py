"""Every error a user can meet: one line that says what is wrong, what was found and what is accepted."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable

__all__ = [
    "DataError",
    "DgexError",
    "DivergedError",
    "FileError",
    "GeneError",
    "ModelError",
    "OutputExistsError",
    "RankError",
    "SettingsError",
    "first",
    "os_error",
    "printable",
]

_LONGEST = 1600  # characters of a message, beyond which its middle is left out
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of characters, ends of lines and paragraphs
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the way text runs


class DgexError(Exception):
    """Base of all errors the user can mend; the command line prints it as one line and exits with 1.

    Parameters
    ----------
    message : str
        What is wrong.
    found : object, optional
        What was found instead; told after the message, text in quotes.
    accepted : str or iterable, optional
        What is accepted; told last.

    Attributes
    ----------
    message, found, accepted
        As given; None where a message says it all.

    Examples
    --------
    >>> error = SettingsError("dropout", found=1.5, accepted="0 or more, below 1")
    >>> str(error), error.found
    ('dropout: found 1.5, accepted 0 or more, below 1', 1.5)
    """

    def __init__(
        self, message: str = "", *, found: object = None, accepted: str | Iterable[object] | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.found, self.accepted = message, found, accepted

    def __str__(self) -> str:
        text = printable(self._text())
        if len(text) <= _LONGEST:
            return text
        return f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 4 :]}"  # a name in it has no end

    def _text(self) -> str:
        accepted = self.accepted
        if accepted is not None and not isinstance(accepted, str):
            accepted = first(accepted, 20)
        if self.found is None:
            return self.message if accepted is None else f"{self.message}; accepted: {accepted}"
        try:
            found = repr(self.found) if isinstance(self.found, str) else str(self.found)
        except ValueError:  # Python does not write out whole numbers of thousands of digits
            found = "a number of thousands of digits"
        text = f"{self.message}: found {found}"
        return text if accepted is None else f"{text}, accepted {accepted}"


class FileError(DgexError, OSError):
    """A file or folder that is missing, truncated, of a wrong format, or that cannot be written."""


class OutputExistsError(FileError):
    """An output that exists already and was not to be overwritten."""


class DataError(DgexError, ValueError):
    """Values that cannot be used: NaN, infinity, duplicate ids, constant targets, too few samples."""


class DivergedError(DataError):
    """A network whose loss became NaN or infinite before it had learned anything."""


class GeneError(DgexError, ValueError):
    """Genes that do not fit: no common genes, missing landmarks, roles that cannot be assigned."""


class ModelError(DgexError, ValueError):
    """A model folder with a missing, changed or unreadable part, or a model used before it was fitted."""


class RankError(DgexError):
    """Processes of one run that disagree, or one of them that was lost."""


class SettingsError(DgexError, ValueError):
    """A setting outside what is accepted."""


def first(items: Iterable[object], count: int = 10) -> str:
    """Join the first `count` items for an error message and say how many more there are."""
    listed = [str(item) for item in items]
    more = f" and {len(listed) - count:,} more" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more


def os_error(path: str | os.PathLike[str], error: OSError) -> FileError:
    """Turn an operating system's refusal to write `path` into a one-line error."""
    if os.fspath(path).startswith(f"{os.devnull}/"):  # where places of `dgex.remote` lie for who takes them for local
        return FileError("this command writes to local places only, and a URL was given; copy the result there")
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "permission denied",
        errno.EROFS: "the file system is read-only",
    }.get(error.errno or 0, error.strerror or str(error).splitlines()[0])
    return FileError(f"cannot write {os.fspath(path)}: {reason}; nothing was left behind")


def printable(text: str, keep: str = "") -> str:
    """Show what would steer a terminal, or turn the text around, as `\\u001b`, as JSON does; all else stays.

    Names come from files of others. `keep` holds characters that stay, such as the line ends of a table.

    >>> print(printable("TP53\\x1b[2J"))
    TP53\\u001b[2J
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(mark):04x}"
        if mark not in keep and (mark in _TURNING or unicodedata.category(mark) in _HIDDEN)
        else mark
        for mark in text
    )
