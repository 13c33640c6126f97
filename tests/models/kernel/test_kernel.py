"""Kernel ridge regression against a float64 solution, ridge regression and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from sklearn.gaussian_process.kernels import RationalQuadratic
from sklearn.kernel_ridge import KernelRidge as Reference

import dgex
from dgex.errors import SettingsError
from dgex.models.kernel import ridge as module
from dgex.models.kernel.choice import ALPHAS, choose
from dgex.models.kernel.kernels import KernelShape, kernel_of, standardized, units_of
from dgex.models.kernel.ridge import KernelRidge
from dgex.models.kernel.solver import NotPositive, cholesky_, solve_
from dgex.models.linear.regression import Ridge

CPU = torch.device("cpu")


def problem(profiles: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(3, 2, size=(profiles, 12)).astype(np.float32)
    Y = np.sin(X @ rng.normal(size=(12, 9)) / 3) + rng.normal(0, 0.1, size=(profiles, 9))
    return X, Y.astype(np.float32)


def double(X: np.ndarray, far: np.ndarray, gamma: float, linear: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel matrices of training profiles, and of others to them, in float64 and by the formula."""
    X, far = X.astype(float), far.astype(float)
    z, f = ((values - X.mean(axis=0)) / X.std(axis=0) for values in (X, far))
    median, square = np.median(pdist(z, "sqeuclidean")), np.square(z).sum(axis=1).mean()

    def kernel(a: np.ndarray) -> np.ndarray:
        return (1 - linear) / (1 + gamma * cdist(a, z, "sqeuclidean") / median) + linear * a @ z.T / square

    return kernel(z), kernel(f)


@pytest.mark.parametrize("linear", [0.0, 0.3])
def test_agrees_with_a_float64_solution(linear: float) -> None:
    X, Y = problem()
    near, far = double(X[:120], X[120:], 0.7, linear)
    mean = Y[:120].mean(axis=0, dtype=float)
    expected = far @ np.linalg.solve(near + 0.05 * np.eye(120), Y[:120] - mean) + mean
    model = KernelRidge(gamma=0.7, linear=linear, alpha=0.05, device="cpu").fit(X[:120], Y[:120])
    np.testing.assert_allclose(model.predict(X[120:]), expected, atol=2e-4)
    assert model.residual_ < 1e-4


def test_the_rational_part_is_scikit_learns() -> None:
    X, Y = problem()
    units = units_of(X)
    z = standardized(X, units, CPU).numpy()
    kernel = RationalQuadratic(length_scale=np.sqrt(units.distance / 2 / 0.7), alpha=1.0)
    ours = kernel_of(*(torch.from_numpy(z),) * 2, KernelShape(0.7, 0.0), units).numpy()
    np.testing.assert_allclose(ours, kernel(z), atol=1e-5)
    reference = Reference(alpha=0.1, kernel="precomputed").fit(kernel(z), Y - Y.mean(axis=0))
    model = KernelRidge(gamma=0.7, linear=0.0, alpha=0.1, device="cpu").fit(X, Y)
    np.testing.assert_allclose(model.predict(X), reference.predict(kernel(z)) + Y.mean(axis=0), atol=2e-4)


def test_of_the_linear_part_alone_it_is_ridge_regression() -> None:
    X, Y = problem()
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    square = float(np.square(z).sum(axis=1).mean())
    kernel = KernelRidge(gamma=1.0, linear=1.0, alpha=0.05, device="cpu").fit(X, Y)
    ridge = Ridge(alpha=0.05 * square).fit(z, Y)
    np.testing.assert_allclose(kernel.predict(X), ridge.predict(z), atol=1e-3)


def test_units_of_the_landmark_genes_do_not_matter() -> None:
    X, Y = problem()
    rng = np.random.default_rng(1)
    scale, shift = rng.uniform(0.01, 100, 12), rng.normal(0, 50, 12)
    models = [
        KernelRidge(gamma=1.0, linear=0.1, alpha=0.1, device="cpu").fit(values, Y) for values in (X, X * scale + shift)
    ]
    np.testing.assert_allclose(models[0].predict(X), models[1].predict(X * scale + shift), atol=2e-3)


def test_a_constant_landmark_gene_tells_nothing() -> None:
    X, Y = problem()
    X[:, 4] = 7.25
    model = KernelRidge(gamma=1.0, linear=0.1, alpha=0.1, device="cpu").fit(X, Y)
    moved = X.copy()
    moved[:, 4] = 9.0
    np.testing.assert_array_equal(model.predict(X), model.predict(moved))


def test_as_many_centers_as_profiles_are_the_exact_solution() -> None:
    X, Y = problem()
    exact = KernelRidge(gamma=1.0, linear=0.1, alpha=0.1, device="cpu").fit(X, Y)
    units = exact._units
    near = standardized(X, units, CPU)
    exact.alpha_ = 0.1
    weights = exact._with_centers(X, near, Y)
    kernel = kernel_of(near, near, KernelShape(1.0, 0.1), units)
    np.testing.assert_allclose((kernel @ weights).numpy() + exact._mean, exact.predict(X), atol=5e-3)


