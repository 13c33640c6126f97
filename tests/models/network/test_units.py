"""Genes in any units: the network is that of standardised genes, and standardised genes are left as they are."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgex.errors import DataError, ModelError, OutputExistsError, SettingsError
from dgex.models.folder import load
from dgex.models.linear.regression import OLS
from dgex.models.network.dgex import DGEX
from dgex.models.network.units import STATISTICS, raw
from dgex.training.run.checkpoint import Checkpoints

Pair = tuple[np.ndarray, np.ndarray]
SMALL: dict[str, Any] = {
    "hidden": (16,), "dropout": 0.0, "learning_rate": 0.02, "batch_size": 25, "epochs": 12, "device": "cpu",
}  # fmt: skip
PLACE, SIZE = 9.0, 2.0  # of values of 4 to 15


def profiles(number: int, seed: int, landmarks: int = 6, targets: int = 5) -> Pair:
    """A linear truth and a little noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(number, landmarks))
    mix = np.random.default_rng(42).normal(size=(landmarks, targets)) / np.sqrt(landmarks)
    return X, X @ mix + 0.1 * rng.normal(size=(number, targets))


def standard() -> tuple[Pair, Pair]:
    """Training and held-out profiles in standard units of the training ones."""
    train, held = profiles(400, 0), profiles(100, 1)
    spread = [(part.mean(0), part.std(0)) for part in train]
    return tuple(
        tuple(((part - mean) / deviation).astype(np.float32) for part, (mean, deviation) in zip(pair, spread))
        for pair in (train, held)
    )  # type: ignore[return-value]


def in_raw(pair: Pair) -> Pair:
    return tuple(part * np.float32(SIZE) + np.float32(PLACE) for part in pair)  # type: ignore[return-value]


def fit(train: Pair, held: Pair, options: dict[str, Any] | None = None, **settings: Any) -> DGEX:
    return DGEX(**SMALL | settings).fit(*train, {"held": held}, **(options or {}))


@pytest.fixture(scope="module")
def plain() -> DGEX:
    return fit(*standard())


@pytest.fixture(scope="module")
def of_raw() -> DGEX:
    return fit(*map(in_raw, standard()))


def test_values_in_any_units_give_the_same_network(plain: DGEX, of_raw: DGEX) -> None:
    x = standard()[1][0]
    found = of_raw.predict(in_raw((x, x))[0])
    np.testing.assert_allclose((found - PLACE) / SIZE, plain.predict(x), atol=1e-4)
    assert of_raw.best_["held"]["epoch"] == plain.best_["held"]["epoch"]
    assert of_raw.best_["held"]["error"] == pytest.approx(SIZE * plain.best_["held"]["error"], rel=1e-4)
    np.testing.assert_allclose(of_raw.history_["loss"], plain.history_["loss"], rtol=1e-3)
    np.testing.assert_allclose(of_raw.history_["train.error"], SIZE * plain.history_["train.error"], rtol=1e-3)
    assert of_raw.standardized_
    assert not plain.standardized_


def test_raw_values_are_fitted_nearly_as_well_as_by_linear_regression() -> None:
    """Every gene in units of its own; without standardising the error is about the trivial one."""
    train, held = standard()
    rng = np.random.default_rng(3)
    sizes = [rng.uniform(0.5, 3, part.shape[1]) for part in train]
    (X, Y), (x, y) = ([part * size + PLACE for part, size in zip(pair, sizes)] for pair in (train, held))

    def error(values: np.ndarray) -> float:
        return float(np.abs(values - y).mean())

    network = error(fit((X, Y), (x, y), epochs=60).predict(x))
    left = error(fit((X, Y), (x, y), epochs=60, standardize=False, learning_rate=5e-4).predict(x))
    trivial, linear = error(Y.mean(0)), error(OLS().fit(X, Y).predict(x))
    assert linear < network < 1.5 * linear < 0.4 * trivial
    assert left > 3 * network


def test_standardised_values_are_left_as_they_are(plain: DGEX) -> None:
    untouched = fit(*standard(), standardize=False)
    assert plain._arrays().keys() == untouched._arrays().keys()
    assert not plain._arrays().keys() & set(STATISTICS)
    for name, value in untouched._arrays().items():
        np.testing.assert_array_equal(plain._arrays()[name], value)
    assert plain._state().keys() == {"best", "stopped", "precision", "history"}  # as written before there was a choice


def test_told_to_it_standardises_what_is_nearly_standardised() -> None:
    train, held = profiles(400, 0), profiles(100, 1)
    told, left = fit(train, held, standardize=True), fit(train, held)
    assert told.standardized_
    assert not left.standardized_
    assert (told.predict(held[0]) != left.predict(held[0])).any()


