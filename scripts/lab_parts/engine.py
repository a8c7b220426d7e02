"""What travels to the browser: the project's own files, and three libraries without their compiled parts."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OWN = ("chain/**/*", "p2p/**/*.py", "scripts/**/*.py")
_LIBRARIES = ("msgpack", "sortedcontainers", "click")
# The same files give the same archive.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def engine() -> bytes:
    """A ZIP archive that Python can import from."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name, path in sorted(_files()):
            made.writestr(zipfile.ZipInfo(name, _LONG_AGO), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    for pattern in _OWN:
        for path in ROOT.glob(pattern):
            if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts):
                yield path.relative_to(ROOT).as_posix(), path
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent
        for path in folder.glob("**/*.py"):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
