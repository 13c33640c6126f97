"""The web page under load: start, many uploads at once with one worker, memory, a workbook, and files meant to do harm.

`python benchmarks/web.py MODELS PLATE [--visitors 20]`: MODELS is a folder of models, PLATE a panel for them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from visiting import Client

MiB = 1 << 20


def family(process: int) -> list[int]:
    """A process and those it started (Linux)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in family(int(child)))]


def status(process: int, name: str) -> float:
    """A number of /proc, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def processor(process: int) -> float:
    """Seconds of processor that a process took."""
    parts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def visits(client: Client, plate: Path, visitors: int) -> dict[str, Any]:
    """So many uploads at once, each to its end."""
    models = [model["name"] for model in client.json("GET", "/api/models")[1]["models"]]
    content, peak, over = plate.read_bytes(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], sum(status(one, "VmRSS") for one in family(client.process)))

    def visit(at: int) -> tuple[float, dict[str, Any]]:
        began = time.perf_counter()
        code, told = client.send("/api/infer", {f"{at}-{plate.name}": content}, model=models[at % len(models)])
        assert code == 202, told
        return time.perf_counter() - began, client.ended(f"/api/jobs/{told['id']}", 1200)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    with ThreadPoolExecutor(visitors) as pool:
        found = list(pool.map(visit, range(visitors)))
    seconds = time.perf_counter() - began
    used = [processor(one) for one in family(client.process)]
    job = found[-1][1]
    began = time.perf_counter()
    client.json("GET", f"/api/jobs/{job['id']}/genes?query=TP53")
    search = time.perf_counter() - began
    began = time.perf_counter()
    book = client.ask("GET", job["downloads"]["xlsx"])[2]
    workbook = time.perf_counter() - began
    over.set()
    watcher.join()
    return {
        "visitors": visitors,
        "served": sum(told["state"] == "done" for _, told in found),
        "seconds": seconds,
        "processor of server and worker": used,
        "slowest upload": max(upload for upload, _ in found),
        "peak MiB of server and worker": peak[0],
        "search": search,
        "workbook": {"seconds": workbook, "MiB": len(book) / MiB},
    }


def harm(client: Client) -> dict[str, Any]:
    """Answers to files that unpack to gigabytes, that are something else, and that never end."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet,
    ):
        for _ in range(4096):
            sheet.write(bytes(MiB))
    sent = {
        "bomb.xlsx": packed.getvalue(),
        "bomb.csv.gz": gzip.compress(bytes(1024 * MiB)),
        "page.csv": b"<!doctype html><html></html>",
    }
    told: dict[str, Any] = {}
    for name, content in sent.items():
        began = time.perf_counter()
        code, answer = client.send("/api/files", {name: content})
        answer = client.ended(f"/api/files/{answer['id']}") if code == 202 else answer
        said = answer.get("text") or answer.get("error")
        told[name] = {"seconds": time.perf_counter() - began, "state": answer.get("state", code), "said": said}
    told["5 GiB, length told"], told["5 GiB, length not told"] = endless(client, True), endless(client, False)
    return told


def endless(client: Client, length: bool) -> dict[str, Any]:
    """Send 5 GiB of zeros, until the server has had enough."""
    import socket

    place, head = urlsplit(client.address), b'--x\r\ncontent-disposition: form-data; name="f"; filename="z.csv"\r\n\r\n'
    size = 5 << 30
    kind = f"content-length: {len(head) + size}" if length else "transfer-encoding: chunked"
    asked = "POST /api/files HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    asked += f"{kind}\r\n\r\n"
    count = 0
    with socket.create_connection((place.hostname, place.port)) as line:
        try:
            line.sendall(asked.encode() + (head if length else b"%x\r\n%s\r\n" % (len(head), head)))
            while count < size:
                line.sendall(bytes(MiB) if length else b"100000\r\n" + bytes(MiB) + b"\r\n")
                count += MiB
        except OSError:
            pass  # it hung up
        answer = line.recv(4096).decode(errors="replace")
    return {"sent MiB": count / MiB, "status": int(answer.split()[1]), "said": answer.rpartition("\r\n")[2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("plate", type=Path)
    parser.add_argument("--visitors", type=int, default=20)
    given = parser.parse_args()
    began = time.perf_counter()
    command = [sys.executable, "-m", "dgex", "--quiet", "serve", str(given.models), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        client = Client(server.stdout.readline().strip(), server.pid)
        client.ask("GET", "/")
        told: dict[str, Any] = {"start": {"seconds": time.perf_counter() - began, "processor": processor(server.pid)}}
        told["load"] = os.getloadavg()[0]
        told |= visits(client, given.plate, given.visitors)
        told["peak MiB each"] = [status(one, "VmHWM") for one in family(server.pid)]
        told["harm"] = harm(client)
        told["first page afterwards"] = client.ask("GET", "/")[0]
        server.terminate()
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
