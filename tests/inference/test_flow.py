"""Stages side by side: the same as one after the other, few pieces at a time, and the first error ends all."""

from __future__ import annotations

import errno
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import dgex
from dgex.errors import DataError, FileError
from dgex.fitting.train import train
from dgex.inference.blocks import inferred, raw_blocks
from dgex.inference.flow import AT_WORK, aside, flow
from dgex.inference.infer import CHOICES
from dgex.inference.plan import plan
from dgex.io.gctx import GctxWriter
from dgex.io.memory import MemoryFile

BLOCK = 5


@pytest.fixture(scope="module")
def model(dataset: ad.AnnData) -> Any:
    return train(dataset, "ridge", alpha=10.0)


@pytest.fixture
def panel(compendium: ad.AnnData) -> ad.AnnData:
    return compendium[:23, (compendium.var["role"] == "landmark").to_numpy()].copy()


def one_after_the_other(model: Any, data: ad.AnnData, **settings: Any) -> tuple[np.ndarray, Any]:
    """Values and half-widths by a plain loop over blocks."""
    source = MemoryFile(data)
    usual = {name: "drop" if name == "extra" else accepted[0] for name, accepted in CHOICES.items()}
    work = plan(model, source, **{**usual, **settings})
    parts = [inferred(work, *block) for block in raw_blocks(work, source, BLOCK)]
    half = None if parts[0].half is None else np.concatenate([part.half for part in parts if part.half is not None])
    return np.concatenate([part.values for part in parts]), half


@pytest.mark.parametrize(
    "settings", [{}, {"interval": 0.8}, {"units": "standardized"}, {"measured": "infer"}, {"genes": ["LM3", "TG2"]}]
)
@pytest.mark.parametrize("whole", [False, True])
def test_values_are_those_of_a_plain_loop(
    model: Any, panel: ad.AnnData, compendium: ad.AnnData, tmp_path: Path, settings: dict[str, Any], whole: bool
) -> None:
    data = compendium[:23].copy() if whole else panel
    if "genes" in settings:
        settings = {"genes": [model.landmarks_[3], model.targets_[2]]}
    values, half = one_after_the_other(model, data, **settings)
    result = dgex.infer(data, model, block=BLOCK, **settings)
    np.testing.assert_array_equal(np.asarray(result.X), values)
    slow = ["a.zarr"] if whole and "interval" in settings else []  # takes a second
    for name in ("a.gctx", "a.h5ad", *slow):
        for resume in (False, True) if name == "a.gctx" else (False,):
            dgex.infer(data, model, tmp_path / name, block=BLOCK, resume=resume, overwrite=True, **settings)
            np.testing.assert_array_equal(np.asarray(dgex.read(tmp_path / name).X), values)
    if half is not None:
        np.testing.assert_array_equal(np.asarray(result.layers["halfwidth"]), half)


def test_order_and_results_are_those_of_a_loop() -> None:
    done: list[tuple[int, int]] = []
    flow(iter(range(50)), lambda n: n * n, lambda n, square: done.append((n, square)))
    assert done == [(n, n * n) for n in range(50)]
    flow(iter(()), lambda n: n, lambda n, same: done.append((n, same)))
    assert len(done) == 50


class Piece:
    """Something that can be told to be alive."""


@pytest.mark.parametrize(("stuck", "reached"), [("worker", AT_WORK), ("writer", 2 * AT_WORK)])
def test_few_pieces_are_there_at_a_time(stuck: str, reached: int) -> None:
    """A stage that is stuck at its first piece lets the others go on, so far and no farther."""
    drawn: weakref.WeakSet[Piece] = weakref.WeakSet()
    made: weakref.WeakSet[Piece] = weakref.WeakSet()
    most, count, far, ended = [0, 0], [0], threading.Event(), [0]

    def seen(stage: str) -> None:
        if stage == stuck:
            assert far.wait(60), "the others wait too"
        most[0], most[1] = max(most[0], len(drawn)), max(most[1], len(made))

    def pieces() -> Iterator[Piece]:
        for _ in range(30):
            piece = Piece()
            drawn.add(piece)
            count[0] += 1
            if count[0] == reached:
                far.set()
            seen("reader")
            yield piece
            del piece

    def work(piece: Piece) -> Piece:
        result = Piece()
        made.add(result)
        seen("worker")
        return result

    def put(piece: Piece, result: Piece) -> None:
        seen("writer")
        ended[0] += 1

    flow(pieces(), work, put)
    assert ended == [30]
    assert most[0] <= 2 * AT_WORK
    assert most[1] <= AT_WORK
    assert not drawn
    assert not made


