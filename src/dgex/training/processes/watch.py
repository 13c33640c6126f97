"""Noticing at once that another process of the run is gone, also while this one waits inside a GPU's queue.

A product of NCCL whose partner died never ends: the main thread waits for the device and never comes to hear of it. So
each process holds a connection to rank 0, which the operating system closes when its owner dies, and a thread that
listens there and tells that it lives: a process that was stopped, or whose host vanished, closes nothing. What waits on
the device is then aborted, and the main thread goes on to raise its one line.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from dgex.training.processes.group import Group

__all__ = ["PeerWatch"]

GRACE = 20.0  # seconds for the main thread to end by itself after the abort
CONNECT = 60.0  # seconds for all processes to connect
SILENCE = 20.0  # seconds without a sign of life after which a process is lost
_BYE, _LOST, _ALIVE = b"b", b"x", b"a"


class PeerWatch:
    """While active, the end of another process of `group` calls `abort` in a thread; a context manager.

    Parameters
    ----------
    group : Group
        All of its processes enter and leave together.
    abort : function
        Ends what this process waits for. Where the block is not left within 20 seconds, the process ends with one line.
    silence : float
        Seconds without a sign of life after which another process is taken for lost.
    """

    def __init__(self, group: Group, abort: Callable[[], None], silence: float = SILENCE) -> None:
        self._group, self._abort, self._silence = group, abort, silence
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
        self._group.fate.give_up_graphs()
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
        beat = self._silence / 10
        with selectors.DefaultSelector() as selector:
            for each in (self._woken, *self._peers):
                selector.register(each, selectors.EVENT_READ, each)
            heard = dict.fromkeys(self._peers, time.monotonic())
            last = time.monotonic()
            while not self._over.is_set():
                for key, _ in selector.select(beat):
                    peer: socket.socket = key.data
                    try:
                        words = peer.recv(64)
                    except OSError:
                        words = b""
                    if peer is self._woken:
                        return
                    if not words or _LOST in words:
                        self._lost()
                        return
                    if _BYE in words:
                        selector.unregister(peer)
                        del heard[peer]
                    else:
                        heard[peer] = time.monotonic()
                now = time.monotonic()
                if now - last > self._silence / 2:  # this process itself slept: what came meanwhile is yet to be read
                    heard = dict.fromkeys(heard, now)
                if now - last >= beat:
                    last = now
                    for peer in heard:
                        with suppress(OSError):
                            peer.sendall(_ALIVE)
                if any(now - then > self._silence for then in heard.values()):
                    self._lost()
                    return

    def _lost(self) -> None:
        """Tell the others (a stopped one reads it when it wakes), end what waits on the device, at last the process."""
        for peer in self._peers:
            with suppress(OSError):
                peer.sendall(_LOST)
        if self._over.is_set() or self._group.fate.ending:
            return
        self._group.fate.missing = True
        threading.Thread(target=self._abort, daemon=True).start()  # it may wait for the main thread in turn
        if not self._over.wait(GRACE):
            print(f"error: {self._group.told_to_stop()}", file=sys.stderr, flush=True)
            os._exit(1)
