"""Small JSON files that operators carry from home to home: how one is read, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chain.errors import Reason, Refused


def read_carried(file: Path, form: str, version: int, max_bytes: int) -> Any:
    """The document in ``file``, whose fields ``format`` and ``version`` are these.

    What else is in it is for the caller to check.  Raises :class:`OSError` where it cannot be read, :class:`Refused`
    (``TOO_LARGE``, ``MALFORMED``) for another form, and what :mod:`json` and subscripts raise for what is no document.
    """
    with file.open("rb") as source:
        raw = source.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise Refused(Reason.TOO_LARGE, f"more than {max_bytes} bytes")
    document = json.loads(raw)
    if (document["format"], document["version"]) != (form, version):
        raise Refused(Reason.MALFORMED, "another format or version")
    return document
