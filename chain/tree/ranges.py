"""A part of the state with a proof that this is all of it: how a newcomer fetches a state from whoever has it.

A part is a subtree: all entries whose key hashes begin with the same bits.  On the wire it is::

    [depth, count, path, aside, [[key, value], …]]

``path`` are the hashes beside the way from the top to the part, ``count`` is how many entries the whole state has, and
``aside`` holds what lies in the same bucket without belonging to the part, where the way ends in a bucket above it.
The entries are ascending by the hashes of their keys.  From these the state root is made again: that fails where one is
missing, altered or too many.  A part that is too large is answered by the first one inside it that is not,
or by its first bucket: never by less than that, which would leave a piece aside for each bit of the rest.
Source: protocol 1.5 and 7.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from operator import lt
from typing import Any, NamedTuple, Protocol

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import Reason, Refused
from chain.tree.stateproof import BUCKET, BUCKET_BYTES, ENTRY_BYTES, HASH_BYTES, MAX_DEPTH, Proof, fold
from chain.tree.statetree import hash_entries

# What a part holds, by what it takes on the line: a second on a slow one.  One bucket may be larger than that.
MAX_PART_BYTES = 256_000
# The largest bucket is eight policies.
MAX_REPLY_BYTES = 980_000
MAX_ENTRIES = 2**14
# Around each entry.
FRAMING_BYTES = 8

Row = tuple[bytes, bytes]
"""A key of the state and its encoded entry."""


def digest(row: Row) -> bytes:
    """The hash by which an entry is ordered."""
    return sha256(row[0]).digest()


class Part(NamedTuple):
    """All entries whose key hashes begin with the first ``depth`` bits of ``first``, whose other bits are 0."""

    first: bytes
    depth: int

    @property
    def last(self) -> bytes:
        """The greatest key hash in it."""
        return (self._number | (1 << MAX_DEPTH - self.depth) - 1).to_bytes(HASH_BYTES, "big")

    @property
    def _number(self) -> int:
        return int.from_bytes(self.first, "big")

    def __contains__(self, key_hash: object) -> bool:
        return isinstance(key_hash, bytes) and self.first <= key_hash <= self.last

    def inside(self, depth: int) -> Part:
        """The first part of it at a greater depth."""
        return Part(self.first, depth)

    def beside(self, depth: int) -> list[Part]:
        """What of it is not :meth:`inside` that depth, ascending."""
        number = self._number
        return [
            Part((number | 1 << MAX_DEPTH - bits).to_bytes(HASH_BYTES, "big"), bits)
            for bits in range(depth, self.depth, -1)
        ]


WHOLE = Part(bytes(HASH_BYTES), 0)
# No tree has this root: who asks under it asks which one there is.
ANY = bytes(HASH_BYTES)


class Provable(Protocol):
    """The tree of a state."""

    def prove_hashed(self, key_hash: bytes) -> Proof:
        """The path to where the entry of a key with this hash is, or would be."""


class Fetched(NamedTuple):
    """A part that was checked against a root; ``total`` is how many entries the whole state has.

    ``path`` are the hashes beside the way to it; ``entries`` are its rows as the tree holds them, 64 bytes each.
    """

    part: Part
    total: int
    rows: tuple[Row, ...]
    path: tuple[bytes, ...]
    entries: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return sum(len(key) + len(value) for key, value in self.rows)

    def beside(self, asked: Part) -> Iterator[tuple[Part, bytes]]:
        """What of the part asked for is not in this one, each with the hash that it is shown to have, ascending."""
        for part in asked.beside(self.part.depth):
            yield part, self.path[part.depth - 1]


def read_part(first: Any, depth: Any) -> Part:
    """Read one from the wire.  Raises :class:`Refused` ``MALFORMED``."""
    part = Part(blob(first, HASH_BYTES, "a hash"), integer(depth, 0, MAX_DEPTH, "a depth"))
    if int.from_bytes(part.first, "big") & (1 << MAX_DEPTH - part.depth) - 1:
        raise Refused(Reason.MALFORMED, f"a part of depth {part.depth} whose hash goes on")
    return part


# ------------------------------------------------------------------------------------------------- making one


def make_part(tree: Provable, part: Part, rows: Iterable[Row]) -> bytes:
    """The encoded part; ``rows`` are all entries of the state in it, in any order."""
    proof = tree.prove_hashed(part.first)
    path = proof.path[: part.depth]
    bucket = (proof.bucket[at : at + ENTRY_BYTES] for at in range(0, len(proof.bucket), ENTRY_BYTES))
    aside = b"".join(entry for entry in bucket if entry[:HASH_BYTES] not in part) if len(path) < part.depth else b""
    ordered = sorted(rows, key=digest)
    return encode((part.depth, proof.count, path, aside, tuple(ordered)))


def fitting_depth(part: Part, hashes: Sequence[bytes], sizes: Sequence[int], limit: int) -> int:
    """How deep a part has to be so that what begins where ``part`` does takes at most ``limit`` bytes, or one bucket.

    ``hashes`` are those of its keys, ascending, ``sizes`` what each entry takes.
    """
    depth = part.depth
    within, total = len(hashes), sum(sizes) + FRAMING_BYTES * len(sizes)
    while within > BUCKET and (total > limit or within > MAX_ENTRIES):
        depth += 1
        last = part.inside(depth).last
        while within and hashes[within - 1] > last:
            within -= 1
            total -= sizes[within] + FRAMING_BYTES
    return depth


# ----------------------------------------------------------------------------------------------- checking one


def check_part(root: bytes, asked: Part, data: bytes) -> Fetched:
    """What a reply shows under a state root: the part asked for, or the first one inside it.

    Raises :class:`Refused` as :func:`read_shown` does, and ``WRONG_STATE_ROOT`` for another root.
    """
    shown, fetched = read_shown(asked, data)
    if shown != root:
        raise Refused(Reason.WRONG_STATE_ROOT, "it is not all that the state holds there")
    return fetched


def read_shown(asked: Part, data: bytes) -> tuple[bytes, Fetched]:
    """The root that a reply shows, which is for the caller to know, and what it shows under it.

    Raises :class:`Refused`: ``MALFORMED``, ``TOO_LARGE``, ``UNORDERED``, ``UNSOLICITED`` for entries or a part that
    were not asked for, ``WRONG_STATE_ROOT`` for what no tree has.
    """
    fields = array(decode(data, max_bytes=MAX_REPLY_BYTES, max_items=MAX_ENTRIES), 5, 5, "a part of the state")
    depth = integer(fields[0], 0, MAX_DEPTH, "a depth")
    count = integer(fields[1], 0, U64_MAX, "the number of entries")
    path = tuple(blob(each, HASH_BYTES, "a hash of the path") for each in array(fields[2], 0, MAX_DEPTH, "the path"))
    if depth < asked.depth or len(path) > depth:
        raise Refused(Reason.UNSOLICITED, f"a part of depth {depth} where {asked.depth} was asked for")
    if asked.depth < depth != len(path):  # it would leave hundreds of pieces where the state has a bucket
        raise Refused(Reason.UNSOLICITED, f"a part of depth {depth} where a bucket is at depth {len(path)}")
    part = asked.inside(depth)
    rows: tuple[Row, ...] = array(fields[4], 0, MAX_ENTRIES, "the entries")
    if not all(map(_is_row, rows)):
        raise Refused(Reason.MALFORMED, "an entry is a key and its value, both bytes")
    hashes = [sha256(key).digest() for key, _ in rows]
    if hashes and not part.first <= min(hashes) <= max(hashes) <= part.last:
        raise Refused(Reason.UNSOLICITED, "an entry that does not belong to the part")
    aside = _aside(fields[3], part, is_above=len(path) < depth)
    if not _is_ascending(hashes) or not _is_ascending([entry[:HASH_BYTES] for entry in aside]):
        raise Refused(Reason.UNORDERED, "entries that are not in order, each once")
    entries = [key_hash + sha256(value).digest() for key_hash, (_, value) in zip(hashes, rows, strict=True)]
    every = sorted(entries + aside) if aside else entries
    if len(path) < depth and len(every) > BUCKET:
        raise Refused(Reason.WRONG_STATE_ROOT, "more entries than a bucket holds where the path ends")
    top = hash_entries(every, len(path))
    return fold(count, part.first, path, top), Fetched(part, count, rows, path, tuple(entries))


def _is_ascending(hashes: Sequence[bytes]) -> bool:
    return all(map(lt, hashes, islice(hashes, 1, None)))


def _aside(value: Any, part: Part, *, is_above: bool) -> list[bytes]:
    if type(value) is not bytes or len(value) > BUCKET_BYTES or len(value) % ENTRY_BYTES:
        raise Refused(Reason.MALFORMED, f"what lies aside is not at most {BUCKET} entries")
    entries = [value[at : at + ENTRY_BYTES] for at in range(0, len(value), ENTRY_BYTES)]
    if entries and not is_above:
        raise Refused(Reason.MALFORMED, "entries aside where the path leads to the part itself")
    if any(entry[:HASH_BYTES] in part for entry in entries):
        raise Refused(Reason.UNSOLICITED, "an entry of the part without its value")
    return entries


def _is_row(row: Any) -> bool:
    return type(row) is tuple and len(row) == 2 and type(row[0]) is type(row[1]) is bytes
