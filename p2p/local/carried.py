"""Small JSON files that operators carry from home to home: how one is read and written, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError, Reason, Refused


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


def write_once(file: Path, text: str) -> None:
    """Write a file, whole or not at all; one that holds the same stays.

    Raises :class:`OperatorError`, also where it holds anything else.
    """
    draft = file.with_name(f"{file.name}.draft")
    try:
        if file.exists():
            if file.read_bytes() != text.encode():
                raise OperatorError(f"{file} exists and holds something else; remove it, or name another file")
            return
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written ({error.strerror}); name another file") from error
