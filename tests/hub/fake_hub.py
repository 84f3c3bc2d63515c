"""A small Hugging Face Hub on loopback: the endpoints that huggingface_hub calls for keys.

Repositories with revisions, private ones, large files by LFS, and tokens. It keeps what it got.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_writes"


@dataclass
class Repo:
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Of each commit: its files."""

    @property
    def newest(self) -> str:
        return list(self.commits)[-1] if self.commits else "0" * 40

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.newest if revision == "main" else revision
        return (commit, self.commits[commit]) if commit in self.commits else None

    def commit(self, files: dict[str, bytes]) -> str:
        seed = json.dumps([len(self.commits), sorted(files)]).encode()
        name = hashlib.sha1(seed + b"".join(files.values())).hexdigest()
        self.commits[name] = self.commits.get(self.newest, {}) | files
        return name


class FakeHub:
    """The server; `repos`, `calls` (method and path) and `claimed` sizes are the test's to see."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.claimed: dict[str, int] = {}
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: Any = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, code: int, kind: str) -> None:
        self._answer(code, {"error": kind}, X_Error_Code=kind, X_Error_Message=kind)

    @property
    def _knows(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, name: str) -> Repo | None:
        repo = self.state.repos.get(name)
        return repo if repo and (self._knows or not repo.private) else None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.state.calls.append(f"{self.command} {path}")
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, file = match.groups()
            self._file(name, revision, file)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            if (repo := self._repo(match[1])) is None:
                self._refuse(401, "RepoNotFound")
                return
            self._answer(200, {"id": match[1], "sha": repo.newest, "siblings": []})
        else:
            self._refuse(404, "EntryNotFound")

    def _file(self, name: str, revision: str, file: str) -> None:
        if (repo := self._repo(name)) is None:
            self._refuse(401, "RepoNotFound")
        elif (found := repo.files(revision)) is None:
            self._refuse(404, "RevisionNotFound")
        elif file not in found[1]:
            self._refuse(404, "EntryNotFound")
        else:
            commit, files = found
            data = files[file]
            size = self.state.claimed.get(name, len(data))
            self._answer(
                200, data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=commit,
                Content_Length=str(size), Content_Type="application/octet-stream",
            )  # fmt: skip

    def do_POST(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.state.calls.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/validate-yaml":
            said = {"errors": [], "warnings": []}
            self._answer(200, said)
            return
        if not self._knows:
            self._refuse(401, "Unauthorized")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            files = [
                {"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}
                for one in json.loads(body)["files"]
                for mode in ("lfs" if one["path"].endswith(("safetensors", "png")) else "regular",)
            ]
            self._answer(200, {"files": files})
        elif match := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(body))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            self._commit(match[1], body)
        else:
            self._refuse(404, "EntryNotFound")

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'user'}/{asked['name']}"
        if name in self.state.repos:
            self._answer(409, {"error": "exists", "url": f"{self.state.url}/{name}"})
            return
        self.state.repos[name] = Repo(
            asked.get("visibility") == "private" or bool(asked.get("private"))
        )
        self._answer(200, {"url": f"{self.state.url}/{name}"})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = [
            one | {"actions": {"upload": {"href": f"{self.state.url}/large/{one['oid']}"}}}
            for one in asked["objects"]
        ]
        kind = "application/vnd.git-lfs+json"
        self._answer(200, {"transfer": "basic", "objects": objects}, Content_Type=kind)

    def do_PUT(self) -> None:
        self.state.calls.append("PUT /large")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        digest = hashlib.sha256(data).hexdigest()
        if not self.path.endswith(digest):
            self._refuse(422, "ChecksumDiffers")
            return
        self.state.large[digest] = data
        self._answer(200)

    def _commit(self, name: str, body: bytes) -> None:
        files = {}
        for line in filter(None, body.splitlines()):
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.state.large[value["oid"]]
        commit = self.state.repos[name].commit(files)
        url = f"{self.state.url}/{name}/commit/{commit}"
        self._answer(200, {"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})
