"""A stand-in for the hub on this machine: the part of its interface that its client uses for public models."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tests.engine.file_server import Answer

COMMIT = "c0ffee" + "0" * 34
_LARGE = (".safetensors", ".bin")


@dataclass
class Hub:
    """Serves one model. `damaged` are served with other content; a file of `held` waits for its event."""

    repo: str
    files: Mapping[str, bytes]
    damaged: set[str] = field(default_factory=set)
    held: dict[str, Event] = field(default_factory=dict)
    status: int = 200  # of every answer, where it is another
    asked: list[tuple[str, str]] = field(default_factory=list)  # files that were fetched, and from which byte on

    @classmethod
    def of_folder(cls, repo: str, folder: Path) -> "Hub":
        return cls(
            repo, {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        )

    def respond(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        path = path.partition("?")[0]
        if self.status != 200:
            return self.status, {"Content-Length": "0"}, b""
        if path.startswith(f"/api/models/{self.repo}/tree/"):
            return _json([self._entry(name) for name in self.files])
        if path.startswith(f"/api/models/{self.repo}"):
            siblings = [{"rfilename": name, "size": len(body)} for name, body in self.files.items()]
            return _json({"id": self.repo, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False})
        before, _, name = path.partition(f"/resolve/{COMMIT}/" if COMMIT in path else "/resolve/main/")
        if before != f"/{self.repo}" or name not in self.files:
            return 404, {"Content-Length": "0", "X-Error-Code": "EntryNotFound"}, b""
        return self._file(method, name, headers.get("range", ""))

    def _file(self, method: str, name: str, asked_range: str) -> Answer:
        body = self.files[name]
        answer = {"ETag": f'"{self.etag(name)}"', "X-Repo-Commit": COMMIT}
        if method == "GET":
            self.asked.append((name, asked_range.removeprefix("bytes=").partition("-")[0]))
            body = bytes(len(body)) if name in self.damaged else body
            if name in self.held:
                self.held[name].wait(60)
        start = int(asked_range.removeprefix("bytes=").partition("-")[0] or 0)
        return 206 if start else 200, {**answer, "Content-Length": str(len(body) - start)}, body[start:]

    def etag(self, name: str) -> str:
        """As the hub names it: a large file by its SHA-256."""
        if name.endswith(_LARGE):
            return hashlib.sha256(self.files[name]).hexdigest()
        return hashlib.sha1(self.files[name], usedforsecurity=False).hexdigest()

    def _entry(self, name: str) -> dict[str, object]:
        size, digest = len(self.files[name]), self.etag(name)
        large = {"lfs": {"oid": digest, "size": size, "pointerSize": 130}} if name.endswith(_LARGE) else {}
        return {"type": "file", "path": name, "size": size, "oid": digest[:40], **large}


def _json(value: object) -> Answer:
    body = json.dumps(value).encode()
    return 200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body
