"""How far to trust what a model infers: stored with it, made of profiles held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from dgex.arrays.index import evenly
from dgex.confidence.accuracy import COLUMNS, gene_accuracy
from dgex.confidence.held_out import MOST, HeldOut
from dgex.confidence.intervals import EXPONENTS, FEWEST, LEVELS, STEPS, Intervals
from dgex.confidence.landmarks import Landmarks
from dgex.confidence.missing import MissingCost
from dgex.confidence.trust import RULES, TRUST, trust
from dgex.errors import DataError
from dgex.progress import note

__all__ = ["UNLIKE", "Confidence", "trusted"]

_PREFIX = "confidence."
#: Share of held-out profiles that are farther, below which a profile is called unlike them.
UNLIKE = 0.01
_GRID = 1001  # quantiles of the held-out distances that are kept


@dataclass
class Confidence:
    """What a model knows of its own accuracy. All values are in the unit that the model works in.

    Attributes
    ----------
    accuracy : DataFrame, a row a target gene
        See `gene_accuracy`.
    landmarks : Landmarks
        How the landmark genes lie together in the training profiles.
    landmark_accuracy : ndarray of float32, shape (landmarks, 2)
        Error and correlation of each landmark gene where it is missing and filled from all others.
    intervals : Intervals
    distances : ndarray of float32
        Quantiles of the distances of held-out profiles, in order.
    missing : MissingCost
    judged : dict
        `words`: by what; `profiles`, `groups`: how many of them.
    rules : dict
        By which trust is given, see `dgex.confidence.trust`.
    """

    accuracy: pd.DataFrame
    landmarks: Landmarks
    landmark_accuracy: np.ndarray
    intervals: Intervals
    distances: np.ndarray
    missing: MissingCost
    judged: dict[str, Any]
    rules: dict[str, dict[str, float]] = field(default_factory=lambda: RULES)

    @classmethod
    def of(cls, predict: Callable[[np.ndarray], np.ndarray], training: np.ndarray, held: HeldOut) -> Self:
        """Judge by held-out profiles.

        Parameters
        ----------
        predict : callable
            The final model: landmark values [profiles, landmarks] to target values.
        training : ndarray of float32, shape (profiles, landmarks)
            Landmark genes of the training profiles.
        held : HeldOut

        Raises
        ------
        DataError
            Fewer than 20 held-out profiles.
        """
        if len(held.X) < FEWEST:
            raise DataError(
                f"too few held-out profiles to know how far values can be trusted: found {len(held.X)}, "
                f"at least {FEWEST} are needed"
            )
        held = held.few()
        rows = evenly(len(training), 10 * MOST)
        landmarks = Landmarks.of(training, rows)
        far = held.distance(landmarks)
        groups = None if held.groups is None else np.asarray(held.groups, dtype=str)
        accuracy = gene_accuracy(held.Y, held.predicted, groups)
        intervals = Intervals.of(held.predicted, held.Y, far, groups)
        filled = np.stack(landmarks.settle(held.X), axis=1).astype(np.float32)
        count = 0 if groups is None else len(set(groups.tolist()))
        return cls(
            accuracy,
            landmarks,
            filled,
            intervals,
            np.quantile(far, np.linspace(0, 1, _GRID)).astype(np.float32),
            MissingCost.of(predict, held, landmarks),
            {"words": held.words, "profiles": len(held.X), "groups": count},
        )

    @property
    def trust(self) -> np.ndarray:
        """High, medium, low or unknown for every target gene."""
        return trust(self.accuracy, self.rules)

    @property
    def landmark_trust(self) -> np.ndarray:
        """The same for landmark genes that are missing and filled from the others; their recall is not asked for."""
        r = self.landmark_accuracy[:, 1]
        return trust(pd.DataFrame({"r": r, "r_low": r, "recall": 1.0}), self.rules)

    def farther(self, distance: np.ndarray) -> np.ndarray:
        """Share of held-out profiles that lie farther from the training profiles than `distance`, float64."""
        rank = np.interp(distance, self.distances, np.linspace(0, 1, len(self.distances)), left=0.0, right=1.0)
        return np.asarray(1.0 - rank)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to store with a model, names prefixed `confidence.`."""
        own = {
            "accuracy": self.accuracy[list(COLUMNS)].to_numpy(np.float32),
            "landmark_accuracy": self.landmark_accuracy,
            "distances": self.distances,
            "missing": np.stack([self.missing.shares, self.missing.factors]),
            **self.landmarks.arrays(),
            **self.intervals.arrays(),
        }
        return {_PREFIX + name: array for name, array in own.items()}

    def state(self) -> dict[str, Any]:
        """Everything else to store, as JSON knows it."""
        words = self.trust
        return {
            "judged": self.judged,
            "trust": {word: int((words == word).sum()) for word in TRUST},
            "median": {name: _median(self.accuracy[name]) for name in ("error", "r", "recall")},
            "rules": self.rules,
            "columns": list(COLUMNS),
            "ridge": self.landmarks.ridge,
        }

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> Self:
        """Read back what `arrays` and `state` gave; other arrays are ignored."""
        own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
        table = pd.DataFrame(own["accuracy"], columns=list(state["columns"])).reindex(columns=list(COLUMNS))
        landmarks = Landmarks(
            own["landmark_mean"], own["landmark_deviation"], own["landmark_correlation"], float(state["ridge"])
        )
        intervals = Intervals(**{n.removeprefix("interval_"): a for n, a in own.items() if n.startswith("interval_")})
        missing = MissingCost(*own["missing"])
        _check(own, len(landmarks.mean), len(table))
        return cls(
            table,
            landmarks,
            own["landmark_accuracy"],
            intervals,
            own["distances"],
            missing,
            dict(state["judged"]),
            {word: {k: float(v) for k, v in rule.items()} for word, rule in state["rules"].items()},
        )


