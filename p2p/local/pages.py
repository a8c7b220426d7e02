"""The explorer: static files, listed once when the node starts, with a policy that lets them load nothing else."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from p2p.local.problems import Problem

EXPLORER = Path(__file__).parent / "explorer"
INDEX = "index.html"
MAX_FILE_BYTES = 8_000_000

# Fixed, so that they are the same on every machine.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}


class Page(NamedTuple):
    """A file as it is answered."""

    content: bytes
    media_type: str
    tag: str


class Pages:
    """The files of a folder, and of those in it; no other path leads anywhere.  ``origins`` may be asked, too."""

    def __init__(self, folder: Path = EXPLORER, origins: tuple[str, ...] = ()) -> None:
        found = (path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_file())
        self._paths = {path.relative_to(folder).as_posix(): path for path in found if path.suffix in MEDIA_TYPES}
        self._read: dict[str, Page] = {}
        asked = " ".join(("'self'", *origins))
        self._policy = (
            f"default-src 'self'; connect-src {asked}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "object-src 'none'"
        )

    def answer(self, request: Request, name: str) -> Response:
        """The file of this name.  Raises :class:`Problem` (404)."""
        page = self._page(name)
        headers = {"etag": page.tag, "cache-control": "no-cache", "content-security-policy": self._policy}
        if page.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(page.content, headers=headers, media_type=page.media_type)

    def _page(self, name: str) -> Page:
        path = self._paths.get(name)
        if path is None:
            raise Problem(404, "there is no such file")
        if name not in self._read:
            content = path.read_bytes()[:MAX_FILE_BYTES]
            self._read[name] = Page(content, MEDIA_TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')
        return self._read[name]
