"""What visitors brought and what was made of it: in folders that go away by themselves, under names nobody guesses."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from dgex.locks import alone
from dgex.web.rules import Rules
from dgex.web.tasks import Task

__all__ = ["Job", "Store", "Upload", "room"]

_ROOM = "dgex-serve-"


@dataclass
class Kept:
    """A folder that is removed after a while."""

    folder: Path
    until: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def busy(self) -> bool:
        """Whether work on it is not over."""
        return False


@dataclass
class Upload(Kept):
    """Files of a visitor, or an example.

    Attributes
    ----------
    name : str
        What to call it.
    files : list of Path
    size : int
        Bytes.
    looked : Task or None
        The look at what it is.
    """

    name: str = ""
    files: list[Path] = field(default_factory=list)
    size: int = 0
    looked: Task | None = None

    def busy(self) -> bool:
        return self.looked is not None and not self.looked.over

    @property
    def about(self) -> dict[str, Any]:
        """What became known of it so far."""
        return {} if self.looked is None else self.looked.found


@dataclass
class Job(Kept):
    """An upload and a model, on their way to whole profiles.

    Attributes
    ----------
    upload : Upload
    model : str
    options : dict
    task : Task or None
    made : dict of str to Task
        Files to download that are being made or are there, by format.
    """

    upload: Upload = field(default_factory=lambda: Upload(Path(), 0.0))
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    task: Task | None = None
    made: dict[str, Task] = field(default_factory=dict)

    def busy(self) -> bool:
        return any(task is not None and not task.over for task in (self.task, *self.made.values()))


K = TypeVar("K", bound=Kept)


class Store:
    """Uploads and jobs of all visitors, in one folder that nobody else may enter.

    Parameters
    ----------
    root : Path
    rules : Rules
    """

    def __init__(self, root: Path, rules: Rules) -> None:
        self.root, self._rules = root, rules
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}

    def upload(self) -> Upload:
        """A new upload, with an empty folder.

        Raises
        ------
        HTTPException
            503 where too many are kept, or the disk is full.
        """
        return self._new(self.uploads, Upload(*self._place("file")))

    def job(self, upload: Upload, model: str, options: dict[str, Any]) -> Job:
        """A new job; its upload stays as long."""
        return self._new(self.jobs, Job(*self._place("job"), upload=upload, model=model, options=options))

    def _place(self, kind: str) -> tuple[Path, float]:
        if max(len(self.uploads), len(self.jobs)) >= self._rules.at_once:
            raise HTTPException(503, "too many files are kept at the moment; try again in some minutes")
        if shutil.disk_usage(self.root).free < self._rules.spare + self._rules.upload:
            raise HTTPException(503, "the disk of this server is full; try again later, or tell who runs it")
        return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.root)), time.monotonic() + self._rules.kept

    @staticmethod
    def _new(among: dict[str, K], kept: K) -> K:
        among[kept.id] = kept
        return kept

    def remove(self, kept: Upload | Job) -> None:
        """Forget an upload with its jobs, or a job, and remove what lies in its folder."""
        if isinstance(kept, Upload):
            for job in [job for job in self.jobs.values() if job.upload is kept]:
                self.remove(job)
        self.uploads.pop(kept.id, None)
        self.jobs.pop(kept.id, None)
        tasks = [kept.looked] if isinstance(kept, Upload) else [kept.task, *kept.made.values()]
        for task in tasks:
            if task is not None:
                task.cancel()
        shutil.rmtree(kept.folder, ignore_errors=True)

    def expire(self) -> None:
        """Remove what is old; what somebody waits for stays until it is done, and so does the upload of a job."""
        now = time.monotonic()
        for job in [job for job in self.jobs.values() if job.until < now and not job.busy()]:
            self.remove(job)
        used = {id(job.upload) for job in self.jobs.values()}
        for upload in list(self.uploads.values()):
            if upload.until < now and not upload.busy() and id(upload) not in used:
                self.remove(upload)


@contextmanager
def room() -> Iterator[Path]:
    """A folder for a server, removed when it ends; those of servers that were killed are removed first."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{_ROOM}*"):
        with suppress(OSError):
            if left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.getuid():
                with alone(left, "dgex serve"):
                    shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_ROOM, dir=place))
    try:
        with alone(folder, "dgex serve"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
