"""A stand-in of the Hugging Face Hub on this machine: as much of its interface as pushing and pulling a model takes.

Repositories, branches and commits; small files in the commit, others by git LFS; everything received is kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_stand_in"


@dataclass
class Repository:
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], message: str, branch: str = "main") -> str:
        oid = hashlib.sha1(f"{len(self.messages)} {message} {sorted(files)}".encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        self.messages.append(message)
        return oid

    def at(self, revision: str) -> str | None:
        oid = self.branches.get(revision, revision)
        return oid if oid in self.commits else None


@dataclass
class Hub:
    """`fault` is called with every request, and returns whether it answered."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    fault: Callable[[Request], bool] | None = None

    def put(self, name: str, files: dict[str, bytes], branch: str = "main") -> str:
        """A commit made elsewhere."""
        return self.repositories.setdefault(name, Repository(private=False)).commit(files, "elsewhere", branch)


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._begin()

    do_HEAD = do_POST = do_PUT = do_GET

    def _begin(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.route = unquote(urlsplit(self.path).path)
        self.query = parse_qs(urlsplit(self.path).query)
        self.hub.received.append((self.command, self.path, self.body))
        if self.hub.fault is None or not self.hub.fault(self):
            self._route()

    def answer(self, status: int, content: bytes | Any = b"", headers: dict[str, str] | None = None) -> None:
        if not isinstance(content, bytes):
            content, headers = json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def missing(self, what: str, commit: str = "") -> None:
        self.answer(404, {"error": what}, {"X-Error-Code": what, "X-Repo-Commit": commit})

    @property
    def logged_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _route(self) -> None:
        parts = self.route.strip("/").split("/")
        if parts[0] == "lfs":
            self.hub.blobs[parts[1]] = self.body
            self.answer(200)
        elif parts[:2] == ["api", "validate-yaml"]:
            self.answer(200, {"errors": [], "warnings": []})
        elif self.command in ("POST", "PUT") and not self.logged_in:
            self.answer(401, {"error": "Invalid username or password."})
        elif parts[:3] == ["api", "repos", "create"]:
            self._create()
        elif parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._api("/".join(parts[2:4]), parts[4:])
        elif parts[2:] == ["info", "lfs", "objects", "batch"]:
            asked = [one | self._upload(one["oid"]) for one in json.loads(self.body)["objects"]]
            self.answer(200, {"transfer": "basic", "objects": asked})
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self.answer(404, {"error": f"the stand-in has no {self.command} {self.path}"})

    def _upload(self, oid: str) -> dict[str, Any]:
        return {} if oid in self.hub.blobs else {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{oid}"}}}

    def _create(self) -> None:
        said = json.loads(self.body)
        name = f"{said['organization']}/{said['name']}"
        there = name in self.hub.repositories
        if not there:
            private = bool(said.get("private")) or said.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private)
            self.hub.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        self.answer(409 if there else 200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _api(self, name: str, rest: list[str]) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.logged_in):
            self.missing("RepoNotFound")
        elif not rest or rest[0] == "revision":
            self._info(name, repository, "/".join(rest[1:]) or "main")
        elif rest[0] == "branch":
            there = rest[1] in repository.branches
            repository.branches.setdefault(rest[1], repository.branches["main"])
            self.answer(409 if there else 200, {})
        elif rest[0] == "preupload":
            files = repository.commits[repository.at(rest[1]) or ""]
            told = [self._mode(one["path"], files) for one in json.loads(self.body)["files"]]
            self.answer(200, {"files": told})
        elif rest[0] == "commit":
            self._commit(name, repository, rest[1])
        else:
            self.answer(404, {"error": f"the stand-in has no {self.command} {self.path}"})

    def _mode(self, path: str, files: dict[str, bytes]) -> dict[str, Any]:
        lfs = path.endswith(".safetensors")
        oid = None if path not in files else hashlib.sha256(files[path]).hexdigest() if lfs else _blob(files[path])
        return {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid}

    def _info(self, name: str, repository: Repository, revision: str) -> None:
        commit = repository.at(revision)
        if commit is None:
            self.missing("RevisionNotFound")
            return
        siblings: list[dict[str, Any]] = []
        for path, content in repository.commits[commit].items():
            siblings.append({"rfilename": path})
            if "blobs" in self.query:
                siblings[-1] |= {"size": len(content), "blobId": _blob(content)}
                if path.endswith(".safetensors"):
                    oid = hashlib.sha256(content).hexdigest()
                    siblings[-1]["lfs"] = {"size": len(content), "sha256": oid, "pointerSize": 134}
        told = {"_id": "1", "id": name, "sha": commit, "private": repository.private, "siblings": siblings}
        self.answer(200, told)

    def _commit(self, name: str, repository: Repository, branch: str) -> None:
        files, message = dict(repository.commits[repository.branches[branch]]), ""
        for line in self.body.splitlines():
            said = json.loads(line)
            value = said["value"]
            if said["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repository.branches[branch]):
                    self.answer(412, {"error": "A commit has happened since."})
                    return
            elif said["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif said["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif said["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files, message, branch)
        self.answer(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid, "success": True})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.logged_in):
            self.missing("RepoNotFound")
            return
        commit = repository.at(revision)
        if commit is None:
            self.missing("RevisionNotFound")
            return
        content = repository.commits[commit].get(path)
        if content is None:
            self.missing("EntryNotFound", commit)
            return
        self.give(content, commit, path)

    def give(self, content: bytes, commit: str, path: str, cut: int = 0) -> None:
        """A file, without its last `cut` bytes, though they are promised."""
        lfs = path.endswith(".safetensors")
        etag = hashlib.sha256(content).hexdigest() if lfs else _blob(content)
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        promised = content[start:]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Content-Length": str(len(promised))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(206 if start else 200, promised[: len(promised) - cut], headers)
        self.close_connection = self.close_connection or cut > 0


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def standing_in() -> Iterator[Hub]:
    """A hub of its own, at an address of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Request,), {"hub": hub}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of connections that a test breaks off
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
