"""The manifest of a report that can be made again: what its digests are, for whoever makes, anchors or checks one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from chain.base.errors import OperatorError

REPORT, MANIFEST = "report.json", "manifest.json"
_PARTS = {"format", "data", "asked", "code", "digests"}
_MAX_BYTES = 1 << 20
_DIGEST_BYTES = 32


class Digests(NamedTuple):
    """What an anchor holds: SHA-256 of the data, of the code, of what was asked, and of the report."""

    data: bytes
    code: bytes
    asked: bytes
    result: bytes


def read_manifest(path: Path) -> tuple[dict[str, Any], Digests]:
    """A manifest and its digests.  Raises :class:`OperatorError`."""
    try:
        text = path.read_bytes()[:_MAX_BYTES]
        manifest = json.loads(text)
        if set(manifest) != _PARTS or manifest["format"] != 1:
            raise ValueError("it is none of format 1")
        digests = Digests(**{name: bytes.fromhex(value) for name, value in manifest["digests"].items()})
        if any(len(digest) != _DIGEST_BYTES for digest in digests):
            raise ValueError("a digest has 32 bytes")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise OperatorError(
            f"{path} is not the manifest of a report ({error}); audit.py --anchor writes one"
        ) from error
    return manifest, digests
