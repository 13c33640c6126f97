"""What was asked for, and how it is done on any split: genes that may be chosen, the choice, where it stops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgex.errors import DataError, SettingsError, first
from dgex.panels.forward import Chosen
from dgex.panels.matrix import Profiles
from dgex.panels.measurable import Limits
from dgex.panels.measuring import validation_error
from dgex.panels.view import View
from dgex.panels.within import Within
from dgex.progress import note

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """A choice that was asked for.

    Attributes
    ----------
    profiles : Profiles
    limits : Limits
    batch : str or None
        Column of batches that `limits` look at.
    named : ndarray of bool, shape (genes,)
        Genes excluded by name.
    keep : ndarray of int
        Genes that must be in.
    start : ndarray of int or None
        A panel to thin.
    weights : ndarray, shape (genes,)
    penalty : float or None
    per_group : str or None
    group : str or None
        Column that splits keep together.
    """

    profiles: Profiles
    limits: Limits
    batch: str | None
    named: np.ndarray
    keep: np.ndarray
    start: np.ndarray | None
    weights: np.ndarray
    penalty: float | None
    per_group: str | None
    group: str | None

    def view(self, split: np.ndarray) -> View:
        """The profiles under a split."""
        return View.of(self.profiles, split, self.group, self.limits, self.batch)

    def allowed(self, view: View) -> tuple[np.ndarray, pd.DataFrame]:
        """Genes that may be chosen, and how many are excluded for which reason."""
        reasons = {"constant over the training profiles": view.facts.constant, "excluded by name": self.named}
        reasons |= view.facts.unmeasurable(self.limits)
        rows = [{"reason": name, "genes": int(mask.sum())} for name, mask in reasons.items() if mask.any()]
        return ~np.logical_or.reduce(list(reasons.values())), pd.DataFrame(rows, columns=["reason", "genes"])

    def chosen(self, view: View, size: int, more: int = 0) -> Chosen:
        """Choose `size` genes, and `more` that would come next as far as there are any."""
        allowed, _ = self.allowed(view)
        keep = self.keep if self.start is None else self._left(view, size)
        free = allowed.copy()
        free[keep] = False
        if size > len(keep) + int(free.sum()):
            raise SettingsError(
                "size",
                found=size,
                accepted=f"1 to {len(keep) + int(free.sum()):,}: genes that vary and are not excluded"
                + (", and those to keep" if len(keep) else ""),
            )
        more = min(more, len(keep) + int(free.sum()) - size)
        return view.choose(size + more, allowed, keep.tolist(), self.weights, self.penalty, self.per_group)

    def until(self, view: View, chosen: Chosen, error: float, size: int) -> int:
        """The fewest of the first `size` genes chosen whose error on the validation profiles is `error` or less.

        Raises
        ------
        SettingsError
            Even all of them do not reach it.
        """
        best = validation_error(view, chosen.genes[:size])
        if best > error:
            raise SettingsError(
                "error", found=error, accepted=f"{best:.4f} or more, which {size:,} genes reach; a larger size goes on"
            )
        low, high = max(1, len(self.keep)), size  # the error falls with the size but for small bumps
        while low < high:
            middle = (low + high) // 2
            if validation_error(view, chosen.genes[:middle]) <= error:
                high = middle
            else:
                low = middle + 1
        note(f"{high:,} genes reach an error of {error:g} on the validation profiles")
        return high

    def _left(self, view: View, size: int) -> np.ndarray:
        """What is left of a panel when the genes that cost least are gone."""
        assert self.start is not None
        constant = view.facts.constant[self.start]
        if constant.any():
            names = self.profiles.var.index[self.start[constant]]
            raise DataError(f"{len(names):,} genes to thin are constant over the training profiles: {first(names)}")
        if size > len(self.start):
            raise SettingsError(
                "size", found=size, accepted=f"1 to {len(self.start):,}, the genes of the panel to thin"
            )
        going = Within(view, self.start, self.weights, self.penalty).going(len(self.start) - size)
        return self.start[~np.isin(self.start, going.genes)]
