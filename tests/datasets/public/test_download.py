"""Public data sets into a folder: whole, recorded, gone on with, and checked when used."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from serving import Site, Step

import dgex
from dgex.cli.app import run
from dgex.datasets.public import download as room
from dgex.datasets.public.download import download, files
from dgex.datasets.public.fetch import Patience, fetch
from dgex.datasets.public.sources import sources
from dgex.errors import DataError, DgexError, FileError
from dgex.locks import alone

GENES = "GSE92743_Broad_GTEx_gene_info.txt"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def contents(site: Site, ending: str) -> bytes:
    return gzip.decompress(next(body for path, body in site.files.items() if path.endswith(ending + ".gz")))


def path_of(site: Site, ending: str) -> str:
    return next(path for path in site.files if path.endswith(ending + ".gz"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def one_manifest(folder: Path, site: Site, extra: str = "") -> Path:
    """A manifest of one source with one file, `mine`, at /d/matrix.tsv.gz."""
    text = f'[mine]\ntitle = "Ours"\nbase = "{site.url}/d"\n[mine.files.matrix]\naddress = "matrix.tsv.gz"\n{extra}'
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_source_arrives_and_is_recorded(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    paths = dgex.download("gse92743", tmp_path / "cmap", base=base, patience=patience)
    source = sources()["gse92743"]
    assert list(paths) == list(source.files)
    assert names(tmp_path / "cmap") == {room.RECORD, *(file.name for file in source.files.values())}
    record = json.loads((tmp_path / "cmap" / room.RECORD).read_text("utf-8"))["sources"]["gse92743"]
    assert record["citation"] == source.citation
    for key, path in paths.items():
        entry, packed = record["files"][key], site.files[path_of(site, path.name)]
        assert path.read_bytes() == gzip.decompress(packed)
        assert (entry["size"], entry["sha256"]) == (path.stat().st_size, sha(path.read_bytes()))
        assert (entry["served"]["size"], entry["served"]["sha256"]) == (len(packed), sha(packed))
        assert entry["served"]["etag"] == f'"{sha(packed)[:8]}"'
        assert entry["address"] == base + source.files[key].address
    assert files(tmp_path / "cmap", "gse92743") == paths


def test_again_it_verifies_and_fetches_nothing(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    first = download("gse92743", tmp_path, base=base, patience=patience)
    asked = len(site.log)
    assert asked == 6
    assert download("gse92743", tmp_path, base=base, patience=patience) == first
    assert len(site.log) == asked


def test_some_files_then_the_others(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    assert list(download("gse92743", tmp_path, only=["gene_info"], base=base, patience=patience)) == ["gene_info"]
    assert names(tmp_path) == {GENES, room.RECORD}
    assert files(tmp_path, "gse92743", only=["gene_info"]) == {"gene_info": tmp_path / GENES}
    with pytest.raises(FileError, match=r"does not hold GSE92743_Broad_Affy.* of gse92743: run dgex download gse92743"):
        files(tmp_path, "gse92743")
    download("gse92743", tmp_path, base=base, patience=patience)
    assert len(files(tmp_path, "gse92743")) == 6
    assert len(site.asked(GENES + ".gz")) == 1


def test_two_sources_share_a_folder(site: Site, tmp_path: Path, patience: Patience) -> None:
    for name in ("gse92743", "gtex"):
        download(name, tmp_path, base=site.publish(name), patience=patience)
    assert len(files(tmp_path, "gse92743")) == 6
    gct = files(tmp_path, "gtex")["gene_tpm"]  # read as it is, and so not decompressed
    assert gct.read_bytes() == site.files[path_of(site, gct.name.removesuffix(".gz"))]


def test_a_substitute_of_a_file_with_a_published_checksum_is_refused(
    site: Site, tmp_path: Path, patience: Patience
) -> None:
    base = site.publish("1000g")
    with pytest.raises(FileError, match="bytes on the server, published are 90,812,592"):
        download("1000g", tmp_path, base=base, patience=patience)
    assert names(tmp_path) == set()


def test_the_publishers_list_of_checksums_is_used(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92742")
    sums = path_of(site, "gene_info.txt").rpartition("/")[0] + "/GSE92742_SHA512SUMS.txt.gz"
    lines = {path.rpartition("/")[2]: hashlib.sha512(body).hexdigest() for path, body in site.files.items()}
    site.files[sums] = gzip.compress("".join(f"{digest}  {name}\n" for name, digest in lines.items()).encode())
    download("gse92742", tmp_path / "good", base=base, patience=patience)
    record = json.loads((tmp_path / "good" / room.RECORD).read_text("utf-8"))["sources"]["gse92742"]["files"]
    for entry in record.values():
        assert entry["served"]["checksum"] == f"sha512:{lines[entry['served']['name']]}"
    lines["GSE92742_Broad_LINCS_gene_info.txt.gz"] = "0" * 128
    site.files[sums] = gzip.compress("".join(f"{digest} *{name}\n" for name, digest in lines.items()).encode())
    with pytest.raises(FileError, match=r"its sha512 is .*, published is 0{128}; what came from .* was removed"):
        download("gse92742", tmp_path / "bad", base=base, patience=patience)
    assert "GSE92742_Broad_LINCS_gene_info.txt" not in names(tmp_path / "bad")
    site.files[sums] = b"<html>"
    with pytest.raises(FileError, match="is no list of checksums"):
        download("gse92742", tmp_path / "page", base=base, patience=patience)
    del site.files[sums]  # a mirror without the list is used, with a warning
    assert len(download("gse92742", tmp_path / "mirror", base=base, patience=patience)) == 3


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(status=500), "500 Internal Server Error, 5 times"),
        (Step(status=404), "404 Not Found"),
        (Step(cut=10, ranges=False), "10 of"),
        (Step(promise=50), ""),
        (Step(promise=-50), "ends early"),
        (Step(body=b"<html>busy</html>"), "damaged or no gzip"),
        (Step(body=b""), "is empty"),
        (Step(body=gzip.compress(b"x" * 99, mtime=0)[:-1] + b"\1"), "damaged or no gzip"),
    ],
    ids=str,
)
def test_every_failure_is_one_line_and_leaves_no_finished_name(
    site: Site, tmp_path: Path, patience: Patience, step: Step, said: str
) -> None:
    base = site.publish("gse92743")
    bad = path_of(site, "L1000_Level3_Q2NORM_n3176x12320.gctx")
    site.always[bad] = step
    with pytest.raises(DgexError) as caught:
        download("gse92743", tmp_path, base=base, patience=patience)
    message = str(caught.value)
    assert said in message
    assert site.url + bad in message
    assert "\n" not in message
    unfinished = bad.rpartition("/")[2]
    assert unfinished.removesuffix(".gz") not in names(tmp_path)
    assert unfinished not in names(tmp_path)
    # what was finished before stays, and the same command goes on once the server has recovered
    assert set(files(tmp_path, "gse92743", only=["affymetrix", "gtex_rnaseq"])) == {"affymetrix", "gtex_rnaseq"}
    del site.always[bad]
    assert len(download("gse92743", tmp_path, base=base, patience=patience)) == 6
    assert len(site.asked("n100000x12320.gctx.gz")) == 1
    assert not [name for name in names(tmp_path) if "partial" in name or "unpacking" in name]


def test_a_changed_file_is_found_whenever_it_is_used(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    path = download("gse92743", tmp_path, base=base, patience=patience)["gene_info"]
    before = path.read_bytes()
    changed = bytes([before[0] ^ 1]) + before[1:]
    stat = path.stat()
    path.write_bytes(changed)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # neither size nor time tells
    for use in (lambda: files(tmp_path, "gse92743"), lambda: download("gse92743", tmp_path, base=base)):
        with pytest.raises(DataError) as caught:
            use()
        message = str(caught.value)
        assert all(part in message for part in (str(path), sha(changed), sha(before))), message
        assert "\n" not in message
    path.unlink()
    with pytest.raises(FileError, match="does not hold"):
        files(tmp_path, "gse92743")
    download("gse92743", tmp_path, base=base, patience=patience)
    assert path.read_bytes() == before


def test_a_file_of_the_users_own_is_not_overwritten(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    (tmp_path / GENES).write_text("mine")
    with pytest.raises(FileError, match="is in the way"):
        download("gse92743", tmp_path, base=base, patience=patience)
    assert (tmp_path / GENES).read_text() == "mine"
    assert site.log == []


def test_the_packed_file_is_kept_on_wish(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    download("gse92743", tmp_path, only=["gene_info"], base=base, keep=True, patience=patience)
    assert names(tmp_path) == {GENES, GENES + ".gz", room.RECORD}
    assert gzip.decompress((tmp_path / f"{GENES}.gz").read_bytes()) == (tmp_path / GENES).read_bytes()


def test_a_users_manifest(site: Site, tmp_path: Path, patience: Patience) -> None:
    body = gzip.compress(b"gene\ta\nA\t1\n")
    site.files["/d/matrix.tsv.gz"] = body
    extra = f'size = {len(body)}\nchecksum = "sha256:{sha(body)}"\n'
    manifest = one_manifest(tmp_path, site, extra)
    out = tmp_path / "out"
    paths = download("mine", out, manifest=manifest, patience=patience)
    assert paths == {"matrix": out / "matrix.tsv"} == files(out, "mine", manifest=manifest)
    manifest = one_manifest(tmp_path, site, extra.replace(sha(body)[:4], "0000"))
    with pytest.raises(FileError, match=r"its sha256 is .*, published is 0000"):
        download("mine", tmp_path / "other", manifest=manifest, patience=patience)
    assert names(tmp_path / "other") == set()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sources": 1}', '{"sources": {"gse92743": {}}}', "\xff"])
def test_a_record_that_is_none(site: Site, tmp_path: Path, patience: Patience, text: str) -> None:
    (tmp_path / room.RECORD).write_text(text, "latin-1")
    base = site.publish("gse92743")
    for use in (lambda: files(tmp_path, "gse92743"), lambda: download("gse92743", tmp_path, base=base)):
        with pytest.raises(FileError, match="is no record of downloads"):
            use()


def test_an_entry_without_a_digest_is_no_proof(site: Site, tmp_path: Path, patience: Patience) -> None:
    (tmp_path / GENES).write_text("x")
    for entry in ({"name": GENES, "sha256": None}, {"name": "another", "sha256": "0" * 64}, 1):
        record = {"sources": {"gse92743": {"files": {"gene_info": entry}}}}
        (tmp_path / room.RECORD).write_text(json.dumps(record))
        with pytest.raises(FileError, match="does not hold"):
            files(tmp_path, "gse92743", only=["gene_info"])
    (tmp_path / GENES).unlink()
    base = site.publish("gse92743")
    download("gse92743", tmp_path, base=base, patience=patience)
    assert len(files(tmp_path, "gse92743")) == 6


class Stopped(BaseException):
    """As Ctrl-C: nothing catches it."""


@pytest.mark.parametrize("at", ["fetch", "settle", "json_dump", "_write_entry", "discard", "replace"])
@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_moment_it_goes_on(
    site: Site, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch, at: str, after: bool
) -> None:
    base = site.publish("gse92743")
    owner = os if at == "replace" else room
    real = getattr(owner, at)
    calls = 0
    while True:  # the first, second, third … time that this step is reached
        calls += 1
        left = calls

        def stopping(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left:
                return real(*arguments, **options)
            if after:
                real(*arguments, **options)
            raise Stopped

        folder = tmp_path / f"{calls}"
        finished = False
        with monkeypatch.context() as patch:
            patch.setattr(owner, at, stopping)
            try:
                download("gse92743", folder, only=["gene_info", "inst_info"], base=base, patience=patience)
                finished = True
            except Stopped:
                pass
        if finished:
            break
        finished_names = names(folder) & {GENES, GENES.replace("gene", "inst")}
        for name in finished_names:
            assert (folder / name).read_bytes() == contents(site, name)
        before = len(site.log)
        paths = download("gse92743", folder, only=["gene_info", "inst_info"], base=base, patience=patience)
        assert all(path.read_bytes() == contents(site, path.name) for path in paths.values())
        assert names(folder) == {room.RECORD, *(path.name for path in paths.values())}
        asked = [asked.path.rpartition("/")[2].removesuffix(".gz") for asked in site.log[before:]]
        assert not finished_names & set(asked)
        if at not in ("fetch", "replace"):  # a file had come whole before each of the others
            assert len(asked) <= 1
    assert calls > 2


def test_only_one_process_works_in_a_folder(site: Site, tmp_path: Path, patience: Patience) -> None:
    base = site.publish("gse92743")
    with alone(tmp_path, "dgex download"), pytest.raises(FileError, match="another dgex download is at work"):
        download("gse92743", tmp_path, base=base, patience=patience)
    download("gse92743", tmp_path, base=base, patience=patience)


def test_the_folder_is_a_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileError, match="cannot write"):
            download("gse92743", folder, base=site.publish("gse92743"))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dgex", "download", *map(str, arguments)]


def test_killed_in_the_middle_it_goes_on_from_there(site: Site, tmp_path: Path) -> None:
    body = gzip.compress(np.random.default_rng(0).bytes(300_000))
    base = site.publish("gse92743", gtex_rnaseq=body)
    path = path_of(site, "n3176x12320.gctx")
    assert site.files[path] is body
    half, release = len(body) // 2, threading.Event()
    site.plan[path] = [Step(cut=half, hold=release)]
    arguments = command("gse92743", tmp_path, "--base", base)
    running = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    partial = tmp_path / (path.rpartition("/")[2] + ".partial")
    deadline = time.monotonic() + 60
    while running.poll() is None and time.monotonic() < deadline:
        if partial.exists() and partial.stat().st_size == half:
            break
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    release.set()
    assert running.returncode == -signal.SIGKILL
    assert partial.stat().st_size == half
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    assert all(Path(line).is_file() for line in done.stdout.splitlines())
    assert [(asked.range, asked.sent) for asked in site.asked(path)] == [
        (None, half),
        (f"bytes={half}-", len(body) - half),
    ]
    assert len(site.asked("n100000x12320.gctx.gz")) == 1  # it was finished before
    assert (tmp_path / partial.name.removesuffix(".gz.partial")).read_bytes() == gzip.decompress(body)


def call(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dgex", "--quiet", "download", *map(str, arguments)])
        try:
            run()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def test_the_command(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(code: int, *arguments: object) -> tuple[str, str]:
        capsys.readouterr()
        assert call(*arguments) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert code != 1 or (captured.err.startswith("error: ") and captured.err.count("\n") == 1 and not captured.out)
        return captured.out, captured.err

    listed = said(0)[0]
    assert listed == said(0, "--list")[0]
    for source in sources().values():
        assert all(file.name in listed for file in source.files.values())
    assert "90.8 MB" in listed
    described = json.loads(said(0, "--json")[0])
    assert set(described) == set(sources())
    assert described["gse92743"]["files"]["gene_info"]["address"].startswith("https://ftp.ncbi.nlm.nih.gov/geo/series/")
    assert set(json.loads(said(0, "gtex", "--list", "--json")[0])) == {"gtex"}

    assert "accepted: gse92743, gtex, 1000g, gse92742" in said(1, "geo", tmp_path)[1]
    assert "accepted: gse92743, gtex, 1000g, gse92742" in said(1, "geo")[1]
    assert "DIR" in said(2, "gse92743")[1]
    assert "no file 'x'" in said(1, "gse92743", tmp_path, "--only", "x")[1]
    assert "accepted: an address" in said(1, "gse92743", tmp_path, "--base", "nowhere")[1]
    assert "cannot read the manifest" in said(1, "--manifest", tmp_path / "none.toml")[1]

    base = site.publish("gse92743")
    monkeypatch.setenv("DGEX_BASE_GSE92743", base)
    assert f"from {base}" in said(0)[0]
    folder = tmp_path / "cmap"
    assert "does not hold" in said(1, "gse92743", folder, "--verify")[1]
    out = said(0, "gse92743", folder, "--only", "gene_info,inst_info")[0]
    assert [Path(line).name for line in out.splitlines()] == [GENES, GENES.replace("gene", "inst")]
    asked = len(site.log)
    found = json.loads(said(0, "gse92743", folder, "--only", "gene_info", "--verify", "--json")[0])
    assert found["gene_info"]["sha256"] == sha((folder / GENES).read_bytes())
    assert len(site.log) == asked
    (folder / GENES).write_text("changed")
    assert "changed since it was downloaded" in said(1, "gse92743", folder, "--only", "gene_info", "--verify")[1]
    site.always[path_of(site, "weights_n979x11350.gctx".replace("weights", "WEIGHTS"))] = Step(status=500)
    assert "500" in said(1, "gse92743", folder, "--only", "ols_weights", "--retries", "0")[1]


def test_notes_say_what_is_finished(site: Site, tmp_path: Path) -> None:
    base = site.publish("gtex")
    done = subprocess.run(command("gtex", tmp_path, "--base", base), capture_output=True, text=True, check=True)
    again = subprocess.run(command("gtex", tmp_path, "--base", base), capture_output=True, text=True, check=True)
    assert done.stdout == again.stdout
    assert "is finished and unchanged" in again.stderr
    assert len(site.log) == 1


def test_fetch_alone_is_enough_for_a_whole_partial(site: Site, tmp_path: Path, patience: Patience) -> None:
    """A file that came before the process stopped is unpacked without the server."""
    base = site.publish("gse92743")
    address = base + GENES + ".gz"
    fetch(address, tmp_path / f"{GENES}.gz.partial", patience=patience)
    site.files.clear()
    assert download("gse92743", tmp_path, only=["gene_info"], base=base, patience=patience)["gene_info"].exists()