def test_fewer_centers_come_near_and_are_fewer() -> None:
    X, Y = problem(400)
    held = {"validation": (X[300:], Y[300:])}
    whole = KernelRidge(device="cpu").fit(X[:300], Y[:300], held)
    few = KernelRidge(device="cpu", centers=120).fit(X[:300], Y[:300], held)
    assert (few.centers_, len(few._arrays()["profiles"]), whole.centers_) == (120, 120, 300)
    error = [np.abs(model.predict(X[300:]) - Y[300:]).mean() for model in (whole, few)]
    trivial = np.abs(Y[300:] - Y[:300].mean(axis=0)).mean()
    assert error[0] < error[1] * 1.02
    assert error[1] < 0.9 * trivial


def test_chooses_what_a_full_search_finds() -> None:
    X, Y = problem(200)
    pairs = [(X[:100], Y[:100], X[100:150], Y[100:150]), (X[50:150], Y[50:150], X[150:], Y[150:])]
    chosen = choose(pairs, CPU, gamma=1.0, linear=0.1)

    def error(alpha: float) -> float:
        wrong = []
        for x, y, held, true in pairs:
            near, far = double(x, held, 1.0, 0.1)
            weights = np.linalg.solve(near + alpha * np.eye(len(x)), y - y.mean(axis=0))
            wrong.append(np.abs(far @ weights + y.mean(axis=0) - true))
        return float(np.concatenate(wrong).mean())

    errors = [error(alpha) for alpha in ALPHAS]
    assert chosen.alpha == ALPHAS[int(np.argmin(errors))]
    assert chosen.error == pytest.approx(min(errors), rel=1e-3)


def test_chosen_shapes_are_no_worse_than_their_neighbours() -> None:
    X, Y = problem(200)
    chosen = choose([(X[:150], Y[:150], X[150:], Y[150:])], CPU)
    tried = {(step["gamma"], step["linear"]): step["error"] for step in chosen.path}
    assert min(tried.values()) == pytest.approx(chosen.error, rel=1e-4)
    assert len(tried) >= 4


@pytest.mark.parametrize("size", [1, 5, 16, 23])
def test_blocked_factor_and_solution(size: int) -> None:
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + size * np.eye(size)
    right = rng.normal(size=(size, 3))
    factor = cholesky_(torch.from_numpy(matrix.copy()), block=5)
    np.testing.assert_allclose(np.tril(factor.numpy()), np.linalg.cholesky(matrix), atol=1e-10)
    solved = solve_(factor, torch.from_numpy(right.copy()), block=5)
    np.testing.assert_allclose(solved.numpy(), np.linalg.solve(matrix, right), atol=1e-10)


def test_what_is_not_positive_definite_is_told() -> None:
    matrix = torch.diag(torch.tensor([1.0, 1.0, 1.0, -1.0]))
    with pytest.raises(NotPositive):
        cholesky_(matrix, block=2)


def test_a_penalty_too_small_for_float32_is_raised_and_said(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = problem(60)
    X, Y = np.repeat(X, 5, axis=0), np.repeat(Y, 5, axis=0)
    caplog.set_level("INFO", logger="dgex")
    model = KernelRidge(gamma=0.5, linear=0.1, alpha=1e-12, device="cpu").fit(X, Y)
    assert model.alpha_ > 1e-12
    assert "too small for float32" in caplog.text
    assert np.isfinite(model.predict(X)).all()


def test_a_small_memory_takes_fewer_centers_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    X, Y = problem(400)
    needs = X.size + Y.size + module.ROWS * (12 + 2 * 9) + 2 * 100 * 9 + 3 * 100**2
    memory = 4 * needs / module.HOST_SHARE + 64
    caplog.set_level("INFO", logger="dgex")
    monkeypatch.setattr(module, "host_memory", lambda: memory)
    model = KernelRidge(gamma=1.0, linear=0.1, alpha=0.1, device="cpu").fit(X, Y)
    assert model.centers_ == 100
    assert "100 of them carry weights" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"gamma": 0}, {"gamma": "a"}, {"linear": 1.5}, {"linear": -0.1}, {"alpha": 0.0}, {"centers": 1}]
)
def test_settings_that_no_data_could_make_right(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(settings))):
        KernelRidge(**settings).fit(*problem(20))


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    X, Y = problem()
    model = KernelRidge(device="cpu").fit(X[:100], Y[:100], {"validation": (X[100:], Y[100:])})
    model.save(tmp_path / "kernel")
    loaded = dgex.load(tmp_path / "kernel")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert (loaded.gamma_, loaded.linear_, loaded.alpha_) == (model.gamma_, model.linear_, model.alpha_)


@pytest.mark.gpu
def test_the_gpu_gives_what_the_cpu_gives() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, Y = problem(500)
    models = [KernelRidge(gamma=1.0, linear=0.1, alpha=0.1, device=name).fit(X, Y) for name in ("cpu", "cuda")]
    np.testing.assert_allclose(models[0].predict(X), models[1].predict(X), atol=1e-3)


@pytest.mark.parametrize("centers", [None, 60])
def test_matrices_that_are_maps_of_files_give_the_same(tmp_path: Path, centers: int | None) -> None:
    X, Y = problem(2500)
    maps = []
    for name, values in (("X", X), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", values)
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    settings: dict[str, Any] = {"gamma": 1.0, "linear": 0.1, "alpha": 0.1, "centers": centers, "device": "cpu"}
    one, other = (KernelRidge(**settings).fit(*pair) for pair in ((X, Y), maps))
    np.testing.assert_array_equal(one.predict(X[:50]), other.predict(X[:50]))
