"""A web server on this machine, for tests of downloads: it knows Range, and can be told to fail."""

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[[str, str, dict[str, str]], Answer]  # method, path and headers of a request


@dataclass
class FileServer:
    """Serves one content under every name. `cut_at`: the bytes of the body after which the line breaks."""

    content: bytes
    knows_range: bool = True
    status: int = 200
    cut_at: int | None = None
    asked_ranges: list[str | None] = field(default_factory=list)
    url: str = ""

    def respond(self, _method: str, _path: str, headers: dict[str, str]) -> Answer:
        asked = headers.get("range")
        self.asked_ranges.append(asked)
        start = int(re.fullmatch(r"bytes=([0-9]+)-", asked)[1]) if asked and self.knows_range else 0  # type: ignore[index]
        body = self.content[start:]
        answer = {"Content-Length": str(len(body))}
        if start:
            answer["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        status = 206 if start and self.status == 200 else self.status
        return status, answer, body if self.cut_at is None else body[: self.cut_at]


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """The address of a server that answers so, while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = respond(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # who asked may be gone
                    self.wfile.write(body)
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
