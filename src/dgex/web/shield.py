"""What every answer carries, and which requests get none: a page that loads nothing from elsewhere and serves "
"none else."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Shield"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")


class Shield:
    """Adds the headers, and refuses requests under a foreign name or sent by a page of another site.

    Parameters
    ----------
    app : ASGIApp
    hosts : tuple of str
        Names by which this server may be called; any where empty. A page elsewhere cannot then reach a server on this
        machine by letting its own name lead here.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = ()) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def covered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope["method"], Headers(scope=scope))
        app: ASGIApp = self._app if refused is None else PlainTextResponse(refused, 403)
        await app(scope, receive, covered)

    def _refused(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return "this server is not called by that name"
        if method in _SAFE:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a page of another site may not ask for this"
        return None


def _name(host: str) -> str:
    """A name or address without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
