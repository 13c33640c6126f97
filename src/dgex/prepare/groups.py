"""What a split keeps on one side: groups of a column, or of several whose groups share profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dgex.dataset.studies import PATIENT, patients
from dgex.genes import texts
from dgex.progress import note

__all__ = ["columns_of", "group_column", "known_patients", "lacks"]


def columns_of(group: str) -> list[str]:
    """Names of columns: `study,patient` is two."""
    return [name for part in group.split(",") if (name := part.strip())]


def lacks(obs: pd.DataFrame, group: str) -> list[str]:
    """Columns that `obs` has not, and that are not read from ids either."""
    return [name for name in columns_of(group) if name not in obs and not (name == PATIENT and len(patients(obs)))]


def group_column(obs: pd.DataFrame, group: str) -> str:
    """Name of the column to split by, which is added where it is not there.

    Of several columns, profiles that share a group of any of them belong together, and so do profiles that are linked
    through others: studies that share a patient become one group. An empty value links nothing. Patients that no column
    tells are those of the ids of TCGA and GTEx.

    Examples
    --------
    >>> obs = pd.DataFrame({"study": ["a", "a", "b", "c"], "donor": ["p", "q", "q", "r"]})
    >>> group_column(obs, "study,donor"), obs["study+donor"].tolist()
    ('study+donor', ['a and 1 more', 'a and 1 more', 'a and 1 more', 'c'])
    """
    names = columns_of(group)
    for name in names:
        if name not in obs:
            obs[name] = patients(obs).to_numpy()
            known = obs[name] != ""
            note(f"{int(known.sum()):,} profiles of {obs[name][known].nunique():,} patients, by ids of TCGA and GTEx")
    if len(names) == 1:
        return names[0]
    joined = "+".join(names)
    obs[joined] = _joined([texts(obs[name]) for name in names])
    counts = ", ".join(f"{texts(obs[name]).replace('', np.nan).nunique():,} of {name}" for name in names)
    note(f"{obs[joined].nunique():,} groups that share nothing: {counts}")
    return joined


def _joined(columns: list[pd.Series]) -> np.ndarray:
    """The linked groups of each profile, called by the first of them."""
    links, offset = [], len(columns[0])
    for column in columns:
        codes, values = pd.factorize(column.to_numpy(dtype=object))
        rows = np.flatnonzero((column != "").to_numpy())
        links.append((rows, offset + codes[rows]))
        offset += len(values)
    ends = [np.concatenate([pair[side] for pair in links]) for side in (0, 1)]
    graph = coo_matrix((np.ones(len(ends[0]), np.int8), (ends[0], ends[1])), shape=(offset, offset))
    part = connected_components(graph, directed=False)[1][: len(columns[0])]
    labels = np.array([f"group {number}" for number in part], dtype=object)
    for names in reversed(columns):  # the first column that tells something names it
        known = pd.DataFrame({"part": part, "value": names.to_numpy(dtype=object)}).query("value != ''")
        for number, members in known.groupby("part")["value"]:
            different = sorted(set(members))
            more = len(different) - 1
            labels[part == number] = different[0] + (f" and {more:,} more" if more else "")
    return labels


def known_patients(obs: pd.DataFrame, group: str) -> None:
    """Say how many held-out profiles are of patients who are among the training profiles too, where ids tell."""
    known = patients(obs)
    if not len(known) or PATIENT in columns_of(group):
        return
    split = texts(obs["split"])
    seen = set(known[split == "train"]) - {""}
    found = {name: int((known[split == name].isin(seen)).sum()) for name in dict.fromkeys(split) if name != "train"}
    told = [f"{count:,} of {int((split == name).sum()):,} profiles of {name}" for name, count in found.items() if count]
    if told:
        both = ",".join([*columns_of(group), PATIENT])
        note(
            f"{' and '.join(told)} are of patients with other profiles in training, by ids of TCGA and GTEx; "
            f"group='{both}' keeps each on one side"
        )
