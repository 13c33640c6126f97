"""What networks and servers do, and one line for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from misbehaving import Request, Web

import dgex
from dgex.errors import DgexError, FileError
from dgex.limits import LIMITS
from dgex.remote.places import located


@pytest.fixture
def matrix(web: Web, compendium: Any) -> np.ndarray:
    """A matrix on the web as GCTX and as text."""
    for name in ("a.gctx", "a.h5ad", "a.tsv"):
        dgex.write(compendium, web.folder / name)
    return np.asarray(compendium.X, np.float32)


NAMES = pytest.mark.parametrize("name", ["a.gctx", "a.h5ad", "a.tsv"])


def refused(url: str) -> str:
    with pytest.raises(DgexError) as refusal:
        dgex.read(url)
    said = str(refusal.value)
    assert said.isprintable()
    assert "SECRET" not in said
    return said


@NAMES
def test_busy_servers_are_asked_again(name: str, web: Web, matrix: np.ndarray) -> None:
    def busy(request: Request, number: int) -> bool:
        if number % 3 != 0:
            request.answer(503, b"", {"Retry-After": "0"})
        return number % 3 != 0

    web.fault = busy
    np.testing.assert_allclose(dgex.read(f"{web.url}/{name}").X, matrix, rtol=1e-6)


@NAMES
def test_connections_that_break_are_made_again(name: str, web: Web, matrix: np.ndarray) -> None:
    def breaks(request: Request, number: int) -> bool:
        if number % 2 == 0:
            request.file(cut=1)
        return number % 2 == 0

    web.fault = breaks
    np.testing.assert_allclose(dgex.read(f"{web.url}/{name}").X, matrix, rtol=1e-6)


@NAMES
def test_a_connection_that_always_breaks_is_one_line(name: str, web: Web, matrix: np.ndarray) -> None:
    def breaks(request: Request, number: int) -> bool:
        if number > 1:
            request.file(cut=1)
        return number > 1

    web.fault = breaks
    said = refused(f"{web.url}/{name}?sig=SECRET")
    assert "the connection" in said
    assert "4 times" in said


@NAMES
def test_content_that_changes_is_not_mixed(name: str, web: Web, matrix: np.ndarray) -> None:
    def changes(request: Request, number: int) -> bool:
        request.file(etag=f'"{number > 2}"')
        return True

    web.fault = changes
    assert "changed while it was read" in refused(f"{web.url}/{name}")


def test_a_server_that_forgets_how_to_give_parts_is_one_line(web: Web, matrix: np.ndarray) -> None:
    def forgets(request: Request, number: int) -> bool:
        request.file(ranges=number < 3)
        return True

    web.fault = forgets
    assert "other bytes than asked for" in refused(f"{web.url}/a.gctx")


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_refusals_are_told_at_once(status: int, web: Web) -> None:
    def refuses(request: Request, number: int) -> bool:
        request.answer(status)
        return True

    web.fault = refuses
    said = refused(f"{web.url}/a.gctx?token=SECRET")
    assert str(status) in said or "does not exist" in said
    assert len(web.asked) <= 3


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.gctx", "/a.gctx"])
def test_no_redirect_leads_to_files_of_this_machine(target: str, web: Web) -> None:
    def sends_on(request: Request, number: int) -> bool:
        request.answer(302, b"", {"Location": target})
        return True

    web.fault = sends_on
    said = refused(f"{web.url}/a.gctx")
    assert "root:" not in said


def test_a_redirect_keeps_credentials_where_they_were(web: Web, matrix: np.ndarray) -> None:
    def sends_on(request: Request, number: int) -> bool:
        if request.path.startswith("/old/"):
            request.answer(302, b"", {"Location": request.path.removeprefix("/old")})
            return True
        return False

    web.fault = sends_on
    url = f"{web.url.replace('//', '//me:SECRET@')}/old/a.gctx"
    np.testing.assert_array_equal(dgex.read(url).X, matrix)
    assert not any(
        "Authorization" in headers for (path, _), headers in zip(web.asked, web.headers) if "old" not in path
    )


def test_huge_lengths_are_refused_before_anything_is_fetched(web: Web) -> None:
    def promises(request: Request, number: int) -> bool:
        request.answer(200, b"a\tb\n", {"Content-Length": str(1 << 50)})
        return True

    web.fault = promises
    assert "fetched whole" in refused(f"{web.url}/a.tsv")


def test_an_endless_body_ends_at_the_limit(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "fetched", 1 << 20)

    def endless(request: Request, number: int) -> bool:
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(64):
                request.wfile.write(b"x" * (1 << 16))
        except OSError:
            pass
        return True

    web.fault = endless
    assert "sent on and on" in refused(f"{web.url}/a.tsv")


def test_a_size_that_is_a_lie_asks_for_no_more_memory(web: Web, matrix: np.ndarray, tmp_path: Path) -> None:
    """Metadata are bounded by what a server says of the size, up to a limit of their own."""
    from dgex.limits import on_disk

    def lies(request: Request, number: int) -> bool:
        request.answer(206, b"\x89", {"Content-Range": f"bytes 0-0/{1 << 50}"})
        return True

    web.fault = lies
    place = located(f"{web.url}/a.h5ad")
    assert place.stat().st_size == 1 << 50
    assert on_disk(place) <= 2 * LIMITS["memory"]
    refused(f"{web.url}/a.h5ad")


def test_a_silent_server_is_one_line(web: Web) -> None:
    def hangs_up(request: Request, number: int) -> bool:
        request.close_connection = True
        return True

    web.fault = hangs_up
    assert "times" in refused(f"{web.url}/a.gctx")


def test_nobody_listens(web: Web) -> None:
    assert "times" in refused("http://me:SECRET@127.0.0.1:1/a.gctx")


def test_changes_in_memory_are_noticed(memory: str) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    path = f"{memory.removeprefix('memory:/')}/a.bin"
    system.pipe_file(path, bytes(40 << 20))
    with located(f"{memory}/a.bin").open("rb") as handle:
        handle.read(10)
        system.pipe_file(path, bytes(30 << 20))
        with pytest.raises(FileError, match="changed while it was read"):
            handle.read()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, url, advice in (
        ("fsspec", "memory://a.h5ad", r"pip install 'dgex-infer\[remote\]'"),
        ("fsspec", "s3://bucket/a.h5ad?token=SECRET", r"pip install 'dgex-infer\[remote\]' s3fs"),
        ("s3fs", "s3://bucket/a.h5ad?token=SECRET", "s3fs"),
    ):
        with monkeypatch.context() as lacking:
            lacking.setitem(sys.modules, package, None)
            if package == "s3fs":
                pytest.importorskip("fsspec", reason="fsspec is not installed")
            with pytest.raises(FileError, match=advice) as refusal:
                dgex.read(url)
            assert "SECRET" not in str(refusal.value)
