"""Panels to compare with: random genes, the most variable, leaders of principal components, lists of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from dgex.aliases import PathLike
from dgex.errors import GeneError, SettingsError, first
from dgex.genes import texts
from dgex.models.selection import spread
from dgex.panels.lists import names_of, places
from dgex.panels.view import View
from dgex.places import split_name
from dgex.progress import note
from dgex.remote.places import located

__all__ = ["DRAWS", "KINDS", "Rival", "leaders", "rivals_of"]

#: What `against` may name beside files.
KINDS = ("random", "variable", "components", "roles")
DRAWS = 3  # random panels of each size
_PROFILES = 2000  # that principal components are taken of, evenly spaced


@dataclass(frozen=True)
class Rival:
    """A way to choose a panel, as an order of genes.

    Attributes
    ----------
    name : str
    kind : str
        One of `KINDS`, or `"list"`.
    genes : ndarray of int
        Of a list: positions of its genes in the data, in its order.
    """

    name: str
    kind: str
    genes: np.ndarray

    def orders(self, view: View, allowed: np.ndarray, most: int, seed: int) -> dict[str, list[np.ndarray]]:
        """Name to orders of genes; several are draws whose errors are averaged.

        A list has an order of its own, which may be none (an alphabet): random draws of it are compared, too.
        """
        free = np.flatnonzero(allowed & ~view.facts.constant)
        if self.kind == "random":
            return {self.name: [np.random.default_rng([seed, draw]).permutation(free) for draw in range(DRAWS)]}
        if self.kind == "variable":
            spread_of = view.spread()
            return {self.name: [free[np.argsort(-spread_of[free], kind="stable")]]}
        if self.kind == "components":
            return {self.name: [leaders(view, free, most)]}
        genes = self.genes[~view.facts.constant[self.genes]]
        draws = [np.random.default_rng([seed, draw]).permutation(genes) for draw in range(DRAWS)]
        return {self.name: [genes], f"{self.name}, drawn": draws}


def rivals_of(against: Sequence[str | PathLike], var: pd.DataFrame) -> list[Rival]:
    """Read what to compare with.

    Raises
    ------
    SettingsError, GeneError, FileError
        What is neither known nor a file; a list without a gene of the data; no landmark genes in `var["role"]`.
    """
    found: list[Rival] = []
    for item in against:
        text = str(item)
        if text in KINDS[:3]:
            found.append(Rival(text, text, np.empty(0, np.int64)))
        elif text == "roles":
            if "role" not in var or not (texts(var["role"]) == "landmark").any():
                raise GeneError("no landmark genes in var['role'] to compare with", accepted="against a list in a file")
            found.append(Rival("roles", "list", np.flatnonzero((texts(var["role"]) == "landmark").to_numpy())))
        else:
            name, path = split_name(text)
            if not located(path).exists():
                raise SettingsError("against", found=text, accepted=f"{', '.join(KINDS)}, FILE or NAME=FILE")
            names = names_of(path)
            genes, missing = places(names, var)
            if not len(genes):
                raise GeneError(f"none of the {len(names):,} genes of {path} is in the data: {first(names)}")
            if missing:
                note(f"{path}: {len(missing):,} of {len(names):,} genes are not in the data: {first(missing, 5)}")
            found.append(Rival(name or located(path).stem, "list", genes))
    names = [rival.name for rival in found]
    if len(set(names)) < len(names):
        raise SettingsError("against", found=", ".join(names), accepted="each name once; NAME=FILE gives another")
    return found


def leaders(view: View, free: np.ndarray, most: int) -> np.ndarray:
    """Genes of the largest loadings: of every principal component the first that is not taken, then the next of each.

    The idea by which the L1000 landmark genes were made (Subramanian et al., Cell 2017), which took representatives
    of clusters in the space of components; here each component gives one directly.
    """
    rows = view.rows("train")
    Z = view.values(rows[spread(len(rows), _PROFILES)], free)
    Z -= Z.mean(axis=0)
    values, vectors = linalg.eigh((Z @ Z.T).astype(np.float64))
    keep = values > 1e-6 * values[-1]
    loadings = np.abs(Z.T @ vectors[:, keep][:, ::-1].astype(np.float32))[:, :most]
    taken: dict[int, None] = {}
    while len(taken) < min(most, len(free)):
        for component in loadings.T:
            component[list(taken)] = -1.0
            taken[int(component.argmax())] = None
            if len(taken) >= min(most, len(free)):
                break
    return free[list(taken)]
