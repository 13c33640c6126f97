"""The interface for programs, on a server as `dgex serve` starts it."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from visiting import Client, form

import dgex

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytestmark = pytest.mark.xdist_group("browser")


def test_models_are_told_with_what_they_are_worth(client: Client) -> None:
    status, told = client.json("GET", "/api/models")
    model = told["models"][0]
    assert (status, model["name"], model["landmark_genes"], model["target_genes"]) == (200, "small", 20, 30)
    assert sum(model["trust"].values()) == 30
    assert told["examples"] == ["panel.csv", "made-up:small"]


def test_an_upload_is_looked_at(client: Client, panel: bytes) -> None:
    status, told = client.send("/api/files", {"../../my panel.csv": panel})
    assert status == 202
    assert told["name"] == "my panel.csv"
    about = client.ended(f"/api/files/{told['id']}")["about"]
    fit = about["models"]["small"]
    assert (about["samples"], about["genes"], about["scale"]) == (6, 20, "log2")
    assert (fit["found"], fit["total"], fit["missing"]) == (20, 20, [])
    assert fit["like"]["known"]
    assert not fit["like"]["doubted"]


def test_a_job_gives_what_the_library_infers(client: Client, job: dict[str, Any], models: Path) -> None:
    assert job["state"] == "done"
    whole = dgex.infer(models / "examples" / "panel.csv", models / "small", interval=0.9)
    assert whole is not None
    _, body, content = client.ask("GET", job["downloads"]["h5ad"])
    assert "attachment" in body["content-disposition"]
    got = ad.read_h5ad(io.BytesIO(content))
    np.testing.assert_array_equal(got.X, whole.X)
    _, genes = client.json("GET", f"/api/jobs/{job['id']}/genes?count=1000&profile={whole.obs_names[2]}")
    assert genes["total"] == whole.n_vars
    table = pd.DataFrame(genes["genes"]).set_index("gene").loc[whole.var_names]
    np.testing.assert_allclose(table["value"], whole.X[2], atol=1e-4)
    inferred = (whole.var["origin"] == "inferred").to_numpy()
    half = whole.layers["halfwidth"][2, inferred]
    found = table[inferred].astype({"low": float, "high": float})
    np.testing.assert_allclose(found["high"] - found["low"], 2 * half, atol=5e-3)
    assert table.loc[~inferred, "low"].isna().all()
    assert table["trust"].tolist() == whole.var["trust"].astype(str).tolist()


def test_tables_hold_the_values_and_what_they_are_worth(client: Client, job: dict[str, Any]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    whole = ad.read_h5ad(io.BytesIO(client.ask("GET", job["downloads"]["h5ad"])[2]))
    csv = pd.read_csv(io.BytesIO(client.ask("GET", job["downloads"]["csv"])[2]), index_col="gene")
    book = openpyxl.load_workbook(io.BytesIO(client.ask("GET", job["downloads"]["xlsx"])[2]), read_only=True)
    rows = list(book["Values"].iter_rows(values_only=True))
    sheet = pd.DataFrame(rows[1:], columns=rows[0]).set_index("gene")
    for table in (csv, sheet):
        assert table.index.tolist() == whole.var_names.tolist()
        assert table["trust"].tolist() == whole.var["trust"].astype(str).tolist()
        values = table[whole.obs_names.tolist()].to_numpy(np.float64)
        np.testing.assert_allclose(values, np.asarray(whole.X).T, atol=1e-4)
    half = list(book["Half-widths"].iter_rows(values_only=True, min_row=2))
    np.testing.assert_allclose([row[3] for row in half], whole.layers["halfwidth"][0], atol=2e-3)
    assert {"Profiles", "About"} <= set(book.sheetnames)
    path = Path(str(job["id"]) + ".gctx")
    path.write_bytes(client.ask("GET", job["downloads"]["gctx"])[2])
    try:
        with dgex.open(path) as back:
            assert back.var["trust"].astype(str).tolist() == whole.var["trust"].astype(str).tolist()
            np.testing.assert_array_equal(back.read(), whole.X)
    finally:
        path.unlink()


def test_genes_are_found_by_parts_of_names_and_by_lists(client: Client, job: dict[str, Any]) -> None:
    def found(query: str) -> list[str]:
        return [
            one["gene"] for one in client.json("GET", f"/api/jobs/{job['id']}/genes?count=1000&{query}")[1]["genes"]
        ]

    names = found("sort=gene")
    assert names == sorted(names, key=str.lower)
    assert len(names) == 50
    assert set(found(f"query={names[3].lower()}")) >= {names[3]}
    assert found(f"query={names[3]}")[0] == names[3]
    assert set(found(f"query={names[3]},{names[9]}")) == {names[3], names[9]}
    assert found("query=no-such-gene") == []
    assert len(found("origin=inferred")) == 30


def test_profiles_lie_on_the_map(client: Client, job: dict[str, Any]) -> None:
    told = client.json("GET", f"/api/jobs/{job['id']}/map")[1]["map"]
    assert len(told["own"]) == 6
    training = np.array(told["training"])
    own = np.array(told["own"])
    # some of these profiles were trained on: they lie where they lay then
    assert (np.abs(own[:, None] - training[None]).max(axis=2).min(axis=1) < 0.05).any()


def test_an_example_made_of_the_model_is_like_its_training_profiles(client: Client) -> None:
    _, told = client.json("POST", "/api/files", example="made-up:small")
    fit = client.ended(f"/api/files/{told['id']}")["about"]["models"]["small"]
    assert fit["found"] == fit["total"]
    assert not fit["like"]["doubted"]


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("[Content_Types].xml", "xl/worksheets/sheet1.xml"):
            archive.writestr(name, b" " * (40 << 20))
    return out.getvalue()


HOSTILE = {
    "page.csv": b"<!doctype html><html><body><script>alert(1)</script><p>no table</p></body></html>",
    "page.gctx": b"<html></html>",
    "bomb.xlsx": _bomb(),
    "bomb.csv.gz": gzip.compress(b"0" * (64 << 20)),
    "archive.zip": _bomb(),
    "binary.csv": b"\0\1\2" * 100,
    "noise.h5ad": b"\x89HDF\r\n\x1a\n" + b"x" * 500,
    "program.exe": b"MZ",
    "empty.tsv": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_panel_is_refused_in_a_line(client: Client, name: str) -> None:
    status, told = client.send("/api/files", {name: HOSTILE[name]})
    if status == 202:
        told = client.ended(f"/api/files/{told['id']}")
        assert told["state"] == "failed"
        message = told["text"]
    else:
        assert status == 400
        message = told["error"]
    assert message
    assert "\n" not in message
    assert "/" not in message.replace("application/", "")  # no place on the server is told
    assert not message.startswith("something went wrong")


def test_too_large_is_refused_before_it_is_read(client: Client) -> None:
    place = urlsplit(client.address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.putrequest("POST", "/api/files")
    connection.putheader("content-type", form({})[1])
    connection.putheader("content-length", str(5 << 30))
    connection.endheaders()
    answer = connection.getresponse()  # nothing was sent
    assert answer.status == 413
    assert "larger than 1 MB" in json.loads(answer.read())["error"]
    connection.close()


def test_too_large_is_refused_while_it_comes(client: Client) -> None:
    head, kind = form({"zeros.csv": b""})
    start = head[: head.rindex(b"\r\n------")]

    def endless() -> Any:
        yield start
        for _ in range(40):
            yield bytes(64 << 10)

    try:
        status, _, body = client.ask("POST", "/api/files", endless(), {"content-type": kind})
    except (BrokenPipeError, ConnectionResetError):
        return  # the server hung up while we went on sending
    assert status == 413, body


def test_all_works_without_a_script(client: Client) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}

    def page(path: str) -> str:
        while "http-equiv" in (text := client.ask("GET", path)[2].decode()):  # it would load itself again
            time.sleep(0.05)
        return text

    status, headers, _ = client.ask("POST", "/files", "example=panel.csv", kind)
    assert status == 303
    file = headers["location"]
    assert 'value="small" required checked' in page(file)
    status, headers, _ = client.ask("POST", f"{file}/infer", "model=small&missing=auto&scale=auto&interval=0.8", kind)
    assert status == 303
    job = headers["location"]
    assert "80% interval" in page(job)
    name = client.json("GET", f"/api{job}/genes?sort=gene&count=1")[1]["genes"][0]["gene"]
    assert f">{name}</a>" in page(f"{job}?query={name}&at=3")
    assert f"<h1>{name}</h1>" in page(f"{job}/genes/{_number(client, job, name)}?at=3")
    assert client.ask("POST", f"{job}/delete", "", kind)[0] == 303
    assert client.ask("GET", job)[0] == 404


def _number(client: Client, job: str, name: str) -> int:
    return int(client.json("GET", f"/api{job}/genes?query={name}")[1]["genes"][0]["number"])


def test_nothing_is_known_of_others(client: Client) -> None:
    for path in ("/api/files/x", "/api/jobs/x", "/api/jobs/x/genes", "/api/jobs/x/download?format=csv"):
        status, told = client.json("GET", path)
        assert status == 404
        assert set(told) == {"error"}


@pytest.mark.parametrize(
    "fields",
    [{}, {"model": "no"}, {"model": "small", "scale": "big"}, {"model": "small", "interval": "2"}, {"file": "x"}],
)
def test_what_cannot_be_asked_for_is_said(client: Client, panel: bytes, fields: dict[str, str]) -> None:
    if "file" in fields:
        assert client.json("POST", "/api/infer", **fields)[0] == 404
    else:
        status, told = client.send("/api/infer", {"panel.csv": panel}, **fields)
        assert status == 400
        assert told["error"]


def test_a_file_goes_with_all_that_was_made_of_it(client: Client, panel: bytes) -> None:
    _, told = client.send("/api/infer", {"panel.csv": panel}, model="small")
    client.ended(f"/api/jobs/{told['id']}")
    assert client.json("DELETE", f"/api/files/{told['file']['id']}") == (204, None)
    assert client.json("GET", f"/api/jobs/{told['id']}")[0] == 404


def test_several_visitors_at_once(client: Client, panel: bytes) -> None:
    def visit(_: int) -> dict[str, Any]:
        status, told = client.send("/api/infer", {"panel.csv": panel}, model="small")
        assert status == 202
        return client.ended(f"/api/jobs/{told['id']}")

    with ThreadPoolExecutor(4) as visitors:
        told = list(visitors.map(visit, range(4)))
    assert {one["state"] for one in told} == {"done"}
    assert len({one["id"] for one in told}) == 4


def test_every_answer_is_shielded(client: Client) -> None:
    for path in ("/", "/help", "/models", "/models/small", "/static/web.js", "/api/models", "/nothing", "/jobs/x"):
        _, headers, _ = client.ask("GET", path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_of_other_sites_may_not_ask(client: Client, panel: bytes) -> None:
    body, kind = form({"panel.csv": panel})
    for headers in ({"origin": "https://elsewhere.org"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert client.ask("POST", "/api/files", body, {"content-type": kind, **headers})[0] == 403
    assert client.ask("GET", "/api/models", None, {"host": "elsewhere.org"})[0] == 403
