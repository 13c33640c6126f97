"""Uploads on their way to disk: never held in memory, never larger than allowed, never under a name of the sender."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from dgex.errors import printable
from dgex.web.rules import Rules

__all__ = ["Form", "plain_name", "received"]

_FIELDS = 64 << 10  # bytes of all fields that are no files
_HEADERS = 8 << 10  # bytes of the headers of a part
_LONGEST = 100  # characters of a name on disk


@dataclass
class Form:
    """What a visitor sent.

    Attributes
    ----------
    fields : dict of str
    files : list of Path
        Where the files lie, in the order they came.
    names : list of str
        What the visitor calls them, fit to be shown.
    size : int
        Bytes of all files.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    size: int = 0


def plain_name(name: str, taken: set[str]) -> str:
    """A name of letters, digits, dots and dashes, with the suffixes of `name`, that is not in `taken`.

    >>> plain_name("../../etc/pass wd.csv", set()), plain_name("C:\\\\plates\\\\a.gctx", {"a.gctx"})
    ('pass-wd.csv', '2-a.gctx')
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", last).lstrip("-")[-_LONGEST:].lstrip("-")
    if not plain or plain.startswith("."):
        plain = f"upload.{plain.lstrip('-.')}".rstrip(".")  # the suffix tells the format
    count, unique = 1, plain
    while unique.lower() in {one.lower() for one in taken}:
        count += 1
        unique = f"{count}-{plain}"
    return unique


async def received(request: Request, folder: Path | None, rules: Rules) -> Form:
    """Read a form of any kind: JSON, urlencoded, or multipart, whose files are written into `folder`.

    Raises
    ------
    HTTPException
        413 as soon as more than `rules.upload` has come, 408 when nothing comes, 400 for what is no form.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"multipart/form-data" and folder is not None and b"boundary" in options:
        return await _multipart(request, options[b"boundary"], folder, rules)
    body = b""
    async for chunk in _chunks(request, rules):
        body += chunk
        if len(body) > _FIELDS:
            raise HTTPException(413, "this request is larger than any that is answered")
    try:
        if kind == b"application/json":
            told = json.loads(body or b"{}")
            if not isinstance(told, dict):
                raise ValueError("no object")
            return Form({str(key): str(value) for key, value in told.items() if value is not None})
        return Form(dict(parse_qsl(body.decode(), max_num_fields=100)))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the request cannot be read: {str(error).splitlines()[0]}") from None


async def _chunks(request: Request, rules: Rules) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(rules.patience):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {rules.patience:.0f} seconds: the upload is given up") from None
        if chunk is None:
            return
        yield chunk


def _too_large(rules: Rules) -> HTTPException:
    return HTTPException(413, f"the upload is larger than {rules.upload / (1 << 20):,.0f} MB, the most accepted here")


async def _multipart(request: Request, boundary: bytes, folder: Path, rules: Rules) -> Form:
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > rules.upload + _FIELDS:
        raise _too_large(rules)  # before a byte of it is read
    parts = _Parts(folder, rules)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.header_field,
            "on_header_value": parts.header_value,
            "on_header_end": parts.header_end,
            "on_headers_finished": parts.headers_finished,
            "on_part_data": parts.data,
            "on_part_end": parts.end,
        },
    )
    seen = 0
    try:
        async for chunk in _chunks(request, rules):
            seen += len(chunk)
            if seen > rules.upload + _FIELDS:
                raise _too_large(rules)
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise HTTPException(400, "the upload cannot be read: it is no form, or was cut short") from None
    finally:
        parts.close()
    return parts.form


class _Parts:
    """Puts the parts of a form where they belong, as they come."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.form = Form()
        self._folder, self._rules = folder, rules
        self._file: BinaryIO | None = None
        self._name, self._field, self._value = "", b"", b""
        self._header, self._text = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._fields = 0

    def begin(self) -> None:
        self._headers, self._text, self._name = {}, b"", ""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._small(len(self._field), _HEADERS)

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._small(len(self._value), _HEADERS)

    def header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""
        self._small(len(self._headers), 20)

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        sent = options.get(b"filename")
        if sent is None:
            return
        name = sent.decode("utf-8", "replace")
        if not name:
            return  # a form whose field of files was left empty
        if len(self.form.files) >= self._rules.files:
            raise HTTPException(413, f"more than {self._rules.files:,} files in one upload")
        path = self._folder / plain_name(name, {one.name for one in self.form.files})
        self._file = path.open("xb")
        self.form.files.append(path)
        self.form.names.append(printable(re.split(r"[/\\]", name)[-1])[:200])

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self.form.size += end - start
            if self.form.size > self._rules.upload:
                raise _too_large(self._rules)
            self._file.write(data[start:end])
            return
        self._fields += end - start
        self._small(self._fields, _FIELDS)
        self._text += data[start:end]

    def end(self) -> None:
        if self._file is None:
            if self._name and b"content-disposition" in self._headers:
                self.form.fields[self._name] = self._text.decode("utf-8", "replace")
            return
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @staticmethod
    def _small(size: int, most: int) -> None:
        if size > most:
            raise HTTPException(413, "this request is larger than any that is answered")
