"""How far inferred and measured target genes differ: a free check of the model on the user's own profiles."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Check"]


class Check:
    """Sums over profiles, by gene; values that were not measured are left out."""

    def __init__(self) -> None:
        self.profiles = 0
        self.missing = 0  # landmark values that were imputed, beside those of genes that the input lacks
        self._count = np.zeros(0)
        self._apart = np.zeros(0)
        self._moments = np.zeros((5, 0))

    def add(self, measured: np.ndarray, inferred: np.ndarray) -> None:
        """Compare values [profiles, genes] in one unit."""
        if not self.profiles:
            genes = measured.shape[1]
            self._count, self._apart, self._moments = np.zeros(genes), np.zeros(genes), np.zeros((5, genes))
        there = np.isfinite(measured)
        x, y = (np.where(there, part, 0).astype(np.float64) for part in (measured, inferred))
        self.profiles += len(measured)
        self._count += there.sum(axis=0)
        self._apart += np.abs(x - y).sum(axis=0)
        self._moments += np.stack([x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)])

    def told(self) -> dict[str, Any]:
        """Medians over genes: of the mean absolute difference, and of the correlation over profiles where it exists."""
        seen = self._count > 0
        n = self._count[seen]
        x, y, xx, yy, xy = self._moments[:, seen] / n
        spread = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        told: dict[str, Any] = {"genes": int(seen.sum()), "profiles": self.profiles}
        told["median_difference"] = float(np.median(self._apart[seen] / n)) if seen.any() else float("nan")
        varied = (spread > 1e-12) & (n > 2)
        if varied.any():
            told["median_correlation"] = float(np.median((xy - x * y)[varied] / spread[varied]))
        return told

    def __str__(self) -> str:
        told = self.told()
        correlation = f", correlation {told['median_correlation']:.2f}" if "median_correlation" in told else ""
        return (
            f"{told['genes']:,} target genes were measured in {told['profiles']:,} profiles: inferred values are "
            f"{told['median_difference']:.2g} off in the median gene{correlation}"
        )
