"""The library, tamed where it would read, compute or log whatever a stranger asks for.

It has no settings for these, so :func:`tame` replaces the pieces once for the whole process.
"""

from __future__ import annotations

import logging
import os

from libp2p.crypto import serialization
from libp2p.crypto.keys import KeyType
from libp2p.exceptions import ParseError
from libp2p.io.abc import Reader
from libp2p.io.exceptions import MessageTooLarge
from libp2p.protocol_muxer import multiselect_communicator
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

MAX_NAME_BYTES = 1024
"""A line of multistream-select; the longest of ours has 40 bytes."""


def tame() -> None:
    """Make the library of this process safe to listen with.  May be called again."""
    _know_ed25519_only()
    # The library believes any announced length, before anybody has proved an identity.
    multiselect_communicator.read_delim = _read_name  # type: ignore[attr-defined]
    _quieten()


def _know_ed25519_only() -> None:
    # A key comes from a stranger, in a handshake or with a message.  Checking one signature with an RSA key
    # whose exponent has a million bits takes minutes, on the event loop.
    known = serialization.key_type_to_public_key_deserializer
    for kind in known.keys() - {KeyType.Ed25519.value}:
        del known[kind]


async def _read_name(reader: Reader) -> bytes:
    """One line of protocol negotiation, without its end."""
    try:
        line: bytes = await read_varint_prefixed_bytes_limited(reader, MAX_NAME_BYTES)
    except MessageTooLarge as error:
        raise ParseError("a protocol name is too long") from error
    if not line.endswith(b"\n"):
        raise ParseError("a protocol name ends with a line feed")
    return line[:-1]


def _quieten() -> None:
    # Anyone who can reach the port decides what the library logs, so it is not shown unless asked for.
    if "LIBP2P_DEBUG" in os.environ:
        return
    library = logging.getLogger("libp2p")
    library.setLevel(logging.CRITICAL)
    if not library.handlers:
        library.addHandler(logging.NullHandler())
    # Parts of the library log through the root logger's functions, which install a handler to stderr
    # where there is none.
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