@pytest.mark.parametrize(
    ("shift", "size", "asked", "said"),
    [
        ((0, 0), (1, 1), None, ""),
        ((9, 0), (1, 1), None, "landmark genes are not standardised (means of 8.98"),
        ((0, 9), (1, 1), None, "target genes are not standardised (means of 8.98"),
        ((0, 0), (1, 50), None, "target genes are not standardised"),
        ((0, 0), (0.01, 1), None, "landmark genes are not standardised"),
        ((9, 9), (1, 1), False, "the paper's learning rates are for means of 0"),
        ((9, 9), (1, 1), True, "the network standardises all genes inside"),
    ],
)
def test_what_is_done_is_said(
    shift: Pair, size: Pair, asked: bool | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    X, Y = (part * k + at for part, k, at in zip(profiles(40, 0), size, shift))
    model = DGEX(hidden=(3,), epochs=1, learning_rate=1e-6, device="cpu", standardize=asked).fit(X, Y)
    assert model.standardized_ == (bool(said) and asked is not False)
    assert said in caplog.text
    assert ("not standardised" in caplog.text) == bool(said)


def test_genes_that_never_change_say_nothing_of_units() -> None:
    X = np.zeros((50, 10), np.float32)
    assert raw(X) == ""
    X[:, 0] = np.random.default_rng(0).normal(size=50)
    assert raw(X) == ""
    assert raw(X + 7) != ""
    assert DGEX(hidden=(2,), epochs=1, device="cpu").fit(X + 7, X + 7).predict(X + 7).shape == (50, 10)


@pytest.mark.parametrize("asked", ["auto", 1, 0.5])
def test_other_answers_are_refused(asked: Any) -> None:
    with pytest.raises(SettingsError, match="accepted True, False or None"):
        fit(*standard(), standardize=asked)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_folder_holds_means_and_deviations(parts: int, tmp_path: Path) -> None:
    train, held = map(in_raw, standard())
    model = fit(train, held, target_parts=parts)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert isinstance(loaded, DGEX)
    assert loaded.standardized_
    np.testing.assert_array_equal(loaded.predict(held[0]), model.predict(held[0]))
    np.testing.assert_allclose(loaded._arrays()["y_mean"], train[1].mean(0), rtol=1e-6)
    np.testing.assert_allclose(loaded._arrays()["x_scale"], train[0].std(0), rtol=1e-5)
    assert "- standardize: yes, as genes were not" in (tmp_path / "m" / "README.md").read_text()


def test_parts_are_networks_of_their_own_genes(of_raw: DGEX) -> None:
    """A part of one gene is the network of that gene alone."""
    train, held = map(in_raw, standard())
    model = fit(train, held, target_parts=5)
    for part in model.parts_:
        alone = fit((train[0], train[1][:, part.targets]), (held[0], held[1][:, part.targets]))
        np.testing.assert_array_equal(model.predict(held[0])[:, part.targets], alone.predict(held[0]))


def test_damaged_folders_are_refused(of_raw: DGEX, plain: DGEX) -> None:
    arrays, state = of_raw._arrays(), of_raw._state()
    with pytest.raises(ModelError, match="x_mean holds an array of shape none"):
        of_raw._restore({name: value for name, value in arrays.items() if name != "x_mean"}, state)
    with pytest.raises(ModelError, match="y_scale holds an array of shape"):
        of_raw._restore(arrays | {"y_scale": np.ones(2, np.float32)}, state)
    with pytest.raises(ModelError, match="arrays that its settings do not tell of: x_mean"):
        of_raw._restore(arrays, plain._state())


def test_killed_and_resumed_it_is_the_same(of_raw: DGEX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, held = map(in_raw, standard())
    save, number = Checkpoints.save, count(1)

    def killed(self: Any, *others: Any) -> None:
        save(self, *others)
        if next(number) == 4:
            raise SystemError("killed")

    monkeypatch.setattr(Checkpoints, "save", killed)
    folder: dict[str, Any] = {"checkpoint_dir": tmp_path / "c"}
    with pytest.raises(SystemError, match="killed"):
        fit(train, held, folder)
    with pytest.raises(OutputExistsError):
        fit(train, held, folder)
    with pytest.raises(ModelError, match="standardize: there True, now None"):
        fit(train, held, folder | {"resume": True}, standardize=False)
    resumed = fit(train, held, folder | {"resume": True}, standardize=True)  # as what was chosen
    np.testing.assert_array_equal(resumed.predict(held[0]), of_raw.predict(held[0]))


def test_where_the_profiles_lie_changes_nothing(of_raw: DGEX) -> None:
    train, held = map(in_raw, standard())
    from_memory = fit(train, held, placement="memory")
    np.testing.assert_array_equal(from_memory.predict(held[0]), of_raw.predict(held[0]))
    from_disk = fit(train, held, placement="disk")
    plain = fit(*standard(), placement="disk")
    x = standard()[1][0]
    np.testing.assert_allclose((from_disk.predict(held[0]) - PLACE) / SIZE, plain.predict(x), atol=1e-4)


def test_rounded_products_are_of_standard_units() -> None:
    """In bfloat16 values near 9 would lose what tells them apart."""
    train, held = map(in_raw, standard())
    rounded, exact = (fit(train, held, precision=kind).predict(held[0]) for kind in ("bf16", "float32"))
    assert np.abs(rounded - exact).mean() < 0.02 * train[1].std()


def test_what_diverges_is_compared_with_the_mean() -> None:
    """Predicting 0 where values are near 9 would make the worst network look learned."""
    train, held = map(in_raw, standard())
    with pytest.raises(DataError, match="better than predicting the mean"):
        fit(train, held, learning_rate=20.0)


def test_another_fit_does_what_was_chosen(of_raw: DGEX, plain: DGEX) -> None:
    assert of_raw.settled()["standardize"] is True
    assert "standardize" not in plain.settled()
