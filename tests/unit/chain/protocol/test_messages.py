"""What nodes say to each other: each message comes back, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Reason, Refused
from chain.consensus.ballots import MAX_BALLOT_BYTES
from chain.consensus.headers import MAX_HEADER_BYTES
from chain.content.blocks import MAX_BLOCK_BYTES, MAX_BLOCK_TRANSACTIONS
from chain.content.kinds import MAX_TRANSACTION_BYTES, MAX_USUAL_BYTES
from chain.protocol.credentials import Credential
from chain.protocol.messages import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_TRANSACTIONS,
    MAX_BLOCKS_PER_REQUEST,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_STATUS_BYTES,
    MAX_TIME_MS,
    REPLY_BYTES,
    Announcement,
    GetBlocks,
    GetHeadings,
    GetTransactions,
    RawItems,
    Status,
    cut_to_size,
)

ID = bytes(range(32))


def ids(count: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(32, "big") for number in range(count))


def items(data: bytes) -> RawItems:
    return RawItems.decode(data, max_items=20)


ROUND_TRIPS = [
    (Status(ID, 0, 0, 0), Status.decode),
    (Status(ID, U64_MAX, U64_MAX, U64_MAX), Status.decode),
    (Status(ID, 0, 0, 0, MAX_TIME_MS, Credential(ID, 2 * ID)), Status.decode),
    (Announcement(b"", b"", ()), Announcement.decode),
    (
        Announcement(b"h" * (MAX_HEADER_BYTES + 64), b"b" * MAX_BALLOT_BYTES, ids(MAX_BLOCK_TRANSACTIONS)),
        Announcement.decode,
    ),
    (GetBlocks(ID, 1, 1), GetBlocks.decode),
    (GetBlocks(ID, U64_MAX, MAX_BLOCKS_PER_REQUEST), GetBlocks.decode),
    (GetBlocks(ID, 1, 1, 1), GetBlocks.decode),
    (GetHeadings(ID, U64_MAX, MAX_BLOCKS_PER_REQUEST, REPLY_BYTES), GetHeadings.decode),
    (GetTransactions(()), GetTransactions.decode),
    (GetTransactions(ids(MAX_BLOCK_TRANSACTIONS)), GetTransactions.decode),
    (RawItems(()), items),
    (RawItems((b"", b"x" * 300)), items),
]


@pytest.mark.parametrize(("message", "decode"), ROUND_TRIPS, ids=lambda value: type(value).__name__)
def test_messages_come_back(message: Any, decode: Callable[[bytes], object]) -> None:
    assert decode(message.encode()) == message


BROKEN: list[tuple[Callable[[bytes], object], Any]] = [
    (Status.decode, ()),
    (Status.decode, (ID, 1, 1)),
    (Status.decode, (ID, 1, 1, 1, 1)),
    (Status.decode, (ID[:31], 1, 1, 1)),
    (Status.decode, (1, 1, 1, 1)),
    (Status.decode, (ID, -1, 1, 1)),
    (Status.decode, (ID, 1, True, 1)),
    (Status.decode, (ID, 1, 1, 1.0)),
    (Status.decode, (ID, 1, 1, None)),
    (Announcement.decode, (b"h", b"b")),
    (Announcement.decode, (b"h", 1, b"")),
    (Announcement.decode, (b"h", b"b", b"", 0)),
    (Announcement.decode, (1, b"b", b"")),
    (Announcement.decode, (b"h", b"b", 1)),
    (Announcement.decode, (b"h", b"b", ())),
    (Announcement.decode, (b"h", b"b", ID[:31])),
    (Announcement.decode, (b"h", b"b", ID + b"x")),
    (Announcement.decode, (b"h", b"b", ID * (MAX_BLOCK_TRANSACTIONS + 1))),
    (GetBlocks.decode, (ID, 0, 1, 1)),
    (GetBlocks.decode, (ID, 1, 0, 1)),
    (GetBlocks.decode, (ID, 1, MAX_BLOCKS_PER_REQUEST + 1, 1)),
    (GetBlocks.decode, (ID, -1, 1, 1)),
    (GetBlocks.decode, (ID, 1, 1, 0)),
    (GetBlocks.decode, (ID, 1, 1, REPLY_BYTES + 1)),
    (GetBlocks.decode, (ID[:31], 1, 1, 1)),
    (GetBlocks.decode, (ID, 1, 1)),
    (GetBlocks.decode, (ID, 1, 1, 1, 1)),
    (GetHeadings.decode, (ID, 0, 1, 1)),
    (GetTransactions.decode, ()),
    (GetTransactions.decode, (1,)),
    (GetTransactions.decode, (ID, ID)),
    (GetTransactions.decode, (ID[:5],)),
    (GetTransactions.decode, (ID * (MAX_BLOCK_TRANSACTIONS + 1),)),
    (items, (1,)),
    (items, (b"x", ())),
    (items, (b"x", None)),
    (items, (b"x",) * 21),
]


@pytest.mark.parametrize(("decode", "value"), BROKEN, ids=range(len(BROKEN)))
def test_what_has_another_shape_is_malformed(decode: Callable[[bytes], object], value: object) -> None:
    with pytest.raises(Refused) as refused:
        decode(encode(value))
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("decode", "size"),
    [
        (Status.decode, MAX_STATUS_BYTES),
        (Announcement.decode, MAX_ANNOUNCEMENT_BYTES),
        (GetBlocks.decode, 64),
        (GetTransactions.decode, MAX_REQUEST_BYTES),
        (items, MAX_MESSAGE_BYTES),
    ],
)
def test_messages_are_measured_before_they_are_read(decode: Callable[[bytes], object], size: int) -> None:
    for length, reason in ((size + 1, Reason.TOO_LARGE), (size, Reason.MALFORMED)):
        with pytest.raises(Refused) as refused:
            decode(b"\xc1" * length)
        assert refused.value.reason is reason


def test_a_batch_holds_what_its_limits_promise() -> None:
    for size, count in ((MAX_USUAL_BYTES, 100), (MAX_TRANSACTION_BYTES, 5)):
        batch = RawItems((b"x" * size,) * count)
        assert RawItems.decode(batch.encode(), max_items=MAX_BATCH_TRANSACTIONS, max_bytes=MAX_BATCH_BYTES) == batch
    with pytest.raises(Refused, match="too_large"):
        RawItems.decode(RawItems((b"x" * MAX_BATCH_BYTES,)).encode(), max_items=9, max_bytes=MAX_BATCH_BYTES)


def test_the_rank_is_what_longest_compares() -> None:
    stands = ((5, 1, 0), (4, 2, 0), (5, 2, 0), (4, 2, 3))
    ranks = [Status(ID, height, mhp, 0, restart=restart).rank for height, mhp, restart in stands]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("sizes", "limit", "taken"),
    [([], 10, 0), ([100], 10, 1), ([5, 5], 20, 2), ([5, 5], 19, 1), ([1] * 100, 60, 10), ([50, 1, 1], 10, 1)],
)
def test_cutting_counts_the_framing_and_keeps_at_least_one(sizes: list[int], limit: int, taken: int) -> None:
    assert len(cut_to_size([bytes(size) for size in sizes], limit)) == taken


def test_what_was_cut_fits_a_message() -> None:
    blocks = [bytes(90_000)] * 30
    reply = RawItems(cut_to_size(blocks, MAX_BLOCK_BYTES))
    assert RawItems.decode(reply.encode(), max_items=MAX_BLOCKS_PER_REQUEST) == reply
