"""What a state root commits to, and what shows that an entry is under it, or that none is.

An entry is ``SHA-256(key) || SHA-256(encoded value)``, 64 bytes.  The tree is a function of the set of
entries alone, never of its history: a node holds all entries whose key hashes start with the bits of its
path; one of at most ``BUCKET`` entries is a bucket, a larger one splits on the next bit::

    bucket = SHA-256(0x00 || its entries, ascending)        of no entry: 32 zero bytes
    inner  = SHA-256(0x01 || left (bit 0) || right (bit 1))
    root   = SHA-256(0x02 || number of entries, 8 bytes big-endian || top node)

So keys ground to share a prefix deepen one path, by one node a bit, and never widen a bucket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import Reason, Refused

HASH_BYTES = 32
ENTRY_BYTES = 2 * HASH_BYTES
# Entries.  Of 4, 8, 12 and 16, measured with 100,000 entries: 16 saves 12 % of the time of an update and adds
# 38 % to a proof; 4 costs 11 % more time.
BUCKET = 8
BUCKET_BYTES = BUCKET * ENTRY_BYTES
MAX_DEPTH = 8 * HASH_BYTES  # the bits of a key hash; two entries differ in at least one of them
# The longest proof: 256 siblings with 2 bytes of framing each, a full bucket, the count and other framing.
MAX_PROOF_BYTES = MAX_DEPTH * (HASH_BYTES + 2) + BUCKET_BYTES + 32

EMPTY = bytes(HASH_BYTES)
BITS = tuple(1 << bit for bit in reversed(range(MAX_DEPTH)))  # by depth, in a key hash read as one number


def hash_pair(left_hash: bytes, right_hash: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left_hash + right_hash).digest()


def hash_bucket(bucket: bytes) -> bytes:
    """The hash of a bucket: its entries, ascending and joined."""
    return sha256(b"\x00" + bucket).digest() if bucket else EMPTY


def hash_root(count: int, top_hash: bytes) -> bytes:
    """The state root: the number of entries, and the hash of the top node."""
    return sha256(b"\x02" + count.to_bytes(8, "big") + top_hash).digest()


def find_entry(bucket: bytes, key_hash: bytes) -> int:
    """Where the entry of ``key_hash`` starts, or -1."""
    at = bucket.find(key_hash)
    while at > 0 and at % ENTRY_BYTES:  # a value hash can equal a key hash: a value can be the bytes of a key
        at = bucket.find(key_hash, at + 1)
    return at


def value_in(bucket: bytes, key_hash: bytes) -> bytes | None:
    """The hash of the value of an entry in its bucket; None where there is none."""
    at = find_entry(bucket, key_hash)
    return None if at < 0 else bucket[at + HASH_BYTES : at + ENTRY_BYTES]


def split(bucket: bytes) -> list[bytes]:
    """The entries that are joined in a bucket."""
    return [bucket[at : at + ENTRY_BYTES] for at in range(0, len(bucket), ENTRY_BYTES)]


def fold(count: int, key_hash: bytes, path: Sequence[bytes], node: bytes) -> bytes:
    """The root of a tree of ``count`` entries in which ``node`` is where ``path`` ends on the way to ``key_hash``."""
    number = int.from_bytes(key_hash, "big")
    for depth in reversed(range(len(path))):
        node = hash_pair(path[depth], node) if number & BITS[depth] else hash_pair(node, path[depth])
    return hash_root(count, node)


@dataclass(frozen=True, slots=True)
class Proof:
    """The bucket in which a key is or would be, and the hashes beside the path to it."""

    count: int  # of entries in the whole tree
    bucket: bytes
    path: tuple[bytes, ...]  # from the top down

    def encode(self) -> bytes:
        """``[count, bucket, path]``, canonical; at most ``MAX_PROOF_BYTES``."""
        return encode((self.count, self.bucket, self.path))

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        """The proof that :meth:`encode` wrote.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``).

        Only types and sizes are checked here; what depends on the key is for :func:`verify_proof`.
        """
        fields = array(decode(data, max_bytes=MAX_PROOF_BYTES, max_items=MAX_DEPTH), 3, 3, "a proof")
        count = integer(fields[0], 0, U64_MAX, "the number of entries")
        bucket = fields[1]
        if type(bucket) is not bytes or len(bucket) > BUCKET_BYTES or len(bucket) % ENTRY_BYTES:
            raise Refused(Reason.MALFORMED, f"the bucket is not at most {BUCKET} entries")
        path = array(fields[2], 0, MAX_DEPTH, "the path")
        return cls(count, bucket, tuple(blob(item, HASH_BYTES, "a hash of the path") for item in path))


def _is_well_formed(proof: Proof) -> bool:
    """Whether the fields have the types and sizes that :meth:`Proof.decode` lets through."""
    return (
        type(proof) is Proof
        and type(proof.count) is int
        and 0 <= proof.count <= U64_MAX
        and type(proof.bucket) is bytes
        and len(proof.bucket) <= BUCKET_BYTES
        and len(proof.bucket) % ENTRY_BYTES == 0
        and type(proof.path) is tuple
        and len(proof.path) <= MAX_DEPTH
        and all(type(item) is bytes and len(item) == HASH_BYTES for item in proof.path)
    )


def _belongs(proof: Proof, number: int) -> bool:
    """Whether a tree of ``proof.count`` entries can have this bucket on the path of the key hash ``number``."""
    depth = len(proof.path)
    numbers = [int.from_bytes(entry[:HASH_BYTES], "big") for entry in split(proof.bucket)]
    if any((other ^ number) >> (MAX_DEPTH - depth) for other in numbers):
        return False
    if any(a >= b for a, b in pairwise(numbers)):
        return False
    return proof.count > BUCKET if depth else proof.count == len(numbers)


def verify_proof(root: bytes, key: bytes, value: bytes | None, proof: Proof) -> bool:
    """Whether ``proof`` shows that ``key`` has the encoded ``value`` under ``root``; ``None``: that it is absent.

    Never raises, whatever the arguments are.
    """
    if type(root) is not bytes or type(key) is not bytes or not (value is None or type(value) is bytes):
        return False
    if not _is_well_formed(proof):
        return False
    key_hash = sha256(key).digest()
    number = int.from_bytes(key_hash, "big")
    if not _belongs(proof, number):
        return False
    if value_in(proof.bucket, key_hash) != (None if value is None else sha256(value).digest()):
        return False
    return fold(proof.count, key_hash, proof.path, hash_bucket(proof.bucket)) == root
