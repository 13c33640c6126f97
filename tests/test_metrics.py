from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from dgex.errors import DataError
from dgex.metrics import GeneErrors, relative_improvement, share_better
from dgex.ranks import spearman


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.normal(9, 2, (211, 17)).astype(np.float32)
    return true, (true + rng.normal(0, 1, true.shape)).astype(np.float32)


def gathered(true, pred, size: int = 10**6, **options) -> GeneErrors:
    errors = GeneErrors(true.shape[1], **options)
    for start in range(0, len(true), size):
        errors.update(true[start : start + size], pred[start : start + size])
    return errors


def assert_same(a: GeneErrors, b: GeneErrors, rtol: float = 1e-11) -> None:
    assert a.n == b.n
    for name in ("mae", "rmse", "pearson", "r2", "overall", "overall_std"):
        assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-13, err_msg=name)


def test_agrees_with_sklearn_and_scipy(pair):
    true, pred = (m.astype(np.float64) for m in pair)
    errors = gathered(*pair, size=50)
    assert_allclose(errors.mae, mean_absolute_error(true, pred, multioutput="raw_values"), rtol=1e-12)
    assert_allclose(errors.rmse, root_mean_squared_error(true, pred, multioutput="raw_values"), rtol=1e-12)
    assert_allclose(errors.r2, r2_score(true, pred, multioutput="raw_values"), rtol=1e-11)
    assert_allclose(errors.pearson, stats.pearsonr(true, pred, axis=0).statistic, rtol=1e-11)
    assert errors.overall == pytest.approx(mean_absolute_error(true, pred))
    assert errors.overall_std == pytest.approx(np.abs(true - pred).mean(0).std())
    assert errors.n == len(true)


def test_calibration_slope_is_that_of_the_regression_of_truth_on_prediction(pair):
    true, pred = (m.astype(np.float64) for m in pair)
    expected = [stats.linregress(pred[:, j], true[:, j]).slope for j in range(true.shape[1])]
    assert_allclose(gathered(*pair, size=50).slope, expected, rtol=1e-10)
    twice = 2 * (true - true.mean(0)) + 5
    assert_allclose(gathered(true, twice).slope, 0.5, rtol=1e-10)
    assert np.isnan(gathered(true, np.ones_like(true)).slope).all()


def test_spearman_agrees_with_scipy_also_with_ties(pair):
    true, pred = np.round(pair[0]), np.round(pair[1])
    expected = [stats.spearmanr(true[:, j], pred[:, j]).statistic for j in range(true.shape[1])]
    assert_allclose(spearman(true, pred), expected, rtol=1e-12)


@given(size=st.integers(1, 220))
def test_block_size_changes_nothing(pair, size):
    assert_same(gathered(*pair, size=size), gathered(*pair))


