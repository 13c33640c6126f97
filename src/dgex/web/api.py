"""The JSON interface, for programs: what the pages show, and no more."""

from __future__ import annotations

import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from dgex._version import __version__
from dgex.web.downloads import FORMATS
from dgex.web.result import SORTS, Asked, listed
from dgex.web.service import MADE_UP, Service
from dgex.web.states import job_state, upload_state
from dgex.web.uploads import plain_name

__all__ = ["asked_of", "routes", "service_of"]

_MOST = 1000  # genes of one answer


def service_of(request: Request) -> Service:
    """What does the work."""
    found: Service = request.app.state.service
    return found


async def models(request: Request) -> Response:
    """Models on offer, examples, and limits."""
    service = service_of(request)
    rules = service.rules
    examples = [*service.shelf.examples, *(f"{MADE_UP}{m.name}" for m in service.shelf.models.values() if m.indexed)]
    return JSONResponse(
        {
            "dgex": __version__,
            "models": [model.told() for model in service.shelf.models.values()],
            "examples": examples,
            "formats": {kind: form.name for kind, form in FORMATS.items()},
            "limits": {
                "bytes": rules.upload,
                "profiles": rules.profiles,
                "values": rules.values,
                "seconds": rules.kept,
            },
        }
    )


async def bring(request: Request) -> Response:
    """Upload files, or take an example; they are looked at."""
    service = service_of(request)
    upload, _ = await service.bring(request)
    return JSONResponse(upload_state(upload, service.queue), 202)


async def file(request: Request) -> Response:
    """What became known of an upload; removed on DELETE."""
    service = service_of(request)
    upload = service.upload(request.path_params["id"])
    if request.method == "DELETE":
        service.store.remove(upload)
        return Response(status_code=204)
    return JSONResponse(upload_state(upload, service.queue))


async def infer(request: Request) -> Response:
    """Infer with a model: files of this request, or `file`, the id of an upload."""
    service = service_of(request)
    upload, form = await service.bring(request)
    try:
        job = service.start(upload, form.fields)
    except HTTPException:
        if form.files:
            service.store.remove(upload)
        raise
    return JSONResponse(job_state(job, service.queue), 202)


async def job(request: Request) -> Response:
    """Where a job stands; removed on DELETE."""
    service = service_of(request)
    found = service.job(request.path_params["id"])
    if request.method == "DELETE":
        service.store.remove(found)
        return Response(status_code=204)
    return JSONResponse(job_state(found, service.queue))


def asked_of(request: Request, names: list[str], count: int = 25) -> Asked:
    """Which genes are asked for, of the query of an address."""
    told = request.query_params
    return Asked(
        told.get("query", "")[:2000],
        told.get("trust", ""),
        told.get("origin", ""),
        listed(names, told.get("profile", ""), told.get("at", "")),
        sort if (sort := told.get("sort", "")) in SORTS else SORTS[0],
        _number(told.get("start", ""), 0, 10**9),
        _number(told.get("count", ""), count, _MOST),
    )


def _number(text: str, usual: int, most: int = 10**9) -> int:
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else usual


async def genes(request: Request) -> Response:
    """Genes that fit a query, with their values in one profile."""
    service = service_of(request)
    result = service.result(service.job(request.path_params["id"]))
    asked = asked_of(request, result.profiles, 100)
    rows, total = result.find(asked)
    return JSONResponse({"total": total, "profile": result.profiles[asked.profile], "genes": rows})


async def gene(request: Request) -> Response:
    """One gene in all profiles."""
    service = service_of(request)
    result = service.result(service.job(request.path_params["id"]))
    number = int(request.path_params["number"])
    if number >= len(result.names):
        raise HTTPException(404, "there is no such gene")
    values, half = result.values(number)
    known: dict[str, Any] = {name: column[number] for name, column in result.genes.items()}
    halves = [round(value, 4) if math.isfinite(value) else None for value in half.tolist()]
    told = {"profiles": result.profiles, "values": values.round(4).tolist(), "halfwidths": halves}
    return JSONResponse(known | told)


async def points(request: Request) -> Response:
    """Where the profiles lie among the training profiles."""
    service = service_of(request)
    result = service.result(service.job(request.path_params["id"]))
    return JSONResponse({"map": result.map, "profiles": result.profiles, "unlike": result.summary["unlike"]})


async def download(request: Request) -> Response:
    """A result in a format; made now, if need be, and waited for."""
    service = service_of(request)
    found = service.job(request.path_params["id"])
    kind = request.query_params.get("format", "h5ad")
    path = await service.download(found, kind)
    stem = plain_name(found.upload.name, set()).split(".")[0]
    name = f"{stem}-{found.model}{FORMATS[kind].suffix}"
    return FileResponse(path, media_type=FORMATS[kind].media, filename=plain_name(name, set()))


routes = [
    Route("/models", models),
    Route("/files", bring, methods=["POST"]),
    Route("/files/{id}", file, methods=["GET", "DELETE"]),
    Route("/infer", infer, methods=["POST"]),
    Route("/jobs/{id}", job, methods=["GET", "DELETE"]),
    Route("/jobs/{id}/genes", genes),
    Route("/jobs/{id}/genes/{number:int}", gene),
    Route("/jobs/{id}/map", points),
    Route("/jobs/{id}/download", download),
]
