"""Inference in parts: as many processes as one likes give what one gives, and only what is missing is done again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.cli.arguments import there
from dgex.errors import DataError, FileError, ModelError, OutputExistsError, SettingsError
from dgex.fitting.train import train
from dgex.inference.seal import seal, verify
from dgex.inference.shards import spread_of
from dgex.io.parts import Layout
from dgex.locks import alone
from dgex.ownership import PARTIAL

PLACES = ["out", "out.zarr"]


@pytest.fixture(scope="module")
def model(dataset: ad.AnnData) -> Any:
    return train(dataset, "ridge", alpha=10.0)


@pytest.fixture(scope="module")
def panel(compendium: ad.AnnData) -> ad.AnnData:
    """Raw landmark values of 24 profiles."""
    return compendium[:24, (compendium.var["role"] == "landmark").to_numpy()].copy()


@pytest.fixture(scope="module")
def whole(model: Any, panel: ad.AnnData) -> ad.AnnData:
    """What one process gives in memory, in the blocks of all tests here."""
    return dgex.infer(panel, model, block=8)


@pytest.fixture(scope="module")
def sealed_folder(model: Any, panel: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is read, and left as it was."""
    out = tmp_path_factory.mktemp("sealed") / "out"
    in_parts(panel, model, out, 2)
    seal(out)
    return out


def in_parts(source: Any, model: Any, output: Path, count: int, **options: Any) -> None:
    for number in range(1, count + 1):
        dgex.infer(source, model, output, block=8, shard=f"{number}/{count}", **options)


def same(found: ad.AnnData, expected: ad.AnnData) -> None:
    """Equal to the bit, with all that is said of profiles and genes."""
    np.testing.assert_array_equal(np.asarray(found.X), np.asarray(expected.X))
    assert set(found.layers) == set(expected.layers)
    for name in expected.layers:
        stored = expected.layers[name].astype(np.float16 if name == "halfwidth" else np.float32)
        np.testing.assert_array_equal(np.asarray(found.layers[name], np.float32), stored.astype(np.float32))
    assert found.uns["dgex"].items() >= {k: v for k, v in expected.uns["dgex"].items() if k != "check"}.items()
    found.obs["unlike"] = found.obs["unlike"].astype(bool)
    for table, other in ((found.obs, expected.obs), (found.var, expected.var)):  # kinds of text are pandas' own affair
        assert table.astype(str).reset_index().to_dict("list") == other.astype(str).reset_index().to_dict("list")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("count", [3])
def test_many_processes_give_what_one_gives(
    model: Any, panel: ad.AnnData, whole: ad.AnnData, tmp_path: Path, place: str, count: int
) -> None:
    in_parts(panel, model, tmp_path / place, count)
    told = seal(tmp_path / place)
    assert told["profiles"] == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == [place]
    same(dgex.read(tmp_path / place), whole)


def test_one_process_may_write_parts_too(model: Any, panel: ad.AnnData, whole: ad.AnnData, tmp_path: Path) -> None:
    dgex.infer(panel, model, tmp_path / "out", block=8, parts="gctx")
    assert {path.suffix for path in (tmp_path / "out").glob("profiles*")} == {".gctx", ".json"}
    seal(tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(dgex.read(tmp_path / "out").X), np.asarray(whole.X))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_decided_is_decided_over_the_whole_input(
    model: Any, panel: ad.AnnData, tmp_path: Path, place: str
) -> None:
    """Linear values, of which the second half alone would be taken for logarithms."""
    linear = panel.copy()
    values = np.exp2(np.asarray(panel.X, np.float64)) - 1
    values[12:] *= 12 / values[12:].max()
    linear.X = values.astype(np.float32)
    halves = [dgex.infer(linear[part].copy(), model).uns["dgex"]["scale"] for part in (slice(12), slice(12, 24))]
    assert [scale.startswith("log2") for scale in halves] == [False, True]
    options = {"standardize": "own", "interval": 0.8}
    in_parts(linear, model, tmp_path / place, 2, **options)
    seal(tmp_path / place)
    same(dgex.read(tmp_path / place), dgex.infer(linear, model, block=8, **options))


def test_ranges_are_disjoint_complete_and_begin_with_blocks() -> None:
    for profiles, size, count in ((100, 8, 3), (7, 8, 2), (1000, 24, 7), (16, 8, 64)):
        layout = Layout(profiles, size)
        dealt = [layout.at(part) for number in range(1, count + 1) for part in layout.dealt(number, count)]
        assert [0, *(at.stop for at in dealt)] == [*(at.start for at in dealt), profiles]
        assert all(at.start % size == 0 for at in dealt)
        assert all(list(layout.dealt(part + 1, len(layout))) == [part] for part in range(len(layout)))


