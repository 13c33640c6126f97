"""Where a piece of work stands, as plain values: for programs, and for pages that wait."""

from __future__ import annotations

import time
from typing import Any

from dgex.web.downloads import FORMATS
from dgex.web.result import result_of
from dgex.web.store import Job, Upload
from dgex.web.tasks import Queue, Task

__all__ = ["job_state", "stamp", "upload_state", "work_state"]

_LONG = ("names", "distance", "unlike", "made")  # of a summary: told elsewhere


def work_state(task: Task | None, queue: Queue) -> dict[str, Any]:
    """State, share and words of a task; `before`: how many pieces of work are done first."""
    if task is None:
        return {"state": "waiting", "share": 0.0, "text": "", "before": 0}
    return {"state": task.state, "share": round(task.share, 3), "text": task.text, "before": queue.before(task)}


def stamp(task: Task | None) -> str:
    """Changes whenever a page shows something new, beside how far the work is."""
    if task is None:
        return "none"
    likes = sum("like" in fit for fit in task.found.get("models", {}).values())
    return f"{task.state if task.over else 'open'}-{len(task.found)}-{likes}"


def upload_state(upload: Upload, queue: Queue) -> dict[str, Any]:
    """What `/api/files/ID` tells."""
    return {
        "id": upload.id,
        "name": upload.name,
        "bytes": upload.size,
        **work_state(upload.looked, queue),
        "removed_in": _left(upload),
        "about": upload.about or None,
        "stamp": stamp(upload.looked),
    }


def job_state(job: Job, queue: Queue) -> dict[str, Any]:
    """What `/api/jobs/ID` tells."""
    done = job.task is not None and job.task.state == "done"
    summary = result_of(job.folder).summary if done else {}
    return {
        "id": job.id,
        "file": {"id": job.upload.id, "name": job.upload.name},
        "model": job.model,
        "options": job.options,
        **work_state(job.task, queue),
        "removed_in": _left(job),
        "result": {key: value for key, value in summary.items() if key not in _LONG} or None,
        "downloads": {kind: f"/api/jobs/{job.id}/download?format={kind}" for kind in FORMATS} if done else None,
        "being_made": {kind: work_state(task, queue) for kind, task in job.made.items()},
        "stamp": stamp(job.task),
    }


def _left(kept: Upload | Job) -> int:
    return max(0, round(kept.until - time.monotonic()))
