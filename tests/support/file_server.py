"""A real HTTP server whose faults a test chooses."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

__all__ = ["CONTENT", "DIGEST", "NAME", "FileServer", "serving"]

# A file to serve, under a name as weights are published by.
CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"tiny-{DIGEST[:8]}.ckpt"


class FileServer(ThreadingHTTPServer):
    """Serves files from memory on a port of its own, and notes what it is asked for.

    Attributes:
        files: Contents by path.
        requests: Path and Range header of each request so far.
        cuts: Bytes of the body after which the next answers break off; other answers are complete.
        states: HTTP status codes of the next answers, before any file is served.
        redirects: Where a path redirects to.
        continues: What it does with a Range: True continues there, False ignores it, "elsewhere" sends other
            bytes than were asked for.
        states_length: Whether it says how long the body is.
        held: The body's second half waits for this, if it is there.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cuts: list[int] = []
        self.states: list[int] = []
        self.redirects: dict[str, str] = {}
        self.continues: bool | str = True
        self.states_length = True
        self.held: threading.Event | None = None
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Its address, with a slash at the end."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is none."""


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.requests.append((self.path, wanted))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif server.states:
            self.send_error(server.states.pop(0))
        elif self.path not in server.files:
            self.send_error(404)
        else:
            self.serve(server.files[self.path], wanted)

    def serve(self, content: bytes, wanted: str | None) -> None:
        server, start = self.server, 0
        if wanted and server.continues:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            if server.continues == "elsewhere":
                start -= 1
        self.send_response(206 if wanted and server.continues else 200)
        if server.states_length:
            self.send_header("Content-Length", str(len(content) - start))
        if wanted and server.continues:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        body = content[start:]
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        half = len(body) // 2
        self.wfile.write(body[:half])
        if server.held is not None:
            server.held.wait(60)
        self.wfile.write(body[half:])


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """The server at work, in threads of this process."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        if server.held is not None:
            server.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
