"""Work in a folder: whose the folder is, what the work is of, who is at it, and what may be removed.

Everything that goes on (a run, a grid, an inference, a study) does so by this module: a marker, a JSON file of the
folder, says what the work is of, and all that shapes the result is compared with it first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dgex.aliases import PathLike
from dgex.atomic import json_dump, plain
from dgex.errors import FileError, ModelError, OutputExistsError, first, os_error
from dgex.locks import clear_dead
from dgex.ownership import listed, others, put_list, refuse_others, remove
from dgex.records import read_json

__all__ = ["Work", "as_json", "differences"]


class Work:
    """A folder of work that can be gone on with.

    Parameters
    ----------
    folder : path
        Where the work is done.
    marker : str
        Name of the file in it that says what the work is of.
    what : str
        What the folder holds, for messages: "a grid".
    files : iterable of str
        What the work writes there besides the marker: folders with a slash at the end, `*` for any text but a slash.
    """

    def __init__(self, folder: PathLike, marker: str, what: str, files: Iterable[str] = ()) -> None:
        self.folder, self.what = Path(folder), what
        self.marker = self.folder / marker
        self._files = [marker, *files]

    @property
    def begun(self) -> bool:
        """Whether the folder says what it is of."""
        return self.marker.exists()

    def refuse_other(self) -> None:
        """Refuse a file, or a folder that has something in it but not the marker.

        Raises
        ------
        OutputExistsError
        """
        if self.folder.is_symlink():
            raise FileError(f"{self.folder} is a link to {os.readlink(self.folder)}; give the place itself")
        if not os.path.lexists(self.folder) or self.begun:
            return
        found = others(self.folder) if self.folder.is_dir() else []
        if found or not self.folder.is_dir():
            holds = f" (it holds {first(found, 3)})" if found else ""
            raise OutputExistsError(f"{self.folder} exists and is not {self.what}{holds}; give another name")

    def read(self) -> dict[str, Any]:
        """What the marker says.

        Raises
        ------
        ModelError
            It is missing or damaged.
        """
        try:
            said = read_json(self.marker)
            if not isinstance(said, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.marker} is damaged ({type(error).__name__}: {error}); remove {self.folder} to begin anew"
            ) from None
        return said

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Say what the work is of."""
        try:
            self.own(*self._files)
        except OSError as error:
            raise os_error(self.folder, error) from error
        json_dump(dict(identity), self.marker)

    def own(self, *names: str) -> None:
        """Put names on the list of what dgex writes into the folder; each before it is written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files, patterns = listed(self.folder)
        if not (files | patterns).issuperset(names):
            files, patterns = (
                files.union(n for n in names if "*" not in n),
                patterns.union(n for n in names if "*" in n),
            )
            put_list(self.folder, files, patterns)

    def compare(self, before: Mapping[str, Any], now: Mapping[str, Any], advice: str = "") -> None:
        """Refuse to go on with work of something else.

        Raises
        ------
        ModelError
            Names everything that differs, what it was and what it is now.
        """
        differ = differences(before, now)
        if differ:
            raise ModelError(
                f"{self.folder} is {self.what} of something else ({'; '.join(differ)}); "
                f"{advice or 'give another name, or the same again'}"
            )

    def clear(self, among_others: bool = False) -> None:
        """Remove what this program wrote there, the marker last; the folder too where nothing else is in it.

        Raises
        ------
        OutputExistsError
            Something else lies there, and not `among_others`: then nothing is removed.
        """
        clear_dead(self.folder)
        if not among_others:
            refuse_others(self.folder)
        remove(self.folder, self.marker.name)


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON gives it back: tuples are lists, numbers are Python's own."""
    return dict(json.loads(json.dumps(dict(value), default=plain)))


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], same: Callable[[str, Any, Any], bool] | None = None
) -> list[str]:
    """What differs between two descriptions of a work, in words; digests by their beginning.

    Parameters
    ----------
    before, now : mapping
        Compared as JSON knows them.
    same : function of name, before and now, optional
        Whether two values count as the same; equality without it.

    Examples
    --------
    >>> differences({"method": "ols", "seed": 0}, {"method": "ridge", "seed": 0})
    ['method: there ols, now ridge']
    """
    there, here = as_json(before), as_json(now)
    alike = same or (lambda name, one, other: one == other)
    return [
        f"{name}: there {_short(there.get(name))}, now {_short(here.get(name))}"
        for name in {**there, **here}
        if not alike(name, there.get(name), here.get(name))
    ]


def _short(value: Any) -> str:
    text = str(value)
    digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:12] if digest else text if len(text) <= 80 else f"{text[:77]}..."
