"""What nodes say to each other: a closed set of messages, each with its bounds.

Gossip carries :class:`Announcement` and :class:`RawItems` of transactions.  Of one peer a node asks its
:class:`Status` with :class:`GetStatus`, and :class:`RawItems` of headings, blocks and transactions with
:class:`GetHeadings`, :class:`GetBlocks` and :class:`GetTransactions`; and a part of the state with :class:`GetPart`.
Source: protocol 7.3 and 7.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import Reason, Refused
from chain.consensus.forkchoice import Rank
from chain.content.blocks import MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS
from chain.protocol.credentials import NOBODY, Credential
from chain.tree.ranges import MAX_PART_BYTES, Part, read_part

# Gossip and replies: one message of libp2p carries at most 1 MiB with its envelope.
MAX_MESSAGE_BYTES = 1_000_000
# An announcement of the largest block: its ids, its ballot, its header.
MAX_ANNOUNCEMENT_BYTES = 300_000
# Batches are cut near BATCH_TARGET_BYTES; nobody needs to accept much larger ones.
BATCH_TARGET_BYTES = 48_000
MAX_BATCH_BYTES = 128_000
MAX_BATCH_TRANSACTIONS = 1_024
MAX_REQUEST_BYTES = 160_000
MAX_STATUS_BYTES = 256
MAX_PART_REQUEST_BYTES = 96
# No genesis is later.
MAX_TIME_MS = 2**53
# Around each item of a list.
FRAMING_BYTES = 5
MAX_BLOCKS_PER_REQUEST = 256
# A reply holds the largest block at least, however little was asked for: its message has room for the framing.
REPLY_BYTES = MAX_BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class Status:
    """Where a node stands: its head, what fork choice compares, and what is final there.

    ``time_ms`` is what time it has (Unix milliseconds), 0 where it does not know; ``credential`` shows whose machine it
    is, if it is a validator's; ``restart`` is that of the votes after the head
    (:attr:`chain.consensus.votes.Votes.restart`).  Of blocks below ``oldest_body`` it has no more than headings.
    """

    head_id: bytes
    height: int
    mhp: int
    finalized_height: int
    time_ms: int = 0
    credential: Credential = NOBODY
    restart: int = 0
    oldest_body: int = 1

    @property
    def rank(self) -> Rank:
        """What "longest" compares."""
        return self.mhp, self.restart, self.height

    def encode(self) -> bytes:
        stand = (self.head_id, self.height, self.mhp, self.restart, self.finalized_height)
        return encode((*stand, self.time_ms, self.credential.key, self.credential.signature, self.oldest_body))

    @classmethod
    def decode(cls, data: bytes) -> Status:
        fields = array(decode(data, max_bytes=MAX_STATUS_BYTES), 9, 9, "a status")
        head_id, height, mhp, restart, finalized_height, time_ms, key, signature, oldest_body = fields
        return cls(
            blob(head_id, 32, "the head"),
            integer(height, 0, U64_MAX, "the height"),
            integer(mhp, 0, U64_MAX, "mhp"),
            integer(finalized_height, 0, U64_MAX, "the finalized height"),
            integer(time_ms, 0, MAX_TIME_MS, "the time"),
            NOBODY if (key, signature) == (b"", b"") else _credential(key, signature),
            integer(restart, 0, U64_MAX, "the restart"),
            integer(oldest_body, 1, U64_MAX, "the oldest body"),
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """A block announced compactly: its header, its ballot and the ids of its transactions."""

    header: bytes
    ballot: bytes
    transaction_ids: tuple[bytes, ...]

    def encode(self) -> bytes:
        return encode((self.header, self.ballot, b"".join(self.transaction_ids)))

    @classmethod
    def decode(cls, data: bytes) -> Announcement:
        """Read one; header and ballot stay encoded.  Raises :class:`Refused` ``MALFORMED``, ``TOO_LARGE``."""
        header, ballot, ids = array(decode(data, max_bytes=MAX_ANNOUNCEMENT_BYTES), 3, 3, "an announcement")
        if type(header) is not bytes or type(ballot) is not bytes:
            raise Refused(Reason.MALFORMED, "a header is bytes, and so is a ballot")
        return cls(header, ballot, _split_ids(ids, MAX_BLOCK_TRANSACTIONS))


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Where do you stand?  The reply is a :class:`Status`."""

    def encode(self) -> bytes:
        return b""

    @classmethod
    def decode(cls, _data: bytes) -> GetStatus:
        return cls()