def _check(arrays: dict[str, np.ndarray], landmarks: int, targets: int) -> None:
    """Hold stored arrays to their shapes and bounds, so that nothing fails later, far from the file.

    Raises
    ------
    ValueError
    """
    shapes = {
        "landmark_deviation": (landmarks,),
        "landmark_correlation": (landmarks, landmarks),
        "landmark_accuracy": (landmarks, 2),
        "interval_difficulty": (2,),
        "interval_exponents": (targets,),
        "interval_lowest": (targets,),
        "interval_step": (targets,),
        "interval_heights": (STEPS, targets),
        "interval_quantiles": (len(LEVELS), targets),
    }
    wrong = [name for name, shape in shapes.items() if arrays[name].shape != shape]
    if wrong:
        raise ValueError(f"confidence: {wrong[0]} is of shape {arrays[wrong[0]].shape}")
    if arrays["interval_exponents"].dtype != np.uint8 or arrays["interval_exponents"].max(initial=0) >= len(EXPONENTS):
        raise ValueError("confidence: exponents are no places of theirs")
    if arrays["distances"].ndim != 1 or not len(arrays["distances"]) or arrays["missing"].ndim != 2:
        raise ValueError("confidence: distances or costs of missing genes are no lists of numbers")


def _median(values: pd.Series) -> float:
    known = values.dropna()
    return float(known.median()) if len(known) else float("nan")


def trusted(predict: Callable[[np.ndarray], np.ndarray], training: np.ndarray, held: HeldOut) -> Confidence | None:
    """`Confidence.of` in a word to the user; None, said, where held-out profiles are too few."""
    if len(held.X) < FEWEST:
        note(f"trust in inferred values is unknown: {len(held.X)} held-out profiles, at least {FEWEST} are needed")
        return None
    known = Confidence.of(predict, training, held)
    words, counts = np.unique(known.trust.astype(str), return_counts=True)
    told = ", ".join(f"{word} {count:,}" for word, count in sorted(zip(words, counts), key=lambda p: TRUST.index(p[0])))
    note(f"trust in inferred genes: {told} (judged by {held.words})")
    return known
