"""A visit in a real browser: from an upload to a download, by mouse and by keyboard alone, light and dark."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

from accessible import CONTRAST, HEADINGS, UNNAMED
from browser import NEEDS_CHROMIUM, Driven
from visiting import Client

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def page(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    with Driven(tmp_path_factory.mktemp("browser")) as driven:
        yield driven


def idle(page: Driven) -> None:
    """Wait until a page waits for nothing any more."""
    page.wait("document.readyState === 'complete' && !document.querySelector('main').dataset.poll")


def test_from_upload_to_download(page: Driven, client: Client, panel: bytes, tmp_path: Path) -> None:
    page.console.clear()
    page.requests.clear()
    path = tmp_path / "my panel.csv"
    path.write_bytes(panel)
    page.open(client.address)
    page.choose_file("#panel", path)
    page.value("document.querySelector('form[data-upload] button').click()")
    page.wait("location.pathname.startsWith('/files/')")
    idle(page)
    text = page.value("document.querySelector('main').innerText")
    assert "my panel.csv" in text
    assert "20 of 20 landmark genes found" in text
    assert "Like its training profiles" in text
    page.value("document.querySelector('main button.main').click()")
    page.wait("location.pathname.startsWith('/jobs/')")
    idle(page)
    assert page.value("document.querySelectorAll('table.genes tbody tr').length") == 25
    assert page.value("document.querySelectorAll('svg.map .own path').length") == 6
    name = page.value("document.querySelector('table.genes tbody a').textContent")
    page.value(
        "(() => { const field = document.querySelector('[name=query]'); field.value = "
        f"{json.dumps(name)}; field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
    page.wait("document.querySelectorAll('table.genes tbody tr').length < 25")
    assert page.value("document.querySelector('table.genes tbody a').textContent") == name
    page.wait("document.querySelector('#said').textContent.includes('gene')")
    page.value("document.querySelector('[data-make=csv]').click()")
    _downloaded(page, "*.csv")
    page.value("document.querySelector('table.genes tbody a').click()")
    page.wait("location.pathname.includes('/genes/') && document.readyState === 'complete'")
    assert page.value("document.querySelector('h1').textContent") == name
    assert page.value("document.querySelectorAll('svg.gene circle').length") == 6
    assert page.console == []
    assert all(one.startswith((client.address, "data:", "about:", "blob:")) for one in page.requests)


def test_by_the_keyboard_alone(page: Driven, client: Client) -> None:
    page.open(client.address)
    page.press("Tab")
    assert page.value("document.activeElement.className") == "skip"
    page.tab_to("it.name === 'example'")
    page.press("Enter")
    page.wait("location.pathname.startsWith('/files/')")
    idle(page)
    page.tab_to("it.type === 'radio'")
    page.press(" ")
    page.tab_to("it.className === 'main'")
    page.press("Enter")
    page.wait("location.pathname.startsWith('/jobs/')")
    idle(page)
    page.tab_to("it.name === 'query'")
    seen = page.value("getComputedStyle(document.activeElement).outlineStyle")
    assert seen != "none"  # where one is can be seen
    page.type("NOSUCHGENE")
    page.wait("document.querySelector('#found').textContent.includes('No gene fits')")
    page.wait("document.querySelector('#said').textContent === 'No gene fits.'")
    assert page.value("document.activeElement.name") == "query"
    page.tab_to("it.dataset.make === 'h5ad'")
    page.press("Enter")
    _downloaded(page, "*.h5ad")
    page.tab_to("it.textContent === 'Remove this result now'")
    page.press("Enter")
    page.wait("location.pathname.startsWith('/files/')")


def _downloaded(page: Driven, pattern: str) -> Path:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := [path for path in page.downloads.glob(pattern) if path.stat().st_size]:
            return found[0]
        page.value("1")  # what the browser tells meanwhile is taken
    raise AssertionError(f"no {pattern} came: {page.value('document.body.innerText')[:500]}")


def test_every_page_can_be_read_by_everybody(page: Driven, client: Client, job: dict[str, Any]) -> None:
    here = client.address.rstrip("/")
    paths = ["/", "/help", "/models", "/models/small", "/nothing"]
    paths += [f"/files/{job['file']['id']}", f"/jobs/{job['id']}", f"/jobs/{job['id']}/genes/25"]
    for path in paths:
        page.open(here + path)
        page.value("document.querySelectorAll('details').forEach(item => { item.open = true; })")
        for dark in (False, True):
            page.look(1280, dark=dark)
            assert page.value(CONTRAST) == [], (path, dark)
        page.look(390)
        assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
        page.look(1280)
        assert page.value(UNNAMED) == [], path
        assert page.value(HEADINGS), path
        assert page.value("document.documentElement.lang") == "en"


def test_a_file_that_is_no_panel_is_refused_on_the_page(page: Driven, client: Client, tmp_path: Path) -> None:
    for name, content, words in (
        ("page.csv", b"<html><script>alert(1)</script></html>", "This file cannot be used"),
        ("large.csv", b"0" * (2 << 20), "up to 1 MB are accepted"),
    ):
        (tmp_path / name).write_bytes(content)
        page.open(client.address)
        page.choose_file("#panel", tmp_path / name)
        page.value("document.querySelector('form[data-upload] button').click()")
        page.wait(f"document.querySelector('main').innerText.includes({json.dumps(words)})")
        assert page.value("!!document.querySelector('[role=alert]:not([hidden])')")


def test_hostile_names_stay_text(page: Driven, client: Client, panel: bytes) -> None:
    from pages import HOSTILE

    first = panel.split(b"\n")[0].split(b",")[1]
    hostile = panel.replace(first, b'"' + HOSTILE.encode().replace(b'"', b'""') + b'"', 1)
    status, told = client.send("/api/infer", {"<img src=x onerror=alert(1)>.csv": hostile}, model="small")
    assert status == 202
    told = client.ended(f"/api/jobs/{told['id']}")
    assert told["state"] == "done", told
    page.console.clear()
    for path in (f"files/{told['file']['id']}", f"jobs/{told['id']}", f"jobs/{told['id']}/genes/25"):
        page.open(client.address + path)
        page.value("document.querySelectorAll('details').forEach(item => { item.open = true; })")
        assert "alert(" in page.value("document.body.innerText")
        assert page.value("document.querySelectorAll('main script, main img').length") == 0
    assert page.console == []