@dataclass(frozen=True, slots=True)
class _GetRange:
    """What stands on the branch that ends in ``tip_id``: ``count`` from ``from_height``, oldest first.

    The reply holds as many as fit into ``max_bytes``, one at least, and none where the tip is not known.
    """

    tip_id: bytes
    from_height: int
    count: int
    max_bytes: int = REPLY_BYTES

    def encode(self) -> bytes:
        return encode((self.tip_id, self.from_height, self.count, self.max_bytes))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        tip_id, from_height, count, max_bytes = array(decode(data, max_bytes=64), 4, 4, "a request for a range")
        return cls(
            blob(tip_id, 32, "the tip"),
            integer(from_height, 1, U64_MAX, "the height"),
            integer(count, 1, MAX_BLOCKS_PER_REQUEST, "the count"),
            integer(max_bytes, 1, REPLY_BYTES, "the bytes"),
        )


class GetHeadings(_GetRange):
    """Headers of a branch, each with its ballot: enough to judge it, without what its transactions do."""

    __slots__ = ()


class GetBlocks(_GetRange):
    """Blocks of a branch."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class GetTransactions:
    """Transactions by id; the reply holds those that are known and fit, in the same order."""

    transaction_ids: tuple[bytes, ...]

    def encode(self) -> bytes:
        return encode((b"".join(self.transaction_ids),))

    @classmethod
    def decode(cls, data: bytes) -> GetTransactions:
        (ids,) = array(decode(data, max_bytes=MAX_REQUEST_BYTES), 1, 1, "a request for transactions")
        return cls(_split_ids(ids, MAX_BLOCK_TRANSACTIONS))


@dataclass(frozen=True, slots=True)
class GetPart:
    """A part of the state under a root (:mod:`chain.tree.ranges`), or what of its beginning fits ``max_bytes``."""

    root: bytes
    part: Part
    max_bytes: int = MAX_PART_BYTES

    def encode(self) -> bytes:
        return encode((self.root, *self.part, self.max_bytes))

    @classmethod
    def decode(cls, data: bytes) -> GetPart:
        """Read one.  Raises :class:`Refused` ``MALFORMED``, ``TOO_LARGE``."""
        root, first, depth, max_bytes = array(decode(data, max_bytes=MAX_PART_REQUEST_BYTES), 4, 4, "a request")
        return cls(
            blob(root, 32, "the root"), read_part(first, depth), integer(max_bytes, 1, MAX_PART_BYTES, "the bytes")
        )


@dataclass(frozen=True, slots=True)
class RawItems:
    """A list of encoded blocks or transactions, not yet decoded."""

    items: tuple[bytes, ...]

    def encode(self) -> bytes:
        return encode(self.items)

    @classmethod
    def decode(cls, data: bytes, *, max_items: int, max_bytes: int = MAX_MESSAGE_BYTES) -> RawItems:
        """Read a list; its items stay encoded.  Raises :class:`Refused` ``MALFORMED``, ``TOO_LARGE``."""
        items = decode(data, max_bytes=max_bytes, max_items=max_items)
        if not all(type(item) is bytes for item in items):
            raise Refused(Reason.MALFORMED, "a list of byte strings is wanted")
        return cls(items)


def cut_to_size(items: Iterable[bytes], limit: int) -> tuple[bytes, ...]:
    """The first items that together stay under ``limit`` bytes; at least one.  No more are drawn than it takes."""
    fitting: list[bytes] = []
    total = 0
    for item in items:
        total += len(item) + FRAMING_BYTES
        if total > limit and fitting:
            break
        fitting.append(item)
    return tuple(fitting)


def batches(raws: Sequence[bytes]) -> Iterator[RawItems]:
    """Transactions for gossip, in their order, cut into messages of about :data:`BATCH_TARGET_BYTES`."""
    start = 0
    while start < len(raws):
        batch = cut_to_size(raws[start : start + MAX_BATCH_TRANSACTIONS], BATCH_TARGET_BYTES)
        start += len(batch)
        yield RawItems(batch)


def _credential(key: object, signature: object) -> Credential:
    return Credential(blob(key, 32, "a validator's key"), blob(signature, 64, "a credential"))


def _split_ids(data: object, limit: int) -> tuple[bytes, ...]:
    if type(data) is not bytes or len(data) % 32 or len(data) > 32 * limit:
        raise Refused(Reason.MALFORMED, f"ids are at most {limit} times 32 bytes")
    return tuple(data[start : start + 32] for start in range(0, len(data), 32))
