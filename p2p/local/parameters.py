"""What a question of the HTTP API takes: each parameter with how it is read, and the schema that says the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import hexdigits
from typing import Any, NamedTuple

from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES, did_from_key, key_from_did
from chain.disk.inspection import NotThere, Unclear

MAX_NUMBER = 2**53 - 1
"""Larger ones are no longer exact where JSON is read as JavaScript does."""

ID_DIGITS = 64
KEY_PATTERN = f"^(did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{{44}}|[0-9a-fA-F]{{{2 * KEY_BYTES}}})$"


class Parameter(NamedTuple):
    """Part of a path or query: ``read`` raises :class:`~chain.disk.inspection.Unclear`; ``schema`` says the same."""

    name: str
    what: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    default: Any = None
    argument: str = ""

    @property
    def keyword(self) -> str:
        """Under which name it is handed on."""
        return self.argument or self.name

    def of(self, text: str | None) -> Any:
        """What is handed on for a text, or for none."""
        return self.default if text is None else self.read(text)


# ------------------------------------------------------------------------------------------------ keys and ids


def _public_key(text: str) -> bytes:
    if text.startswith("did:"):
        return key_from_did(text)
    if len(text) != 2 * KEY_BYTES or not set(text) <= set(hexdigits):
        raise Refused(Reason.MALFORMED, "this is neither")
    return bytes.fromhex(text)


def read_key(text: str) -> bytes:
    """A public key as a ``did:key`` or in hexadecimal.  Raises :class:`Unclear`, and :class:`NotThere` for nobody's."""
    try:
        return _public_key(text)
    except Refused as refusal:
        if re.fullmatch(KEY_PATTERN, text):
            raise NotThere(f"nobody has this key: {refusal.detail}") from refusal
        raise Unclear(f"a key is a did:key or {2 * KEY_BYTES} hexadecimal digits: {refusal.detail}") from refusal


def read_did(text: str) -> str:
    """A key, as what is asked of a home takes it: also the beginning of one.  Raises as :func:`read_key` does."""
    if text.startswith("did:") and not re.fullmatch(KEY_PATTERN, text):
        return text
    did = did_from_key(read_key(text))
    read_key(did)  # what is given in hexadecimal may be no point of the curve
    return did


def read_id(text: str) -> bytes:
    """A transaction's id.  Raises :class:`Unclear`."""
    if len(text) != ID_DIGITS or not set(text) <= set(hexdigits):
        raise Unclear(f"a transaction's id has {ID_DIGITS} hexadecimal digits")
    return bytes.fromhex(text)


# ------------------------------------------------------------------------------------------------ kinds of them


def number(name: str, what: str, low: int, high: int, default: int | None = None, argument: str = "") -> Parameter:
    """An integer from ``low`` to ``high``; what is none raises :class:`Unclear`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 16 and low <= int(text) <= high):
            raise Unclear(f"{name} must be a number from {low} to {high}")
        return int(text)

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Parameter(name, what, read, schema, default, argument)


def limit(most: int, default: int) -> Parameter:
    """How many are told at most."""
    return number("limit", "How many at most.", 1, most, default)


def flag(name: str, what: str, argument: str = "") -> Parameter:
    """``true`` or ``false``; anything else raises :class:`Unclear`."""

    def read(text: str) -> bool:
        if text not in ("true", "false"):
            raise Unclear(f"{name} must be true or false")
        return text == "true"

    return Parameter(name, what, read, {"type": "boolean"}, False, argument)


def choice(name: str, what: str, names: tuple[str, ...]) -> Parameter:
    """One of these; anything else raises :class:`Unclear`."""

    def read(text: str) -> str:
        if text not in names:
            raise Unclear(f"{name} must be one of {', '.join(names)}")
        return text

    return Parameter(name, what, read, {"type": "string", "enum": list(names)})


def text(name: str, what: str, pattern: str = "^[^\\u0000-\\u001f]{1,128}$") -> Parameter:
    """What a regular expression matches as a whole; anything else raises :class:`Unclear`."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Unclear(f"{name} must match {pattern}")
        return text

    return Parameter(name, what, read, {"type": "string", "pattern": pattern})
