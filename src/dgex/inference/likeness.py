"""Whether profiles are like those that a model was judged by; where a whole file is not, what it looks like."""

from __future__ import annotations

import numpy as np

from dgex.confidence.confidence import UNLIKE
from dgex.progress import note, warn

__all__ = ["Likeness"]

MANY = 0.5  # share of unlike profiles from which the whole file is meant
OUT, FEW = 0.85, 10  # of so many profiles the median lies beyond so many of those held out: the file is far as a whole
SHIFTED = 1.0  # training standard deviations between means
AGREES = 0.3  # correlation of the file's mean profile with the training mean, below which names are doubted
NARROW, WIDE = 0.4, 2.5  # spread of landmark genes, as a ratio to the training profiles'


class Likeness:
    """Sums over the profiles of a file: their distances, and the moments of their landmark genes in the model's unit.

    Parameters
    ----------
    mean, std : ndarray or None
        Training means and deviations of the landmark genes, where the model works in standardised values.
    """

    def __init__(self, mean: np.ndarray | None, std: np.ndarray | None) -> None:
        self._mean, self._std = mean, std
        self._parts: list[np.ndarray] = []
        self._count, self._sum, self._square = 0, np.zeros(1), np.zeros(1)

    def add(self, x: np.ndarray, farther: np.ndarray) -> None:
        """Landmark values [profiles, landmarks], and the share of held-out profiles that is farther than each."""
        self._parts.append(farther.astype(np.float32))
        self._count += len(x)
        self._sum = self._sum + x.sum(axis=0, dtype=np.float64)
        self._square = self._square + np.einsum("ij,ij->j", x, x, dtype=np.float64)

    def known(self, farther: np.ndarray) -> None:
        """Profiles that were inferred before, of which no more is known."""
        self._parts.append(farther.astype(np.float32))

    @property
    def farther(self) -> np.ndarray:
        """Share of held-out profiles that is farther than each profile so far."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)

    @property
    def doubted(self) -> bool:
        """Whether the file as a whole is unlike the training profiles, so that nothing expected holds for it."""
        far = self.farther
        if not len(far) or np.isnan(far).all():
            return False
        out = 1 - float(np.median(far)) > OUT and len(far) >= FEW
        return out or float((far < UNLIKE).mean()) >= MANY

    def told(self, names: list[str], own: bool = False) -> str | None:
        """Say how many profiles are unlike, and what a file of such profiles looks like; what was said, if warned."""
        far = self.farther < UNLIKE
        count = int(far.sum())
        if not len(far):
            return None
        middle = 1 - float(np.median(self.farther))
        whole = count >= MANY * len(far)
        if not whole and middle > OUT and len(far) >= FEW:
            text = (
                f"as a whole the file lies far out: half of its {len(far):,} profiles are farther from the training "
                f"profiles than {middle:.0%} of those held out; {self._looks(own)}; errors are likely to be larger "
                "than expected"
            )
        elif not count:
            note("all profiles lie as near the training profiles as 99 % of those held out")
            return None
        elif not whole:
            some = ", ".join(names[at] for at in np.flatnonzero(far)[:3])
            text = (
                f"{count:,} of {len(far):,} profiles are unlike the training profiles (farther than 99 % of those held "
                f"out), such as {some}: their column 'unlike' marks them"
            )
        else:
            text = (
                f"{count:,} of {len(far):,} profiles are unlike the training profiles: {self._looks(own)}; expected "
                "accuracy, trust and intervals do not hold for them"
            )
        warn(text)
        return text

    def _looks(self, own: bool) -> str:
        """What is wrong with the whole file, most telling first, and what to try."""
        if not self._count:
            return "they were inferred before"
        mean = self._sum / self._count
        spread = np.sqrt(np.maximum(self._square / self._count - mean**2, 0))
        if self._mean is not None and self._std is not None and not own and len(mean) > 20:
            raw = mean * self._std + self._mean
            agrees = np.corrcoef(raw, self._mean)[0, 1] if raw.std() > 0 else 0.0
            if agrees < AGREES:
                return (
                    f"genes that are high in the training profiles are not high here (correlation {agrees:.2f} of mean "
                    "landmark values), as where names do not belong to their values, or of another organism: check ids"
                )
        ratio = float(np.median(spread[spread > 0])) if self._count > 4 and (spread > 0).any() else 1.0
        if self._count > 4 and ratio > WIDE:
            return (
                f"landmark genes vary {ratio:.1f} times as much as in training, as on another scale (is it log2?); "
                "--scale tells it"
            )
        shift = float(np.median(np.abs(mean)))
        if shift > SHIFTED and not own:
            return (
                f"the median landmark gene is {shift:.1f} training standard deviations off, as from another platform "
                "or normalisation; `dgex adapt` learns it from a few whole profiles, --standardize own takes the "
                "input's own statistics"
            )
        if self._count > 4 and ratio < NARROW:
            return f"landmark genes vary {ratio:.2f} times as much as in training, as of compressed or averaged values"
        return (
            "its landmark genes do not go together as in training: another tissue, platform or normalisation; "
            "`dgex adapt` learns it from a few whole profiles"
        )
