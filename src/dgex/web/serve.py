"""Serve a folder of models to people who do not program."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dgex.aliases import PathLike
from dgex.errors import FileError, SettingsError
from dgex.progress import note, warn
from dgex.web.rules import Rules

if TYPE_CHECKING:
    from dgex.web.shelf import Shelf

__all__ = ["serve"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(models: PathLike, *, host: str = "127.0.0.1", port: int = 8000, max_upload: str | int = "200M") -> None:
    """Serve a web page that infers with the models in a folder, until it is interrupted.

    Visitors upload panels of any format, see what they are, choose a model, and look genes up or download the result.
    Files and results are removed after an hour. One process beside the server does the work, one piece after the other.

    Parameters
    ----------
    models : path
        A folder of model folders, or one model folder. Panels in its folder `examples` are offered to try.
    host : str
        Address to listen at; the usual one is reached from this machine alone.
    port : int
        0 takes any that is free.
    max_upload : str or int
        Bytes of an upload, such as `200M`.

    Raises
    ------
    ModelError
        No model in the folder.
    FileError
        The web packages are not installed, or the address cannot be listened at.
    SettingsError
        A port or a size that cannot be.

    Examples
    --------
    >>> import dgex
    >>> dgex.serve("models/", port=8000)  # doctest: +SKIP
    """
    from dgex.limits import in_bytes

    if not 0 <= port <= 65535:
        raise SettingsError("port", found=port, accepted="0 to 65535")
    upload = max_upload if isinstance(max_upload, int) else in_bytes(max_upload, "max_upload")
    if upload < 1:
        raise SettingsError("max_upload", found=upload, accepted="1 byte or more")
    try:
        import uvicorn

        from dgex.web.app import application
        from dgex.web.service import Service
    except ImportError as error:
        if (error.name or "").startswith("dgex"):
            raise
        raise FileError(f"the web page needs the package {error.name}: pip install 'dgex-infer[web]'") from None
    from dgex.web.shelf import Shelf
    from dgex.web.store import room

    shelf = Shelf(models)
    with closing(_listening(host, port)) as listener, room() as root:
        local = host in _LOOPBACK
        service = Service(shelf, root, Rules(upload=upload))
        options: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
        options |= {"date_header": False, "timeout_graceful_shutdown": 1, "ws": "none", "lifespan": "on"}
        server = uvicorn.Server(uvicorn.Config(application(service, _LOOPBACK if local else ()), **options))
        _tell(shelf, host, listener.getsockname()[1], local)
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=200)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot listen at {host}, port {port}: {reason}") from None


def _tell(shelf: Shelf, host: str, port: int, local: bool) -> None:
    names = ", ".join(shelf.models)
    note(f"on offer: {names}")
    if not local:
        warn(
            f"everyone who reaches {host} can use this page: there is no login, and what is sent is not encrypted; for "
            "others than yourself put it behind a proxy that does both (docs/web.md)"
        )
    note("Ctrl-C ends it; what visitors brought is then removed")
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)