@pytest.mark.parametrize("at", ["reader", "worker", "writer"])
@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt, MemoryError])
def test_the_first_error_of_any_stage_ends_all(at: str, error: type[BaseException]) -> None:
    put, before = list[int](), threading.active_count()

    def fails(stage: str, piece: int) -> int:
        if stage == at and piece == 2:
            raise error(stage)
        return piece

    def pieces() -> Iterator[int]:
        for number in range(1000):
            yield fails("reader", number)

    with pytest.raises(error, match=at):
        flow(pieces(), lambda n: fails("worker", n), lambda n, _: put.append(fails("writer", n)))
    assert put == [0, 1], "what came before is put away, nothing after"
    assert threading.active_count() == before


def test_a_reader_is_closed_where_it_ran() -> None:
    where = list[Any]()

    def pieces() -> Iterator[int]:
        try:
            where.append(threading.get_ident())
            yield from range(1000)
        finally:
            where.append(threading.get_ident())

    def work(piece: int) -> None:
        raise DataError("no")

    with pytest.raises(DataError):
        flow(pieces(), work, lambda n, _: None)
    assert where[0] == where[1] != threading.get_ident()


def test_a_value_that_is_missing_in_the_second_block(model: Any, panel: ad.AnnData, tmp_path: Path) -> None:
    panel.X[7, 3] = np.nan
    with pytest.raises(DataError, match=rf"gene {panel.var_names[3]}, sample {panel.obs_names[7]}"):
        dgex.infer(panel, model, tmp_path / "full.gctx", block=BLOCK)
    assert not any(tmp_path.iterdir())


def at_the_second_block(patch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen before the second block is written."""
    append, calls = GctxWriter.append, [0]

    def appended(writer: GctxWriter, block: Any) -> None:
        calls[0] += 1
        if calls[0] == 2:
            happens()
        append(writer, block)

    patch.setattr(GctxWriter, "append", appended)


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("resume", [False, True])
def test_a_disk_that_is_full_at_the_second_block(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    output = tmp_path / "full.gctx"
    with monkeypatch.context() as patch:
        at_the_second_block(patch, full)
        with pytest.raises(FileError, match=r"full\.gctx: the disk is full"):
            dgex.infer(panel, model, output, block=BLOCK, resume=resume)
    left = ["full.gctx.parts"] if resume else []
    assert [path.name for path in tmp_path.iterdir()] == left
    dgex.infer(panel, model, output, block=BLOCK, resume=resume)
    values, _ = one_after_the_other(model, panel)
    np.testing.assert_array_equal(np.asarray(dgex.read(output).X), values)
    assert [path.name for path in tmp_path.iterdir()] == ["full.gctx"]


@pytest.mark.parametrize("resume", [False, True])
def test_ctrl_c_leaves_nothing_half_written(
    model: Any, panel: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    output = tmp_path / "full.gctx"
    with monkeypatch.context() as patch:
        at_the_second_block(patch, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            dgex.infer(panel, model, output, block=BLOCK, resume=resume)
    left = ["full.gctx.parts"] if resume else []
    assert [path.name for path in tmp_path.iterdir()] == left
    dgex.infer(panel, model, output, block=BLOCK, resume=resume)
    assert dgex.read(output).shape[0] == len(panel)


def test_ctrl_c_while_the_last_piece_is_put_away_waits_for_it() -> None:
    """Whoever calls may close the file then: no other thread writes to it any more."""
    put = list[int]()

    def slow(piece: int, _: int) -> None:
        if piece == 2:
            signal.raise_signal(signal.SIGINT)
        put.append(piece)

    with pytest.raises(KeyboardInterrupt):
        flow(iter(range(3)), lambda n: n, slow)
    assert put == [0, 1, 2]


def test_what_is_put_aside_comes_in_order_one_piece_behind() -> None:
    done, going, free = list[int](), threading.Event(), threading.Event()

    def put(piece: int, _: None) -> None:
        going.set()
        assert free.wait(60)
        done.append(piece)

    with aside(put) as later:
        later(0, None)
        assert going.wait(60)
        third = threading.Thread(target=lambda: (later(1, None), later(2, None)))
        third.start()
        assert done == []  # all wait for the first
        free.set()
        third.join(60)
    assert done == [0, 1, 2]


def test_an_error_of_what_is_aside_reaches_who_gives() -> None:
    def put(piece: int, _: None) -> None:
        raise FileError("full")

    given = list[int]()

    def give(pieces: int) -> None:
        with aside(put) as later:
            for number in range(pieces):
                later(number, None)
                given.append(number)

    with pytest.raises(FileError, match="full"):
        give(1000)
    assert len(given) < 5
    with pytest.raises(FileError, match="full"):
        give(1)  # told at the end
