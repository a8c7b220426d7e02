"""The file that carries a chain from home to home.

::

    "goodfaith chain\\n"
    frame = length (4 bytes, big endian) || payload || SHA-256(the digest before || payload)
    first payload  = [version, genesis id, last height, last id]
    next payloads  = [block, …]         the main chain from height 1, each block as it travels
    last payload   = []

The digest before the first is the genesis id, so that no part can be left out, moved or put into another file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import OperatorError, Reason, Refused
from chain.content.blocks import MAX_BLOCK_BYTES
from p2p.local.whole import make_durable

MAGIC = b"goodfaith chain\n"
VERSION = 1
# About what a part holds: little enough to be in memory several times, enough that a digest costs nothing.
PART_BYTES = 1_000_000
PART_BLOCKS = 1_024
_MAX_PART_BYTES = PART_BYTES + MAX_BLOCK_BYTES + 8 * PART_BLOCKS
_MAX_START_BYTES = 128
_LENGTH_BYTES, _DIGEST_BYTES = 4, 32
# What a file system says that knows no second name for a file, as those of sticks and of some shares.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class Start(NamedTuple):
    """What a file says of itself: its network, and its last block."""

    genesis: bytes
    height: int
    tip: bytes


class Part(NamedTuple):
    """Some blocks, encoded; the first is of height ``first``, and stands in the part that begins at byte ``at``."""

    at: int
    first: int
    blocks: tuple[bytes, ...]

    @property
    def what(self) -> str:
        """Its blocks, for people."""
        return f"blocks {self.first} to {self.first + len(self.blocks) - 1}"


def write_chain(path: Path, start: Start, blocks: Iterable[bytes], advance: Callable[[int], None]) -> int:
    """Write a file, whole or not at all; how many bytes it has.  ``advance`` is told of blocks that are in it.

    Of two that write the same at once, the second is told that it exists.

    Raises :class:`OperatorError` where the file exists or cannot be written.
    """
    if path.exists():
        raise OperatorError(f"{path} exists already; name another file, or remove it")
    draft = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    try:
        with draft.open("wb") as out:
            _write(out, start, blocks, advance)
        make_durable(draft)
        _name(draft, path)
        make_durable(path.parent)
        return path.stat().st_size
    except FileExistsError as error:
        raise OperatorError(f"{path} exists already; another export was faster") from error
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written ({error.strerror}); make room for it, or name another place, and export again"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _name(draft: Path, path: Path) -> None:
    """Let a whole file have its name.  Raises ``OSError``, ``FileExistsError`` where another has it."""
    try:
        path.hardlink_to(draft)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.touch(exist_ok=False)
        draft.replace(path)


def _write(out: BinaryIO, start: Start, blocks: Iterable[bytes], advance: Callable[[int], None]) -> None:
    out.write(MAGIC)
    digest = _put(out, start.genesis, encode((VERSION, *start)))
    for part in _parts(blocks):
        digest = _put(out, digest, encode(part))
        advance(len(part))
    _put(out, digest, encode(()))


def _put(out: BinaryIO, before: bytes, payload: bytes) -> bytes:
    digest = sha256(before + payload).digest()
    out.write(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload + digest)
    return digest


def _parts(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
    part: list[bytes] = []
    for block in blocks:
        part.append(block)
        if len(part) == PART_BLOCKS or sum(map(len, part)) >= PART_BYTES:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


class ChainFile:
    """A file that is being read; what is wrong with it is an :class:`OperatorError` that says where."""

    def __init__(self, path: Path, source: BinaryIO) -> None:
        self._path = path
        self._source = source
        self._at = len(MAGIC)
        self._next = 1
        self._digest = b""
        if source.read(len(MAGIC)) != MAGIC:
            raise OperatorError(f"{path} is not what `python scripts/chaindata.py export` writes; name another file")
        self.start = self._start()

    def _start(self) -> Start:
        payload, digest = self._frame(_MAX_START_BYTES)
        try:
            version, genesis, height, tip = array(decode(payload, max_bytes=_MAX_START_BYTES), 4, 4, "its beginning")
            last = integer(height, 1, U64_MAX, "the height")
            start = Start(blob(genesis, 32, "the genesis"), last, blob(tip, 32, "the last id"))
        except Refused as refusal:
            raise self._damaged(len(MAGIC), str(refusal)) from refusal
        if version != VERSION:
            raise OperatorError(f"{self._path} was written by another version of Goodfaith; use that, or export again")
        self._check(len(MAGIC), start.genesis, payload, digest)
        return start

    def parts(self) -> Iterator[Part]:
        """Its blocks, part after part, each checked to be what was written.  Raises :class:`OperatorError`."""
        while True:
            at = self._at
            payload, digest = self._frame(_MAX_PART_BYTES)
            self._check(at, self._digest, payload, digest)
            try:
                decoded = decode(payload, max_bytes=_MAX_PART_BYTES, max_items=PART_BLOCKS)
                blocks = tuple(map(_block, array(decoded, 0, PART_BLOCKS, "a part")))
            except Refused as refusal:
                raise self._damaged(at, str(refusal)) from refusal
            if not blocks:
                break
            yield Part(at, self._next, blocks)
            self._next += len(blocks)
        if self._next != self.start.height + 1:
            raise self._damaged(at, f"it ends there, and should go on to block {self.start.height:,}")
        if self._source.read(1):
            raise self._damaged(self._at, "more follows where it should end")

    def _frame(self, max_bytes: int) -> tuple[bytes, bytes]:
        at = self._at
        size = int.from_bytes(self._read(at, _LENGTH_BYTES), "big")
        if size > max_bytes:
            raise self._damaged(at, "no part is that long")
        return self._read(at, size), self._read(at, _DIGEST_BYTES)

    def _read(self, at: int, size: int) -> bytes:
        try:
            data = self._source.read(size)
        except OSError as error:
            raise self._damaged(self._at, f"it cannot be read: {error.strerror}") from error
        self._at += len(data)
        if len(data) < size:
            raise self._damaged(at, f"the file ends at byte {self._at}, within that part")
        return data

    def _check(self, at: int, before: bytes, payload: bytes, digest: bytes) -> None:
        if sha256(before + payload).digest() != digest:
            raise self._damaged(at, "its checksum is wrong")
        self._digest = digest

    def _damaged(self, at: int, why: str) -> OperatorError:
        return OperatorError(
            f"{self._path} is damaged in the part that begins at byte {at}, with block {self._next}: {why}; copy it "
            "again, or export it again"
        )


def _block(value: Any) -> bytes:
    if type(value) is not bytes:
        raise Refused(Reason.MALFORMED, "a block is bytes")
    return value


@contextmanager
def open_chain(path: Path) -> Iterator[ChainFile]:
    """Read a file.  Raises :class:`OperatorError`."""
    try:
        source = path.open("rb")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); name a file that was exported") from error
    with source:
        yield ChainFile(path, source)
