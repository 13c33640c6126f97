"""The application: pages, interface and files of its own, behind one shield."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from dgex.web import api, views
from dgex.web.service import Service
from dgex.web.shield import Shield

__all__ = ["application"]

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def application(service: Service, hosts: tuple[str, ...] = ()) -> Starlette:
    """The ASGI application of a service.

    Parameters
    ----------
    service : Service
    hosts : tuple of str
        Names by which it may be called; any where empty.
    """
    own = _own_files()

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in own:
            raise HTTPException(404)
        headers = {"cache-control": "no-cache"}
        return Response(own[name], media_type=_TYPES[name[name.rindex(".") :]], headers=headers)

    @asynccontextmanager
    async def alive(app: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(service.run())
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    app = Starlette(
        routes=[Mount("/api", routes=api.routes), Route("/static/{name}", static), *views.routes],
        middleware=[Middleware(Shield, hosts=hosts)],
        exception_handlers={HTTPException: _refusal, 500: _fault},
        lifespan=alive,
    )
    app.state.service = service
    return app


def _own_files() -> Mapping[str, bytes]:
    """What pages load: their own style and behaviour, and the style of the reports, which is theirs too."""
    from dgex.report.page.assets import STYLE

    folder = files("dgex.web") / "static"
    names = [item.name for item in folder.iterdir() if item.name.endswith(tuple(_TYPES))]
    return {"report.css": STYLE.encode(), **{name: (folder / name).read_bytes() for name in names}}


async def _refusal(request: Request, error: Exception) -> Response:
    """A refusal, in the language of who asked."""
    assert isinstance(error, HTTPException)
    # what was not read of a request that is too large is not waited for
    headers = {"connection": "close"} if error.status_code in (408, 413) else None
    if request.url.path.startswith("/api"):
        return JSONResponse({"error": error.detail}, error.status_code, headers)
    return views.refusal(request, error.status_code, error.detail, headers)


async def _fault(request: Request, error: Exception) -> Response:
    """Our own fault: no detail of it is told."""
    text = "Something went wrong here that should not have. It is not your file's fault; please tell who runs this."
    if request.url.path.startswith("/api"):
        return JSONResponse({"error": text}, 500)
    return views.refusal(request, 500, text)
