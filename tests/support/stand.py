"""A stand-in for a node's HTTP API: it answers what a test tells it to, lies included."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

EXPLORER = Path(__file__).parents[2] / "p2p" / "local" / "explorer"
POLICY = (
    "default-src 'self'; connect-src 'self' {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_QUIET_S = 0.1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a page asks for thirty files at once


class Stand:
    """``answers`` are by path; a callable is asked with the query.  What is told is an event to all that listen."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asks: list[str] = []  # nodes that its page may ask
        self.readers: list[str] = []  # pages that may ask it
        self._streams: list[queue.SimpleQueue[str]] = []
        self._stopped = threading.Event()
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):  # a page that was left does not read to the end
                    stand._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """An event, to everybody who listens now."""
        for stream in self._streams:
            stream.put(f"event: {name}\ndata: {json.dumps(data)}\n\n")

    @property
    def listeners(self) -> int:
        return len(self._streams)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path == "/events":
            return self._stream(request)
        if path == "/" or path.startswith("/explorer/"):
            return self._file(request, path.removeprefix("/explorer/").strip("/") or "index.html")
        found = self.answers.get(unquote(path))
        answer = found(query) if callable(found) else found
        if answer is None:
            return self._send(
                request, 404, "application/problem+json", json.dumps({"detail": "there is no such thing"}).encode()
            )
        if isinstance(answer, dict) and set(answer) == {"bytes"}:
            return self._send(request, 200, "application/octet-stream", bytes.fromhex(answer["bytes"]))
        if path == "/headers":
            first, limit = int(query["from"][0]), int(query["limit"][0])
            answer = {"headers": [row for row in answer if row["height"] >= first][:limit]}
        return self._send(request, 200, "application/json", json.dumps(answer).encode())

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        file = EXPLORER / name
        if not file.is_file() or not file.resolve().is_relative_to(EXPLORER):
            return self._send(request, 404, "text/plain", b"")
        return self._send(request, 200, _TYPES[file.suffix], file.read_bytes())

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        mine: queue.SimpleQueue[str] = queue.SimpleQueue()
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        self._streams.append(mine)
        try:
            while not self._stopped.is_set():
                with suppress(queue.Empty):
                    request.wfile.write(mine.get(timeout=_QUIET_S).encode())
        finally:
            self._streams.remove(mine)

    def _send(self, request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY.format(" ".join(self.asks)),
            "X-Content-Type-Options": "nosniff",
        }
        if (origin := request.headers.get("Origin", "")) in self.readers:
            headers["Access-Control-Allow-Origin"] = origin
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    @contextmanager
    def serving(self) -> Iterator[Stand]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()