def test_threads_change_no_bit(pair):
    true, pred = pair
    one, other = GeneErrors(true.shape[1]), GeneErrors(true.shape[1])
    with ThreadPoolExecutor(2) as pool:
        for part in (slice(0, 3), slice(3, 3), slice(3, None)):
            one.update(true[part], pred[part])
            other.update(true[part], pred[part], pool)
    for name in ("mae", "rmse", "pearson", "r2", "slope", "n"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@given(cut=st.integers(0, 211))
def test_merging_parts_equals_one_pass(pair, cut):
    true, pred = pair
    parts = gathered(true[:cut], pred[:cut]).merge(gathered(true[cut:], pred[cut:]))
    assert_same(parts, gathered(true, pred))


def test_sums_of_parts_add_up_to_one_pass(pair):
    true, pred = pair
    parts = [GeneErrors(17, correlation=False) for _ in range(3)]
    for errors, rows in zip(parts, (slice(0, 0), slice(0, 80), slice(80, None))):
        errors.update(true[rows], pred[rows])
    errors, whole = GeneErrors.of_sums(sum(p.n for p in parts), sum(p.sums() for p in parts)), gathered(true, pred)
    assert errors.n == whole.n
    assert_allclose(errors.mae, whole.mae)
    assert_allclose(errors.rmse, whole.rmse)


def test_tensors_give_what_arrays_give(pair):
    errors = GeneErrors(17)
    for start in range(0, 211, 64):
        errors.update(*(torch.from_numpy(m[start : start + 64]).requires_grad_() for m in pair))
    assert_same(errors, gathered(*pair))
    assert_allclose(spearman(*map(torch.from_numpy, pair)), spearman(*pair))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sums_stay_on_the_device(pair):
    errors = GeneErrors(17)
    errors.update(*(torch.from_numpy(m).cuda() for m in pair))
    assert all(total.is_cuda and total.dtype == torch.float64 for total in errors._sums)
    assert_same(errors, gathered(*pair))


def test_large_offset_loses_no_digits(pair):
    """Adding 2**20 to both (exact in float64) moves no error and no correlation."""
    true, pred = (m.astype(np.float64).round(4) for m in pair)
    true, pred = np.ldexp(np.ldexp(true, 20).round(), -20), np.ldexp(np.ldexp(pred, 20).round(), -20)
    assert_same(gathered(true + 2**20, pred + 2**20, size=40), gathered(true, pred), rtol=1e-9)


def test_constant_gene_has_no_correlation_and_no_warning():
    true = np.tile([1.1, 0.1, 3.0], (30, 1))
    true[:, 1] += np.arange(30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        errors = gathered(true, true + np.array([0.0, 1.0, 0.3]), size=7)
        assert np.isnan(errors.pearson).tolist() == [True, False, True]
        assert np.isnan(errors.r2).tolist() == [True, False, True]
        assert np.isnan(spearman(true, true)).tolist() == [True, False, True]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_show_in_their_gene_only(pair, bad):
    true, pred = pair[0], pair[1].copy()
    pred[100, 3] = bad
    errors, clean = gathered(true, pred, size=30), gathered(*pair)
    others = np.arange(17) != 3
    assert not np.isfinite(errors.mae[3])
    assert np.isnan(errors.pearson[3])
    assert not np.isfinite(errors.overall)
    assert_allclose(errors.mae[others], clean.mae[others])
    assert_allclose(errors.pearson[others], clean.pearson[others])


def test_without_correlation_errors_are_the_same(pair):
    lean = gathered(*pair, correlation=False)
    assert_allclose(lean.mae, gathered(*pair).mae)
    assert_allclose(lean.rmse, gathered(*pair).rmse)
    with pytest.raises(DataError, match="correlation=True"):
        _ = lean.pearson
    with pytest.raises(DataError, match="do not fit together"):
        lean.merge(GeneErrors(17))


def test_nothing_seen_is_nan():
    errors = GeneErrors(3).merge(GeneErrors(3))
    assert errors.n == 0
    assert np.isnan([errors.overall, *errors.mae, *errors.pearson, *spearman(np.ones((0, 2)), np.ones((0, 2)))]).all()


@pytest.mark.parametrize("shape", [(4, 3), (5, 2), (5,)])
def test_shapes_must_fit(shape):
    with pytest.raises(DataError, match="both must be profiles x 3 genes"):
        GeneErrors(3).update(np.zeros((5, 3)), np.zeros(shape))


def test_relative_improvement_and_share():
    assert relative_improvement(0.3, 0.4) == pytest.approx(0.25)
    gain = relative_improvement([0.2, 0.5, 0.1], [0.4, 0.25, 0.0])
    assert_allclose(gain, [0.5, -1.0, np.nan])
    assert share_better([1, 2, 3, 4], [2, 2, 4, 1]) == 0.5
    assert np.isnan(share_better([1, np.nan], [2, 2]))


def test_importing_metrics_leaves_torch_alone():
    code = "import sys, dgex.metrics; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
