"""The best model that the data allow: several methods, weighed gene by gene."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dgex.aliases import PathLike, Sets
from dgex.arrays.index import evenly
from dgex.confidence.confidence import trusted
from dgex.confidence.held_out import MOST, HeldOut
from dgex.errors import DataError, DgexError, SettingsError
from dgex.models.base import Arrays, Estimator
from dgex.models.held import arrays_of, taken_back
from dgex.models.stack.evidence import Evidence, gather
from dgex.models.stack.judging import Judged, judge
from dgex.models.stack.members import Member, rate, suitable
from dgex.models.stack.progress import Progress
from dgex.models.stack.weights import Stacked, stack
from dgex.progress import note, warn

__all__ = ["Auto"]

BLOCK = 4096


class Auto(Estimator):
    r"""Several methods, stacked gene by gene; the default of `dgex.train`.

    Every member predicts profiles that it was not fitted on: the validation set where it is large (1,000 profiles, in
    20 groups where there are groups), else all training and validation profiles in turn, in folds of whole groups. From
    these predictions come the settings of each member and its weights, and the expected error. The members are
    then fitted once more on training and validation profiles together.

    A target gene is inferred as :math:`\bar y + \sum_j w_j (\hat y_j - \bar y)` over members j, with non-negative
    weights drawn towards weights that are common to all genes. How strongly, or whether one member alone is as good, is
    chosen on profiles that neither members nor weights have seen.

    Parameters
    ----------
    members : sequence of str, optional
        Methods of the catalogue, also those of other packages. None takes ridge regression, kernel ridge regression,
        nearest genes and, where there are profiles enough for the machine, the residual network and the paper's.
    refit : bool
        Fit the members on training and validation together in the end. Without it they stay as they were fitted on the
        training profiles.
    folds : int
        Folds where profiles are held out in turn.
    budget : float or str
        Seconds it may take, roughly, or "90s", "10m", "2h": members whose cost would go beyond are left out, and said.
        One always is fitted.
    seed : int
        Decides folds and what is random in the members.
    device : str
        "cpu", "cuda", "cuda:N", or "auto", for members that take one.

    Attributes
    ----------
    members_ : list of Estimator
        The fitted members that have weight.
    weights_ : ndarray of float32, shape (targets, members)
    expected_ : dict
        `error`: expected overall error on profiles like those held out; `judged`: by which; `members`: the error of
        each on the same profiles; `rule`: how weights are shared; `left_out`: members that are not there, and why.
    expected_by_gene_ : ndarray of float32, shape (targets,)
        The expected error of each gene.
    refitted_ : bool
        Whether the validation profiles have become training profiles; the set is in `seen_` then.

    Notes
    -----
    `fit` takes besides X, Y and `eval_sets`: `groups` (label of each training profile; folds hold whole groups),
    `eval_groups` (those of each evaluation set), `checkpoint_dir` and `resume` (members that are judged are kept there,
    and a run that was killed goes on after them).

    References
    ----------
    L. Breiman. Stacked regressions. Machine Learning 24 (1996) 49-64.
    M. J. van der Laan, E. C. Polley, A. E. Hubbard. Super learner. Stat. Appl. Genet. Mol. Biol. 6 (2007) 25.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 5))
    >>> Y = np.sin(X @ rng.normal(size=(5, 8)))
    >>> model = Auto(device="cpu").fit(X[:200], Y[:200], {"validation": (X[200:], Y[200:])})
    >>> model.predict(X[:3]).shape
    (3, 8)
    """

    kind: ClassVar[str] = "auto"
    label: ClassVar[str] = "auto"
    keeps_progress: ClassVar[bool] = True
    fit_options: ClassVar[tuple[str, ...]] = ("groups", "eval_groups", "checkpoint_dir", "resume")
    elsewhere: ClassVar[tuple[str, ...]] = ("device", "budget")

    def __init__(
        self,
        members: Sequence[str] | None = None,
        refit: bool = True,
        folds: int = 5,
        budget: float | str = 600.0,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.members = members
        self.refit = refit
        self.folds = folds
        self.budget = budget
        self.seed = seed
        self.device = device

    def check_settings(self) -> None:
        suitable(self._names, 2, self.device, self.seed)
        if not isinstance(self.folds, int) or self.folds < 2:
            raise SettingsError("auto folds", found=self.folds, accepted="a whole number from 2")
        _seconds(self.budget)

    @property
    def _names(self) -> tuple[str, ...] | None:
        if self.members is None:
            return None
        return tuple(self.members.split(",")) if isinstance(self.members, str) else tuple(self.members)

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        eval_sets: Sets,
        *,
        groups: Sequence[str] | np.ndarray | None = None,
        eval_groups: Mapping[str, Sequence[str]] | None = None,
        checkpoint_dir: PathLike | None = None,
        resume: bool = False,
    ) -> None:
        began = time.perf_counter()
        held_groups = (eval_groups or {}).get(next(iter(eval_sets), ""))
        evidence = gather(X, Y, eval_sets, groups, held_groups, self.folds, self.seed)
        note(f"auto: methods are compared on {evidence.words}")
        members = suitable(self._names, len(X), self.device, self.seed)
        progress = Progress.of(checkpoint_dir, resume, evidence, self.get_params(deep=False), self.elsewhere)
        judged, left_out = self._judge(members, evidence, progress, began)
        rows = np.concatenate([held for _, held in evidence.folds])
        places = np.empty(len(evidence.Y), int)
        places[rows] = np.arange(len(rows))
        self._mean = Y.mean(axis=0, dtype=np.float64).astype(np.float32)
        predicted = [judgement.predicted for judgement in judged.values()]
        stacked = stack(predicted, evidence.Y[rows], self._mean, [places[part] for part in evidence.parts])
        self._keep(judged, stacked, evidence)
        self.seen_ = tuple(eval_sets)[:1] if self.refitted_ else ()
        self.expected_by_gene_ = stacked.by_gene.astype(np.float32)
        self.expected_ = {
            "error": stacked.error,
            "rule": stacked.rule,
            "judged": evidence.words,
            "members": dict(zip(judged, map(float, stacked.errors))),
            "left_out": left_out,
        }
        self._say(stacked, list(judged))
        self._trust(evidence, rows, stacked.predicted)

    def _judge(
        self, members: list[Member], evidence: Evidence, progress: Progress, began: float
    ) -> tuple[dict[str, Judged], dict[str, str]]:
        """Judge the members one after the other, as the budget allows; Ctrl-C ends with those that are there."""
        judged: dict[str, Judged] = {}
        left_out: dict[str, str] = {}
        speed = rate(self.device)
        for at, member in enumerate(members):
            known = progress.known(member)
            if known is not None:
                note(f"auto: {member.kind} was compared before")
                judged[member.kind] = known
                continue
            why = self._too_dear(member, evidence, began, speed) if judged else None
            try:
                if why is None:
                    judged[member.kind] = judge(member, evidence, keep=not self._refits(evidence))
                    progress.keep(member, judged[member.kind])
                    continue
            except KeyboardInterrupt:
                if not judged:
                    raise
                rest = {later.kind: "interrupted" for later in members[at:]}
                warn(f"auto: interrupted; going on with {', '.join(judged)}, without {', '.join(rest)}")
                return judged, left_out | rest
            except (DgexError, MemoryError) as error:
                why = str(error) or type(error).__name__
            note(f"auto: {member.kind} is left out: {why}")
            left_out[member.kind] = why
        if not judged:
            raise DataError(f"auto: no member could be fitted: {'; '.join(f'{k}: {w}' for k, w in left_out.items())}")
        return judged, left_out

    def _too_dear(self, member: Member, evidence: Evidence, began: float, speed: float) -> str | None:
        """Why the budget does not allow a member, or None."""
        budget = _seconds(self.budget)
        left = budget - (time.perf_counter() - began)
        shapes = [len(rows) for rows, _ in evidence.folds] + ([len(evidence.X)] if self.refit else [])
        sizes = evidence.X.shape[1], evidence.Y.shape[1]
        needs = sum(member.new().operations(n, *sizes) for n in shapes) / speed
        if left > 0 and needs <= left:
            return None
        return f"about {needs:,.0f} s, and {max(left, 0):,.0f} s are left of a budget of {budget:,.0f} s"

    def _keep(self, judged: dict[str, Judged], stacked: Stacked, evidence: Evidence) -> None:
        """Fit the members that have weight for good."""
        self.refitted_ = self._refits(evidence)
        rows = len(evidence.X) if self.refitted_ else evidence.training
        fitted, kept = [], []
        for at, (kind, judgement) in enumerate(judged.items()):
            if not stacked.weights[:, at].any():
                continue
            if judgement.fitted is not None and not self.refitted_:
                model = judgement.fitted
            else:
                note(f"auto: fitting {kind} on {rows:,} profiles")
                model = Member(kind, judgement.settings).new()
                model.fit(evidence.X[:rows], evidence.Y[:rows])
            fitted.append(model)
            kept.append(at)
        self.members_, self.weights_ = fitted, np.ascontiguousarray(stacked.weights[:, kept])

    def _refits(self, evidence: Evidence) -> bool:
        return self.refit and len(evidence.X) > evidence.training

    def _trust(self, evidence: Evidence, rows: np.ndarray, predicted: np.ndarray) -> None:
        """Judge every gene, and every value to come, by the held-out profiles."""
        few = evenly(len(rows), MOST)
        folds = np.concatenate([np.full(len(held), at) for at, (_, held) in enumerate(evidence.folds)])
        several, at = len(evidence.folds) > 1, rows[few]
        held = HeldOut(
            evidence.X[at],
            evidence.Y[at],
            predicted[few],
            folds[few] if several else None,
            None if evidence.labels is None else evidence.labels[at],
            evidence.words,
        )
        training = evidence.X if several else evidence.X[: evidence.training]
        self.confidence_ = trusted(self._predict, training, held)

    def _say(self, stacked: Stacked, kinds: list[str]) -> None:
        errors = ", ".join(f"{kind} {error:.4f}" for kind, error in zip(kinds, stacked.errors))
        share = stacked.weights.mean(axis=0)
        weights = ", ".join(f"{kind} {weight:.2f}" for kind, weight in zip(kinds, share) if weight > 0)
        note(f"auto: overall error on held-out profiles: {errors}")
        note(f"auto: methods are joined by {stacked.rule} (mean weights: {weights})")
        on = "training and validation profiles" if self.refitted_ else "training profiles"
        note(f"auto: fitted on the {on}; expected overall error {stacked.error:.4f} on profiles like those held out")

    def held_models(self) -> list[Estimator]:
        return list(self.members_)

    def _predict(self, X: np.ndarray) -> np.ndarray:
        whole = np.empty((len(X), self.n_targets_), np.float32)
        for start in range(0, len(X), BLOCK):
            block = slice(start, start + BLOCK)
            whole[block] = self._mean
            for at, member in enumerate(self.members_):
                predicted = member.predict(X[block])
                predicted -= self._mean
                predicted *= self.weights_[:, at]
                whole[block] += predicted
        return whole

    def _arrays(self) -> Arrays:
        arrays: Arrays = {"mean": self._mean, "weights": self.weights_, "expected": self.expected_by_gene_}
        for at, member in enumerate(self.members_):
            arrays |= arrays_of(member, f"member-{at}.")
        return arrays

    def _state(self) -> dict[str, Any]:
        members = [
            {"kind": member.kind, "settings": member.get_params(deep=False), "state": member._state()}
            for member in self.members_
        ]
        return {"members": members, "expected": self.expected_, "refitted": self.refitted_, "seen": list(self.seen_)}

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        self._mean, self.weights_, self.expected_by_gene_ = arrays["mean"], arrays["weights"], arrays["expected"]
        if self._mean.shape != (self.n_targets_,) or self.weights_.shape != (self.n_targets_, len(state["members"])):
            raise ValueError(f"weights of shape {self.weights_.shape} do not fit its genes and members")
        self.expected_, self.refitted_ = state["expected"], bool(state["refitted"])
        self.seen_ = tuple(state["seen"])
        self.members_ = []
        for at, one in enumerate(state["members"]):
            settings = {k: tuple(v) if isinstance(v, list) else v for k, v in one["settings"].items()}
            model = Member(one["kind"], settings).new()
            taken_back(model, arrays, one["state"], f"member-{at}.", self)
            self.members_.append(model)


def _seconds(budget: float | str) -> float:
    """A budget in seconds.

    Raises
    ------
    SettingsError
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(budget).strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not seconds > 0 or isinstance(budget, bool):
        raise SettingsError("auto budget", found=budget, accepted="seconds above 0, or 90s, 10m, 2h")
    return seconds
