"""Genes and profiles that somebody asks about, by any of their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dgex.errors import DataError, GeneError, SettingsError, first
from dgex.genes import id_type
from dgex.io.base import ExpressionFile
from dgex.models.base import Estimator

__all__ = ["listed", "profile_positions", "target_positions"]


def listed(names: str | Sequence[str], what: str, known: set[str]) -> list[str]:
    """Names, each once; a text that is no name as it stands is split at commas."""
    found: list[str] = []
    for text in [names] if isinstance(names, str) else [str(name) for name in names]:
        found += [text] if text in known else [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise SettingsError(what, found="none", accepted=f"names of {what}")
    return list(dict.fromkeys(found))


def target_positions(model: Estimator, names: list[str]) -> np.ndarray:
    """Positions of target genes by any of their names."""
    targets, landmarks = (_called(part) for part in (model.target_genes(), model.landmark_genes()))
    asked = {name: _bare(name) for name in names}
    unknown = [name for name in names if asked[name] not in targets]
    measured = [name for name in unknown if asked[name] in landmarks]
    if measured:
        what = "is a landmark gene" if len(measured) == 1 else "are landmark genes"
        raise GeneError(f"{first(measured)} {what} of the model: measured, not inferred", accepted="its target genes")
    if unknown:
        known = model.target_genes().index
        raise GeneError(
            f"the model infers no target gene named {first(unknown)}: it has {id_type(known)} names such as "
            f"{first(known, 3)}"
        )
    return np.array(list(dict.fromkeys(targets[asked[name]] for name in names)))


def _called(genes: pd.DataFrame) -> dict[str, int]:
    """Every name of every gene, with the gene's position; the first that bears a name has it."""
    found: dict[str, int] = {}
    for column in (genes.index, *(genes[name] for name in genes.columns if name != "role")):
        for at, text in enumerate(column):
            for name in str(text).split(","):
                if name.strip():
                    found.setdefault(_bare(name.strip()), at)
    return found


def _bare(name: str) -> str:
    """An Ensembl id without its version; any other name as it is."""
    return name.split(".")[0] if name.startswith("ENS") else name


def profile_positions(data: ExpressionFile, asked: str | Sequence[str] | None) -> np.ndarray:
    """Positions of profiles by name."""
    names = data.obs.index.astype(str)
    if asked is None:
        if len(names) == 1:
            return np.array([0])
        raise DataError(f"which profile? {data.name} holds {len(names):,}, such as {first(names, 3)}; name some")
    wanted = listed(asked, "profiles", set(names))
    absent = [name for name in wanted if name not in set(names)]
    if absent:
        raise DataError(
            f"{data.name} holds no profile named {first(absent)}: it holds {len(names):,}, such as {first(names, 3)}"
        )
    twice = sorted(set(wanted) & set(names[names.duplicated()]))
    if twice:
        raise DataError(f"{data.name} holds several profiles of one name: {first(twice)}")
    return np.array([names.get_loc(name) for name in wanted])
