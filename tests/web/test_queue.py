"""Work waits its turn, survives the process that does it, and takes no longer than it may."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

from dgex.web.rules import Rules
from dgex.web.store import Store, room
from dgex.web.tasks import ENDED, Queue, Task

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by signals")


def at_work(queue: Queue, visit: Callable[[], Awaitable[None]]) -> None:
    """Let a queue work while somebody visits."""

    async def both() -> None:
        work = asyncio.create_task(queue.work())
        try:
            async with asyncio.timeout(60):
                await visit()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work

    asyncio.run(both())


def look(folder: Path, rules: Rules, text: str = "a,b\n") -> Task:
    """A look at a file that is no panel, which needs no model."""
    path = folder / "x.unknown"
    path.write_text(text)
    asked = {"folder": str(folder), "files": [str(path)], "name": "x", "models": {}, "rules": asdict(rules)}
    return Task("look", asked)


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.01)


def test_a_killed_worker_fails_its_work_and_no_other(tmp_path: Path) -> None:
    rules = Rules()
    queue = Queue(tmp_path, rules)

    async def visit() -> None:
        await until(lambda: queue.worker)
        first = queue.worker
        assert first is not None
        os.kill(first, signal.SIGSTOP)  # so that it is killed in the middle, not before or after
        task = queue.put(look(tmp_path, rules))
        other = queue.put(look(tmp_path, rules))
        await until(lambda: task.state == "running")
        assert (queue.before(task), queue.before(other)) == (0, 1)
        os.kill(first, signal.SIGKILL)
        await task.finished.wait()
        assert (task.state, task.text) == ("failed", ENDED)
        await other.finished.wait()
        assert other.text != ENDED  # a new process looked at it, and said what it is
        assert queue.worker != first

    at_work(queue, visit)


def test_work_ends_when_its_time_is_over(tmp_path: Path) -> None:
    rules = Rules(work=0.2)
    queue = Queue(tmp_path, rules)

    async def visit() -> None:
        await until(lambda: queue.worker)
        assert queue.worker is not None
        os.kill(queue.worker, signal.SIGSTOP)
        task = queue.put(look(tmp_path, rules))
        await task.finished.wait()
        assert task.state == "failed"
        assert "longer than" in task.text

    at_work(queue, visit)


def test_what_nobody_waits_for_is_not_done(tmp_path: Path) -> None:
    rules = Rules()
    queue = Queue(tmp_path, rules)

    async def visit() -> None:
        await until(lambda: queue.worker)
        assert queue.worker is not None
        os.kill(queue.worker, signal.SIGSTOP)
        running, waiting = queue.put(look(tmp_path, rules)), queue.put(look(tmp_path, rules))
        await until(lambda: running.state == "running")
        waiting.cancel()
        running.cancel()
        assert waiting.over
        await running.finished.wait()
        assert running.state == "failed"

    at_work(queue, visit)


def test_short_work_is_done_first(tmp_path: Path) -> None:
    async def order() -> list[str]:
        queue = Queue(tmp_path, Rules())
        tasks = [queue.put(Task(kind, {})) for kind in ("make", "infer", "look", "infer", "look")]
        return [task.kind for task in sorted(tasks, key=queue.before)]

    assert asyncio.run(order()) == ["look", "look", "infer", "infer", "make"]


def test_what_is_old_goes_when_nobody_waits_for_it(tmp_path: Path) -> None:
    async def kept() -> None:
        store = Store(tmp_path, Rules(kept=-1.0, spare=0))
        upload = store.upload()
        job = store.job(upload, "m", {})
        job.task = Task("infer", {})
        other = store.upload()
        assert len({upload.id, other.id, job.id}) == 3
        store.expire()
        assert set(store.uploads) == {upload.id}  # a job of it is not done
        assert not other.folder.exists()
        job.task.end("done")
        store.expire()
        store.expire()
        assert not store.uploads
        assert not store.jobs
        assert not list(tmp_path.iterdir())

    asyncio.run(kept())


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    from starlette.exceptions import HTTPException

    full, crowded = Store(tmp_path, Rules(spare=1 << 60)), Store(tmp_path, Rules(at_once=1, spare=0))
    crowded.upload()
    for store in (full, crowded):
        with pytest.raises(HTTPException) as refused:
            store.upload()
        assert refused.value.status_code == 503


def test_the_room_of_a_killed_server_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "dgex-serve-dead").mkdir()
    (tmp_path / "dgex-serve-dead" / "panel.csv").write_text("")
    with room() as one, room() as other:
        assert sorted(tmp_path.glob("dgex-serve-*")) == sorted([one, other])
        assert one.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.iterdir())
