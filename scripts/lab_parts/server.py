"""The lab's page, on this machine alone; nothing in it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from chain.base.errors import OperatorError
from p2p.local.pages import MEDIA_TYPES
from scripts.lab_parts.engine import ROOT, engine

PAGE = Path(__file__).parent / "page"
PYODIDE = PAGE / "node_modules" / "pyodide"
_FOLDERS = {"lab": PAGE, "explorer": ROOT / "p2p" / "local" / "explorer", "pyodide": PYODIDE}
_SERVED = (".html", ".css", ".js", ".mjs", ".json", ".svg", ".wasm")
_TYPES = {suffix: MEDIA_TYPES[suffix] for suffix in _SERVED} | {".zip": "application/zip"}
# WebAssembly is compiled in the page; nothing else is made of text there.
_POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    @cached_property
    def engine(self) -> bytes:
        return engine()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """A file of one of the folders, and of none beside them."""
        place = urlsplit(self.path).path
        if place == "/engine.zip":
            self._send(".zip", self.server.engine)
            return
        path = _file("/lab/index.html" if place == "/" else place)
        if path is None or self.headers.get("host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            self.send_error(404)
        else:
            self._send(path.suffix, path.read_bytes())

    def _send(self, suffix: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _TYPES[suffix])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _file(place: str) -> Path | None:
    _, folder, *rest = place.split("/")
    root = _FOLDERS.get(folder)
    path = None if root is None else root.joinpath(*rest)
    is_inside = root is not None and path is not None and path.resolve().is_relative_to(root.resolve())
    return path if path is not None and is_inside and path.is_file() and path.suffix in _TYPES else None


def is_installed() -> bool:
    """Whether Python for the browser is there."""
    return (PYODIDE / "pyodide.mjs").exists()


@contextmanager
def serving(port: int = 0) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """A server that is bound, and its address; ``serve_forever`` is the caller's.  Raises :class:`OperatorError`."""
    if not is_installed():
        raise OperatorError(
            f"Python for the browser (Pyodide, 14 MB) is not there; bring it with `npm ci --prefix {PAGE}`"
        )
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise OperatorError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    with server:
        yield f"http://127.0.0.1:{server.server_address[1]}/", server
