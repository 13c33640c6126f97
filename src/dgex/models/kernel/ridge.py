"""Kernel ridge regression of all target genes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from dgex.aliases import Sets
from dgex.arrays.host import HOST_SHARE, host_memory
from dgex.arrays.maps import map_of, release
from dgex.errors import DataError, SettingsError
from dgex.models.base import Arrays, Estimator, report_choice
from dgex.models.explaining import Explained
from dgex.models.kernel.choice import Pair, choose, choose_penalty
from dgex.models.kernel.kernels import ROWS, KernelShape, Units, kernel_blocks, kernel_of, standardized, units_of
from dgex.models.kernel.solver import NotPositive, cholesky_, solve_
from dgex.models.paths import rational_path
from dgex.models.selection import check_penalty, held_out, spread
from dgex.progress import note
from dgex.training.machine.device import pick_device
from dgex.training.machine.memory import free_memory

__all__ = ["KernelRidge"]

# Share of the free memory that the kernel matrix, and what is worked on beside it, may take.
SHARE = 0.8
# The largest relative residual that is left; beyond it the solution is refined.
TOLERANCE = 1e-4
ROUNDS = 3
# Target genes whose residual is looked at, and those whose weights are in float64 at once.
PROBES, TARGETS = 64, 4096
# Added to the diagonal of the centres' kernel, which has no penalty of its own.
JITTER = 1e-6


class KernelRidge(Estimator):
    r"""Kernel ridge regression: a weighted sum of training profiles, each weighted by how alike it is.

    For the kernel :math:`k` of `dgex.models.kernel.kernels` (a rational quadratic one and a little of a linear one, of
    landmark genes at unit variance) every target gene is :math:`\bar y + \sum_i k(x, x_i) w_i` with
    :math:`(K + \alpha I) w = y - \bar y`: the solution is exact, and the same for scaled or shifted landmark genes.

    Parameters
    ----------
    gamma : float, optional
        How fast likeness falls with distance; 1 makes it one half at the median distance of training profiles.
    linear : float, optional
        Share of the linear kernel, 0 to 1; with 1 it is ridge regression.
    alpha : float, optional
        The penalty, as variance of noise over variance of signal. What of the three is not given is chosen on the first
        evaluation set, see `dgex.models.kernel.choice`.
    centers : int, optional
        Training profiles that carry weights, evenly spaced (Nystrom's method): smaller and faster, a little less
        accurate. None takes all where their kernel matrix fits the memory, else as many as fit, and says so.
    device : str
        "cpu", "cuda", "cuda:N", or "auto": a CUDA device where there is one.

    Attributes
    ----------
    gamma_, linear_, alpha_ : float
        The settings used.
    centers_ : int
        Training profiles that carry weights.
    residual_ : float
        Relative residual of the linear system, on 64 target genes; NaN with fewer centers than training profiles.
    path_ : list of dict
        `gamma`, `linear`, `alpha`, `error` and `profiles` of everything tried; empty where all three were given.

    Notes
    -----
    Needs four bytes for each pair of training profiles: 1.6 GB for 20,000. Targets that lie in a file are taken from
    there block by block. The model folder holds the landmark genes of
    the centers and a weight for each of them and each target gene.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. MIT Press 2006, chapters 2 and 4;
    section 8.3.1 for fewer centers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 5))
    >>> Y = np.sin(X @ rng.normal(size=(5, 8)))
    >>> model = KernelRidge().fit(X[:200], Y[:200], {"validation": (X[200:], Y[200:])})
    >>> model.predict(X[:3]).shape
    (3, 8)
    """

    kind: ClassVar[str] = "kernel"
    refits: ClassVar[bool] = True
    label: ClassVar[str] = "kernel ridge"
    elsewhere: ClassVar[tuple[str, ...]] = ("device",)

    def __init__(
        self,
        gamma: float | None = None,
        linear: float | None = None,
        alpha: float | None = None,
        centers: int | None = None,
        device: str = "auto",
    ) -> None:
        self.gamma = gamma
        self.linear = linear
        self.alpha = alpha
        self.centers = centers
        self.device = device

    def check_settings(self) -> None:
        check_penalty(self.kind, self.alpha)
        if self.gamma is not None and not (_number(self.gamma) and 0 < self.gamma < np.inf):
            raise SettingsError("kernel gamma", found=self.gamma, accepted="a number above 0")
        if self.linear is not None and not (_number(self.linear) and 0 <= self.linear <= 1):
            raise SettingsError("kernel linear", found=self.linear, accepted="a number from 0 to 1")
        if self.centers is not None and (not isinstance(self.centers, int) or self.centers < 2):
            raise SettingsError("kernel centers", found=self.centers, accepted="a whole number from 2")

    def _fit(self, X: np.ndarray, Y: np.ndarray, eval_sets: Sets) -> None:
        device = pick_device(self.device)
        open_settings = [name for name in ("gamma", "linear", "alpha") if getattr(self, name) is None]
        self.path_: list[dict[str, Any]] = []
        if open_settings:
            self._choose((X, Y, *held_out(eval_sets, self.kind, open_settings[0])), device)
        else:
            assert self.gamma is not None
            assert self.linear is not None
            assert self.alpha is not None
            self.gamma_, self.linear_, self.alpha_ = float(self.gamma), float(self.linear), float(self.alpha)
        self._units = units_of(X)
        self.centers_ = min(len(X), self.centers or _that_fit(X, Y, device))
        self._solve(X, Y, device)

    def _choose(self, pair: Pair, device: torch.device) -> None:
        chosen = choose([pair], device, self.gamma, self.linear, self.alpha)
        if self.alpha is None:
            chosen = choose_penalty(pair, device, chosen)
        (self.gamma_, self.linear_), self.alpha_, error, self.path_, _ = chosen
        report_choice("kernel", "gamma, linear, alpha", f"{self.gamma_:g}, {self.linear_:g}, {self.alpha_:g}", error)

    def _settle(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Settings chosen on the held-out profiles of all pairs together."""
        chosen = choose(pairs, pick_device(self.device), self.gamma, self.linear, self.alpha)
        return {**chosen.shape._asdict(), "alpha": chosen.alpha}

    def settled(self) -> dict[str, Any]:
        """Shape and penalty; how many centers fit is asked anew."""
        return {name: value for name, value in super().settled().items() if name != "centers"}

    def operations(self, profiles: int, landmarks: int, targets: int) -> float:
        n, m = float(profiles), float(min(profiles, self.centers or profiles))
        solved = n * n * n / 3 if m == n else 2 * n * m * m
        return solved + 2 * n * m * (landmarks + targets)

    @property
    def _shape(self) -> KernelShape:
        return KernelShape(self.gamma_, self.linear_)

    def _solve(self, X: np.ndarray, Y: np.ndarray, device: torch.device) -> None:
        self._mean = Y.mean(axis=0, dtype=np.float64).astype(np.float32)
        release(Y)
        exact = self.centers_ == len(X)
        near = standardized(X if exact else X[spread(len(X), self.centers_)], self._units, device)
        while True:
            try:
                weights = self._exact(near, Y) if exact else self._with_centers(X, near, Y)
                break
            except NotPositive:
                if self.alpha_ > 1e3:
                    raise DataError(
                        "kernel: the kernel matrix is not positive definite; are the values finite and not all equal?"
                    ) from None
                note(f"kernel: alpha {self.alpha_:g} is too small for float32; taking {self.alpha_ * 10:g}")
                self.alpha_ *= 10
        self._place(near, weights, device)

    def _exact(self, near: torch.Tensor, Y: np.ndarray) -> torch.Tensor:
        """Weights of all training profiles; the factor takes the place of the kernel matrix."""
        n = len(near)
        kernel = torch.empty((n, n), dtype=torch.float32, device=near.device)
        for part, values in kernel_blocks(near, near, self._shape, self._units):
            kernel[part] = values
        kernel.diagonal().add_(self.alpha_)
        cholesky_(kernel)
        weights = solve_(kernel, self._centred(Y, near.device))
        probes = spread(Y.shape[1], PROBES)
        few = torch.from_numpy(probes).to(near.device)
        true = self._centred(Y[:, probes], near.device, self._mean[probes])
        release(Y)
        for left in reversed(range(ROUNDS)):
            self.residual_ = self._residual(near, weights[:, few], true.clone())
            if self.residual_ <= TOLERANCE or not left:
                return weights
            for start in range(0, Y.shape[1], TARGETS):
                genes = slice(start, start + TARGETS)
                rest = self._centred(Y[:, genes], near.device, self._mean[genes])
                self._leave(near, weights[:, genes], rest)
                weights[:, genes] += solve_(kernel, rest)
        return weights

    def _residual(self, near: torch.Tensor, weights: torch.Tensor, rest: torch.Tensor) -> float:
        """Length of what the weights leave of `rest`, over its own."""
        length = float(rest.norm()) or 1.0
        self._leave(near, weights, rest)
        return float(rest.norm()) / length

    def _leave(self, near: torch.Tensor, weights: torch.Tensor, rest: torch.Tensor) -> None:
        """Take off `rest` what the weights explain; in float64, since large weights of both signs cancel."""
        for start in range(0, rest.shape[1], TARGETS):
            genes = slice(start, start + TARGETS)
            exact = weights[:, genes].double()
            for part, values in kernel_blocks(near, near, self._shape, self._units):
                rest[part, genes] -= (values.double() @ exact + self.alpha_ * exact[part]).float()

    def _with_centers(self, X: np.ndarray, centers: torch.Tensor, Y: np.ndarray) -> torch.Tensor:
        """Weights of the centers alone: ridge regression on the kernel to them, whitened by their own.

        Training profiles are gone through in blocks.
        """
        self.residual_ = float("nan")
        m, device = len(centers), centers.device
        own = torch.cat([values for _, values in kernel_blocks(centers, centers, self._shape, self._units)])
        own.diagonal().add_(JITTER * m)
        cholesky_(own)
        gram = torch.zeros((m, m), device=device)
        cross = torch.zeros((m, Y.shape[1]), device=device)
        for start in range(0, len(X), ROWS):
            part = slice(start, start + ROWS)
            values = kernel_of(standardized(X[part], self._units, device), centers, self._shape, self._units)
            white = torch.linalg.solve_triangular(own.T, values, upper=True, left=False)
            gram.addmm_(white.T, white)
            cross.addmm_(white.T, self._centred(Y[part], device))
        gram.diagonal().add_(self.alpha_)
        solve_(cholesky_(gram), cross)
        weights: torch.Tensor = torch.linalg.solve_triangular(own.T, cross, upper=True)
        return weights

    def _centred(self, Y: np.ndarray, device: torch.device, mean: np.ndarray | None = None) -> torch.Tensor:
        """Targets less their mean, as a copy; rows are taken in blocks, and let go of where they are a memory map's."""
        mean = self._mean if mean is None else mean
        moved = torch.empty(Y.shape, dtype=torch.float32, device=device)
        of_genes = torch.from_numpy(mean).to(device)
        for start in range(0, len(Y), ROWS):
            block = torch.from_numpy(np.array(Y[start : start + ROWS])).to(device)
            moved[start : start + ROWS] = block.sub_(of_genes)
            release(Y)
        return moved

    def _place(self, near: torch.Tensor, weights: torch.Tensor, device: torch.device) -> None:
        self._device, self._near, self._weights = device, near, weights

    def _predict(self, X: np.ndarray) -> np.ndarray:
        if not hasattr(self, "_device"):
            device = pick_device(self.device)
            self._place(self._near.to(device), self._weights.to(device), device)
        predicted = np.empty((len(X), self.n_targets_), np.float32)
        mean = torch.from_numpy(self._mean).to(self._device)
        far = standardized(X, self._units, self._device)
        for part, values in kernel_blocks(far, self._near, self._shape, self._units):
            predicted[part] = torch.addmm(mean, values, self._weights).cpu().numpy()
        return predicted

    def explained(self, start: np.ndarray, end: np.ndarray, targets: np.ndarray) -> Explained:
        units, centers = self._units, self._near.cpu().numpy()
        a, b = (((x - units.mean) * units.scale).astype(np.float64) for x in (start, end))
        weights = self._weights[:, torch.from_numpy(targets).to(self._weights.device)].cpu().numpy()
        values = rational_path(a, b, centers, weights, self.gamma_ / units.distance) * (1 - self.linear_)
        slopes = weights.T.astype(np.float64) @ centers.astype(np.float64)
        values += self.linear_ / units.square * (b - a) * slopes
        return Explained(values, "integrated gradients of the kernel in closed form")

    def _arrays(self) -> Arrays:
        return {
            "profiles": self._near.cpu().numpy(),
            "weights": self._weights.cpu().numpy(),
            "mean": self._mean,
            "landmark_mean": self._units.mean,
            "landmark_scale": self._units.scale,
        }

    def _state(self) -> dict[str, Any]:
        return {
            "gamma": self.gamma_,
            "linear": self.linear_,
            "alpha": self.alpha_,
            "distance": self._units.distance,
            "square": self._units.square,
            "residual": self.residual_ if np.isfinite(self.residual_) else None,
            "path": self.path_,
        }

    def _restore(self, arrays: Arrays, state: dict[str, Any]) -> None:
        near, weights, self._mean = arrays["profiles"], arrays["weights"], arrays["mean"]
        mean, scale = arrays["landmark_mean"], arrays["landmark_scale"]
        shapes = [values.shape for values in (near, weights, self._mean, mean, scale)]
        p, t = self.n_features_in_, self.n_targets_
        if shapes != [(len(near), p), (len(near), t), (t,), (p,), (p,)]:
            raise ValueError(f"arrays of shapes {shapes} do not fit its genes")
        self.gamma_, self.linear_, self.alpha_ = (float(state[name]) for name in ("gamma", "linear", "alpha"))
        self._units = Units(mean, scale, float(state["distance"]), float(state["square"]))
        self.residual_ = float("nan") if state["residual"] is None else float(state["residual"])
        self.path_, self.centers_ = state["path"], len(near)
        self._near, self._weights = torch.from_numpy(near), torch.from_numpy(weights)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _that_fit(X: np.ndarray, Y: np.ndarray, device: torch.device) -> int:
    """All training profiles where their kernel matrix fits; else as many centers as do, which is said.

    Beside the kernel matrix of all lie their landmark genes, a weight a target gene, and some targets once more; beside
    the two matrices of m centers and what is multiplied with them, m weights a target gene twice.
    """
    profiles, landmarks, targets = len(X), int(X.shape[1]), int(Y.shape[1])
    free = SHARE * free_memory(device) if device.type == "cuda" else HOST_SHARE * host_memory()
    room = float(free) / 4
    if device.type != "cuda":
        room -= sum(matrix.size for matrix in (X, Y) if map_of(matrix) is None)
    if profiles * (profiles + landmarks + targets + 3 * min(targets, TARGETS)) <= room:
        return profiles
    room -= ROWS * (landmarks + 2 * targets)
    fit = int((np.sqrt(targets**2 + 3 * max(room, 0.0)) - targets) / 3)
    if fit < 2:
        raise DataError(
            f"kernel: the memory of {device} holds no kernel matrix beside {profiles:,} profiles of {targets:,} targets"
        )
    note(
        f"kernel: the kernel matrix of {profiles:,} profiles does not fit ({4 * profiles**2 / 2**30:,.0f} GiB); "
        f"{min(fit, profiles):,} of them carry weights (Nystrom's method; centers=N to choose)"
    )
    return min(fit, profiles)
