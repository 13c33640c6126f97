"""Forms are read the same however they are cut, and no name leads anywhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from visiting import form

from dgex.web.rules import Rules
from dgex.web.uploads import Form, plain_name, received


def read(body: bytes, kind: str, folder: Path | None, rules: Rules, cut: int = 1 << 16) -> Form:
    """Read a form that comes in pieces of `cut` bytes."""
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": pieces.pop(0) if pieces else b"", "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    return asyncio.run(received(Request(scope, receive), folder, rules))


@settings(max_examples=15, deadline=None)
@given(content=st.binary(max_size=300), cut=st.integers(1, 400), value=st.text(max_size=20))
def test_a_form_is_the_same_however_it_is_cut(content: bytes, cut: int, value: str) -> None:
    body, kind = form({"a.csv": content, "b.csv": content[::-1]}, model=value.replace("\r", "").replace("\n", ""))
    with TemporaryDirectory() as folder:
        told = read(body, kind, Path(folder), Rules(), cut)
        assert [path.read_bytes() for path in told.files] == [content, content[::-1]]
        assert told.size == 2 * len(content)
        assert told.names == ["a.csv", "b.csv"]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=20)))
def test_names_lead_nowhere(name: str, others: list[str]) -> None:
    taken: set[str] = set()
    for one in [name, *others, name]:
        plain = plain_name(one, taken)
        assert Path("/folder", plain).parent == Path("/folder")
        assert plain not in ("", ".", "..")
        assert plain.isascii()
        assert plain.isprintable()
        assert plain[0] not in ".-"
        assert len(plain) < 120
        assert plain.lower() not in {other.lower() for other in taken}
        taken.add(plain)


@pytest.mark.parametrize("name", ["x.gctx", "X.CSV.GZ", "../x.tsv", "a b.xlsx", "é.h5ad"])
def test_suffixes_stay(name: str) -> None:
    assert plain_name(name, set()).endswith(name[name.index(".", 2) :] if name[0] == "." else name[name.index(".") :])


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 413),
        (b"x" * 100_000, "application/x-www-form-urlencoded", 413),
        (b"no form", "multipart/form-data; boundary=a", 400),
        (b"--a\r\nx: " + b"y" * 50_000, "multipart/form-data; boundary=a", 400),
        (form({}, model="m" * 100_000)[0], form({})[1], 413),
        (form({f"{at}.csv": b"" for at in range(9)})[0], form({})[1], 413),
        (form({"a.csv": b"0" * 2000})[0], form({})[1], 413),
        (form({"a.csv": b"0" * 900, "b.csv": b"0" * 900})[0], form({})[1], 413),
    ],
)
def test_what_cannot_be_taken_is_refused(tmp_path: Path, body: bytes, kind: str, status: int) -> None:
    with pytest.raises(HTTPException) as refused:
        read(body, kind, tmp_path, Rules(upload=1000, files=5))
    assert refused.value.status_code == status


def test_an_upload_that_stops_is_given_up(tmp_path: Path) -> None:
    async def stopped() -> None:
        async def receive() -> dict[str, object]:
            await asyncio.Event().wait()
            return {}

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", form({})[1].encode())]}
        await received(Request(scope, receive), tmp_path, Rules(patience=0.01))

    with pytest.raises(HTTPException) as refused:
        asyncio.run(stopped())
    assert refused.value.status_code == 408
