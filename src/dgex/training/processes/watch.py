"""Noticing at once that another process of the run is gone, also while this one waits inside a GPU's queue.

A product of NCCL whose partner died never ends: the main thread waits for the device and never comes to hear of it. So
each process holds a connection to rank 0, which the operating system closes when its owner dies, and a thread that
listens there. What waits on the device is then aborted, and the main thread goes on to raise its one line.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from dgex.training.processes.group import Group

__all__ = ["PeerWatch"]

GRACE = 20.0  # seconds for the main thread to end by itself after the abort
CONNECT = 60.0  # seconds for all processes to connect
_BYE, _LOST = b"b", b"x"


class PeerWatch:
    """While active, the end of another process of `group` calls `abort` in a thread; a context manager.

    Parameters
    ----------
    group : Group
        All of its processes enter and leave together.
    abort : function
        Ends what this process waits for. Where the block is not left within 20 seconds, the process ends with one line.
    """

    def __init__(self, group: Group, abort: Callable[[], None]) -> None:
        self._group, self._abort = group, abort
        self._over = threading.Event()
        self._peers: list[socket.socket] = []

    def __enter__(self) -> Self:
        if self._group.leads:
            with socket.create_server(("", 0)) as server:
                token = self._group.from_first(lambda: secrets.token_bytes(16))
                self._group.from_first(lambda: server.getsockname()[1])
                server.settimeout(CONNECT)
                while len(self._peers) < self._group.size - 1:
                    peer, _ = server.accept()
                    peer.settimeout(CONNECT)
                    if peer.recv(len(token), socket.MSG_WAITALL) == token:  # nobody else is let in
                        self._peers.append(peer)
                    else:
                        peer.close()
        else:
            token = self._group.from_first(bytes)
            port = self._group.from_first(int)
            peer = socket.create_connection((os.environ["MASTER_ADDR"], port), timeout=CONNECT)
            peer.sendall(token)
            self._peers.append(peer)
        for peer in self._peers:
            peer.settimeout(None)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True, name="dgex-watch")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with suppress(OSError):
            self._wake.send(_BYE)
        self._thread.join(GRACE)
        for peer in self._peers:
            if error is None:
                with suppress(OSError):
                    peer.sendall(_BYE)
            peer.close()
        self._wake.close()
        self._woken.close()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (self._woken, *self._peers):
                selector.register(each, selectors.EVENT_READ, each)
            while not self._over.is_set():
                for key, _ in selector.select():
                    peer: socket.socket = key.data
                    try:
                        word = peer.recv(1)
                    except OSError:
                        word = b""
                    if peer is self._woken:
                        return
                    if word == _BYE:
                        selector.unregister(peer)
                        continue
                    self._lost(peer)
                    return

    def _lost(self, gone: socket.socket) -> None:
        """Let the others know, end what waits on the device, and in the end the process."""
        for peer in self._peers:
            if peer is not gone:
                with suppress(OSError):
                    peer.sendall(_LOST)
        if self._over.is_set() or self._group.fate.ending:
            return
        self._group.fate.missing = True
        with suppress(Exception):
            self._abort()
        if not self._over.wait(GRACE):
            print(f"error: {self._group.told_to_stop()}", file=sys.stderr, flush=True)
            os._exit(1)
