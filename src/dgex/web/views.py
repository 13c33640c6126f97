"""The pages, by their addresses."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dgex.errors import ModelError
from dgex.web.api import asked_of, service_of
from dgex.web.pages.card import model_page, models_page
from dgex.web.pages.file import file_page
from dgex.web.pages.genes import gene_page
from dgex.web.pages.help import help_page, refusal_page
from dgex.web.pages.job import job_page
from dgex.web.pages.start import start_page
from dgex.web.result import Asked, listed, result_of
from dgex.web.uploads import received

__all__ = ["refusal", "routes"]


async def start(request: Request) -> Response:
    service = service_of(request)
    return HTMLResponse(start_page(service.shelf, service.rules))


async def reading(request: Request) -> Response:
    return HTMLResponse(help_page(service_of(request).rules))


async def models(request: Request) -> Response:
    return HTMLResponse(models_page(service_of(request).shelf))


async def model(request: Request) -> Response:
    try:
        return HTMLResponse(model_page(service_of(request).shelf[request.path_params["name"]]))
    except ModelError:
        raise HTTPException(404, "There is no such model here.") from None


async def bring(request: Request) -> Response:
    upload, _ = await service_of(request).bring(request)
    return RedirectResponse(f"/files/{upload.id}", 303)


async def file(request: Request) -> Response:
    service = service_of(request)
    return HTMLResponse(file_page(service.upload(request.path_params["id"]), service.shelf, service.queue))


async def infer(request: Request) -> Response:
    service = service_of(request)
    upload = service.upload(request.path_params["id"])
    form = await received(request, None, service.rules)
    return RedirectResponse(f"/jobs/{service.start(upload, form.fields).id}", 303)


async def forget_file(request: Request) -> Response:
    service = service_of(request)
    service.store.remove(service.upload(request.path_params["id"]))
    return RedirectResponse("/", 303)


async def job(request: Request) -> Response:
    service = service_of(request)
    found = service.job(request.path_params["id"])
    done = found.task is not None and found.task.state == "done"
    result = result_of(found.folder) if done else None
    asked = Asked() if result is None else asked_of(request, result.profiles)
    return HTMLResponse(job_page(found, service.queue, result, asked))


async def forget_job(request: Request) -> Response:
    service = service_of(request)
    found = service.job(request.path_params["id"])
    service.store.remove(found)
    there = found.upload.id in service.store.uploads
    return RedirectResponse(f"/files/{found.upload.id}" if there else "/", 303)


async def gene(request: Request) -> Response:
    service = service_of(request)
    found = service.job(request.path_params["id"])
    result, number = service.result(found), int(request.path_params["number"])
    if number >= len(result.names):
        raise HTTPException(404, "There is no such gene.")
    profile = listed(result.profiles, at=request.query_params.get("at", ""))
    return HTMLResponse(gene_page(found, result, number, profile))


def refusal(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Why a request got no answer, as a page."""
    words = "There is no such page." if text == "Not Found" else text
    return HTMLResponse(refusal_page(status, words), status, headers)


routes = [
    Route("/", start),
    Route("/help", reading),
    Route("/models", models),
    Route("/models/{name}", model),
    Route("/files", bring, methods=["POST"]),
    Route("/files/{id}", file),
    Route("/files/{id}/infer", infer, methods=["POST"]),
    Route("/files/{id}/delete", forget_file, methods=["POST"]),
    Route("/jobs/{id}", job),
    Route("/jobs/{id}/delete", forget_job, methods=["POST"]),
    Route("/jobs/{id}/genes/{number:int}", gene),
]
