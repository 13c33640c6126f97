"""Truths about the simulated compendium: reproducible, whole, and with the structure that it claims."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import dgex.io
from dgex.datasets.simulated.measurement import CEILING, FLOOR, read_array, read_rnaseq
from dgex.datasets.simulated.simulate import _reblock, simulate
from dgex.errors import OutputExistsError, SettingsError

SMALL: dict[str, Any] = {"samples": 600, "landmarks": 24, "targets": 40, "programmes": 4}


def drawn(**changes: Any) -> AnnData:
    adata = simulate(**(SMALL | changes))
    assert adata is not None
    return adata


@pytest.fixture(scope="module")
def world() -> AnnData:
    """A compendium large enough to fit models on: 2,000 samples, 48 landmark genes, 160 target genes."""
    return drawn(samples=2000, landmarks=48, targets=160, programmes=4, circuits=40)


def test_shapes_names_roles_and_range() -> None:
    adata = drawn(rnaseq=100)
    assert adata.shape == (700, 64)
    assert adata.X.dtype == np.float32
    assert np.isfinite(adata.X).all()
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    assert list(adata.var["role"]) == ["landmark"] * 24 + ["target"] * 40
    assert list(adata.obs["set"]) == ["compendium"] * 600 + ["rnaseq"] * 100
    assert list(adata.obs["platform"]) == ["array"] * 600 + ["rnaseq"] * 100
    assert not set(adata.obs["study"][:600]) & set(adata.obs["study"][600:])
    arrays, reads = adata.X[:600], adata.X[600:]
    assert arrays.min() >= 4
    assert arrays.max() <= 15
    assert reads.min() == 0
    assert reads.max() <= 15
    assert adata.uns["dgex"]["simulation"]["samples"] == 600


def test_regulators_name_programmes_or_landmark_genes() -> None:
    var = drawn().var
    known = {f"P{i + 1:02d}" for i in range(4)} | set(var.index[var["role"] == "landmark"])
    for names in var["regulators"]:
        regulators = names.split(";")
        assert len(set(regulators)) == len(regulators)
        assert set(regulators) <= known
    assert set(var["kind"]) == {"linear", "saturating", "combinatorial"}


def test_same_seed_same_compendium_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = drawn(rnaseq=30, duplicates=0.1)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    again = drawn(rnaseq=30, duplicates=0.1)
    np.testing.assert_array_equal(wanted.X, again.X)
    assert wanted.obs.equals(again.obs)
    assert wanted.var.equals(again.var)


def test_other_seed_other_compendium() -> None:
    first, second = drawn(seed=1), drawn(seed=2)
    assert not np.isclose(first.X, second.X, atol=1e-4).mean() > 0.01
    assert not first.var["regulators"].equals(second.var["regulators"])


def test_genes_do_not_depend_on_the_number_of_samples() -> None:
    assert drawn(samples=5, rnaseq=3).var.equals(drawn().var)


def test_rnaseq_samples_leave_the_arrays_as_they_are() -> None:
    np.testing.assert_array_equal(drawn(rnaseq=20).X[:600], drawn().X)


@pytest.mark.parametrize("block", [1, 100, 256, 300, 4096])
def test_streamed_equals_in_memory_for_any_block(tmp_path: Path, block: int) -> None:
    path = tmp_path / "out.h5ad"
    assert simulate(path, block=block, **(SMALL | {"samples": 300, "rnaseq": 20, "duplicates": 0.1})) is None
    wanted, found = drawn(samples=300, rnaseq=20, duplicates=0.1), dgex.io.read(path)
    np.testing.assert_array_equal(found.X, wanted.X)
    assert list(found.obs_names) == list(wanted.obs_names)
    assert list(found.var["role"]) == list(wanted.var["role"])
    assert list(found.obs["duplicate_of"]) == list(wanted.obs["duplicate_of"])


def test_writes_gctx_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "out.gctx"
    simulate(path, **SMALL)
    found = dgex.io.read(path)
    np.testing.assert_array_equal(found.X, drawn().X)
    assert list(found.var["role"]) == list(drawn().var["role"])


@given(sizes=st.lists(st.integers(0, 9), max_size=8), block=st.integers(1, 12))
@settings(deadline=None)
def test_reblocking_keeps_rows_and_fills_all_blocks_but_the_last(sizes: list[int], block: int) -> None:
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    rows = np.arange(bounds[-1])[:, None]
    blocks = list(_reblock((rows[a:b] for a, b in itertools.pairwise(bounds)), block))
    assert all(len(part) == block for part in blocks[:-1])
    assert all(0 < len(part) <= block for part in blocks)
    if blocks:
        np.testing.assert_array_equal(np.concatenate(blocks), rows)
    else:
        assert len(rows) == 0


def test_landmark_genes_explain_much_of_the_target_genes(world: AnnData) -> None:
    X, Y = world.X[:, :48].astype(float), world.X[:, 48:].astype(float)
    left = Y[1500:] - LinearRegression().fit(X[:1500], Y[:1500]).predict(X[1500:])
    explained = 1 - left.var(axis=0) / Y[1500:].var(axis=0)
    kind = world.var["kind"].to_numpy()[48:]
    assert 0.3 < np.median(explained) < 0.95  # much, and something is left to learn
    assert np.median(explained[kind == "linear"]) > np.median(explained[kind == "combinatorial"])


def test_products_of_the_true_regulators_beat_linear_fits_on_combinatorial_targets(world: AnnData) -> None:
    X, Y = world.X[:, :48].astype(float), world.X[:, 48:].astype(float)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    train, test = slice(0, 1500), slice(1500, None)
    var = world.var.iloc[48:]
    ratios = []
    for gene, regulators in enumerate(var["regulators"]):
        pair = [world.var_names.get_loc(name) for name in regulators.split(";") if name.startswith("LM")]
        if var["kind"].iloc[gene] == "combinatorial" and len(pair) == 2:
            product = np.prod(np.tanh(X[:, pair]), axis=1, keepdims=True)
            errors = []
            for features in (X, np.hstack([X, product])):
                fitted = LinearRegression().fit(features[train], Y[train, gene]).predict(features[test])
                errors.append(np.square(Y[test, gene] - fitted).mean())
            ratios.append(errors[1] / errors[0])
    assert len(ratios) >= 5
    assert np.median(ratios) < 0.9


def test_chips_shift_genes_unless_batch_effects_are_off() -> None:
    def spread(batch: float) -> float:
        adata = drawn(samples=1500, batch=batch)
        on_first = (adata.obs["chip"] == "chip1").to_numpy()
        return float(np.std(adata.X[on_first].mean(axis=0) - adata.X[~on_first].mean(axis=0)))

    assert spread(1.0) > 2 * spread(0.0)


def test_noise_off_leaves_less_unexplained() -> None:
    noisy, clean = drawn(nonlinear=0.0, batch=0.0), drawn(nonlinear=0.0, batch=0.0, noise=0.0)
    scores = [LinearRegression().fit(a.X[:, :24], a.X[:, 24:]).score(a.X[:, :24], a.X[:, 24:]) for a in (noisy, clean)]
    assert scores[1] > scores[0]


def test_rnaseq_differs_gene_by_gene_and_drops_weak_genes() -> None:
    adata = drawn(samples=500, targets=200, rnaseq=500)
    arrays, reads = adata.X[:500], adata.X[500:]
    assert np.std(reads.mean(axis=0) - arrays.mean(axis=0)) > 0.5
    zeros, level = (reads == 0).mean(axis=0), adata.var["base"].to_numpy()
    assert zeros[level < 5].mean() > 0.3
    assert zeros[level > 9].max() < 0.1


def test_duplicates_are_near_and_nothing_else_is() -> None:
    adata = drawn(duplicates=0.1)
    where = np.flatnonzero(adata.obs["duplicate_of"] != "")
    originals = adata.obs_names.get_indexer(adata.obs["duplicate_of"].iloc[where])
    assert 55 <= len(where) <= 65
    assert not set(where) & set(originals)
    gaps = np.linalg.norm(adata.X[where] - adata.X[originals], axis=1)
    assert (gaps < 0.5).all()
    assert (gaps == 0).any()
    assert (gaps > 0).any()
    rest = np.setdiff1d(np.arange(600), where)
    others = adata.X[rest].astype(float)
    apart = np.square(others).sum(1)[:, None] + np.square(others).sum(1) - 2 * others @ others.T
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 1.0
    for column in ("tissue", "study", "chip"):
        assert (adata.obs[column].to_numpy()[where] == adata.obs[column].to_numpy()[originals]).all()


def test_array_response_rises_from_floor_to_ceiling() -> None:
    levels = np.tile(np.linspace(-5, 25, 61, dtype=np.float32), (4, 1))
    shown = read_array(levels.copy(), np.random.default_rng(0))
    assert (np.diff(shown) >= 0).all()
    np.testing.assert_allclose(shown[:, [0, -1]], [[FLOOR, CEILING]] * 4, atol=0.02)
    middle = slice(26, 34)  # true levels of 8 to 11.5 are shown nearly as they are: brightness aside, slope one
    assert np.abs(np.diff(shown[:, middle], axis=1) / 0.5 - 1).max() < 0.2


def test_reads_average_to_the_expected_amount() -> None:
    levels = np.full((400, 50), 8.0, np.float32)
    amounts = np.exp2(read_rnaseq(levels, np.random.default_rng(0)).astype(float)) - 1
    assert abs(amounts.mean() / (2 ** (1.25 * 3) - 1) - 1) < 0.002
    assert not read_rnaseq(np.full((40, 50), 4.9, np.float32), np.random.default_rng(0)).any()  # background: no reads


@pytest.mark.parametrize(
    "bad",
    [
        {"samples": 0},
        {"samples": "many"},
        {"landmarks": 1},
        {"targets": -5},
        {"targets": 0},
        {"rnaseq": -1},
        {"programmes": 1},
        {"circuits": 0},
        {"tissues": 0},
        {"studies": 0},
        {"chips": 0},
        {"nonlinear": 1.5},
        {"noise": -0.1},
        {"batch": float("nan")},
        {"duplicates": 0.9},
        {"seed": -1},
        {"seed": 1.5},
        {"block": 0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_in_one_line(bad: dict[str, Any], tmp_path: Path) -> None:
    (name, value), path = next(iter(bad.items())), tmp_path / "out.h5ad"
    with pytest.raises(SettingsError, match=f"^{name} is .*is accepted$") as caught:
        simulate(path, **(SMALL | bad))
    assert repr(value) in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_an_existing_output_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.h5ad"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        simulate(path, **SMALL)
    assert path.read_text() == "mine"
    simulate(path, overwrite=True, **SMALL)
    assert dgex.io.read(path).shape == (600, 64)


@pytest.mark.parametrize("sizes", [(1, 2, 1), (3, 2, 1), (257, 2, 3)])
def test_smallest_sizes_work(sizes: tuple[int, int, int]) -> None:
    samples, landmarks, targets = sizes
    adata = simulate(samples=samples, landmarks=landmarks, targets=targets, circuits=1, chips=1, tissues=1)
    assert adata is not None
    assert adata.shape == (samples, landmarks + targets)
    assert np.isfinite(adata.X).all()
