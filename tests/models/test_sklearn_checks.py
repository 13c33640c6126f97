"""scikit-learn's own checks of estimators, for a matrix of targets; what fails has a reason."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from dgex.errors import DataError, ModelError
from dgex.models.catalogue import new

try:
    import torch  # noqa: F401
except ImportError:
    NETWORKS = []
else:
    NETWORKS = [
        new("dgex", {"hidden": (4,), "epochs": 2, "batch_size": 8}),
        new("kernel", {"alpha": 0.1, "gamma": 1.0, "linear": 0.1}),
    ]

ESTIMATORS = [
    new("ols", {}),
    new("ridge", {"alpha": 1.0}),
    new("lasso", {"alpha": 0.01}),
    new("knn-ge", {"n_neighbors": 1}),
    new("knn", {"n_neighbors": 1}),
    *NETWORKS,
]

WORDING = "refused in one line of our own words, which say profiles and genes"
EXPECTED = {
    "check_n_features_in_after_fitting": WORDING,
    "check_estimators_empty_data_messages": WORDING,
    "check_fit2d_1sample": WORDING,
    "check_fit2d_predict1d": WORDING,
    "check_dtype_object": "what is no number is a DataError, which is a ValueError and no TypeError",
    "check_regressor_multioutput": "inferred values are float32: a transcriptome takes half the memory",
    "check_regressor_data_not_an_array": "genes of a table are found by name; fitted bare arrays have none",
    "check_dataframe_column_names_consistency": "genes of a table are found by name, in any order among others",
}
# Before 1.6 there are no tags by which checks know that targets are a matrix.
NEEDED = hasattr(estimator_checks, "check_estimator") and hasattr(estimator_checks, "estimator_checks_generator")


if NEEDED:
    with warnings.catch_warnings():  # estimators have the face of BaseEstimator, not its import of a second
        warnings.simplefilter("ignore")
        checks = estimator_checks.parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED)

    @checks
    @pytest.mark.filterwarnings("ignore")
    def test_checks_of_scikit_learn(estimator, check) -> None:
        check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.kind)
def test_not_fitted_is_an_error_of_both(estimator) -> None:
    fresh = new(estimator.kind, {})
    for error in (NotFittedError, ModelError):
        with pytest.raises(error, match="not fitted"):
            fresh.predict(np.zeros((2, 3)))
    with pytest.raises(NotFittedError):
        check_is_fitted(fresh)
    assert is_regressor(fresh)


def test_names_of_features_are_there_where_genes_had_names(tmp_path) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    bare = new("ols", {}).fit(X, Y)
    assert not hasattr(bare, "feature_names_in_")
    named = new("ols", {}).fit(pd.DataFrame(X, columns=["A", "B", "C"]), Y)
    assert named.feature_names_in_.tolist() == ["A", "B", "C"]
    assert not hasattr(new("ols", {}), "feature_names_in_")


def test_bare_sparse_and_complex_matrices_are_refused() -> None:
    from scipy.sparse import csr_matrix

    X, Y = np.eye(4), np.ones((4, 2))
    for wrong in (csr_matrix(X), X * 1j):
        with pytest.raises(DataError, match=r"sparse input is not supported|Complex data not supported"):
            new("ols", {}).fit(wrong, Y)
