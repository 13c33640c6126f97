"""A bare list of landmark genes: all other genes are targets."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex.aliases import PathLike
from dgex.errors import FileError, GeneError, first
from dgex.gene_ids import ID_COLUMNS, canonical
from dgex.genes import id_columns, match_genes
from dgex.inputs import regular
from dgex.limits import allowed
from dgex.progress import note, warn
from dgex.remote.fetching import at_hand
from dgex.remote.places import located
from dgex.renamed import Aliases, causes, looked_up

__all__ = ["named_once", "read_names", "with_landmarks"]


def read_names(given: PathLike | Sequence[str], what: str = "landmark gene") -> list[str]:
    """Names of genes, called `what` in errors: a list, or a text file with one in each line.

    Further fields of a line and `#` lines are left out.

    Raises
    ------
    FileError
        The file is missing or no text.
    GeneError
        No name in it.
    """
    if not isinstance(given, str | os.PathLike):
        names, where = [str(name).strip() for name in given], "landmarks"
    else:
        where = str(located(given))
        try:
            lines = regular(at_hand(given, allowed("table"))).read_text("utf-8-sig").splitlines()
        except FileError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
            raise FileError(f"no list of {what}s at {where}: {why}") from None
        names = [re.split(r"[\t,;]", line)[0].strip().strip('"') for line in lines if not line.startswith("#")]
        known = {name for kind in ID_COLUMNS.values() for name in kind}
        if names and canonical(names[0]) in known | {"name", "id"}:
            names = names[1:]
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        raise GeneError(f"{where} names no {what}", accepted="one name a line")
    return names


def named_once(var: pd.DataFrame) -> pd.DataFrame:
    """Genes by name, each once, those without a name and copies on Y left out."""
    names = pd.Series(id_columns(var)["names"])
    return var[((names != "") & ~pd.Series(var.index.astype(str)).duplicated()).to_numpy()]


def with_landmarks(frame: pd.DataFrame, names: Sequence[str], aliases: Aliases | None = None) -> pd.DataFrame:
    """Give genes their roles: `landmark` to those that a list names, perhaps by an older name, `target` to all others.

    Raises
    ------
    GeneError
        No name of the list is there.
    """
    listed = pd.DataFrame(index=list(names))
    (match,) = looked_up([listed], [match_genes(listed, frame)], frame, aliases, "the list of landmark genes")
    why = causes(listed[~match.found], frame, aliases)
    lacking = [name for name, found in zip(names, match.found) if not found]
    if len(lacking) == len(names):
        raise GeneError(
            f"none of {len(names):,} listed landmark genes is there: the list has {first(names, 3)}, the genes are "
            f"{first(frame.index, 3)}{why}"
        )
    if lacking:
        warn(f"{len(lacking):,} of {len(names):,} listed landmark genes are not there: {first(lacking)}{why}")
    role = np.full(len(frame), "target", dtype=object)
    role[np.concatenate([part for part in match.columns if len(part)])] = "landmark"
    note(f"{int((role == 'landmark').sum()):,} landmark genes by the list ({match.how}), all others are targets")
    return frame.assign(role=role)
