"""One file over HTTP, from servers that behave and servers that do not."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from serving import Site, Step

from dgex.datasets.public import fetch as room
from dgex.datasets.public.fetch import Patience, RefusedError, fetch, sidecar
from dgex.errors import DgexError, FileError

BODY = np.random.default_rng(1).bytes(5000)


@pytest.fixture
def address(site: Site) -> str:
    site.files["/matrix.bin"] = BODY
    return f"{site.url}/matrix.bin"


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    return tmp_path / "matrix.bin.partial"


def plan(site: Site, *steps: Step) -> None:
    site.plan["/matrix.bin"] = list(steps)


def fails(address: str, partial: Path, patience: Patience, **options: object) -> str:
    with pytest.raises(DgexError) as caught:
        fetch(address, partial, patience=patience, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [Step(cut=1000)],
        [Step(cut=1000, reset=True), Step(cut=700), Step(cut=0)],
        [Step(status=500), Step(status=503), Step(status=429), Step(status=408)],
        [Step(cut=4999), Step(status=502)],
        [Step(cut=1000), Step(ranges=False)],
        [Step(cut=1000), Step(ranges=False, cut=2000), Step()],
        [Step(promise=100), Step(), Step()],
        [Step(cut=1000), Step(etag='"other"', cut=2000), Step(etag='"other"')],
        [Step(cut=1000, etag='W/"weak"'), Step(etag='W/"weak"')],
        [Step(chunked=True)],
        [Step(chunked=True, cut=1000), Step()],
        [Step(chunked=True, cut=5000), Step()],
        [Step(cut=1000, validators=False), Step()],
        [Step(cut=1000), Step(shift=-3), Step()],
        [Step(cut=1000), Step(headers={"Content-Range": "bytes 1000-4999/*"})],
        [Step(cut=1000), Step(headers={"Content-Range": "nonsense"}), Step()],
        [Step(status=302, headers={"Location": "/matrix.bin"}), Step(cut=1000)],
    ],
    ids=str,
)
def test_the_bytes_arrive_whatever_happens_on_the_way(
    site: Site, address: str, partial: Path, patience: Patience, steps: list[Step]
) -> None:
    plan(site, *steps)
    remote = fetch(address, partial, patience=patience)
    assert partial.read_bytes() == BODY
    assert remote.length == len(BODY)


def test_a_break_costs_only_the_missing_bytes(site: Site, address: str, partial: Path, patience: Patience) -> None:
    plan(site, Step(cut=1000), Step(cut=2500))
    fetch(address, partial, patience=patience)
    assert [asked.range for asked in site.log] == [None, "bytes=1000-", "bytes=3500-"]
    assert sum(asked.sent for asked in site.log) == len(BODY)
    fetch(address, partial, patience=patience)  # whole: nothing is asked
    assert len(site.log) == 3


def test_a_changed_file_is_never_mixed_with_the_old_one(
    site: Site, address: str, partial: Path, patience: Patience
) -> None:
    changed = BODY[::-1]
    plan(site, Step(cut=3000))
    fails(address, partial, Patience(retries=0, timeout=5))
    assert partial.stat().st_size == 3000
    site.files["/matrix.bin"] = changed
    asked = len(site.log)
    fetch(address, partial, patience=patience)
    assert partial.read_bytes() == changed
    assert len(site.log) == asked + 1  # If-Range: the server gave the new file at once
    # and where the server does not look at If-Range, the ETag of its answer tells
    plan(site, Step(cut=3000))
    partial.unlink()
    fails(address, partial, Patience(retries=0, timeout=5))
    described = sidecar(partial).read_text("utf-8")
    sidecar(partial).write_text(re.sub(r'"etag": "[^,]*",', '"etag": null,', described), "utf-8")
    site.files["/matrix.bin"] = BODY + b"longer"
    fetch(address, partial, patience=patience)
    assert partial.read_bytes() == BODY + b"longer"


def test_a_partial_of_unknown_origin_is_not_built_on(
    site: Site, address: str, partial: Path, patience: Patience
) -> None:
    for described in (None, "{", '{"address": "http://elsewhere/", "etag": "1"}', '["x"]', '{"unknown": 1}'):
        partial.write_bytes(b"x" * 1000)
        sidecar(partial).unlink(missing_ok=True)
        if described is not None:
            sidecar(partial).write_text(described, "utf-8")
        fetch(address, partial, patience=patience)
        assert partial.read_bytes() == BODY


def test_a_mirror_is_another_file(site: Site, address: str, partial: Path, patience: Patience) -> None:
    site.files["/mirror.bin"] = BODY[::-1]
    same = Step(etag='"1"')
    site.always = {"/matrix.bin": same, "/mirror.bin": same}
    plan(site, Step(etag='"1"', cut=3000))
    fails(address, partial, Patience(retries=0, timeout=5))
    fetch(f"{site.url}/mirror.bin", partial, patience=patience)
    assert partial.read_bytes() == BODY[::-1]


def test_waits_grow_and_follow_the_server(
    site: Site, address: str, partial: Path, patience: Patience, waits: list[float]
) -> None:
    plan(site, Step(status=500), Step(status=503), Step(status=429, headers={"Retry-After": "17"}), Step(cut=10))
    fetch(address, partial, patience=patience)
    assert waits == [1, 2, 17, 8]
    waits.clear()
    partial.unlink()
    plan(
        site,
        Step(status=503, headers={"Retry-After": "Tue, 01 Mar 2016 10:00:00 GMT"}),
        Step(status=503, headers={"Retry-After": "soon"}),
    )
    fetch(address, partial, patience=patience)
    assert waits == [0, 2]
    partial.unlink()
    plan(site, Step(status=503, headers={"Retry-After": "7200"}))
    assert "asks to wait 7,200 s" in fails(address, partial, patience)


def test_progress_renews_the_patience(site: Site, address: str, partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ENOUGH", 100)
    plan(site, *[Step(cut=100) for _ in range(40)])
    fetch(address, partial, patience=Patience(retries=1, timeout=5, sleep=lambda _: None))
    assert partial.read_bytes() == BODY
    # but not progress over the same bytes again and again
    partial.unlink()
    site.always["/matrix.bin"] = Step(ranges=False, cut=1000)
    assert "1,000 of 5,000 bytes" in fails(address, partial, Patience(retries=3, timeout=5, sleep=lambda _: None))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(status=500), "500 Internal Server Error"),
        (Step(cut=0), "0 of 5,000 bytes"),
        (Step(ranges=False, cut=4000, reset=True), ""),
        (Step(promise=100), ""),
        (Step(cut=1000, validators=False), "1,000 of 5,000 bytes"),
        (Step(chunked=True, cut=1000, ranges=False), "the connection broke"),
    ],
    ids=str,
)
def test_what_never_ends_well_ends(
    site: Site, address: str, partial: Path, patience: Patience, waits: list[float], step: Step, said: str
) -> None:
    site.always["/matrix.bin"] = step
    message = fails(address, partial, patience)
    assert message.startswith(f"cannot fetch {address}: ")
    assert said in message
    assert len(waits) == patience.retries
    assert not (partial.parent / "matrix.bin").exists()
    site.always.clear()
    asked, before = len(site.log), partial.stat().st_size if partial.exists() else 0
    fetch(address, partial, patience=patience)
    kept = message.endswith("the same command goes on from there")  # and then it does
    assert site.log[asked].range == (f"bytes={before}-" if kept else None)
    assert partial.read_bytes() == BODY


@pytest.mark.parametrize("seed", range(30))
def test_a_server_of_many_faults_gives_the_right_bytes_or_one_line(
    site: Site, address: str, partial: Path, patience: Patience, seed: int
) -> None:
    random = np.random.default_rng(seed)

    def fault() -> Step:
        if random.random() < 0.2:
            return Step(status=int(random.choice([408, 429, 500, 503])))
        return Step(
            cut=int(random.integers(0, 5001)),
            reset=bool(random.random() < 0.3),
            ranges=bool(random.random() < 0.8),
            chunked=bool(random.random() < 0.2),
            validators=bool(random.random() < 0.8),
            promise=int(random.choice([0, 0, 0, 7])),
            etag=[None, None, None, '"a"', 'W/"b"'][random.integers(5)],
            shift=int(random.choice([0, 0, 0, 0, -1])),
        )

    plan(site, *[fault() for _ in range(12)])
    told: list[str] = []
    for _ in range(4):
        try:
            fetch(address, partial, patience=patience)
            break
        except DgexError as error:
            told.append(str(error))
    assert not [message for message in told if "\n" in message]
    assert partial.read_bytes() == BODY


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(status=404), "404 Not Found"),
        (Step(status=403), "403 Forbidden"),
        (Step(status=410), "410 Gone"),
        (Step(status=302, headers={"Location": "/matrix.bin"}), "302"),
        (Step(status=302, headers={"Location": "file:///etc/passwd"}), "302"),
        (Step(status=302, headers={"Location": "ftp://127.0.0.1/x"}), "ftp"),
        (Step(status=304), "304"),
        (Step(headers={"Content-Encoding": "gzip"}), "compressed"),
    ],
    ids=str,
)
def test_a_refusal_is_not_asked_again(
    site: Site, address: str, partial: Path, patience: Patience, waits: list[float], step: Step, said: str
) -> None:
    site.always["/matrix.bin"] = step
    message = fails(address, partial, patience)
    assert address in message
    assert said in message
    assert waits == []
    assert not partial.exists()


def test_another_size_than_published_is_refused_at_once(
    site: Site, address: str, partial: Path, patience: Patience
) -> None:
    assert "5,000 bytes on the server, published are 4,999" in fails(address, partial, patience, size=4999)
    assert not partial.exists()
    assert site.log[0].sent <= len(BODY)
    fetch(address, partial, size=5000, patience=patience)


def test_a_server_that_falls_silent_is_left(site: Site, address: str, partial: Path, waits: list[float]) -> None:
    release = threading.Event()
    plan(site, Step(cut=1000, hold=release))
    fetch(address, partial, patience=Patience(retries=1, timeout=0.2, sleep=waits.append))
    release.set()
    assert partial.read_bytes() == BODY
    assert [asked.range for asked in site.log] == [None, "bytes=1000-"]


def test_nobody_listens(partial: Path, patience: Patience, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert "refused" in fails("http://127.0.0.1:9/x", partial, patience)
    assert len(waits) == patience.retries


def test_no_room_and_no_right_to_write(
    site: Site, address: str, partial: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4999))
        message = fails(address, partial, patience)
    assert "5.0 kB to come, 5.0 kB free" in message or "no room" in message
    assert not partial.exists()
    partial.mkdir()
    assert "cannot write" in fails(address, partial, patience)
    partial.rmdir()
    assert "cannot write" in fails(address, Path("/proc/none.partial"), patience) or not Path("/proc").exists()
    assert issubclass(RefusedError, FileError)


def test_a_full_disk_keeps_what_came(
    site: Site, address: str, partial: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
        message = fails(address, partial, patience)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "what came is kept" in message
    assert 0 < partial.stat().st_size <= 3000
    fetch(address, partial, patience=patience)
    assert partial.read_bytes() == BODY
    assert site.log[-1].range == "bytes=3000-"
