"""Whether a dataset was split by study or at random: a model is as good as its error on studies that it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dgex.genes import texts

__all__ = ["PATIENT", "STUDY_COLUMNS", "patients", "split_by", "split_words", "study_columns"]

#: What columns that say where a profile comes from are called, in small letters.
STUDY_COLUMNS = (
    "study",
    "study_id",
    "series",
    "series_id",
    "gse",
    "project",
    "project_id",
    "dataset",
    "cohort",
    "experiment",
    "batch",
    "donor",
    "patient",
)


def study_columns(obs: pd.DataFrame) -> dict[str, int]:
    """Columns of `obs` that say from which study, batch or donor a profile comes, and how many each tells apart.

    A column counts where it has a name of `STUDY_COLUMNS`, tells at least two apart, and brings some profiles together.

    Examples
    --------
    >>> study_columns(pd.DataFrame({"GSE": ["a", "a", "b"], "age": [1, 2, 3], "batch": ["x", "x", "x"]}))
    {'GSE': 2}
    """
    counts = {str(name): texts(obs[name]).nunique() for name in obs.columns if str(name).lower() in STUDY_COLUMNS}
    return {name: count for name, count in counts.items() if 1 < count < len(obs)}


#: Column of the patient or donor of each profile.
PATIENT = "patient"
_BARCODE = r"^(TCGA[-.][A-Z0-9]{2}[-.][A-Z0-9]{4}|GTEX[-.][A-Z0-9]{4,5})(?:[-.]|$)"


def patients(obs: pd.DataFrame) -> pd.Series:
    """Patient or donor of each profile, from ids of TCGA and GTEx in the index or a column of `obs`.

    Empty text where an id is of another kind; a Series without entries where none is.

    Examples
    --------
    >>> obs = pd.DataFrame({"sample": ["TCGA-CU-A0YN-11A-11R-A10U-07", "GTEX-S3XE-1226-SM-4AD4L", "GSM2226808"]})
    >>> patients(obs).tolist()
    ['TCGA-CU-A0YN', 'GTEX-S3XE', '']
    """
    columns = [obs.index.to_series(), *(obs[name] for name in obs.columns)]
    best = pd.Series(dtype=object)
    most = 0
    for column in columns:
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            continue
        found = texts(column).str.extract(_BARCODE, expand=False)
        count = int(found.notna().sum())
        if count > most:
            most, best = count, found.fillna("").str.replace(".", "-", regex=False)
    return best.set_axis(obs.index) if most else best


def _record(uns: Mapping[str, Any]) -> Mapping[str, Any] | None:
    record = uns.get("dgex")
    split = record.get("split") if isinstance(record, Mapping) else None
    return split if isinstance(split, Mapping) else None


def split_by(uns: Mapping[str, Any]) -> str | None:
    """The column that a dataset was split by, "" at random; None where the dataset does not say."""
    split = _record(uns)
    return None if split is None else str(split.get("group") or "")


def split_words(uns: Mapping[str, Any], obs: pd.DataFrame) -> str:
    """How a dataset was split, in words: `by study: train 30, validation 4, test 4 groups`; and its near-duplicates.

    Examples
    --------
    >>> obs = pd.DataFrame({"split": ["train", "train", "test"], "study": ["a", "b", "c"]})
    >>> split_words({"dgex": {"split": {"group": "study"}}}, obs)
    'by study: train 2, test 1 groups'
    >>> found = {"distance": 1.0, "pairs": 7, "on_both_sides": 0}
    >>> split_words({"dgex": {"split": {"group": ""}, "near_duplicates": found}}, obs)
    'at random; 7 pairs of profiles closer than 1, each on one side'
    """
    column = split_by(uns)
    if column is None:
        return "not recorded"
    if not column:
        how = "at random"
    elif column not in obs:
        how = f"by {column}"
    else:
        split, members = texts(obs["split"]), texts(obs[column])
        counts = {name: members[split == name].nunique() for name in split.unique()}
        order = {name: counts[name] for name in ("train", "validation", "test") if name in counts} | counts
        how = f"by {column}: " + ", ".join(f"{name} {count:,}" for name, count in order.items()) + " groups"
    return "; ".join(filter(None, (how, _pairs_words(uns["dgex"].get("near_duplicates")))))


def _pairs_words(found: Any) -> str:
    """What was found of profiles that are nearly the same; nothing where they were not looked for."""
    try:
        distance, pairs, apart = float(found["distance"]), int(found["pairs"]), int(found["on_both_sides"])
    except (TypeError, KeyError, ValueError):
        return ""
    if not pairs:
        return f"no two profiles closer than {distance:g}"
    many = f"{pairs:,} pair{'s' if pairs != 1 else ''} of profiles closer than {distance:g}"
    return f"{many}, " + (f"{apart:,} of them on both sides" if apart else "each on one side")
