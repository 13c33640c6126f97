"""What a dataset must have, and what is said when it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from dgex.dataset.roles import check_dataset, landmarks, named_sets, rows, set_statistics, targets
from dgex.errors import DataError, DgexError, GeneError


def dataset() -> AnnData:
    X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    obs = pd.DataFrame(
        {"split": ["train", "GTEx", "train", "test", "train", "validation"], "set": ["a", "b", "a", "a", "a", "a"]},
        index=[f"s{i}" for i in range(6)],
    )
    var = pd.DataFrame({"role": ["target", "landmark", "other", "target"]}, index=list("wxyz"))
    return AnnData(X, obs=obs, var=var)


def test_masks_rows_and_sets_from_a_dataset_or_its_tables() -> None:
    data = dataset()
    check_dataset(data)
    for source in (data, data.var):
        np.testing.assert_array_equal(landmarks(source), [False, True, False, False])
        np.testing.assert_array_equal(targets(source), [True, False, False, True])
    for source in (data, data.obs):
        np.testing.assert_array_equal(rows(source, "train"), [0, 2, 4])
        assert named_sets(source) == ["GTEx"]


def broken(change: Callable[[AnnData], object]) -> AnnData:
    data = dataset()
    change(data)
    return data


def put(data: AnnData, value: float) -> None:
    data.X[3, 1] = value


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda d: d.var.drop(columns="role", inplace=True), GeneError, "no column 'role'"),
        (lambda d: d.var.__setitem__("role", "target"), GeneError, "no landmark gene"),
        (lambda d: d.var.__setitem__("role", ["landmark", "target", "marker", "other"]), GeneError, "marker"),
        (lambda d: d.obs.drop(columns="split", inplace=True), DataError, "no column 'split'"),
        (lambda d: d.obs.__setitem__("split", "test"), DataError, "0 training samples"),
        (lambda d: d.obs.__setitem__("split", ["train"] * 5 + [None]), DataError, "1 samples have no split"),
        (
            lambda d: d.obs.__setitem__("split", pd.Categorical(["train"] * 4 + [None] * 2)),
            DataError,
            "2 samples have no split",
        ),
        (lambda d: d.var.__setitem__("role", ["landmark", "target", None, "other"]), GeneError, "unknown role"),
        (lambda d: setattr(d, "var_names", list("wxyx")), DataError, "duplicate gene ids in the dataset: x"),
        (lambda d: put(d, np.nan), DataError, "nan for gene x in sample s3"),
        (lambda d: put(d, -np.inf), DataError, "-inf for gene x in sample s3"),
    ],
)
@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_one_line_errors(change: Callable[[AnnData], object], error: type[DgexError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        check_dataset(broken(change))
    assert "\n" not in str(caught.value)


def test_without_a_split_when_none_is_needed() -> None:
    data = broken(lambda d: d.obs.drop(columns="split", inplace=True))
    check_dataset(data, need_split=False)
    with pytest.raises(DataError, match="found GTEx, test, train, validation"):
        rows(dataset(), "GTEX")


def test_statistics_of_sets() -> None:
    data = dataset()
    assert set_statistics(data, "a") is None
    numbers = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [5.0, 6, 7, 8]}, index=data.var_names)
    data.varm["mean"], data.varm["std"] = numbers, numbers + 1
    found = set_statistics(data, "b")
    assert found is not None
    np.testing.assert_array_equal(found[0], [5, 6, 7, 8])
    with pytest.raises(DataError, match="no statistics of the set 'c'"):
        set_statistics(data, "c")
    data.varm["mean"] = data.varm["std"] = numbers[["a"]].rename(columns={"a": "train"})
    found = set_statistics(data, "anything")
    assert found is not None
    np.testing.assert_array_equal(found[1], [1, 2, 3, 4])