@pytest.mark.parametrize(("place", "sealed"), [("out", False), ("out", True), ("out.zarr", True)])
def test_a_flipped_bit_is_found_and_only_its_range_done_again(
    model: Any, panel: ad.AnnData, whole: ad.AnnData, tmp_path: Path, place: str, sealed: bool
) -> None:
    out = tmp_path / place
    in_parts(panel, model, out, 2)
    if sealed:
        seal(out)
        assert verify(out)["profiles"] == 24
    pattern = "X/2.0" if place.endswith("zarr") else "profiles-0000016-*.h5ad"
    (damaged,) = tmp_path.rglob(pattern)
    intact, bytes_ = {path: path.stat().st_mtime_ns for path in chunks(tmp_path)}, bytearray(damaged.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    damaged.write_bytes(bytes(bytes_))
    with pytest.raises(DataError, match=r"damaged \(its bytes.*: profiles 17 to 24;"):
        verify(out) if sealed else seal(out)
    in_parts(panel, model, out, 2)
    again = {path.name: path.stat().st_mtime_ns for path in chunks(tmp_path)}
    assert {path.name for path, time in intact.items() if again[path.name] != time} == {damaged.name}
    seal(out)
    same(dgex.read(out), whole)


def chunks(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if re.fullmatch(r"\d+\.0|profiles.*\.h5ad", path.name)]


@pytest.mark.parametrize("place", PLACES)
def test_parts_of_something_else_are_refused(
    model: Any, dataset: ad.AnnData, panel: ad.AnnData, tmp_path: Path, place: str
) -> None:
    out, other = tmp_path / place, train(dataset, "ridge", alpha=11.0)
    in_parts(panel, model, out, 2)
    with pytest.raises(ModelError, match=r"parts of an inference of something else .*model: there"):
        in_parts(panel, other, out, 2)
    with pytest.raises(ModelError, match="measured: there keep, now infer"):
        in_parts(panel, model, out, 2, measured="infer")
    changed = panel.copy()
    changed.X[19, 3] += np.float32(1e-3)
    with pytest.raises(ModelError, match=r"profiles 17 to 24 of something else|input: there"):
        in_parts(changed, model, out, 2)
    in_parts(changed, other, out, 2, overwrite=True)
    seal(out)
    same(dgex.read(out), dgex.infer(changed, other, block=8))


def test_a_part_from_elsewhere_is_foreign(model: Any, dataset: ad.AnnData, panel: ad.AnnData, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"parts": "gctx"}
    in_parts(panel, model, tmp_path / "one", 2, **quick)
    in_parts(panel, train(dataset, "ridge", alpha=11.0), tmp_path / "other", 2, **quick)
    for suffix in ("gctx", "json"):
        name = f"profiles-0000008-0000016.{suffix}"
        shutil.copy(tmp_path / "other" / name, tmp_path / "one" / name)
    with pytest.raises(DataError, match=r"1 of 3 parts foreign \(model: there .*: profiles 9 to 16; .*--overwrite`"):
        seal(tmp_path / "one")
    (tmp_path / "one" / "profiles-0000008-0000020.gctx").write_text("of another layout")
    in_parts(panel, model, tmp_path / "one", 2, overwrite=True, **quick)
    with pytest.raises(DataError, match="profiles-0000008-0000020, which is no part of this inference"):
        seal(tmp_path / "one")


def test_a_second_process_on_the_same_shard_is_refused(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with alone(out / "shard-1-of-2", "dgex infer"):
        with pytest.raises(FileError, match="another dgex infer is at work on"):
            in_parts(panel, model, out, 2)
        dgex.infer(panel, model, out, block=8, shard="3/3")


@pytest.mark.parametrize("place", PLACES)
def test_work_goes_on_within_a_part(
    model: Any, panel: ad.AnnData, whole: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    predict, seen = type(model).predict, []

    def counted(self: Any, X: np.ndarray) -> np.ndarray:
        seen.append(len(X))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return predict(self, X)

    with monkeypatch.context() as patch:
        patch.setattr(type(model), "predict", counted)
        with pytest.raises(KeyboardInterrupt):
            dgex.infer(panel, model, tmp_path / place, block=4, resume=True, shard="1/2")
        for shard in ("1/2", "2/2"):
            dgex.infer(panel, model, tmp_path / place, block=4, resume=True, shard=shard)
    assert len(seen) == 6 + 1
    seal(tmp_path / place)
    np.testing.assert_allclose(np.asarray(dgex.read(tmp_path / place).X), np.asarray(whole.X), rtol=1e-5)
    assert not list(tmp_path.rglob("*.parts"))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_not_sealed_is_not_read(model: Any, panel: ad.AnnData, tmp_path: Path, place: str) -> None:
    out = tmp_path / place
    dgex.infer(panel, model, out, block=8, shard="2/2", parts="gctx")
    for read in (dgex.read, dgex.describe, verify, lambda path: dgex.convert(path, tmp_path / "full.h5ad")):
        with pytest.raises(FileError, match=rf"sealed.*`dgex seal {re.escape(str(out))}`"):
            read(out)
    if place.endswith("zarr"):
        with pytest.raises(FileError, match="dgex seal"):
            there(out)
    assert not (tmp_path / "full.h5ad").exists()


def test_a_sealed_folder_is_one_matrix(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    expected = dgex.infer(panel, model, block=8, interval=0.8)
    in_parts(panel, model, tmp_path / "out", 3, interval=0.8)
    seal(tmp_path / "out")
    rows, genes = [23, 3, 15, 16, 7], ["LM0003", *expected.var_names[-2:]]
    some = dgex.read(tmp_path / "out", samples=rows, genes=genes)
    np.testing.assert_array_equal(some.X, np.asarray(expected[rows, genes].X))
    half = dgex.read(tmp_path / "out", layer="halfwidth").X
    np.testing.assert_array_equal(half, expected.layers["halfwidth"].astype(np.float16).astype(np.float32))
    dgex.convert(tmp_path / "out", tmp_path / "full.gctx")
    np.testing.assert_array_equal(dgex.read(tmp_path / "full.gctx").X, np.asarray(expected.X))
    np.testing.assert_array_equal(
        np.asarray(dgex.infer(tmp_path / "out", model, measured="infer", block=8).X), np.asarray(expected.X)
    )


def test_what_a_killed_run_left_is_named_and_removed(
    model: Any, panel: ad.AnnData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    dgex.infer(panel, model, out, block=8, parts="gctx", shard="2/2")
    left = out / f"{PARTIAL}99999.abcdabcd-profiles-0000016-0000024.gctx"
    left.write_text("half")
    (out / "profiles-0000016-0000024.json").unlink()
    with caplog.at_level("INFO", "dgex"):
        dgex.infer(panel, model, out, block=8, parts="gctx", shard="2/2")
    assert f"removed {left}: half-written" in caplog.text
    assert "profiles 17 to 24 are done again: it is not finished" in caplog.text
    assert not left.exists()


def test_a_store_whose_sealing_was_killed(model: Any, panel: ad.AnnData, whole: ad.AnnData, tmp_path: Path) -> None:
    """In the moment between its name and the end of what was beside it."""
    out, home = tmp_path / "out.zarr", tmp_path / "out.zarr.parts"
    in_parts(panel, model, out, 2)
    shutil.copytree(home, tmp_path / "copy")
    seal(out)
    shutil.rmtree(tmp_path / "copy" / "store")
    (tmp_path / "copy").rename(home)
    dgex.infer(panel, model, out, block=8, shard="1/2")
    assert not home.exists()
    same(dgex.read(out), whole)
    with pytest.raises(OutputExistsError):
        dgex.infer(panel, model, out, block=8, shard="1/2", measured="infer")


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "1/2/3", "-1/2", "a/b", "1/0", ""])
def test_a_shard_that_is_none(model: Any, panel: ad.AnnData, tmp_path: Path, shard: str) -> None:
    with pytest.raises(SettingsError, match="k/N"):
        dgex.infer(panel, model, tmp_path / "out", shard=shard)


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("out.gctx", {"shard": "1/2"}),
        (None, {"shard": "1/2"}),
        ("out", {"parts": "csv"}),
        ("out", {"report": "page"}),
        ("out.zarr", {"shard": "1/2", "block": 5000}),
    ],
)
def test_outputs_that_cannot_be_spread(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str | None, options: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError):
        dgex.infer(panel, model, output, **options)


def test_processes_of_torchrun_share_the_shard_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = [spread_of("out/", shard, "h5ad") for shard in (None, "1/3", "3/3")]
    assert [(to.number, to.of) for to in found if to is not None] == [(3, 4), (3, 12), (11, 12)]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{}",
        '{"profiles": -1, "size": 8, "parts": [], "format": "h5ad"}',
        '{"profiles": 1000000000000000000, "size": 1, "parts": [], "format": "h5ad"}',
        json.dumps({"profiles": 24, "size": 8, "parts": [{}] * 3, "format": "../x"}),
        json.dumps({"profiles": 20, "size": 8, "parts": [{}] * 3, "format": "h5ad"}),
    ],
)
def test_a_manifest_that_is_damaged(sealed_folder: Path, said: str) -> None:
    before = (sealed_folder / "manifest.json").read_text()
    (sealed_folder / "manifest.json").write_text(said)
    with pytest.raises((FileError, DataError), match=r"seal|manifest"):
        dgex.read(sealed_folder)
    (sealed_folder / "manifest.json").write_text(before)
