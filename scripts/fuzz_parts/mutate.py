"""Changing the structure of a message rather than its bytes: most random bytes are refused at the first one."""

from __future__ import annotations

from random import Random
from typing import Any

import msgpack

# Values at which checks tend to be off by one, and types that a canonical encoding does not have.
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**16, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -(2**63), -(2**31))
_STRANGE: tuple[Any, ...] = (None, True, 1.5, "", "text", {}, {1: 2}, b"", (), ((((),),),))
_SIGNATURE_BYTES = 64


def restructured(data: bytes, random: Random) -> bytes | None:
    """``data`` with one value inside changed, or None where it has no structure; a signature's tail may follow."""
    for tail in (0, _SIGNATURE_BYTES):
        body, rest = data[: len(data) - tail], data[len(data) - tail :] if tail else b""
        try:
            value = msgpack.unpackb(body, use_list=False, raw=True, strict_map_key=False)
        except Exception:  # noqa: BLE001  # of whatever kind: it is no structure
            continue
        if isinstance(value, tuple):
            packed: bytes = msgpack.packb(_changed(value, random), use_bin_type=True)
            return packed + rest
    return None


def _changed(value: Any, random: Random) -> Any:
    if isinstance(value, tuple) and value and random.random() < 0.85:
        items = list(value)
        at = random.randrange(len(items))
        match random.randrange(8):
            case 0:
                del items[at]
            case 1:
                items.insert(at, items[random.randrange(len(items))])
            case 2:
                items.append(random.choice(_STRANGE))
            case _:
                items[at] = _changed(items[at], random)
        return tuple(items)
    if isinstance(value, bytes) and random.random() < 0.6:
        return _bent(value, random)
    if isinstance(value, int) and random.random() < 0.6:
        number = random.choice((*_NUMBERS, value + 1, value - 1, -value))
        return max(-(2**63), min(2**64 - 1, number))
    return random.choice((*_STRANGE, *_NUMBERS, random.randbytes(random.choice((1, 31, 32, 33, 64)))))


def _bent(value: bytes, random: Random) -> bytes:
    inner = restructured(value, random) if len(value) > 1 and random.random() < 0.5 else None
    if inner is not None:
        return inner
    if not value or random.random() < 0.3:
        return value[:-1] if random.random() < 0.5 else value + b"\x00"
    at = random.randrange(len(value))
    return value[:at] + bytes([value[at] ^ (1 << random.randrange(8))]) + value[at + 1 :]
