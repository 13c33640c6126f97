"""What a server does for visitors, whether a page or a program asks: uploads, looks, jobs, downloads."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from dgex.dataset.scale import SCALES
from dgex.errors import ModelError, SettingsError
from dgex.io.orientation import ORIENTATIONS
from dgex.web.downloads import FORMATS
from dgex.web.result import Result, result_of
from dgex.web.rules import Rules
from dgex.web.shelf import OnOffer, Shelf
from dgex.web.store import Job, Store, Upload
from dgex.web.tasks import Queue, Task
from dgex.web.uploads import Form, received

__all__ = ["CHOICES", "MADE_UP", "Service"]

#: Settings of an inference that a visitor may choose; the first of each unless told.
CHOICES: dict[str, tuple[str, ...]] = {
    "missing": ("auto", "error", "impute"),
    "scale": SCALES,
    "orientation": tuple(ORIENTATIONS),
}
MADE_UP = "made-up:"  # begins the name of an example that is made of a model
_EVERY = 20.0  # seconds between two looks at what is old
GONE = "There is nothing here. Files and results are removed after an hour, and when the server is started anew."


class Service:
    """Models on offer, what visitors brought, and the queue of work.

    Parameters
    ----------
    shelf : Shelf
    root : Path
        Folder for what visitors bring.
    rules : Rules
    """

    def __init__(self, shelf: Shelf, root: Path, rules: Rules) -> None:
        self.shelf, self.rules = shelf, rules
        self.store, self.queue = Store(root, rules), Queue(root, rules)

    async def run(self) -> None:
        """Work, and clear up what is old, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.work())
            group.create_task(self._clear())

    async def _clear(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            self.store.expire()

    # what visitors bring

    async def bring(self, request: Request) -> tuple[Upload, Form]:
        """Take an upload, or the name of one that is here, or of an example; the look at it begins.

        Raises
        ------
        HTTPException
        """
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            form = await received(request, None, self.rules)
            return self._named(form), form
        upload = self.store.upload()
        try:
            form = await received(request, upload.folder, self.rules)
            if form.files:
                self._uploaded(upload, form)
                return upload, form
        except BaseException:
            self.store.remove(upload)
            raise
        self.store.remove(upload)
        return self._named(form), form

    def _uploaded(self, upload: Upload, form: Form) -> None:
        upload.files, upload.size = form.files, form.size
        more = len(form.names) - 1
        upload.name = f"{form.names[0]} and {more} more" if more else form.names[0]
        if not form.size:
            raise HTTPException(400, f"{upload.name} is empty")
        self._look(upload)

    def _named(self, form: Form) -> Upload:
        """The upload, or the example, whose name a form tells."""
        if form.fields.get("file"):
            return self.upload(form.fields["file"])
        if not form.fields.get("example"):
            raise HTTPException(400, "no file was chosen")
        upload = self.store.upload()
        try:
            self._example(upload, form.fields["example"])
        except BaseException:
            self.store.remove(upload)
            raise
        return upload

    def _example(self, upload: Upload, name: str) -> None:
        if name.startswith(MADE_UP):
            model = self._model(name.removeprefix(MADE_UP))
            upload.name = f"made-up profiles for {model.name}"
            upload.files = [upload.folder / "example.csv"]
            self._look(upload, model.name)
            return
        if name not in self.shelf.examples:
            raise HTTPException(404, "there is no such example")
        upload.name, upload.files = name, [upload.folder / name]
        shutil.copyfile(self.shelf.examples[name], upload.files[0])
        upload.size = upload.files[0].stat().st_size
        self._look(upload)

    def _look(self, upload: Upload, example: str = "") -> None:
        asked = {
            **self._asked(upload),
            "folder": str(upload.folder),
            "name": upload.name,
            "models": {name: str(model.path) for name, model in self.shelf.models.items()},
            "example": example,
        }
        upload.looked = self.queue.put(Task("look", asked))

    def _asked(self, upload: Upload) -> dict[str, Any]:
        return {"files": [str(path) for path in upload.files], "rules": asdict(self.rules)}

    def upload(self, name: str) -> Upload:
        """An upload by its id; HTTPException 404 where there is none such."""
        if name not in self.store.uploads:
            raise HTTPException(404, GONE)
        return self.store.uploads[name]

    # what is made of it

    def start(self, upload: Upload, fields: Mapping[str, str]) -> Job:
        """Begin a job; HTTPException 400 where its settings cannot be."""
        model = self._model(fields.get("model", ""))
        options = self._options(fields)
        job = self.store.job(upload, model.name, options)
        asked = {**self._asked(upload), "folder": str(job.folder), "model": str(model.path), "options": options}
        job.task = self.queue.put(Task("infer", asked))
        return job

    def _model(self, name: str) -> OnOffer:
        try:
            return self.shelf[name]
        except ModelError as error:
            raise HTTPException(400, str(error)) from None

    @staticmethod
    def _options(fields: Mapping[str, str]) -> dict[str, Any]:
        from dgex.confidence.intervals import check_level  # loads scipy, which the first page need not wait for

        options: dict[str, Any] = {}
        try:
            for name, accepted in CHOICES.items():
                options[name] = fields.get(name) or accepted[0]
                if options[name] not in accepted:
                    raise SettingsError(name, found=options[name], accepted=accepted)
            options["interval"] = float(fields.get("interval") or 0.9)
            check_level(options["interval"])
        except (SettingsError, ValueError) as error:
            raise HTTPException(400, str(error)) from None
        return options

    def job(self, name: str) -> Job:
        """A job by its id; HTTPException 404 where there is none such."""
        if name not in self.store.jobs:
            raise HTTPException(404, GONE)
        return self.store.jobs[name]

    def result(self, job: Job) -> Result:
        """What a job found; HTTPException 409 while it is not done."""
        if job.task is None or job.task.state != "done":
            raise HTTPException(409, "this is not done yet")
        return result_of(job.folder)

    async def download(self, job: Job, kind: str) -> Path:
        """A file of a job, made now if it is not there yet; HTTPException where it cannot be."""
        self.result(job)
        if kind not in FORMATS:
            raise HTTPException(400, f"format: found {kind!r}, accepted {', '.join(FORMATS)}")
        if FORMATS[kind].ready:
            return job.folder / FORMATS[kind].ready
        task = job.made.get(kind)
        if task is None or task.state == "failed":
            asked = {"folder": str(job.folder), "format": kind, "rules": asdict(self.rules)}
            task = job.made[kind] = self.queue.put(Task("make", asked))
        await task.finished.wait()
        if task.state == "failed":
            raise HTTPException(422, task.text)
        return job.folder / f"result{FORMATS[kind].suffix}"
